"""Why a setting has its value: the policy, the reason, and every origin down to the workload's lines."""

from __future__ import annotations

import json
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from policycompiler.diagnostics import Place, SpecPath
from policycompiler.load import Data, Document
from policycompiler.plan import (
    Constant,
    Default,
    Derived,
    Observed,
    Origin,
    Parameter,
    Plan,
    Scope,
    Setting,
    Value,
    Written,
    scope_from_text,
)
from policycompiler.quantities import duration
from policycompiler.report.colors import Style, painted
from policycompiler.report.located import place_data
from policycompiler.report.text import clean, clipped, table
from policycompiler.report.values import as_emitted, flow, masked_data, value_text

FORMAT = 1
LONGEST_VALUE = 60
MOST_USERS = 20
FILES_WIDTH = 88
_OPTIONS = "options."
_PLACE = re.compile(r"\S+:\d+:\d+$")


KINDS = ("app", "beat", "task", "queue", "worker", "schedule", "host", "dependency", "alert")
"""The scope kinds with which an address begins."""


class UnknownAddressError(LookupError):
    """An address without a setting; `nearest` are similar addresses."""

    def __init__(self, address: str, nearest: tuple[str, ...]) -> None:
        near = f"; similar: {', '.join(nearest)}" if nearest else ""
        super().__init__(f"the plan has no setting `{clean(address)}`{near}")
        self.address = address
        self.nearest = nearest


def is_address(text: str) -> bool:
    """Whether a word on the command line is an address and not a path."""
    return scope_from_text(text.partition("/")[0]).kind in KINDS


def explain(
    plan: Plan,
    document: Document,
    address: str,
    files: Mapping[str, Sequence[str]],
    *,
    color: bool = False,
) -> str:
    """The explanation of one setting (`task:NAME/key`), or the list of a scope's settings (`task:NAME`).

    `files` are the emitted files that show a setting, by its address. An address may omit the `options.` of a
    task option. Raises `UnknownAddressError`. Ends with a newline.
    """
    settings = _asked(plan, address)
    if address == str(settings[0].scope):
        lines = _list(settings, color=color)
    else:
        lines = _explanation(plan, document, settings[0], files.get(settings[0].address, ()), color=color)
    return "\n".join(lines) + "\n"


def _asked(plan: Plan, address: str) -> list[Setting]:
    """The settings at an address: one, or all of a scope."""
    whole_scope = plan.keys(scope_from_text(address))
    if whole_scope:
        return [whole_scope[key] for key in sorted(whole_scope, key=_short_key)]
    scope_text, _, key = address.rpartition("/")
    scope = scope_from_text(scope_text)
    setting = plan.find(scope, key) or plan.find(scope, _OPTIONS + key)
    if setting is None:
        raise UnknownAddressError(address, _nearest(plan, address))
    return [setting]


def _nearest(plan: Plan, address: str) -> tuple[str, ...]:
    scope_text, _, key = address.rpartition("/")
    scope = scope_from_text(scope_text)
    keys = plan.keys(scope)
    if keys:
        names = get_close_matches(_short_key(key), [_short_key(name) for name in keys])
        return tuple(f"{scope}/{name}" for name in names) or (scope_text,)
    wanted = scope_text or address
    scopes = {str(setting.scope): setting.scope for setting in plan}
    same_name = [text for text, scope in scopes.items() if wanted and scope.name == wanted]
    found = same_name or get_close_matches(wanted, scopes)
    return tuple(f"{text}/{key}" if _decided(plan, scopes[text], key) else text for text in found)


def _decided(plan: Plan, scope: Scope, key: str) -> bool:
    return plan.find(scope, key) is not None or plan.find(scope, _OPTIONS + key) is not None


def _short_key(key: str) -> str:
    return key.removeprefix(_OPTIONS)


def _scope_title(scope: Scope) -> str:
    return f"{scope.kind} {scope.name}".rstrip()


def _title(scope: Scope, key: str) -> str:
    return f"{_scope_title(scope)} · {_short_key(key)}"


def _list(settings: Sequence[Setting], *, color: bool) -> list[str]:
    rows = [
        (
            f"  {_short_key(setting.key)}",
            "= " + clipped(value_text(setting.scope, setting.key, setting.value), LONGEST_VALUE),
            f"policy {setting.policy}",
        )
        for setting in settings
    ]
    title = painted(clean(_scope_title(settings[0].scope)), Style.HEADING, color=color)
    return [title, *table(rows)]


def _explanation(
    plan: Plan, document: Document, setting: Setting, files: Sequence[str], *, color: bool
) -> list[str]:
    title = clean(_title(setting.scope, setting.key))
    shown = {(setting.scope, setting.key)}
    origins = table(_origin_rows(plan, document, setting, "", shown))
    sections = {
        "by": [clean(setting.policy)],
        "because": [clean(setting.because)],
        "from": [
            _PLACE.sub(lambda found: painted(found[0], Style.PATH, color=color), row) for row in origins
        ],
        "used by": [*table(_user_rows(plan, setting)), *_file_lines(files)],
    }
    lines = [f"{title} = {painted(_both_ways(setting), Style.HEADING, color=color)}"]
    for label, rows in sections.items():
        lines += _section(label, rows, color=color)
    return lines


def _section(label: str, lines: Sequence[str], *, color: bool) -> list[str]:
    margins = [painted(f"{label:<7}", Style.CALM, color=color)] + [" " * 7] * (len(lines) - 1)
    return [f"  {margin}  {line}" for margin, line in zip(margins, lines, strict=False)]


def _both_ways(setting: Setting) -> str:
    """The value for people and, where files have another number for it, that number."""
    words = clean(value_text(setting.scope, setting.key, setting.value))
    emitted = as_emitted(setting.scope, setting.key, setting.value)
    return f"{words} ({emitted})" if emitted and emitted != words else words


def _origin_rows(
    plan: Plan, document: Document, setting: Setting, indent: str, shown: set[tuple[Scope, str]]
) -> Iterator[tuple[str, str]]:
    """Each origin with its place; the origins of a derived setting stand below it, once."""
    for origin in setting.origins:
        what, where = origin_words(plan, document, setting, origin)
        source = plan.find(origin.scope, origin.key) if isinstance(origin, Derived) else None
        if source is None:
            yield indent + what, where
            continue
        repeated = (source.scope, source.key) in shown
        shown.add((source.scope, source.key))
        yield indent + what, "shown above" if repeated else where
        if not repeated:
            yield from _origin_rows(plan, document, source, indent + "  ", shown)


def origin_words(  # noqa: PLR0911 - one for each kind of origin
    plan: Plan, document: Document, setting: Setting, origin: Origin
) -> tuple[str, str]:
    """An origin of a setting, and where it is: a position, a policy, a look at a running system."""
    match origin:
        case Written(path):
            what, place = _written(document, setting.scope, path)
            return what, f"{place.file}:{place.line}:{place.column}"
        case Parameter(path, value):
            promised = path[0] == "latency_classes" and isinstance(value, int | float)
            text = duration(float(str(value))) if promised else clipped(flow(value), LONGEST_VALUE)
            name = ".".join(str(part) for part in path).removeprefix("parameters.")
            said = document.policy_place(path)
            where = f"{said.file}:{said.line}:{said.column}" if said else "built in"
            return f"parameter {name} = {text}", where
        case Constant(name, value):
            return f"constant {name} = {clipped(flow(value), LONGEST_VALUE)}", f"policy {setting.policy}"
        case Default(name, version):
            return f"Celery's default for {name}", f"Celery {version}"
        case Observed(look, seen_at):
            return f"seen in the {look}", seen_at
        case Derived(scope, key):
            source = plan.find(scope, key)
            if source is None:
                return _title(scope, key), "not decided"
            text = clipped(value_text(scope, key, source.value), LONGEST_VALUE)
            return f"{_title(scope, key)} = {text}", f"policy {source.policy}"


def _written(document: Document, scope: Scope, path: SpecPath) -> tuple[str, Place]:
    """A path of the workload with its value; relative to the entry of the scope where that holds it."""
    entry = (f"{scope.kind}s", scope.name)
    below = path[2:] if path[:2] == entry and len(path) > len(entry) else path
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in below).removeprefix(".")
    value: Data = document.data
    for part in path:
        match value, part:
            case dict(), str() if part in value:
                value = value[part]
            case list(), int() if part < len(value):
                value = value[part]
            case str() | int() | float(), _ if part == path[-1]:
                # The short form: `rate: 2/h` stands for `rate: {mean: 2/h}`.
                return _written(document, scope, path[:-1])
            case _:
                return f"{name} is not set", document.place(path)
    # A block mapping begins at its first key, lines below the name that a reader looks for.
    place = document.place(path, key=isinstance(value, dict))
    return f"{name} = {clipped(flow(value), LONGEST_VALUE)}", place


def _user_rows(plan: Plan, used: Setting) -> list[tuple[str, str]]:
    users = _users(plan).get((used.scope, used.key), ())
    rows = [
        (
            _title(user.scope, user.key),
            "= " + clipped(value_text(user.scope, user.key, user.value), LONGEST_VALUE),
        )
        for user in users[:MOST_USERS]
    ]
    if len(users) > MOST_USERS:
        rows.append((f"… and {len(users) - MOST_USERS} more", ""))
    return rows


def _users(plan: Plan) -> Mapping[tuple[Scope, str], list[Setting]]:
    """The settings that derive from each setting."""
    users: defaultdict[tuple[Scope, str], list[Setting]] = defaultdict(list)
    for setting in plan:
        # A constant may be a list, which has no hash.
        for origin in dict.fromkeys(each for each in setting.origins if isinstance(each, Derived)):
            users[origin.scope, origin.key].append(setting)
    return users


def _file_lines(files: Sequence[str]) -> list[str]:
    names = ", ".join(clean(file) for file in files)
    return textwrap.wrap(names, FILES_WIDTH, break_long_words=False, break_on_hyphens=False)


def explain_json(plan: Plan, document: Document, address: str, files: Mapping[str, Sequence[str]]) -> str:
    """The same for machines: the settings asked for, and every setting that they derive from, by address.

    Raises `UnknownAddressError`. Ends with a newline.
    """
    asked = _asked(plan, address)
    reached: dict[str, Setting] = {}
    waiting = list(asked)
    while waiting:
        setting = waiting.pop()
        if setting.address not in reached:
            reached[setting.address] = setting
            sources = (plan.find(*origin) for origin in setting.origins if isinstance(origin, Derived))
            waiting += [source for source in sources if source is not None]
    users = _users(plan)
    report = {
        "format": FORMAT,
        "asked": [setting.address for setting in asked],
        "settings": {
            name: _setting_data(
                document, setting, users.get((setting.scope, setting.key), ()), files.get(name, ())
            )
            for name, setting in sorted(reached.items())
        },
    }
    # ASCII, so that no control or bidirectional character reaches a terminal.
    return json.dumps(report, indent=2) + "\n"


def _setting_data(
    document: Document, setting: Setting, users: Sequence[Setting], files: Sequence[str]
) -> dict[str, Value]:
    return {
        "value": masked_data(setting.value),
        "policy": setting.policy,
        "because": masked_data(setting.because),
        "origins": [_origin_data(document, origin) for origin in setting.origins],
        "used_by": [user.address for user in users],
        "files": list(files),
    }


def _origin_data(document: Document, origin: Origin) -> dict[str, Value]:
    match origin:
        case Written(path):
            return {"spec": list(path), **place_data(document.place(path))}
        case Derived(scope, key):
            return {"setting": f"{scope}/{key}"}
        case Parameter(path, value):
            said = document.policy_place(path)
            where = {} if said is None else place_data(said)
            return {"parameter": list(path), "value": masked_data(value), **where}
        case Default(name, version):
            return {"default": name, "celery": version}
        case Observed(source, place):
            return {"observed": source, "place": place}
        case Constant(name, value):
            return {"constant": name, "value": masked_data(value)}
