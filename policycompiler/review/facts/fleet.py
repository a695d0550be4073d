"""What a running deployment does, by its plan: consumers, names, messages and times."""

from __future__ import annotations

from collections.abc import Iterable

from policycompiler.knowledge.backoff import all_waits_seconds, longest_wait_seconds
from policycompiler.plan import APP, Plan, Scope, Value

DEFAULT_CONTENT = "json"


def same(first: Value, second: Value) -> bool:
    """Whether two values mean the same; to Python 1 is also True."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return first == second


def named(scopes: list[Scope]) -> list[str]:
    """The names of scopes."""
    return [scope.name for scope in scopes]


def consumed(plan: Plan) -> set[str]:
    """The queues that a running worker of the plan takes messages from."""
    return {queue for scope in running(plan) for queue in plan.texts(scope, "queues")}


def running(plan: Plan) -> list[Scope]:
    """The workers with at least one process."""
    return [scope for scope in plan.scopes("worker") if plan.get(scope, "replicas", 1) != 0]


def consumers(plan: Plan) -> dict[str, list[str]]:
    """The workers of each queue, including workers without replicas."""
    found: dict[str, list[str]] = {}
    for scope in plan.scopes("worker"):
        for queue in plan.texts(scope, "queues"):
            found.setdefault(queue, []).append(scope.name)
    return found


class Names:
    """The names that a plan knows tasks by: exact ones, earlier ones, and patterns."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.earlier = {
            str(old): scope.name
            for scope in plan.scopes("task")
            for old in _list(plan.get(scope, "renamed_from"))
        }

    def entry(self, name: str) -> Scope | None:
        """The task that has or had a name, or the pattern that declares it; None without one."""
        for exact in (name, self.earlier.get(name, name)):
            if self._plan.keys(scope := Scope("task", exact)):
                return scope
        return self._plan.entry(name)

    def queue(self, name: str) -> str:
        """The queue that a task is sent to, declared or not."""
        entry = self.entry(name)
        if entry is None:
            return self._plan.text(APP, "task_default_queue")
        return self._plan.text(entry, "queue")

    def queues(self, name: str) -> set[str]:
        """The queues with messages of a task: calls and schedules can choose other queues than its own."""
        entry = self.entry(name)
        chosen = (
            scope.name
            for scope in self._plan.scopes("queue")
            if entry is not None and entry.name in self._plan.texts(scope, "tasks")
        )
        return {self.queue(name), *chosen}

    def runs(self, name: str) -> bool:
        """Whether workers of the plan can run a message of this name."""
        entry = self.entry(name)
        return entry is not None and runs_here(self._plan, entry)


def runs_here(plan: Plan, task: Scope) -> bool:
    """Whether workers of this app run a task."""
    return not plan.get(task, "external")


def accepted(plan: Plan) -> set[str]:
    """The content types that its processes read."""
    return {content_type(str(name)) for name in _list(plan.get(APP, "accept_content", [DEFAULT_CONTENT]))}


def sent_content(plan: Plan) -> set[str]:
    """The content types of the messages that its processes send."""
    names = {plan.get(scope, "options.serializer") for scope in plan.scopes("task")}
    names |= {_option(plan, scope, "serializer") for scope in plan.scopes("schedule")}
    names.add(plan.get(APP, "task_serializer", DEFAULT_CONTENT))
    return {content_type(str(name)) for name in names if name is not None}


def _option(plan: Plan, schedule: Scope, key: str) -> Value:
    """How beat sends a schedule."""
    options = plan.get(schedule, "options")
    return options.get(key) if isinstance(options, dict) else None


def keeps_results(plan: Plan) -> bool:
    """Whether the plan has a result backend."""
    return any(plan.find(APP, key) for key in ("result_backend", "result_backend_variable"))


def result_content(plan: Plan) -> str:
    """The content type of its results."""
    return content_type(str(plan.get(APP, "result_serializer", DEFAULT_CONTENT)))


def accepted_results(plan: Plan) -> set[str]:
    """The content types of results that its processes read."""
    names = plan.get(APP, "result_accept_content")
    return accepted(plan) if names is None else {content_type(str(name)) for name in _list(names)}


def content_type(name: str) -> str:
    """The content type that kombu writes into a message for the name of a serializer."""
    # Imported here, as it takes a fifth of the start of every command.
    from kombu.serialization import registry  # noqa: PLC0415

    return str(registry.name_to_type.get(name, name))


def transport_option(plan: Plan, key: str) -> Value:
    """An option of the broker's transport; None where it is not set."""
    options = plan.get(APP, "broker_transport_options")
    return options.get(key) if isinstance(options, dict) else None


def longest_run_seconds(plan: Plan, tasks: list[str]) -> float:
    """The longest expected run of these tasks; in older plans, the hard time limit."""
    keys = ("longest_run_seconds", "options.time_limit")
    runs = (plan.number_if_any(Scope("task", name), key) for name in tasks for key in keys)
    return max((run for run in runs if run), default=0.0)


def longest_hold_seconds(plan: Plan) -> float:
    """The longest time that a worker may hold a message: the countdown, and the run.

    Where the plan has it, also the wait for a slot and for a rate limit.
    """
    tasks = [scope for scope in plan.scopes("task") if runs_here(plan, scope)]
    delays = [longest_delay_seconds(plan, scope) for scope in tasks]
    known = plan.number_if_any(APP, "longest_hold_seconds") or 0.0
    return max(known, max(delays, default=0.0) + longest_run_seconds(plan, named(tasks)))


def longest_way_seconds(plan: Plan, tasks: Iterable[Scope] | None = None) -> float:
    """The longest time from the sending of a task to its end, including countdown and all retries.

    Without `tasks`, of all tasks. A retry keeps its limits and its queue; endless retries count as
    none.
    """
    among = plan.scopes("task") if tasks is None else tasks
    return max((_way_seconds(plan, task) for task in among if runs_here(plan, task)), default=0.0)


def _way_seconds(plan: Plan, task: Scope) -> float:
    retries = int(plan.number_if_any(task, "options.max_retries") or 0)
    longest = plan.number_if_any(task, "options.retry_backoff_max")
    waits = (plan.number_if_any(task, "options.default_retry_delay") or 0.0) * retries
    if longest:
        first = plan.number_if_any(task, "options.retry_backoff")
        waits = all_waits_seconds(longest, first, retries)
    countdown = plan.number_if_any(task, "max_countdown_seconds") or 0.0
    return countdown + waits + (1 + retries) * longest_run_seconds(plan, [task.name])


def longest_delay_seconds(plan: Plan, task: Scope) -> float:
    """The longest wait before a run of a task: a countdown, or the wait before a retry."""
    backoff = plan.number_if_any(task, "options.retry_backoff_max")
    if backoff:
        first = plan.number_if_any(task, "options.retry_backoff")
        backoff = longest_wait_seconds(backoff, first, plan.number_if_any(task, "options.max_retries"))
    retries = plan.get(task, "options.max_retries", 0) != 0
    waits = [plan.number_if_any(task, "max_countdown_seconds")]
    waits += [backoff, plan.number_if_any(task, "options.default_retry_delay")] if retries else []
    return max((wait for wait in waits if wait), default=0.0)


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
