"""The parameters of the alerts that a policy file may set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policycompiler.model import PolicyParameters
from policycompiler.model.units import AlertSeverity, LabelName, PositiveDuration, Text
from policycompiler.plan import Origin
from policycompiler.policies.policy import parameter

NAME = "alerts"

AlertName = Literal[
    "CeleryExporterDown",
    "CeleryBrokerDown",
    "CeleryQueueNoConsumer",
    "CeleryQueueBacklog",
    "CeleryQueueStalled",
    "CeleryWorkersBelowMinimum",
    "CeleryTaskFailureRate",
    "CeleryBeatDown",
    "CeleryScheduleMissed",
]


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    exporter_matchers: dict[LabelName, Text] = Field(
        default_factory=dict,
        description="labels that select this service's celery-exporter; the default is its job only",
    )
    broker_matchers: dict[LabelName, Text] = Field(
        default_factory=dict,
        description="labels that select this service's broker; the default is the job of its exporter only",
    )
    severities: dict[AlertName, AlertSeverity] = Field(
        default_factory=dict, description="the severity of each named alert; other alerts keep their own"
    )
    urgent_wait: PositiveDuration = Field(
        60, description="a queue with a latency target up to this pages a person when its tasks do not run"
    )
    patience: PositiveDuration = Field(
        300, description="how long a problem must last before its alert fires; a restart is over by then"
    )
    backlog_floor: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10, description="a queue with fewer messages has no backlog"
    )
    failed_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="an alert fires when a larger share of a queue's runs fails"
    )
    least_runs: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="the alert on failed runs needs at least this many runs"
    )
    schedule_slack: PositiveDuration = Field(
        600, description="how late a scheduled task may start before its schedule is missed"
    )


DEFAULTS = Parameters.model_construct()


def origin(tuned: Parameters, key: str) -> Origin:
    """Where a number comes from."""
    return parameter(NAME, key, getattr(tuned, key))
