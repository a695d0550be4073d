"""Traces of OpenTelemetry, from the publisher of a message to its run.

Decides:
    If the policy file asks for traces: `app/traces`.

Because:
    A trace shows which request sent a task, and what the task sent. OpenTelemetry maintains a package for
    Celery. Its manual sets it up when a pool starts a process. Then the pools of threads and greenlets have
    no spans, and a process that ends after one run loses its spans. So the output sets it up when the
    configuration is loaded, and sends what is left when a process ends. Only the variables of
    OpenTelemetry say where traces go, so no plan contains an address or a key
    (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

Example:
    tasks: {shop.mail.send: {}}

    app/metric_sources = ["celery-exporter", "redis-exporter"]

Refuses:
    PC973 traces-cut: remove the setting `task_protocol`.
        policy: parameters: {traces: {enabled: true}}
        fires:
            celery: {settings: {task_protocol: 1}}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}

Parameters:
    `enabled`: whether publishers and workers send traces; false.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Plan
from policycompiler.policies.policy import parameter

NAME = "traces"

TRACES_CUT = warning("PC973", "traces-cut")

OLD_PROTOCOL = 1
"""Its messages have no headers of tasks, which carry the trace."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    enabled: bool = Field(default=False, description="whether publishers and workers send traces")


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Traces if they are asked for, and what cuts them."""
    del spec
    if not tuned.enabled:
        return
    because = "the policy file asks for traces from publishers to workers"
    yield Decision(APP, "traces", tuned.enabled, because, (parameter(NAME, "enabled", tuned.enabled),))
    path = plan.written(APP, "task_protocol")
    if path is not None and plan.get(APP, "task_protocol") == OLD_PROTOCOL:
        message = "messages of protocol 1 carry no trace, so each run begins a trace of its own"
        yield TRACES_CUT.at(path, message, help="remove the setting `task_protocol`")
