"""`.env.example`: every environment variable that the other outputs read, and its purpose.

A copy with values is the environment file of systemd and of Compose, and the source of a Secret. It has no
quotes, because systemd removes them and the others do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.emitters.base import OutputFile, Reading, one_line
from policycompiler.emitters.templates import render
from policycompiler.emitters.variables import Variable, variables
from policycompiler.plan import APP, Plan

ID = "env"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """One file."""
    reading = Reading(plan)
    found = [*variables(plan)]
    for scope, key in (each for variable in found for each in variable.read):
        reading.find(scope, key)
    content = {
        "service": reading.text(APP, "service"),
        "required": [_shown(each) for each in found if not each.optional],
        "optional": [_shown(each) for each in found if each.optional],
    }
    yield reading.file(".env.example", render("env/example.env", one_line, content))


def _shown(variable: Variable) -> dict[str, str]:
    return {"name": variable.name, "purpose": variable.purpose, "example": variable.example}
