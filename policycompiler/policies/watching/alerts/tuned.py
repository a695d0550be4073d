"""What a policy file may set of the alerts, and that a number comes from there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policycompiler.model import PolicyParameters
from policycompiler.model.units import AlertSeverity, LabelName, PositiveDuration, Text
from policycompiler.plan import Origin, Parameter

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
    """What a policy file may set."""

    exporter_matchers: dict[LabelName, Text] = Field(
        default_factory=dict,
        description="labels that tell this service's celery-exporter from others; by default its job alone",
    )
    broker_matchers: dict[LabelName, Text] = Field(
        default_factory=dict,
        description="labels that tell this service's broker from others; by default its exporter's job alone",
    )
    severities: dict[AlertName, AlertSeverity] = Field(
        default_factory=dict, description="by alert; the others keep theirs"
    )
    urgent_wait: PositiveDuration = Field(
        60, description="a queue that promises a start within it calls somebody when nothing of it runs"
    )
    patience: PositiveDuration = Field(
        300, description="the shortest that trouble has to last; a restart or a burst is over by then"
    )
    backlog_floor: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10, description="fewer messages than this come and go in any queue"
    )
    failed_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="of the runs of a queue; more than accidents, fewer than an outage"
    )
    least_runs: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="a share of fewer runs says nothing"
    )
    schedule_slack: PositiveDuration = Field(
        600, description="how much later than planned a periodic task may run before it is missed"
    )


DEFAULTS = Parameters.model_construct()


def origin(tuned: Parameters, key: str) -> Origin:
    """Where a number comes from."""
    return Parameter(("parameters", NAME, key), getattr(tuned, key))
