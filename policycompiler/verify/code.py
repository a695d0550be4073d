"""Where the code of an application and the plan differ.

Refuses:
    PC820 broker-differs: give the app the broker of the plan, or correct `celery.broker` in the workload.
        when: the URL of the app's broker is of another kind than the broker of the plan.
    PC821 task-queue-unknown: declare the task and its queue in the workload.
        when: an undeclared task names a queue that the plan does not have, so sending it fails.
    PC823 schedule-task-unregistered: import the module of the task, or correct the schedule.
        when: a schedule sends a task that the app does not register.
    PC824 decorator-beats-plan: remove the option from the decorator.
        when: Celery reads an option from the decorator first, and the plan has another value.
    PC825 decorator-contradicts-plan: remove the option from the decorator, or pin it.
        when: a decorator and the plan differ; where celeryconfig.py is loaded, the plan counts.
    PC826 setting-beaten: remove the setting from the code.
        when: the code sets a setting on the app, so celeryconfig.py cannot change it.
    PC827 configuration-not-loaded: load celeryconfig.py with `app.config_from_object("celeryconfig")`.
        when: the app runs with other settings than the plan.
    PC828 schedule-arguments-refused: correct the arguments of the schedule.
        when: the arguments of a schedule do not fit the signature of its task.
    PC829 configuration-unimportable: compile for the Celery of the application, or install what is missing.
        when: the interpreter of the application cannot import celeryconfig.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policycompiler.diagnostics import Diagnostic, did_you_mean, error, info
from policycompiler.knowledge import celery_settings
from policycompiler.plan import APP, Plan, Scope, Setting, Value
from policycompiler.reality.code import Call, Code
from policycompiler.verify.tasks import TASK_UNDECLARED, TASK_UNREGISTERED
from policycompiler.verify.words import at_place, listed, shown

BROKER_DIFFERS = error("PC820", "broker-differs")
TASK_QUEUE_UNKNOWN = error("PC821", "task-queue-unknown")
SCHEDULE_TASK_UNREGISTERED = error("PC823", "schedule-task-unregistered")
DECORATOR_BEATS_PLAN = error("PC824", "decorator-beats-plan")
DECORATOR_CONTRADICTS_PLAN = info("PC825", "decorator-contradicts-plan")
SETTING_BEATEN = error("PC826", "setting-beaten")
CONFIGURATION_NOT_LOADED = error("PC827", "configuration-not-loaded")
SCHEDULE_ARGUMENTS_REFUSED = error("PC828", "schedule-arguments-refused")
CONFIGURATION_UNIMPORTABLE = error("PC829", "configuration-unimportable")


DECORATOR_WINS = frozenset(
    f"options.{each}"
    for each in (
        *("autoretry_for", "dont_autoretry_for", "retry_backoff", "retry_backoff_max", "retry_jitter"),
        "retry_kwargs",
    )
)
"""Options that Celery reads from the decorator first (celery.app.autoretry)."""


def calls(plan: Plan) -> list[Call]:
    """The calls of the schedules, to compare with the signatures of their tasks."""
    found = []
    for scope in plan.scopes("schedule"):
        args, kwargs = plan.get(scope, "args", []), plan.get(scope, "kwargs", {})
        assert isinstance(args, list)
        assert isinstance(kwargs, dict)
        found.append(Call(scope.name, plan.text(scope, "task"), [*args], {**kwargs}))
    return found


def unimportable(problem: str, place: str) -> Diagnostic:
    """The finding that the application's interpreter cannot load the compiled settings."""
    message = f"the application's interpreter cannot load celeryconfig.py: {problem}"
    help_text = "install what is missing, or compile for the Celery version of the application"
    return at_place(CONFIGURATION_UNIMPORTABLE, place, message, help_text)


def against(plan: Plan, codes: Sequence[Code]) -> Iterator[Diagnostic]:
    """Where the code of all apps and the plan differ."""
    registered = {name: task for code in codes for name, task in code.facts["tasks"].items()}
    yield from _undeclared(plan, registered)
    yield from _unregistered(plan, registered)
    for code in codes:
        yield from _broker(plan, code)
        yield from _decorators(plan, code)
        yield from _settings(plan, code)
        for misfit in code.facts["misfits"]:
            path = ("schedules", misfit["name"])
            message = f"schedule `{misfit['name']}`: its task refuses the arguments: {misfit['why']}"
            yield SCHEDULE_ARGUMENTS_REFUSED.at(path, message, help="correct `args` and `kwargs`")


def _broker(plan: Plan, code: Code) -> Iterator[Diagnostic]:
    """The broker of the app; where nothing sets it, a variable may be missing only here."""
    scheme = code.facts["addresses"].get("broker_url", {}).get("scheme", "")
    if scheme and scheme.partition("+")[0] not in {*plan.broker.schemes, plan.text(APP, "broker_transport")}:
        message = f"the broker of the app is at {scheme}://; the plan is for {plan.broker.label}"
        help_text = "give the app the broker of the plan, or correct `celery.broker` in the workload"
        yield at_place(BROKER_DIFFERS, code.facts["place"], message, help_text)


def _undeclared(plan: Plan, registered: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for name, task in registered.items():
        if plan.entry(name) is not None:
            continue
        queue = task["options"].get("queue", {}).get("value")
        strict = plan.get(APP, "task_create_missing_queues") is False
        if queue and strict and not plan.keys(Scope("queue", queue)):
            message = f"`{name}` is sent to queue `{queue}`, which the plan does not have: sending it fails"
            yield at_place(TASK_QUEUE_UNKNOWN, task["place"], message, "declare the task in the workload")
        else:
            message = f"the app registers `{name}`, which the workload does not declare"
            yield at_place(
                TASK_UNDECLARED, task["place"], message, "declare it; its name alone is enough to route it"
            )


def _unregistered(plan: Plan, registered: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for scope in plan.scopes("task"):
        if "*" not in scope.name and not plan.get(scope, "external") and scope.name not in registered:
            likely = did_you_mean(scope.name, registered)
            message = f"no app registers `{scope.name}`, so a worker discards its messages"
            yield TASK_UNREGISTERED.at(
                ("tasks", scope.name), message, help=likely or "import its module in the app", at_key=True
            )
    for scope in plan.scopes("schedule"):
        task = str(plan.get(scope, "task"))
        entry = plan.entry(task)
        ours = entry is None or not plan.get(entry, "external")
        if ours and task not in registered and not task.startswith("celery."):
            message = f"schedule `{scope.name}` sends `{task}`, which no app registers"
            path = ("schedules", scope.name, "task")
            yield SCHEDULE_TASK_UNREGISTERED.at(
                path, message, help=did_you_mean(task, registered) or "correct it"
            )


def _decorators(plan: Plan, code: Code) -> Iterator[Diagnostic]:
    """Options of decorators that differ from those of the plan."""
    for name, task in code.facts["tasks"].items():
        entry = plan.entry(name)
        for option, value in task["decorator"].items():
            key = option if option == "queue" else f"options.{option}"
            planned = None if entry is None else plan.find(entry, key)
            if planned is not None and planned.value != value:
                yield _contradiction(name, task["place"], key, value, planned)


def _contradiction(task: str, place: str, key: str, value: Value, planned: Setting) -> Diagnostic:
    option = key.removeprefix("options.")
    both = f"{task}: `{option}` is {shown(value)} in the decorator and {shown(planned.value)} in the plan"
    if key in DECORATOR_WINS:
        help_text = f"remove `{option}` from the decorator"
        return at_place(DECORATOR_BEATS_PLAN, place, f"{both}; Celery takes the decorator's", help_text)
    message = f"{both}; the plan counts where celeryconfig.py is loaded"
    return at_place(DECORATOR_CONTRADICTS_PLAN, place, message, f"remove `{option}` from the code, or pin it")


def _settings(plan: Plan, code: Code) -> Iterator[Diagnostic]:
    """Settings of the plan that the app does not have: those that its code beats, and all others together."""
    facts, beaten, others = code.facts, frozenset(code.facts["in_code"]), list[str]()
    for key, setting in plan.keys(APP).items():
        apart = not celery_settings.is_setting(key) or key in celery_settings.SECTIONS
        if apart or setting.is_left_to_celery:
            continue
        has = facts["settings"].get(key, celery_settings.default_of(key))
        if has == setting.value:
            continue
        if key in beaten:
            both = f"the code sets `{key}` to {shown(has)}"
            message = f"{both}, so celeryconfig.py cannot set it to {shown(setting.value)}"
            yield at_place(SETTING_BEATEN, facts["place"], message, f"remove `{key}` from the code")
        elif key not in facts["unsayable_settings"]:
            others.append(key)
    if others:
        message = f"the app runs with other settings than the plan: {listed(sorted(others))}"
        yield at_place(
            CONFIGURATION_NOT_LOADED,
            facts["place"],
            message,
            'load the compiled file: `app.config_from_object("celeryconfig")`',
        )
