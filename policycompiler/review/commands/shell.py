"""Words of a shell, and the variable by which commands reach the broker."""

from __future__ import annotations

import shlex

from policycompiler.plan import APP, Plan


def word(text: str) -> str:
    """A text as one word of a shell, even if it contains control characters."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(_octal(each) for each in text)
    return f'"$(printf {shlex.quote(escaped)})"'


def _octal(character: str) -> str:
    if character in "%\\" or not character.isprintable():
        return "".join(f"\\{byte:03o}" for byte in character.encode())
    return character


def address(plan: Plan) -> tuple[str, str]:
    """The variable with the broker's address, and its assignment where the workload has the address."""
    variable = plan.get(APP, "broker_url_variable")
    if isinstance(variable, str):
        return variable, ""
    if plan.find(APP, "broker_url") is None:
        # The application sets the URL itself; the person who runs the command sets the variable.
        return "CELERY_BROKER_URL", ""
    return "CELERY_BROKER_URL", f"CELERY_BROKER_URL={shlex.quote(str(plan.get(APP, 'broker_url', '')))} "
