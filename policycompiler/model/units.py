"""Quantities and names as users write them, each with its JSON Schema for editors.

Every quantity has a unit in the text (`300ms`, `40/s`, `2GiB`) and becomes a plain number here: seconds,
occurrences per second, bytes.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

LONGEST_SECONDS = 3660 * 86400
"""Ten years: no task takes longer, and larger numbers overflow in the outputs."""

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_RATE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)/(s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.ASCII)

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1} | {
    f"{prefix}{unit}": base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate(("K", "M", "G", "T"), start=1)
}


def refuse(message: str) -> PydanticCustomError:
    """What a validator raises; the message is for the user."""
    # The template is the message: braces in user text would otherwise be taken for fields.
    return PydanticCustomError("invalid_value", "{message}", {"message": message})


def _whole(number: float) -> int | float:
    """1.0 as 1, so that a plan and the files show the number as a person writes it."""
    rounded = round(number, 9)
    return int(rounded) if rounded == int(rounded) else rounded


def parse_duration(value: object) -> int | float:
    """Seconds of `300ms 5s 2m 1h 30m 1d` (parts add up), or of a bare number of seconds."""
    seconds: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str):
        parts = value.split()
        matches = [_DURATION.fullmatch(part) for part in parts]
        if parts and all(matches):
            seconds = sum(float(match[1]) * _SECONDS[match[2]] for match in matches if match)
    if seconds is None:
        raise refuse("not a duration; write a duration such as 300ms, 5s, 2m, 1h 30m or 1d")
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise refuse("a duration must be at least 0 and at most 3660d")
    return _whole(seconds)


def parse_positive_duration(value: object) -> int | float:
    """Like `parse_duration`, but more than 0."""
    seconds = parse_duration(value)
    if seconds <= 0:
        raise refuse("the duration must be more than 0")
    return seconds


def parse_rate(value: object) -> int | float:
    """Occurrences per second of `10/s`, `600/m`, `5/h` or `100/d`."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse("not a rate; write a rate such as 10/s, 600/m, 5/h or 100/d")
    return _whole(float(match[1]) / _SECONDS[match[2]])


def parse_positive_rate(value: object) -> int | float:
    """Like `parse_rate`, but more than 0."""
    rate = parse_rate(value)
    if rate <= 0:
        raise refuse("the rate must be more than 0")
    return rate


def parse_size(value: object) -> int:
    """Bytes of `64KiB`, `10MB` or `2GiB`."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refuse("not a size; write a size such as 64KiB, 10MB or 2GiB")
    return int(float(match[1]) * _BYTES[match[2]])


def parse_positive_size(value: object) -> int:
    """Like `parse_size`, but at least 1 byte."""
    size = parse_size(value)
    if size <= 0:
        raise refuse("the size must be at least 1B")
    return size


def _quantity(
    parse: Callable[[object], int | float], pattern: str, examples: list[str], bare: object = None
) -> Any:  # noqa: ANN401 - an Annotated form, which has no type of its own
    text = Annotated[str, Field(pattern=pattern, examples=examples)]
    shape: Any = text if bare is None else Annotated[float, bare] | text
    return BeforeValidator(parse, json_schema_input_type=shape)


_DURATION_PATTERN = r"^\d+(\.\d+)?(ms|s|m|h|d)( \d+(\.\d+)?(ms|s|m|h|d))*$"
_DURATION_EXAMPLES = ["300ms", "5s", "2m", "1h 30m", "1d"]

Duration = Annotated[
    int | float, _quantity(parse_duration, _DURATION_PATTERN, _DURATION_EXAMPLES, Field(ge=0))
]
PositiveDuration = Annotated[
    int | float, _quantity(parse_positive_duration, _DURATION_PATTERN, _DURATION_EXAMPLES, Field(gt=0))
]
_RATE_PATTERN = r"^\d+(\.\d+)?/(s|m|h|d)$"
_RATE_EXAMPLES = ["10/s", "600/m", "5/h", "100/d"]

Rate = Annotated[int | float, _quantity(parse_rate, _RATE_PATTERN, _RATE_EXAMPLES)]
PositiveRate = Annotated[int | float, _quantity(parse_positive_rate, _RATE_PATTERN, _RATE_EXAMPLES)]
_SIZE_PATTERN = r"^\d+(\.\d+)?(B|[KMGT]i?B)$"
_SIZE_EXAMPLES = ["64KiB", "10MB", "2GiB"]

Size = Annotated[int, _quantity(parse_size, _SIZE_PATTERN, _SIZE_EXAMPLES)]
PositiveSize = Annotated[int, _quantity(parse_positive_size, _SIZE_PATTERN, _SIZE_EXAMPLES)]


def _one_line(value: object) -> object:
    """A text on one line; the final line break of YAML's `|` and `>` does not count."""
    if not isinstance(value, str):
        return value
    text = value.rstrip("\n")
    if not text.isprintable():
        raise refuse("the text must be on one line, without control or invisible characters")
    return text


def _command_word(value: object) -> object:
    text = _one_line(value)
    if isinstance(text, str) and any(character in text for character in "\"'\\"):
        raise refuse(
            "a command word must not contain quotes or backslashes: systemd does not accept them in a path"
        )
    return text


Text = Annotated[str, StringConstraints(max_length=500), BeforeValidator(_one_line)]
EnvironmentValue = Annotated[str, StringConstraints(max_length=2000), BeforeValidator(_one_line)]
CommandWord = Annotated[str, StringConstraints(min_length=1, max_length=500), BeforeValidator(_command_word)]


def _has_keyword(text: str, *, python: bool) -> bool:
    """Whether a text for Python contains a keyword such as `class`, which cannot be a name."""
    return python and any(keyword.iskeyword(part) for part in text.split("."))


def _matching(pattern: str, meaning: str, examples: list[str], *, python: bool = False) -> Any:  # noqa: ANN401 - as above
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> object:
        if isinstance(value, str) and (not compiled.fullmatch(value) or _has_keyword(value, python=python)):
            raise refuse(meaning)
        return value

    schema: JsonDict = {"pattern": f"^{pattern}$", "examples": [*examples]}
    return Annotated[str, BeforeValidator(check), Field(json_schema_extra=schema)]


_LETTERS = "letters, digits, `.`, `_` and `-`"
_TASK_LETTERS = "letters, digits, `.`, `_`, `-`, `:`, `/` and `@`"


def is_name(text: str) -> bool:
    """Whether a text is a valid name of a queue, a worker or another part."""
    return re.fullmatch(_NAME, text) is not None


ServiceName = _matching(
    r"[a-z][a-z0-9-]{0,30}",
    "a service name has 1 to 31 lowercase letters, digits and `-`, and starts with a letter",
    ["shop"],
)
Owner = _matching(
    r"[a-z0-9][a-z0-9-]{0,62}",
    "an owner has 1 to 63 lowercase letters, digits and `-`",
    ["storefront", "platform"],
)
_NAME = r"(?!amq\.|celery_delayed)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
Name = _matching(
    _NAME,
    f"a name has 1 to 100 {_LETTERS}, and does not start with `.`, `-`, `amq.` or `celery_delayed`",
    ["search"],
)
_QUEUE = r"(?!amq\.|celery_delayed)[^\s,*`|]([^\n\r\t,*`|]{0,253}[^\s,*`|])?"
_QUEUE_OR_GLOB = _QUEUE.replace("*", "")
_LONGEST_QUEUE = 255
"""Bytes, the limit of AMQP."""
_NO_QUEUE = (
    "a queue name has 1 to 255 bytes of visible characters, without `,`, `*`, `|` and backticks, and does "
    "not start with `amq.` or `celery_delayed`"
)


def _queue_text(value: object, pattern: str) -> object:
    if isinstance(value, str):
        short = len(value.encode("utf-8", "surrogatepass")) <= _LONGEST_QUEUE
        if not (short and value.isprintable() and re.fullmatch(pattern, value)):
            raise refuse(_NO_QUEUE)
    return value


def is_queue_name(text: str) -> bool:
    """Whether a text is a valid name of a queue."""
    try:
        return _queue_text(text, _QUEUE) == text
    except PydanticCustomError:
        return False


QueueName = Annotated[
    str,
    BeforeValidator(lambda value: _queue_text(value, _QUEUE)),
    Field(json_schema_extra={"pattern": f"^{_QUEUE}$", "examples": ["search", "high priority"]}),
]
QueueOrGlob = Annotated[
    str,
    BeforeValidator(lambda value: _queue_text(value, _QUEUE_OR_GLOB)),
    Field(json_schema_extra={"pattern": f"^{_QUEUE_OR_GLOB}$", "examples": ["search", "shop.batch.*"]}),
]
NodeName = _matching(
    _NAME + r"|([A-Za-z0-9._:+-]|%[hndiI%]){1,100}@([A-Za-z0-9._:-]|%[hndiI%]){1,255}",
    f"write a name ({_LETTERS}), or a whole node name such as `search@%h`, with Celery's %h, %n, %d and %i",
    ["search", "search@%h"],
)
StoreAddress = _matching(
    r"\$\{[A-Za-z_][A-Za-z0-9_]{0,99}\}",
    "write one environment variable, such as `${CELERY_GUARD_STORE_URL}`",
    ["${CELERY_GUARD_STORE_URL}"],
)
TaskName = _matching(
    r"[A-Za-z_][A-Za-z0-9_.:/@-]{0,254}",
    f"a task name has 1 to 255 {_TASK_LETTERS}, and starts with a letter or `_`",
    ["shop.mail.send_welcome_email"],
)
TaskNameOrGlob = _matching(
    r"[A-Za-z_*][A-Za-z0-9_.:/@*-]{0,254}",
    f"a task name has 1 to 255 {_TASK_LETTERS}, and starts with a letter or `_`; `*` makes it a pattern",
    ["shop.mail.send_welcome_email", "shop.reports.*"],
)
DottedName = _matching(
    r"[A-Za-z_]\w{0,63}(\.[A-Za-z_]\w{0,63}){0,15}",
    "write a dotted Python name such as `smtplib.SMTPServerDisconnected`",
    ["ConnectionError", "smtplib.SMTPServerDisconnected"],
    python=True,
)
KeyPath = _matching(
    r"[A-Za-z_]\w{0,63}(\.\w{1,64}){0,7}",
    "write an argument of the task such as `payment_id`, or a dotted path in one: `order.payment_id`",
    ["payment_id", "order.payment_id"],
    python=True,
)
ObjectPath = _matching(
    r"[A-Za-z_]\w{0,63}(\.[A-Za-z_]\w{0,63}){0,15}([:.][A-Za-z_]\w{0,63})?",
    "write a Python path such as `shop.celery_app:app`",
    ["shop.celery_app:app", "celery.beat:PersistentScheduler"],
)
Pool = _matching(
    r"(prefork|threads|gevent|eventlet|solo|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)",
    "a pool is prefork, threads, gevent, eventlet, solo, or `dotted.path:Class`",
    ["prefork", "threads"],
)
VariableName = _matching(
    r"[A-Za-z_][A-Za-z0-9_]{0,99}",
    "the name of an environment variable has letters, digits and `_`, and does not start with a digit",
    ["MALLOC_ARENA_MAX"],
)
Version = _matching(
    r"\d{1,3}(\.\d{1,4}){0,2}",
    'a version has one to three numbers, such as "5.7"',
    ["5.7", "7.2"],
)
VersionRange = _matching(
    r"(>=|<=|==|>|<)\d{1,3}(\.\d{1,4}){0,2}(, ?(>=|<=|==|>|<)\d{1,3}(\.\d{1,4}){0,2}){0,3}",
    'write a range of versions such as ">=5.5" or ">=5.5,<5.8"',
    [">=5.5", ">=5.5,<5.8"],
)


def _check_date(value: object) -> object:
    try:
        valid = not isinstance(value, str) or value == date.fromisoformat(value).isoformat()
    except ValueError:
        valid = False
    if not valid:
        raise refuse("write a valid date such as 2027-03-31")
    return value


_DATE_SCHEMA: JsonDict = {"pattern": r"^\d{4}-\d{2}-\d{2}$", "examples": ["2027-03-31"]}
Date = Annotated[str, BeforeValidator(_check_date), Field(json_schema_extra=_DATE_SCHEMA)]
WebAddress = _matching(
    r"https?://(\[[0-9A-Fa-f:.]{2,45}\]|[^\s\"'<>\\^`{|}@/?#:\[\]%]{1,253})(:[0-9]{1,5})?"
    r"([/?#]([^\s\"'<>\\^`{|}@%]|%[0-9A-Fa-f]{2}){0,500})?",
    "a web address starts with http:// or https:// and a host, and contains no credentials",
    ["https://wiki.example.com/runbooks/mail"],
)
Namespace = _matching(
    r"([A-Z][A-Z0-9_]{0,30})?", "a namespace has uppercase letters, digits and `_`, or is empty", ["CELERY"]
)
CustomName = _matching(
    r"[a-z][a-z0-9-]{0,79}",
    "the name of a finding has 1 to 80 lowercase letters, digits and `-`, and starts with a letter",
    ["payments-on-quorum"],
)
FindingName = _matching(
    r"[A-Za-z0-9-]{1,80}", "write the name or the code of a finding", ["missing-idempotency", "PC201"]
)
LabelName = _matching(
    r"[a-zA-Z_][a-zA-Z0-9_]{0,99}",
    "the name of a label has letters, digits and `_`, and does not start with a digit",
    ["job", "cluster"],
)
AlertSeverity = _matching(
    r"[a-z][a-z0-9_-]{0,39}",
    "a severity has 1 to 40 lowercase letters, digits, `_` and `-`, and starts with a letter",
    ["critical", "warning"],
)
HostAndPort = _matching(
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?"
    r":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])",
    "write a host and a port from 1 to 65535, such as `exporter:9808`",
    ["exporter:9808"],
)
Label = _matching(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "write 1 to 63 lowercase letters, digits and `-`; it starts and ends with a letter or a digit",
    ["shop", "shop-celery"],
)
Image = _matching(
    r"[a-z0-9][a-z0-9.-]*(:\d{1,5})?(/[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*){0,10}(:\w[\w.-]{0,127})?"
    r"(@sha256:[0-9a-f]{64})?",
    "write a container image such as `registry.example/shop:1.4.2`",
    ["registry.example/shop:1.4.2"],
)
UserName = _matching(
    r"[a-z_][a-z0-9_-]{0,30}",
    "the name of a user has 1 to 31 lowercase letters, digits, `_` and `-`, and starts with a letter or `_`",
    ["shop"],
)
Folder = _matching(
    r"/[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+){0,30}",
    "write an absolute path of letters, digits, `.`, `_`, `+` and `-`, such as `/opt/shop`",
    ["/opt/shop"],
)
RateLimit = _matching(
    r"\d{1,9}(\.\d{1,6})?/[smh]",
    "write a rate limit such as 10/s, 100/m or 5/h; Celery has no other unit",
    ["10/m"],
)
RoutingKey = _matching(
    r"[A-Za-z0-9._*#-]{1,255}", "a routing key has letters, digits, `.`, `_`, `-`, `*` and `#`", ["task.#"]
)


def _number(least: float, *, above: bool) -> Any:  # noqa: ANN401 - as above
    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse("write a number of seconds")
        if not (value > least if above else value >= least) or value > LONGEST_SECONDS:
            meaning = f"write a number of seconds, {'more than' if above else 'at least'} {least:g}"
            raise refuse(meaning)
        return value

    limit = Field(gt=least) if above else Field(ge=least)
    return Annotated[int | float, BeforeValidator(check, json_schema_input_type=Annotated[float, limit])]


def _whole_number(value: object) -> object:
    # To Python true, 1.0 and 1 are equal, and pydantic lets each pass for a literal 1.
    if isinstance(value, bool | float):
        raise refuse("write a whole number: 1, not 1.0 or true")
    return value


WholeNumber = BeforeValidator(_whole_number)
"""For use next to a literal number."""
Positive = _number(0, above=True)
NotNegative = _number(0, above=False)


_ADDRESS = r"\$\{[A-Za-z_][A-Za-z0-9_]{0,99}\}|[a-z][a-z0-9+]*://[^\s\"'\\`${}@]{0,500}"


BY_THE_APP = "app"
"""In place of a URL: the application sets it itself, and no file has it."""
_SHELL_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]{0,99})(.*)", re.ASCII | re.DOTALL)


def _broker_address(value: object) -> object:
    if isinstance(value, str):
        if value == BY_THE_APP or re.fullmatch(_ADDRESS, value):
            return value
        if found := _SHELL_VARIABLE.fullmatch(value):
            raise refuse(_one_variable(found[1], found[2]))
        if "@" in value:
            raise refuse("a URL in a workload must not contain credentials; write `${CELERY_BROKER_URL}`")
        raise refuse(
            "write one environment variable, `${CELERY_BROKER_URL}`, a URL without credentials, or `app` if "
            "the application sets the URL itself"
        )
    return value


def _one_variable(variable: str, rest: str) -> str:
    """What to write instead of a variable in a form that only a shell understands."""
    told = f"write one environment variable, `${{{variable}}}`, or a URL without credentials"
    if re.match(r":?[-=?+]", rest):
        return f"{told}; a default has no effect here: set it in the environment of the process"
    return told


Address = Annotated[
    str,
    BeforeValidator(_broker_address),
    Field(
        examples=["${CELERY_BROKER_URL}", "redis://redis.internal:6379/0", BY_THE_APP],
        json_schema_extra={"pattern": f"^({BY_THE_APP}|{_ADDRESS})$"},
    ),
]
