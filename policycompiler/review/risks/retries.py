"""How risky changes of the retries of a task are, and why."""

from __future__ import annotations

import builtins
import math
from collections.abc import Collection

from policycompiler.plan import Plan, Scope, Value
from policycompiler.review.risks.verdicts import At, Judged, lossy, safe

_USUAL = 3
"""Celery's default number of retries."""


def retries(at: At) -> Judged:
    """Judge a setting of a task's retries: fewer errors are retried, or fewer times."""
    option = at.key.removeprefix("options.")
    if option == "max_retries":
        return _fewer(at)
    if option == "autoretry_for" and at.was and not at.now:
        return lossy(_NONE)
    fewer, more = (at.now, at.was) if option == "autoretry_for" else (at.was, at.now)
    if option in {"autoretry_for", "dont_autoretry_for"} and (lost := _beyond(more, fewer)):
        return lossy(f"runs that fail with {', '.join(lost)} are no longer retried")
    return safe("each worker uses the new value when it starts")


_NONE = "failed runs are no longer retried"


def _fewer(at: At) -> Judged:
    before, after = _most(at.old, at.before), _most(at.new, at.scope)
    if after == 0 and before:
        return lossy(_NONE)
    if after < before and _is_first(at):
        most = "once" if after == 1 else f"{after:g} times"
        return safe(f"failed runs are now retried; retries by the task's own code happen at most {most}")
    if after < before:
        counted = f"{after:g} {'retry' if after == 1 else 'retries'}"
        what = "a failing run" if at.old.find(at.before, at.key) else _BY_CODE
        return lossy(f"{what} now gets at most {counted}")
    return safe("each worker uses the new value when it starts")


def _is_first(at: At) -> bool:
    """Whether only the task's own code has retried so far, if anything."""
    said = ("options.autoretry_for", at.key)
    return not any(at.old.get(at.before, key) for key in said) and bool(at.new.get(at.scope, said[0]))


_BY_CODE = f"a run that the task's own code retries ({_USUAL} times by Celery's default)"


def _most(plan: Plan, task: Scope) -> float:
    """The number of retries of a task; may be infinite."""
    found = plan.find(task, "options.max_retries")
    if found is None:
        return _USUAL
    return float(found.value) if isinstance(found.value, int | float) else math.inf


def _beyond(classes: Value, others: Value) -> list[str]:
    """The exceptions that are not covered by the others."""
    names = [str(each) for each in classes] if isinstance(classes, list) else []
    known = [str(each) for each in others] if isinstance(others, list) else []
    return [name for name in names if not _covers(known, name)]


def _covers(names: Collection[str], name: str) -> bool:
    """Whether an exception is one of the named ones. An exception outside Python is an `Exception`."""
    found = _builtin(name) or Exception
    return name in names or any(
        (other := _builtin(each)) is not None and issubclass(found, other) for each in names
    )


def _builtin(name: str) -> type[BaseException] | None:
    found = getattr(builtins, name.removeprefix("builtins."), None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
