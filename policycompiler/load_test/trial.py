"""The circumstances of a load test, which all its parts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from policycompiler.load_test.place import Place, Tell
from policycompiler.load_test.wish import Wish
from policycompiler.plan import Plan
from policycompiler.plan.lines import WorkerLine
from policycompiler.rehearse.processes import Stage


class Trial(NamedTuple):
    """A plan, the lines of the queues that are driven, the wish of the user, the broker, and a stage."""

    plan: Plan
    lines: Sequence[WorkerLine]
    wish: Wish
    place: Place
    stage: Stage
    tell: Tell
