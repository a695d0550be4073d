"""The variable by which a command of a rollout reaches the broker."""

from __future__ import annotations

import pytest
from plans import plan_of

from policycompiler.review.commands.shell import address


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ({"broker_url_variable": "SHOP_BROKER"}, ("SHOP_BROKER", "")),
        (
            {"broker_url": "redis://one/0"},
            ("CELERY_BROKER_URL", "CELERY_BROKER_URL=redis://one/0 "),
        ),
        # The application sets it: whoever runs the command sets the variable.
        ({"service": "shop"}, ("CELERY_BROKER_URL", "")),
    ],
)
def test_a_command_reads_the_address_from_a_variable(app, expected):
    assert address(plan_of({"app": app})) == expected
