"""The vocabulary: every key of a plan, declared once.

The runner refuses a decision about an undeclared key. Emitters emit the keys of their reader. Reviews,
expressions of a policy file, formatted values, the manual and the schema of plans use the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from policycompiler.knowledge import celery_settings
from policycompiler.plan.vocabulary import alert, app, deployment, guard, queue, schedule, task, worker
from policycompiler.plan.vocabulary.key import ChangeKind, Key, Reader, Type, Unit

__all__ = ["SCOPES", "ChangeKind", "Key", "Reader", "Type", "Unit", "declared", "find"]

SCOPES = (
    "app",
    "task",
    "queue",
    "worker",
    "schedule",
    "disabled_schedule",
    "beat",
    "host",
    "dependency",
    "alert",
)
"""The kinds of scopes that settings belong to."""

_ALL = (
    *app.KEYS,
    *deployment.KEYS,
    *task.KEYS,
    *queue.KEYS,
    *worker.KEYS,
    *schedule.KEYS,
    *guard.KEYS,
    *alert.KEYS,
)
_NAMED = {
    scope: {each.name: each for each in _ALL if each.scope == scope and not each.is_prefix}
    for scope in SCOPES
}
_NONE: dict[str, Key] = {}
_PREFIXES = {(each.scope, each.name): each for each in _ALL if each.is_prefix}


def find(scope: str, name: str) -> Key | None:
    """The declaration of a key of a kind of scope; None for an unknown key."""
    return _NAMED.get(scope, _NONE).get(name) or _unnamed(scope, name)


def declared(scope: str) -> Iterator[Key]:
    """The keys of a kind of scope that are declared by name or prefix, in the order of the manual."""
    return (each for each in _ALL if each.scope == scope)


@cache
def _unnamed(scope: str, name: str) -> Key | None:
    """A key without its own declaration: below a prefix, or a Celery setting."""
    beginning, dot, below = name.partition(".")
    if dot and below:
        return _PREFIXES.get((scope, beginning + dot))
    if scope == "app" and celery_settings.is_setting(name):
        return app.celerys(name)
    return None
