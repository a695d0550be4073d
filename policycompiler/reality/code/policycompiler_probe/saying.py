"""Values of an application as JSON, and notes about those that have no such form."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

LONGEST_TEXT = 2000
_SECRET = re.compile(
    r"passw|passphrase|secret|(api|access|private|account)[_-]?key|credential|token"
    r"|auth(orization)?$|(^|[_-])(pass|pwd|pw|sas|dsn)$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(r"(bearer|basic)\s|-----BEGIN", re.IGNORECASE)
_WITH_LOGIN = re.compile(r"(\w[\w+.-]*://)\S*@")


class Unsayable(Exception):
    """A value that JSON or the workload language cannot express; the text says what it is."""


class Notes:
    """What cannot be said, and why. `settings` are the settings among them."""

    def __init__(self) -> None:
        self.unsaid: list[dict[str, str]] = []
        self.settings: set[str] = set()

    def cannot(self, what: str, why: str) -> None:
        """Note something that has no form in a workload."""
        self.unsaid.append({"what": masked(what), "why": masked(why)})

    def failed(self, what: str, problem: BaseException) -> None:
        """Note that code of the application has failed."""
        self.cannot(what, f"{type(problem).__name__}: {problem}")


def masked(text: str) -> str:
    """A text without the logins of its URLs, and not longer than a person reads."""
    return _WITH_LOGIN.sub(r"\1**@", text)[:LONGEST_TEXT]


def has_login(text: str) -> bool:
    """Whether a URL has a user or a password."""
    return _WITH_LOGIN.search(text) is not None


def said(value: Any, key: str) -> Any:
    """A value as JSON. Raises `Unsayable` for another kind of value, and for what may be secret."""
    _keep_secret(value, key)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        # The text alone: the class may be an enum of the application.
        return str.__str__(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "keys"):
        return {str(name): said(value[name], str(name)) for name in list(value)}
    if isinstance(value, (list, tuple)):
        return [said(each, key) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(said(each, key) for each in value)
    if isinstance(value, date):
        raise Unsayable("a date, which JSON does not have")
    raise Unsayable(class_of(value, "a value"))


def _keep_secret(value: Any, key: str) -> None:
    """Raise `Unsayable` for what may be secret, by its name or by its text."""
    text = value if isinstance(value, str) else ""
    if has_login(text):
        raise Unsayable("it has a URL with a login")
    if value and (_SECRET.search(key) or _SECRET_TEXT.match(text)):
        raise Unsayable("it may be secret")


def class_of(value: Any, what: str) -> str:
    """What a value is, by its class."""
    return f"{what} of the class {type(value).__module__}.{type(value).__qualname__}"


def mapping(what: str, value: Any, notes: Notes) -> dict[str, Any]:
    """A mapping as JSON, without the keys whose values have no such form; those are noted."""
    found = {}
    for key in value:
        try:
            found[str(key)] = said(value[key], str(key))
        except Unsayable as problem:  # noqa: PERF203 - each value by itself
            notes.cannot(f"`{key}` of {what}", str(problem))
    return found
