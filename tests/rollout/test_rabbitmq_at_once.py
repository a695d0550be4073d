"""The same changes on RabbitMQ, deployed in one step: where nothing went wrong, no steps would be needed."""

from __future__ import annotations

import pytest
from rollout.deployed import after_one_step
from rollout.scenarios import on

pytestmark = pytest.mark.server


@pytest.mark.parametrize("scenario", on("rabbitmq", harmful=True), ids=str)
def test_in_one_step_work_is_lost_doubled_or_stranded(scenario, empty_broker, tmp_path):
    outcome, logs = after_one_step(scenario, empty_broker("rabbitmq"), tmp_path)
    done = {harm for harm in outcome._fields if getattr(outcome, harm)}
    # Which of them it is hangs on who took which message.
    assert done & set(scenario.harms), (outcome, logs)
