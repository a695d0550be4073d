"""Waiting until conditions hold, with a time limit and progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import NamedTuple

from policycompiler.plan import Plan
from policycompiler.quantities import duration
from policycompiler.reality.connection import UnreachableError, bounded
from policycompiler.report.text import clean
from policycompiler.review.conditions import Condition, Pause
from policycompiler.review.conditions import Seen as SeenByAPerson
from policycompiler.rollout.looks import Access, Looked, Seen, look

_PATIENCE_SECONDS = (1, 2, 5)
_LEAST_SECONDS, _MOST_SECONDS = 10.0, 60.0
"""How long a look may take at least, whatever the limit, and at most."""


class Limits(NamedTuple):
    """How long to wait for a condition, and how long between two looks, in seconds."""

    timeout_seconds: float
    interval_seconds: float


class Ended(NamedTuple):
    """The end of a wait: whether everything holds, and a sentence."""

    holds: bool
    says: str


def wait(
    conditions: Iterable[tuple[Condition, Plan | None]],
    access: Access,
    limits: Limits,
    tell: Callable[[str], None],
) -> Ended:
    """Wait for each condition in order; `tell` prints progress. A pause lasts its own time."""
    held, by_eye = [], []
    for condition, plan in conditions:
        if isinstance(condition, SeenByAPerson):
            by_eye.append(clean(condition.says))
        elif isinstance(condition, Pause):
            tell(f"waiting for {duration(condition.seconds)}: {condition.because}")
            time.sleep(condition.seconds)
        else:
            assert plan is not None
            ended = _until_it_holds(condition, plan, access, limits, tell)
            if not ended.holds:
                return ended
            held.append(ended.says)
    if by_eye:
        return Ended(holds=False, says=f"no command can see this; check it yourself: {'; '.join(by_eye)}")
    return Ended(holds=True, says="\n".join(held) or "nothing is left to wait for")


def _until_it_holds(
    condition: Looked, plan: Plan, access: Access, limits: Limits, tell: Callable[[str], None]
) -> Ended:
    """The first look must reach the broker; later ones may fail while it restarts."""
    end = time.monotonic() + limits.timeout_seconds
    told = ""
    reached = False
    # Workers answer at once; those that are busy get more time in the next looks.
    for patience in chain(_PATIENCE_SECONDS, repeat(_PATIENCE_SECONDS[-1])):
        try:
            left = end - time.monotonic()
            with bounded(min(_MOST_SECONDS, max(_LEAST_SECONDS, left))):
                # Workers are asked twice.
                seen = look(condition, plan, access, min(patience, max(_PATIENCE_SECONDS[0], left / 3)))
            reached = True
        except UnreachableError as problem:
            if not reached:
                return Ended(holds=False, says=f"the broker cannot be asked: {clean(str(problem))}")
            seen = Seen([f"the broker cannot be asked: {problem}"])
        if not seen.missing:
            way = f" (held messages counted by {seen.way})" if seen.way else ""
            return Ended(holds=True, says=f"{clean(condition.says)}{way}")
        missing = clean("; ".join(seen.missing))
        if time.monotonic() >= end:
            limit = duration(limits.timeout_seconds)
            return Ended(holds=False, says=f"not so after {limit}: {clean(condition.says)}. Now: {missing}")
        if missing != told:
            tell(f"waiting: {missing}")
            told = missing
        time.sleep(max(0.0, min(limits.interval_seconds, end - time.monotonic())))
    raise AssertionError("looks never run out")
