"""The earlier names under which a task still runs.

Decides:
    `task:NAME/renamed_from`, for each task of this app that has earlier names.

Because:
    A message names its task. A worker that does not know the name logs a line and discards the message. So
    messages that were sent before a rename would be lost, and also messages from publishers that run the
    previous code. An earlier name is routed like the task, and a worker runs it as the task. An earlier name
    cannot belong to two tasks. An exact earlier name takes precedence over a matching pattern.

Example:
    tasks: {shop.mail.send: {renamed_from: [shop.send]}}

    task:shop.mail.send/renamed_from = ["shop.send"]

Refuses:
    PC454 earlier-name-declared: remove one of the two.
        fires: tasks: {shop.a: {renamed_from: [shop.b]}, shop.b: {}}
        silent: tasks: {shop.a: {renamed_from: [shop.b]}, shop.*: {}}
    PC455 earlier-name-of-two: keep the name in the task that its messages are for.
        fires: tasks: {shop.a: {renamed_from: [shop.old]}, shop.b: {renamed_from: [shop.old]}}
        silent: tasks: {shop.a: {renamed_from: [shop.old]}, shop.b: {renamed_from: [shop.older]}}
    PC456 pattern-renamed: declare the renamed task by its own name, with its earlier names.
        fires: tasks: {shop.*: {renamed_from: [shop.old]}}
        silent: tasks: {shop.*: {}, shop.a: {renamed_from: [shop.old]}}
    PC457 renamed-from-itself: remove the name.
        fires: tasks: {shop.a: {renamed_from: [shop.a]}}
        silent: tasks: {shop.a: {renamed_from: [shop.b]}}
    PC458 renamed-elsewhere: declare the earlier name in the app that runs the task.
        fires: tasks: {shop.a: {external: true, queue: theirs, renamed_from: [shop.b]}}
        silent: tasks: {shop.a: {queue: ours, renamed_from: [shop.b]}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, Remove, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import Decision, Plan, Scope, Written

NAME = "renames"

EARLIER_NAME_DECLARED = error("PC454", "earlier-name-declared")
EARLIER_NAME_OF_TWO = error("PC455", "earlier-name-of-two")
PATTERN_RENAMED = error("PC456", "pattern-renamed")
RENAMED_FROM_ITSELF = error("PC457", "renamed-from-itself")
RENAMED_ELSEWHERE = warning("PC458", "renamed-elsewhere")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Take each earlier name that belongs to one task of this app."""
    claims: dict[str, SpecPath] = {}
    for name, task in sorted(spec.tasks.items()):
        path: SpecPath = ("tasks", name, "renamed_from")
        if not task.renamed_from:
            continue
        if "*" in name:
            message = f"pattern `{name}` has `renamed_from`, but an earlier name must belong to one task"
            help_text = "declare the renamed task by its own name, with its earlier names"
            yield PATTERN_RENAMED.at(path, message, help=help_text, at_key=True)
            continue
        if plan.value(Scope("task", name), "external"):
            message = f"another app runs {name}, so `renamed_from` has no effect here"
            help_text = "remove `renamed_from`, and declare the earlier names in the app that runs the task"
            yield RENAMED_ELSEWHERE.at(path, message, help=help_text, fix=(Remove(path),), at_key=True)
            continue
        taken = []
        for index, old in enumerate(task.renamed_from):
            where: SpecPath = (*path, index)
            found = _objection(spec, name, old, where, claims)
            if found is not None:
                yield found
            elif old not in taken:
                taken.append(old)
                claims[old] = where
        if taken:
            because = "messages with these earlier names may still be in queues"
            yield Decision(Scope("task", name), "renamed_from", [*sorted(taken)], because, (Written(path),))


def _objection(
    spec: Workload, name: str, old: str, where: SpecPath, claims: dict[str, SpecPath]
) -> Diagnostic | None:
    if old == name:
        message = f"`{old}` is the current name of the task, not an earlier name"
        return RENAMED_FROM_ITSELF.at(where, message, help=f"remove `{old}`")
    if old in spec.tasks:
        message = f"`{old}` is declared as an earlier name of {name} and as a task"
        related = (Related(("tasks", old), "declared here"),)
        return EARLIER_NAME_DECLARED.at(where, message, help="remove one of the two", related=related)
    earlier = claims.get(old)
    if earlier is not None and earlier[1] != name:
        message = f"`{old}` is declared as an earlier name of {earlier[1]} and of {name}"
        help_text = "keep the name in the task that its messages are for"
        related = (Related(earlier, f"earlier name of {earlier[1]}"),)
        return EARLIER_NAME_OF_TWO.at(where, message, help=help_text, related=related)
    return None
