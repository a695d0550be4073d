"""What the code of an application does wrong by itself, whatever the plan says.

Refuses:
    PC880 task-never-registered: add its module to `imports` or to autodiscovery, or remove the task.
        when: the source has a task that no app registers.
    PC881 unknown-task-sent: correct the name, or declare the task with `external: true`.
        when: the source sends a task by a name that no app registers.
    PC882 route-unmatched: remove the route, or correct its pattern.
        when: an entry of `task_routes` matches no registered task.
    PC883 task-name-implicit: give each task a `name`.
        when: tasks are named after their modules, so moving a module renames them.
    PC884 sent-in-transaction: send after the commit, with `transaction.on_commit` or `delay_on_commit`.
        when: the source sends a task inside a database transaction.
    PC885 queue-not-in-task-queues: declare the queue in `task_queues`, or correct its name.
        when: a task or a call names a queue that `task_queues` does not have.
    PC886 password-in-code: read the URL from an environment variable, and change the password.
        when: a URL in the code or in its configuration has a password.
    PC887 limit-zero: remove the limit, or set one above 0.
        when: a task sets a time limit of 0, which switches off the limit of the app.
    PC888 schedules-in-utc: set `timezone`, or leave it if UTC is meant.
        when: crontab entries exist and no `timezone` is set.
    PC889 setting-misspelled: correct the name.
        when: the configuration has a name that looks like a Celery setting and is none.
    PC890 import-connects: open connections when a task runs, not when a module is imported.
        when: the import of the application opens a network connection.
    PC891 results-discarded: set `result_backend`, or set `task_ignore_result`.
        when: no result backend is set, so results are discarded without a word.
    PC892 startup-retry-unset: set `broker_connection_retry_on_startup: true`.
        when: the setting is absent, and Celery 6 stops to retry at startup without it.
    PC893 schedule-may-overlap: lower the limit of the task, or raise the interval.
        when: the time limit lets a run take longer than the interval of its schedule.
    PC894 retries-together: remove `retry_jitter: False`.
        when: a task retries with backoff and without jitter.
    PC895 tasks-without-limit: set `task_time_limit`, or a limit for each task.
        when: tasks have no hard time limit, neither by themselves nor from the app.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from policycompiler.diagnostics import Diagnostic, Profile, did_you_mean, error, info, warning
from policycompiler.knowledge import celery_settings
from policycompiler.quantities import duration
from policycompiler.reality.code import Code, SourceCode, SourceTask
from policycompiler.verify.words import at_place, listed

TASK_NEVER_REGISTERED = error("PC880", "task-never-registered")
UNKNOWN_TASK_SENT = warning("PC881", "unknown-task-sent", Profile.MINIMAL)
ROUTE_UNMATCHED = warning("PC882", "route-unmatched")
TASK_NAME_IMPLICIT = info("PC883", "task-name-implicit")
SENT_IN_TRANSACTION = warning("PC884", "sent-in-transaction", Profile.MINIMAL)
QUEUE_NOT_IN_TASK_QUEUES = warning("PC885", "queue-not-in-task-queues", Profile.MINIMAL)
PASSWORD_IN_CODE = warning("PC886", "password-in-code", Profile.MINIMAL)
LIMIT_ZERO = warning("PC887", "limit-zero")
SCHEDULES_IN_UTC = info("PC888", "schedules-in-utc")
SETTING_MISSPELLED = warning("PC889", "setting-misspelled", Profile.MINIMAL)
IMPORT_CONNECTS = info("PC890", "import-connects")
RESULTS_DISCARDED = info("PC891", "results-discarded")
STARTUP_RETRY_UNSET = info("PC892", "startup-retry-unset")
SCHEDULE_MAY_OVERLAP = info("PC893", "schedule-may-overlap")
RETRIES_TOGETHER = info("PC894", "retries-together")
TASKS_WITHOUT_LIMIT = warning("PC895", "tasks-without-limit", Profile.MINIMAL)


def audit(
    codes: Sequence[Code], source: SourceCode | None, planned: Collection[str] = ()
) -> Iterator[Diagnostic]:
    """What the code shows by itself; `planned` are the queues of a plan, which its files declare."""
    for code in codes:
        yield from _of_settings(code)
        yield from _of_routes(code)
        yield from _of_limits(code)
        yield from _without_limit(code)
        yield from _of_schedules(code)
        yield from _of_retries(code)
    if source is not None:
        registered = _registered(codes)
        if codes:
            yield from _never_registered(codes, source)
            yield from _unknown_sends(registered, source)
        yield from _implicit_names(source)
        for place in source.in_transactions:
            message = "a task is sent inside a database transaction, so it may run before the commit"
            help_text = "send it after the commit: `transaction.on_commit(…)`, or Celery's `delay_on_commit`"
            yield at_place(SENT_IN_TRANSACTION, place, message, help_text)
    yield from _undeclared_queues(codes, source, planned)


def _registered(codes: Iterable[Code]) -> frozenset[str]:
    return frozenset(name for code in codes for name in code.facts["tasks"])


def _of_settings(code: Code) -> Iterator[Diagnostic]:
    facts, where = code.facts, code.facts["place"]
    for key, address in facts["addresses"].items():
        if address["password"] and not address["variables"]:
            message = f"`{key}` has a password that comes from no environment variable"
            yield at_place(
                PASSWORD_IN_CODE, where, message, "read the whole URL from an environment variable"
            )
    for name in facts["unknown_settings"]:
        likely = did_you_mean(name, celery_settings.known("settings"))
        message = f"the configuration sets `{name}`, which Celery does not have, so it is ignored"
        yield at_place(SETTING_MISSPELLED, where, message, likely or "remove it")
    crontabs = [name for name, entry in facts["schedules"].items() if "cron" in entry]
    if crontabs and "timezone" not in facts["settings"]:
        message = f"`timezone` is not set, so {listed(crontabs)} are due by UTC"
        yield at_place(SCHEDULES_IN_UTC, where, message, "set `timezone` to the zone that is meant")
    if code.connects:
        message = f"importing the application opens connections to {listed(code.connects)}"
        yield at_place(IMPORT_CONNECTS, where, message, "open connections when a task runs")
    if "result_backend" not in facts["addresses"] and not facts["settings"].get("task_ignore_result"):
        message = "no result backend is set, so the results of all tasks are discarded"
        yield at_place(
            RESULTS_DISCARDED, where, message, "set `result_backend`, or set `task_ignore_result: true`"
        )
    if "broker_connection_retry_on_startup" not in facts["settings"]:
        message = (
            "`broker_connection_retry_on_startup` is not set; Celery 6 does not retry at startup without it"
        )
        yield at_place(STARTUP_RETRY_UNSET, where, message, "set it to true")


def _of_routes(code: Code) -> Iterator[Diagnostic]:
    for route in code.facts["routes"]:
        pattern = route["pattern"]
        if not any(fnmatchcase(name, pattern) for name in code.facts["tasks"]):
            message = f"`task_routes` has `{pattern}`, which matches no registered task"
            yield at_place(
                ROUTE_UNMATCHED, code.facts["place"], message, "remove the route, or correct the pattern"
            )


def _of_limits(code: Code) -> Iterator[Diagnostic]:
    for name, task in code.facts["tasks"].items():
        for option in ("time_limit", "soft_time_limit"):
            given = task["options"].get(option)
            app_wide = code.facts["settings"].get(f"task_{option}")
            if given and given["value"] == 0:
                of_app = f", and the app's limit of {app_wide:g} s does not apply" if app_wide else ""
                message = f"`{name}` sets `{option}` to 0: it has no limit{of_app}"
                yield at_place(LIMIT_ZERO, task["place"], message, f"remove `{option}`, or set one above 0")


def _without_limit(code: Code) -> Iterator[Diagnostic]:
    """One finding for all tasks without a limit: they have one cause."""
    if code.facts["settings"].get("task_time_limit"):
        return
    tasks = code.facts["tasks"]
    names = [name for name, task in tasks.items() if not task["options"].get("time_limit", {}).get("value")]
    if names:
        message = f"no hard time limit applies to {listed(names)}: a run that hangs keeps its slot"
        help_text = "set `task_time_limit`, or a limit for each task"
        yield at_place(TASKS_WITHOUT_LIMIT, code.facts["place"], message, help_text)


def _of_schedules(code: Code) -> Iterator[Diagnostic]:
    for name, entry in code.facts["schedules"].items():
        task, every = code.facts["tasks"].get(entry["task"]), entry.get("every_seconds")
        if task is None or every is None:
            continue
        given = task["options"].get("time_limit", {}).get("value")
        limit = code.facts["settings"].get("task_time_limit") if given is None else given
        if limit and limit >= every:
            limits = f"`{entry['task']}` may run {duration(limit)}"
            message = f"schedule `{name}` sends every {duration(every)}, but {limits}, so runs may overlap"
            yield at_place(SCHEDULE_MAY_OVERLAP, code.facts["place"], message, "lower the limit of the task")


def _of_retries(code: Code) -> Iterator[Diagnostic]:
    for name, task in code.facts["tasks"].items():
        options = {key: given["value"] for key, given in task["options"].items()}
        if options.get("retry_backoff") and options.get("retry_jitter") is False:
            message = f"`{name}` retries without jitter: tasks that fail together are retried together"
            yield at_place(RETRIES_TOGETHER, task["place"], message, "remove `retry_jitter: False`")


def _never_registered(codes: Sequence[Code], source: SourceCode) -> Iterator[Diagnostic]:
    for task in unregistered(codes, source):
        module = task.name.rpartition(".")[0]
        message = f"no app registers `{task.name}`, so a worker discards its messages"
        help_text = f"import `{module}` in the app (`imports`), or remove the task"
        yield at_place(TASK_NEVER_REGISTERED, task.place, message, help_text)


def unregistered(codes: Sequence[Code], source: SourceCode) -> Iterator[SourceTask]:
    """The tasks of the source that no app registers, under whatever name."""
    registered = _registered(codes)
    places = {task["place"] for code in codes for task in code.facts["tasks"].values()}
    return (task for task in source.tasks if task.name not in registered and not _is_at(task, places))


def _is_at(task: SourceTask, places: Iterable[str]) -> bool:
    """Whether a registered task, maybe with another name, has its code here."""
    file, _, line = task.place.rpartition(":")
    own = {f"{file}:{number}" for number in range(task.begins, int(line) + 1)}
    return not own.isdisjoint(places)


def _unknown_sends(registered: frozenset[str], source: SourceCode) -> Iterator[Diagnostic]:
    known = registered | {task.name for task in source.tasks}
    for send in source.sends:
        if send.task and send.task not in known and not send.task.startswith("celery."):
            likely = did_you_mean(send.task, known)
            message = f"this sends `{send.task}`, which no app here registers"
            yield at_place(
                UNKNOWN_TASK_SENT,
                send.place,
                message,
                likely or "declare it with `external: true` if another application runs it",
            )


def _implicit_names(source: SourceCode) -> Iterator[Diagnostic]:
    """One finding for each file: its tasks have one cause."""
    files: dict[str, list[SourceTask]] = {}
    for task in source.tasks:
        if not task.explicit:
            files.setdefault(task.place.rpartition(":")[0], []).append(task)
    for tasks in files.values():
        names = listed(task.name.rpartition(".")[2] for task in tasks)
        message = (
            f"{names}: the names come from the module, so moving it renames tasks and loses their messages"
        )
        yield at_place(TASK_NAME_IMPLICIT, tasks[0].place, message, "give each task a `name`")


def _undeclared_queues(
    codes: Sequence[Code], source: SourceCode | None, planned: Collection[str]
) -> Iterator[Diagnostic]:
    """Queues that `task_queues` lacks, where the app has that setting."""
    declared = {each["name"] for code in codes for each in code.facts["queues"] if each["declared"]}
    declared |= set(planned)
    strict = any(code.facts["settings"].get("task_create_missing_queues") is False for code in codes)
    what = (
        "sending fails" if strict else "Celery creates it with its own defaults, and maybe no worker reads it"
    )
    if not any("task_queues" in code.facts["set"] for code in codes):
        return
    named = [
        (task["place"], str(task["options"]["queue"]["value"]))
        for code in codes
        for task in code.facts["tasks"].values()
        if "queue" in task["options"]
    ]
    named += [(send.place, send.queue) for send in (source.sends if source else ()) if send.queue]
    for place, queue in dict.fromkeys(named):
        if queue not in declared:
            message = f"queue `{queue}` is not in `task_queues`: {what}"
            yield at_place(
                QUEUE_NOT_IN_TASK_QUEUES, place, message, did_you_mean(queue, declared) or "declare it"
            )
