"""The manual pages: a page for each policy and each finding, read from the docstrings that define them.

Below `Refuses:` a docstring has an entry for each finding of its module: code, name and what to do. Two
similar workloads follow, one that fires and one that does not (`fires:`, `silent:`), with lines of a policy
file if needed (`policy:`). If no workload can show the finding, `when:` describes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from inspect import cleandoc
from pkgutil import walk_packages
from textwrap import dedent
from types import ModuleType
from typing import Any, NamedTuple

from policycompiler import load, model, policies
from policycompiler.diagnostics import Diagnostic, Finding, Profile, Severity, did_you_mean
from policycompiler.load.merge import merged
from policycompiler.model import PolicyParameters
from policycompiler.policies.policy import Policy
from policycompiler.quantities import written

HEAD: Mapping[str, str] = {
    "version": "1",
    "service": "shop",
    "app": "shop.celery_app:app",
    "broker": "{transport: redis, url: '${CELERY_BROKER_URL}'}",
}
"""The head of every workload; examples get the missing parts."""

_CHAPTERS_OF_ROOMS = {
    "load": "sources",
    "model": "sources",
    "policies": "rules",
    "findings": "rules",
    "output": "output",
    "verify": "reality",
}
CHAPTERS = (
    "sources",
    *(chapter.__name__.rpartition(".")[2] for chapter in policies.CHAPTERS),
    "rules",
    "output",
    "reality",
)
"""The chapters of the manual, from text to files, with the chapters of the policies."""

_PROGRAM = __name__.partition(".")[0]
_HEADING = re.compile(r"(?m)^([A-Z][a-z]+):\n")
_ENTRY = re.compile(r"(?m)^(PC\d{3}) ([a-z0-9-]+): ")
_PART = re.compile(r"(?m)^(policy|fires|silent|when):")
_PARTS = ("mend", "policy", "fires", "silent", "when")


class Parameter(NamedTuple):
    """A parameter of a policy; `default` in the form of a policy file."""

    name: str
    kind: str
    default: str
    description: str


class FindingPage(NamedTuple):
    """A finding, what to do about it, and two similar workloads: one with the finding, one without.

    `policy` has lines of the policy file that both workloads need. If no workload can show the finding,
    `when` describes it.
    """

    finding: Finding
    mend: str
    policy: str
    fires: str
    silent: str
    when: str

    @property
    def levels(self) -> dict[Profile, Severity | None]:
        """The severity in each profile; None if the profile does not report it."""
        return {profile: self.finding.severity_in(profile) for profile in Profile}


class Page(NamedTuple):
    """A policy, or another module that defines findings; missing texts are empty.

    `chapter` is one of `CHAPTERS`. `names` are the names for expressions in a policy file: a kind, a type,
    and the names of both.
    """

    name: str
    chapter: str
    is_policy: bool
    summary: str
    decides: str
    because: str
    example: str
    findings: tuple[FindingPage, ...]
    parameters: tuple[Parameter, ...]
    names: tuple[tuple[str, str, str], ...] = ()


class UnknownPageError(LookupError):
    """There is no page of that name; the message has the most similar name."""

    def __init__(self, kind: str, word: str, known: Sequence[str]) -> None:
        asked = did_you_mean(word.lower(), known) or did_you_mean(word.upper(), known)
        super().__init__(
            f"{kind} `{word}` does not exist; {asked or f'run `policycompiler {kind}` for the list'}"
        )


@cache
def policy_pages() -> tuple[Page, ...]:
    """The policies, in the order in which they decide."""
    return tuple(_page(policy.NAME, _module(policy), policy) for policy in policies.POLICIES)


@cache
def finding_pages() -> tuple[Page, ...]:
    """All modules that define findings, by the first code of each."""
    ours = {id(policy) for policy in policies.POLICIES}
    others = [_page(_room(module), module) for module in modules() if id(module) not in ours]
    return tuple(
        sorted(
            (page for page in (*policy_pages(), *others) if page.findings),
            key=lambda page: page.findings[0].finding.code,
        )
    )


@cache
def all_findings() -> tuple[tuple[Page, FindingPage], ...]:
    """Each finding with its page, by code."""
    found = [(page, entry) for page in finding_pages() for entry in page.findings]
    return tuple(sorted(found, key=lambda pair: pair[1].finding.code))


def policy_page(word: str) -> Page:
    """The page of a policy by its name. Raises UnknownPageError."""
    known = {page.name: page for page in policy_pages()}
    try:
        return known[word.lower().replace("_", "-")]
    except KeyError:
        raise UnknownPageError("policy", word, list(known)) from None


def finding_page(word: str) -> tuple[Page, FindingPage]:
    """A finding with its page, by code or name. Raises UnknownPageError."""
    known = {
        name: (page, entry)
        for page, entry in all_findings()
        for name in (entry.finding.code, entry.finding.name)
    }
    found = known.get(word.upper()) or known.get(word.lower())
    if found is None:
        raise UnknownPageError("finding", word, list(known))
    return found


def modules() -> Iterator[ModuleType]:
    """Every module of the program except `__main__`."""
    for found in walk_packages(import_module(_PROGRAM).__path__, f"{_PROGRAM}."):
        if not found.name.endswith(".__main__"):
            yield import_module(found.name)


def sections(module: ModuleType) -> dict[str, str]:
    """The text below each heading of a docstring, in order; the text before the first as `Summary`."""
    summary, *parts = _HEADING.split(cleandoc(module.__doc__ or ""))
    below = (dedent(text).strip("\n") for text in parts[1::2])
    return {"Summary": summary.partition("\n\n")[0].strip(), **dict(zip(parts[::2], below, strict=True))}


def entries(refuses: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Code, name and texts of each finding below `Refuses:`; what to do about it as `mend`."""
    _, *parts = _ENTRY.split(refuses)
    for code, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        first, _, rest = text.partition("\n")
        mend, *given = _PART.split(dedent(rest))
        texts = {part: _block(body) for part, body in zip(given[::2], given[1::2], strict=True)}
        yield code, name, {"mend": " ".join([first, *mend.split()]), **texts}


def _block(body: str) -> str:
    """The text on the line of the word, or the lines below it."""
    first, _, rest = body.partition("\n")
    return "\n".join(filter(None, [first.strip(), dedent(rest).strip("\n")]))


def _page(name: str, module: ModuleType, policy: Policy | None = None) -> Page:
    text = sections(module)
    known = {finding.code: finding for finding in vars(module).values() if isinstance(finding, Finding)}
    kind = policies.tunable(policy) if policy else None
    return Page(
        name,
        _chapter(module),
        policy is not None,
        " ".join(text["Summary"].split()),
        text.get("Decides", ""),
        text.get("Because", ""),
        text.get("Example", ""),
        tuple(
            FindingPage(known[code], *(given.get(part, "") for part in _PARTS))
            for code, _, given in entries(text.get("Refuses", ""))
            if code in known
        ),
        parameters_of(kind) if kind else (),
        getattr(module, "NAMES", ()),
    )


def _room(module: ModuleType) -> str:
    return module.__name__.removeprefix(f"{_PROGRAM}.")


def _chapter(module: ModuleType) -> str:
    room, _, below = _room(module).partition(".")
    return below.partition(".")[0] if room == "policies" and below else _CHAPTERS_OF_ROOMS.get(room, "")


def _module(policy: Policy) -> ModuleType:
    """A policy is a module, which a protocol cannot express."""
    assert isinstance(policy, ModuleType)
    return policy


def parameters_of(kind: type[PolicyParameters]) -> tuple[Parameter, ...]:
    """The parameters of a policy, in the order of the class."""
    defaults = kind().model_dump(mode="json")
    shapes = kind.model_json_schema()["properties"]
    return tuple(
        Parameter(
            name, _in_words(shapes[name]), _as_written(defaults[name], shapes[name]), field.description or ""
        )
        for name, field in kind.model_fields.items()
    )


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
}


def _in_words(shape: Mapping[str, Any]) -> str:
    """The values that a JSON Schema accepts, in words."""
    options = [option for option in shape.get("anyOf", ()) if option != {"type": "null"}]
    examples = _examples(shape)
    if examples:
        kind = "size" if examples[0].endswith("B") else "rate" if "/" in examples[0] else "duration"
        units = f"a {kind} such as {' or '.join(examples[:2])}"
        return f"{units}, or a number of seconds" if len(options) > 1 else units
    if options:
        return " or ".join(map(_in_words, options))
    if "enum" in shape:
        return "one of " + ", ".join(map(str, shape["enum"]))
    return " ".join(filter(None, [_KINDS.get(shape.get("type", ""), "a value"), _bounds(shape)]))


def _examples(shape: Mapping[str, Any]) -> list[str]:
    """The examples of a quantity with a unit; none for other values."""
    found = [option["examples"] for option in (shape, *shape.get("anyOf", ())) if "examples" in option]
    return found[0] if found else []


_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))


def _as_written(value: Any, shape: Mapping[str, Any]) -> str:  # noqa: ANN401 - JSON
    """A value in the form of a policy file, where a size and a rate need their units."""
    examples = _examples(shape)
    if examples and isinstance(value, int | float):
        if examples[0].endswith("B"):
            unit, factor = next((unit, factor) for unit, factor in _SIZES if value % factor == 0)
            return f"{value // factor}{unit}"
        return f"{value:.15g}/s" if "/" in examples[0] else written(value)
    return json.dumps(value)


def _bounds(shape: Mapping[str, Any]) -> str:
    if {"minimum", "maximum"} <= shape.keys():
        return f"from {shape['minimum']:.15g} to {shape['maximum']:.15g}"
    words = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
    return " and ".join(f"{word} {shape[key]:.15g}" for key, word in words.items() if key in shape)


def whole(example: str) -> str:
    """An example as a workload, with the missing parts of the head if it is readable."""
    refused: list[Diagnostic] = []
    data, _ = load.parse(example, "", refused)
    if refused:
        return example
    return f"{example}\n" + "".join(f"{key}: {value}\n" for key, value in HEAD.items() if key not in data)


@cache
def said(page: FindingPage) -> Diagnostic | None:
    """The finding of the example that fires; None without an example."""
    found = findings_of(whole(page.fires), page.policy) if page.fires else []
    return next((each for each in found if each.code == page.finding.code), None)


def can_be_waived(page: FindingPage) -> bool:
    """Whether a waiver can name a finding: it allows output and has a path in the workload."""
    example = said(page)
    return not page.finding.fatal and (example is None or bool(example.path))


def findings_of(text: str, platform: str) -> list[Diagnostic]:
    """The findings of a workload under a policy file; `platform` is the text of that file."""
    findings: list[Diagnostic] = []
    parsed = [load.parse(text, "workload.yaml", findings)]
    data, marks = merged(parsed, findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        return findings
    document = load.Document(data, marks, {"workload.yaml": text}, tuple(parsed))
    workload, refused = model.parse(document)
    rules = load.OneFile(*load.parse(f"version: 1\n{platform}", "", []), "", "")
    policy, _ = model.parse_policy_file(rules)
    assert policy is not None, platform
    objections = policies.decide(workload.under(policy), policies.tune(policy)[0])[1] if workload else []
    return [*findings, *refused, *objections]
