"""Whether the workers know the tasks of the plan, with the options of the plan.

Because:
    A worker discards a message of a task that it has not registered. Options that differ lose or repeat work.

Refuses:
    PC855 task-options-differ: deploy the compiled `celeryconfig.py` to all workers, and restart them.
        when: a registered task has another option than the plan, such as `acks_late` or a time limit.
    PC856 task-unregistered: deploy the code of the task to the worker, or import its module there.
        when: a worker that gets messages of a task has not registered it, or the app does not register it.
    PC857 task-undeclared: declare the tasks in the workload, or cover them with a pattern.
        when: workers or the app have registered tasks that the workload does not have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, info
from policycompiler.plan import Plan, Scope, Value
from policycompiler.reality.nodes import OPTIONS, Node, Workers, typed
from policycompiler.verify.words import listed, same, shown, task_path

TASK_OPTIONS_DIFFER = error("PC855", "task-options-differ")
TASK_UNREGISTERED = error("PC856", "task-unregistered")
TASK_UNDECLARED = info("PC857", "task-undeclared")


def findings(plan: Plan, found: Workers) -> Iterator[Diagnostic]:
    """The tasks that differ on the processes of planned workers."""
    nodes = {worker: several for worker, several in found.of(plan).items() if worker}
    yield from _unregistered(plan, nodes)
    ours = [node for several in nodes.values() for node in several]
    yield from _options(plan, ours)
    registered = {name for node in ours for name in node.tasks}
    undeclared = {name for name in registered - earlier(plan) if plan.entry(name) is None}
    if undeclared:
        message = f"workers have registered tasks that the workload does not have: {listed(undeclared)}"
        help_text = "declare them in the workload, or cover them with a pattern"
        yield TASK_UNDECLARED.at(("tasks",), message, help=help_text, at_key=True)


def earlier(plan: Plan) -> set[str]:
    """The earlier names of all tasks."""
    return {
        str(name)
        for scope in plan.scopes("task")
        for name in (plan.texts(scope, "renamed_from") if plan.find(scope, "renamed_from") else ())
    }


def _unregistered(plan: Plan, nodes: dict[str, list[Node]]) -> Iterator[Diagnostic]:
    lacking: dict[str, list[str]] = defaultdict(list)
    for worker, several in nodes.items():
        scope = Scope("worker", worker)
        wanted = {*plan.texts(scope, "tasks"), *_scheduled(plan, set(plan.texts(scope, "queues")))}
        for node in several:
            # A node without any task has refused the question.
            for task in wanted - node.tasks.keys() if node.tasks else ():
                if "*" not in task and not plan.get(Scope("task", task), "external"):
                    lacking[task].append(node.name)
    for task, names in sorted(lacking.items()):
        message = f"{listed(names)} discard{'s' if len(names) == 1 else ''} messages of {task}, "
        message += "which is not registered there"
        help_text = "deploy the code of the task there, and import its module"
        yield TASK_UNREGISTERED.at(task_path(plan, task), message, help=help_text)


def _scheduled(plan: Plan, queues: set[str]) -> Iterator[str]:
    """The tasks that beat sends to these queues."""
    for schedule in plan.scopes("schedule"):
        task = plan.text(schedule, "task")
        options = plan.get(schedule, "options")
        entry = plan.entry(task)
        queue = options.get("queue") if isinstance(options, dict) else None
        if (queue or (entry and plan.get(entry, "queue"))) in queues:
            yield task


def _options(plan: Plan, nodes: list[Node]) -> Iterator[Diagnostic]:
    different: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for node in nodes:
        for task, found in node.tasks.items():
            entry = plan.entry(task)
            if entry is None or plan.get(entry, "external"):
                continue
            for option in OPTIONS:
                key = option if option == "queue" else f"options.{option}"
                planned = plan.find(entry, key)
                value: Value = typed(found[option]) if option in found else None
                # Without the option, a task has what is left to Celery.
                as_left = planned is not None and planned.is_left_to_celery and value is None
                if planned is not None and not as_left and not same(_typed(planned.value), value):
                    different[task, key, shown(value)].append(node.name)
    for (task, key, value), names in sorted(different.items()):
        entry = plan.entry(task)
        assert entry is not None
        option = key.removeprefix("options.")
        message = (
            f"{task} has `{option}` {value} on {listed(names)}; planned: {shown(plan.value(entry, key))}"
        )
        help_text = "deploy the compiled `celeryconfig.py`, and restart the workers"
        yield TASK_OPTIONS_DIFFER.at(task_path(plan, task, key), message, help=help_text)


def _typed(planned: Value) -> Value:
    """The planned value as an answer shows it: a text such as `10` reads as a number."""
    return typed(planned) if isinstance(planned, str) else planned
