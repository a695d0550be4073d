"""Custom findings of an organization: expressions in the policy file over the workload and the plan.

Decides:
    Nothing.

Because:
    A compiler cannot know the rules of an organization. Expressions use CEL, the Common Expression Language
    (https://cel.dev). The compiler checks them when it reads the policy file. It finds a misspelled name,
    or a comparison of text with a number, before it reads any workload.

    The names are the keys that `explain` shows, below `task`, `queue`, `worker`, `schedule` and `app`:
    `task.owner`, `task.options.acks_late`, `queue.type`, `worker.concurrency`. This page lists all of them.
    An expression about `task` and `queue` checks each task with its queue. With `worker` it also checks
    each worker of that queue.

    Text that is not declared is empty. A flag that is not declared is false, and a list is empty. A
    comparison with an undeclared number is never true. All numbers are decimal, so 3 s and 300 ms have the
    same type.

Example:
    tasks: {shop.mail.send: {idempotent: true}}

    task:shop.mail.send/idempotent = true

Refuses:
    PC721 invalid-expression: correct the expression; `policycompiler policy custom-findings` lists the names.
        when: the policy file declares a finding whose `when` is not valid CEL, or not true or false.
    PC723 expression-unanswered: use decimal numbers, and only keys that exist.
        policy: custom: [{name: x, severity: error, when: "task.runtime_p99_seconds * 2 > 1", message: m}]
        fires: tasks: {shop.a: {idempotent: true, runtime: 3s}}
        silent: tasks: {shop.a: {idempotent: true}}
    PC722 finding-name-taken: choose a name that no other finding has.
        when: the policy file declares a finding with the name of another finding.

Parameters:
    None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error, fatal
from policycompiler.model import PolicyFile, Workload
from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.policies.platform.custom_findings.names import NAME as OF_EACH
from policycompiler.policies.platform.custom_findings.names import SUBJECTS, Kind, listed, mappings, names

if TYPE_CHECKING:
    from cel_expr_python import cel

NAME = "custom-findings"

INVALID_EXPRESSION = fatal("PC721", "invalid-expression")
FINDING_NAME_TAKEN = fatal("PC722", "finding-name-taken")
UNANSWERED = error("PC723", "expression-unanswered")

_ALONG = {
    "schedule": ("task", "task"),
    "task": ("queue", "queue"),
    "queue": ("workers", "worker"),
    "worker": ("", ""),
}
"""From one kind to the next: the key that names it, and its kind."""

NAMES = tuple(listed())
"""The names on the manual page: kind, type, and the names themselves."""
NAMES_HELP = "run `policycompiler policy custom-findings` for a list of the names"

_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_STRING = re.compile(r"""r?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")


class _Subject(NamedTuple):
    """One combination of values for an expression, and the path of its finding."""

    values: Mapping[str, Value]
    path: SpecPath
    name: str


def refused(policy: PolicyFile, taken: frozenset[str]) -> Iterator[Diagnostic]:
    """Findings about the expressions of a policy file, with paths in the policy file."""
    names: set[str] = set()
    for index, custom in enumerate(policy.custom):
        if custom.name in taken | names:
            path: SpecPath = ("custom", index, "name")
            message = f"another finding has the name `{custom.name}`"
            yield FINDING_NAME_TAKEN.at(path, message, help="choose another name")
        names.add(custom.name)
        for problem, help_text in _problems(custom.when):
            yield INVALID_EXPRESSION.at(("custom", index, "when"), problem, help=help_text)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Evaluate each expression for everything that it names."""
    for custom in spec.platform.custom:
        expression = _environment().compile(custom.when)
        roots = _roots(custom.when)
        for subject in _subjects(spec, plan, roots):
            result, problem = _asked(expression, subject.values)
            about = f"{subject.name}: " if subject.name else ""
            if problem:
                message = f"{about}the expression of `{custom.name}` has no result: {problem}"
                help_text = "calculate with decimal numbers, such as `2.0`; comparisons need none"
                yield UNANSWERED.at(subject.path, message, help=help_text, at_key=True)
            elif result:
                message = f"{about}{custom.message}"
                yield custom.as_finding().at(subject.path, message, help=custom.help or "", at_key=True)


def _asked(expression: cel.Expression, values: Mapping[str, Value]) -> tuple[bool, str]:
    """The result, or why there is none; an expression that needs an undeclared number is false."""
    try:
        answer = expression.eval(data=dict(values)).value()
    except RuntimeError as problem:
        answer = problem
    if isinstance(answer, bool):
        return answer, ""
    words = str(answer)
    if words.startswith("UNKNOWN: No value with name"):
        return False, ""
    return False, words.partition(" [")[0] if not isinstance(answer, int | float) else f"it is {words}"


@cache
def _environment() -> cel.Env:
    # The library is slow to import, and only expressions need it.
    from cel_expr_python import cel  # noqa: PLC0415

    kinds: Mapping[Kind, cel.Type] = {
        Kind.TEXT: cel.Type.STRING,
        Kind.FLAG: cel.Type.BOOL,
        Kind.LIST: cel.Type.List(cel.Type.DYN),
        Kind.MAPPING: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        Kind.NUMBER: cel.Type.DYN,
    }
    return cel.NewEnv(variables={name: kinds[kind] for name, kind in _names().items()})


@cache
def _names() -> dict[str, Kind]:
    return {name: kind for subject in SUBJECTS for name, kind in names(subject).items()}


def _problems(when: str) -> Iterator[tuple[str, str]]:
    """The problems of an expression, each with a help."""
    try:
        kind = str(_environment().compile(when).return_type())
    except RuntimeError as problem:
        yield from _in_words(str(problem))
        return
    if kind not in {"BOOL", "DYN"}:
        told = f"the expression must be true or false, but has type {kind.lower()}"
        yield told, "compare it with a value"
    elif not _roots(when):
        yield "the expression names none of task, queue, worker, schedule and app", NAMES_HELP


def _in_words(refused: str) -> Iterator[tuple[str, str]]:
    """The messages of the library, one problem each; an unknown name with the most similar name."""
    found = [line.partition("ERROR: <input>:")[2] for line in refused.splitlines()]
    for problem in filter(None, found):
        place, _, words = problem.partition(": ")
        words = words.partition(" (in container")[0].partition(" expecting ")[0]
        unknown = _UNDECLARED.search(words)
        near = unknown and (did_you_mean(unknown[1], _names()) or NAMES_HELP)
        yield f"{words}, at {place} of the expression", near or "correct the expression"
    if not any(found):
        yield refused.partition("\n")[0], "write a shorter expression"


def _roots(when: str) -> frozenset[str]:
    """The subjects that an expression names."""
    words = _STRING.sub('""', when)
    return frozenset(kind for kind in SUBJECTS if re.search(rf"(?<![\w.]){kind}\s*\.", words))


def _subjects(spec: Workload, plan: Plan, roots: frozenset[str]) -> Iterator[_Subject]:
    """Each subject of the first kind in an expression, with the subjects that it leads to."""
    app = _values(plan, APP)
    first = next((kind for kind in _ALONG if kind in roots), None)
    if first is None:
        yield _Subject(app, (), "")
        return
    wanted = roots & _ALONG.keys()
    for scope in plan.scopes(first):
        for chain in _chains(plan, [scope], wanted - {first}):
            values = dict(app)
            for each in chain:
                values |= _values(plan, each)
            yield _Subject(values, _place(spec, plan, scope), scope.name)


def _place(spec: Workload, plan: Plan, scope: Scope) -> SpecPath:
    """The place of its declaration; for a queue or worker that policies made, its first task."""
    section = f"{scope.kind}s"
    if scope.name in getattr(spec, section):
        return (section, scope.name)
    tasks = plan.get(scope, "tasks")
    return ("tasks", str(tasks[0])) if isinstance(tasks, list) and tasks else ()


def _chains(plan: Plan, chain: list[Scope], wanted: frozenset[str]) -> Iterator[list[Scope]]:
    """A schedule's task, the task's queue, each worker of the queue, as far as needed."""
    if not wanted:
        yield chain
        return
    key, kind = _ALONG[chain[-1].kind]
    names = plan.get(chain[-1], key)
    for name in names if isinstance(names, list) else [names]:
        if name is not None:
            yield from _chains(plan, [*chain, Scope(kind, str(name))], wanted - {kind})


def _values(plan: Plan, scope: Scope) -> dict[str, Value]:
    """Every name of a scope with its value in the plan, or its default."""
    typed = names(scope.kind)
    values = {name: _UNDECIDED[kind] for name, kind in typed.items() if kind in _UNDECIDED}
    if scope.name:
        values[f"{scope.kind}.{OF_EACH}"] = scope.name
    for key, setting in plan.keys(scope).items():
        if (name := f"{scope.kind}.{key}") in typed and setting.value is not None:
            values[name] = _decimal(setting.value)
    for prefix in mappings(scope.kind):
        values[f"{scope.kind}.{prefix}"] = plan.below(scope, f"{prefix}.")
    return values


_UNDECIDED: Mapping[Kind, Value] = {Kind.TEXT: "", Kind.FLAG: False, Kind.LIST: [], Kind.MAPPING: {}}
"""An undeclared number has no default: no comparison with it is true."""


def _decimal(value: Value) -> Value:
    """3 s and 300 ms have the same type: an expression does not depend on whether a number is whole."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
