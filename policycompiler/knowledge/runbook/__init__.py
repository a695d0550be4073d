"""What a runbook says: an entry for each kind of alert, and the symptoms of its first page.

The facts about Celery are those of `tests/knowledge`. The runbook of a plan adds its names and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policycompiler.knowledge.runbook import guards, late, monitoring, queues, runs, schedules, servers
from policycompiler.knowledge.runbook.entry import Cause, Command, Deed, Entry, Fact, Never, Reason, Symptom
from policycompiler.knowledge.runbook.symptoms import SYMPTOMS

__all__ = [
    "ENTRIES",
    "SYMPTOMS",
    "Cause",
    "Command",
    "Deed",
    "Entry",
    "Fact",
    "Never",
    "Reason",
    "Symptom",
]

ENTRIES: Mapping[str, Entry] = MappingProxyType(
    {
        **monitoring.ENTRIES,
        **queues.ENTRIES,
        **late.ENTRIES,
        **runs.ENTRIES,
        **schedules.ENTRIES,
        **servers.ENTRIES,
        **guards.ENTRIES,
    }
)
"""By the names of the alerts."""
