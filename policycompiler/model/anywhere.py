"""What is refused wherever it stands: passwords in URLs, and more entries than anybody has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, error
from policycompiler.load import TOO_LARGE, Data

INVALID_VALUE = error("PC104", "invalid-value")

MOST_ENTRIES = 20_000
"""Of one list or mapping. Every task becomes dozens of settings; this many still fit into half a gigabyte."""

# A user, perhaps empty, and a password. What follows a host is a port, and an `@` behind that is no secret.
# `\/` is how JSON inside a text may write `/`.
_URL_WITH_PASSWORD = re.compile(r":\\?/\\?/[^\s/?#:\[]*:(?!\d{1,5}(?:[/?#]|$))\S+@")


def refused_anywhere(data: Data, path: SpecPath = ()) -> Iterator[Diagnostic]:
    """The findings about data of any kind; a workload is read by everybody, and written into many files."""
    match data:
        case str():
            yield from _credentials(data, path, at_key=False)
        case list():
            yield from _too_many(len(data), path)
            for index, item in enumerate(data):
                yield from refused_anywhere(item, (*path, index))
        case dict():
            yield from _too_many(len(data), path)
            for key, value in data.items():
                yield from _credentials(key, (*path, key), at_key=True)
                yield from refused_anywhere(value, (*path, key))


def _credentials(text: str, path: SpecPath, *, at_key: bool) -> Iterator[Diagnostic]:
    if "@" in text and _URL_WITH_PASSWORD.search(text):
        message = "this text holds credentials: a URL with a password"
        help_text = "let the running process read it, as in `url: ${CELERY_BROKER_URL}`"
        yield INVALID_VALUE.at(path, message, help=help_text, at_key=at_key)


def _too_many(number: int, path: SpecPath) -> Iterator[Diagnostic]:
    if number > MOST_ENTRIES:
        message = f"{number} entries; a list or mapping has at most {MOST_ENTRIES}"
        yield TOO_LARGE.at(path, message, help="split it into several services", at_key=True)
