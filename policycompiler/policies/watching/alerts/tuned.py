"""The parameters of the alerts that a policy file may set."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import selected_labels
from policycompiler.model import PolicyParameters
from policycompiler.model.units import AlertSeverity, LabelName, PositiveDuration, Text, refuse
from policycompiler.plan import Origin
from policycompiler.policies.policy import parameter

NAME = "alerts"

AlertName = Literal[
    "CeleryBeatDown",
    "CeleryBreakerOpen",
    "CeleryBrokerDown",
    "CeleryDeadLetterGrowth",
    "CeleryExporterDown",
    "CeleryGuardClaimLost",
    "CeleryGuardParkRateHigh",
    "CeleryGuardPoisoned",
    "CeleryGuardStoreDown",
    "CeleryPayloadTooLarge",
    "CeleryPlansDiffer",
    "CeleryQueueBacklog",
    "CeleryQueueDrainTime",
    "CeleryQueueDrainTimeCritical",
    "CeleryQueueGrowing",
    "CeleryQueueMetricMissing",
    "CeleryQueueNoConsumer",
    "CeleryQueueStalled",
    "CeleryQueueWaitBudgetFast",
    "CeleryQueueWaitBudgetSlow",
    "CeleryQueueWaitHigh",
    "CeleryScheduleMissed",
    "CeleryScheduleNotSent",
    "CeleryScheduleUnsuccessful",
    "CeleryTaskErrorBudgetFast",
    "CeleryTaskErrorBudgetSlow",
    "CeleryTaskFailureRate",
    "CeleryTaskKilled",
    "CeleryTaskNewFailure",
    "CeleryTaskRetryStorm",
    "CeleryTaskRuntimeHigh",
    "CeleryTaskUnregistered",
    "CeleryTelemetryDown",
    "CeleryUnackedHigh",
    "CeleryWorkerLost",
    "CeleryWorkersBelowMinimum",
    "RabbitMQDiskAlarm",
    "RabbitMQMemoryAlarm",
    "RabbitMQMemoryHigh",
    "RabbitMQUnroutable",
    "RedisBrokerEvicting",
    "RedisBrokerMemoryCritical",
    "RedisBrokerMemoryHigh",
    "RedisBrokerNoMaxmemory",
    "RedisBrokerUnsafePolicy",
]

LONGEST_PATIENCE_SECONDS = 1800
"""Half of the window in which a lost worker process is seen: with more than the window nothing fires."""
Share: TypeAlias = Annotated[float, Field(ge=0.0001, le=0.9999)]
Objective: TypeAlias = Annotated[float, Field(ge=0.94, le=0.99999)]
"""With less, the fastest burn exceeds all runs; with more, a month has 26 s for failures."""


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
    telemetry_matchers: dict[LabelName, Text] = Field(
        default_factory=dict, description="labels that select the telemetry of this service, besides its name"
    )
    flower_matchers: dict[LabelName, Text] = Field(
        default_factory=dict, description="labels that select this service's Flower, besides its job"
    )
    severities: dict[AlertName, AlertSeverity] = Field(
        default_factory=dict, description="the severity of each named alert; other alerts keep their own"
    )
    urgent_wait: PositiveDuration = Field(
        60, description="a queue with a latency target up to this pages a person when its tasks do not run"
    )
    patience: PositiveDuration = Field(
        300,
        description="how long a problem must last before its alert fires: a restart or more, up to 30m",
    )
    backlog_floor: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10, description="a queue with fewer messages has no backlog"
    )
    failed_share: Share = Field(
        0.05, description="an alert fires when a larger share of a queue's runs fails"
    )
    least_runs: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="an alert on a share of runs needs at least this many runs"
    )
    late_share: Share = Field(
        0.05, description="an alert fires when a larger share of runs starts late or takes too long"
    )
    retried_share: Share = Field(
        0.5, description="an alert fires when a larger share of a queue's runs are retries"
    )
    parked_share: Share = Field(
        0.8, description="an alert fires when a larger share of a queue's runs only wait for a rate or a key"
    )
    wait_objective: Objective = Field(
        0.99, description="the share of runs that must start within the latency target, over 30 days"
    )
    success_objective: Objective = Field(
        0.99, description="the share of runs that must succeed, over 30 days"
    )
    memory_share: Share = Field(
        0.8, description="an alert fires when the broker uses a larger share of its memory limit"
    )
    memory_critical_share: Share = Field(
        0.95, description="an alert pages when the broker uses a larger share of its memory limit"
    )
    minute: Annotated[int, Field(ge=1, le=60)] = Field(
        60, description="seconds of a minute in the times of all alerts; fewer only to try the alerts out"
    )
    schedule_slack: PositiveDuration = Field(
        600, description="how late a scheduled task may start before its schedule is missed"
    )

    @field_validator("patience")
    @classmethod
    def _sees_the_start(cls, patience: float) -> float:
        if patience > LONGEST_PATIENCE_SECONDS:
            raise refuse("write at most 30m: some alerts see one hour, and a problem must begin in it")
        return patience

    @field_validator(*sorted({each.matchers for each in SOURCES.values()}))
    @classmethod
    def _adds_labels(cls, labels: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        """A matcher may replace the job, but none of the labels that the rules need themselves."""
        own = {"__name__"}.union(
            *(selected_labels(name) for name, each in SOURCES.items() if each.matchers == info.field_name)
        )
        if taken := sorted(own & labels.keys()):
            message = f"`{taken[0]}` is a label that the rules select themselves; choose another one"
            raise refuse(message)
        return labels

    @model_validator(mode="after")
    def _pages_later(self) -> Parameters:
        if self.memory_critical_share <= self.memory_share:
            raise refuse("`memory_critical_share` must be more than `memory_share`")
        return self


DEFAULTS = Parameters.model_construct()


def origin(tuned: Parameters, key: str) -> Origin:
    """Where a number comes from."""
    return parameter(NAME, key, getattr(tuned, key))
