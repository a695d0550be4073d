"""`plan.json`: the plan itself, canonical, for other tools and for comparing two compiles."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.emitters.base import MODE_FILE, OutputFile
from policycompiler.plan import Plan, file

ID = "plan"
PATH = "plan.json"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """One file. It lists no settings as read: a setting that is only in this file has no effect."""
    yield OutputFile(PATH, tuple([part.encode() for part in file.lines(plan)]), MODE_FILE, frozenset())
