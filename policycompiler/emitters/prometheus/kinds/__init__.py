"""The kinds of alerts, by name: the expression of each, and the courses of events that prove it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policycompiler.emitters.prometheus.courses import Kind
from policycompiler.emitters.prometheus.kinds import brokers, guards, monitoring, queues, runs, schedules

KINDS: Mapping[str, Kind] = MappingProxyType(
    {**monitoring.KINDS, **queues.KINDS, **runs.KINDS, **schedules.KINDS, **brokers.KINDS, **guards.KINDS}
)
