"""Values that are refused everywhere: passwords, and too many entries.

Because:
    A workload is in version control and in reviews, and its values are copied into many files. Every process
    on the host can read some of them. So a secret in a workload does not stay secret
    (https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html). A value of the right
    type can still be an invalid duration, rate, name or task option, which no output can express.

Refuses:
    PC104 invalid-value: write the form that the message shows, or a variable for a URL with a password.
        fires: tasks: {shop.a: {runtime: 5 minutes}}
        silent: tasks: {shop.a: {runtime: 5m}}
    PC109 secret-value: let the application read the secret from its environment, or from a file named here.
        fires:
            tasks: {shop.a: {queue: mail}}
            workers: {post: {queues: [mail], environment: {MAIL_TOKEN: f00dcafe}}}
        silent:
            tasks: {shop.a: {queue: mail}}
            workers: {post: {queues: [mail], environment: {MAIL_TOKEN_FILE: /run/secrets/mail}}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from policycompiler.diagnostics import SECRET_WORDS, Diagnostic, SpecPath, fatal
from policycompiler.load import TOO_LARGE, Data

INVALID_VALUE = fatal("PC104", "invalid-value")
SECRET_VALUE = fatal("PC109", "secret-value")

MOST_ENTRIES = 20_000
"""In one list or mapping. Every task becomes dozens of settings; this number needs half a gigabyte."""

# A user, perhaps empty, and a password. A number after a host is a port, and an `@` after that is no secret.
# JSON inside a text may write `/` as `\/`.
_URL_WITH_PASSWORD = re.compile(r":\\?/\\?/[^\s/?#:\[]*:(?!\d{1,5}(?:[/?#]|$))\S+@")
_SECRET_ASSIGNED = re.compile(rf"(?:^|[?&;\s_-])(?:{SECRET_WORDS})=[^\s&;$]", re.IGNORECASE)
_SECRET_NAME = re.compile(rf"(?:^|[_-])(?:{SECRET_WORDS})$", re.IGNORECASE)


def refused_anywhere(data: Data, path: SpecPath = ()) -> Iterator[Diagnostic]:
    """The findings about data of any kind: many people and files get the values of a workload."""
    # Nearly always there are none, and a check without paths is several times cheaper.
    if not path and not _is_refused(data):
        return
    match data:
        case str() if _holds_password(data):
            yield _credentials(path, at_key=False)
        case list():
            yield from _too_many(len(data), path)
            for index, item in enumerate(data):
                yield from refused_anywhere(item, (*path, index))
        case dict():
            yield from _too_many(len(data), path)
            for key, value in data.items():
                if _holds_password(key):
                    yield _credentials((*path, key), at_key=True)
                if _is_secret(key, value):
                    yield _secret(key, (*path, key))
                yield from refused_anywhere(value, (*path, key))


def _is_refused(data: Data) -> bool:
    if isinstance(data, str):
        return _holds_password(data)
    if isinstance(data, dict):
        if len(data) > MOST_ENTRIES:
            return True
        return any(
            _holds_password(key) or _is_secret(key, value) or _is_refused(value)
            for key, value in data.items()
        )
    return isinstance(data, list) and (len(data) > MOST_ENTRIES or any(map(_is_refused, data)))


def _holds_password(text: str) -> bool:
    """Whether a URL has a password before its host or in its parameters, or a command has a secret option."""
    if "@" in text and _URL_WITH_PASSWORD.search(text):
        return True
    return "=" in text and _SECRET_ASSIGNED.search(text) is not None


def _is_secret(key: str, value: Data) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and _names_secret(key)


@lru_cache(maxsize=1000)
def _names_secret(key: str) -> bool:
    return _SECRET_NAME.search(key) is not None


def _credentials(path: SpecPath, *, at_key: bool) -> Diagnostic:
    message = "the text contains credentials, such as a URL with a password"
    help_text = "write an environment variable instead, as in `url: ${CELERY_BROKER_URL}`"
    return INVALID_VALUE.at(path, message, help=help_text, at_key=at_key)


def _secret(key: str, path: SpecPath) -> Diagnostic:
    message = f"`{key}` names a secret, which would be readable in the workload and in the output"
    help_text = "let the application read the secret from its environment"
    return SECRET_VALUE.at(path, message, help=help_text, at_key=True)


def _too_many(number: int, path: SpecPath) -> Iterator[Diagnostic]:
    if number > MOST_ENTRIES:
        message = f"{number} entries; a list or mapping may have at most {MOST_ENTRIES}"
        yield TOO_LARGE.at(path, message, help="split the workload into several services", at_key=True)
