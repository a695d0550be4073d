"""How risky changes of app-wide settings are, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.hazards.chords import BACKEND
from policycompiler.plan import APP, BEAT, Plan, Value
from policycompiler.quantities import duration
from policycompiler.review.facts import fleet
from policycompiler.review.order import need
from policycompiler.review.outcome import Class
from policycompiler.review.risks.tasks import expiring, rate_limited
from policycompiler.review.risks.verdicts import UNKNOWN, At, Judged, Rule, is_local, lossy, manual, safe


def _results(at: At) -> Judged:
    if at.key == BACKEND and at.was is None and any(at.old.get(APP, key) for key in _PLACES):
        return manual(
            "the old plan does not contain the kind of its result backend: compile its sources again"
        )
    if at.key in _BACKEND and at.was is not None and not _keeps(at.old):
        return safe("no declared task stores results in the old backend")
    if at.key in _BACKEND and at.was is not None:
        return lossy("clients can no longer find results in the old backend")
    if all(map(_stores, (at.old, at.new))) and (lost := [*_results_lost(at)]):
        return lossy("; ".join(lost))
    shorter = isinstance(at.was, int | float) and isinstance(at.now, int | float) and at.now < at.was
    if at.key in {"result_expires", "result_failure_expires"} and shorter:
        return manual("results expire sooner: check callers that fetch them later")
    return _OF_ONE_PROCESS if at.key in _BACKEND or is_local(at) else UNKNOWN


_PLACES = ("result_backend", "result_backend_variable")
_BACKEND = (*_PLACES, BACKEND)


def _stores(plan: Plan) -> bool:
    return any(plan.get(APP, key) is not None for key in _PLACES) and _keeps(plan)


def _keeps(plan: Plan) -> bool:
    """Whether any task stores results."""
    usual = plan.get(APP, "task_ignore_result")
    return any(not plan.get(task, "options.ignore_result", usual) for task in plan.scopes("task"))


def _results_lost(at: At) -> Iterator[str]:
    """Existing results and chords that processes can no longer find or read."""
    if at.key in {"database_table_names", "database_table_schemas"}:
        yield "clients can no longer find results in the old tables"
    if at.key == "result_backend_transport_options":
        if _differs(at, "global_keyprefix", "") or _differs(at, "master_name", None):
            yield "processes can no longer find old results or the counters of chords in progress"
        chords = any("chord" in str(at.new.get(task, "canvas")) for task in at.new.scopes("task"))
        if chords and _differs(at, "result_chord_ordered", default=True):
            yield (
                "old and new workers count a chord in Redis keys of different types, and Redis refuses "
                "one of them; the body of a chord in progress may never run"
            )


def _differs(at: At, option: str, default: Value) -> bool:
    """Whether an option in a setting differs."""
    was, now = (
        value.get(option, default) if isinstance(value, dict) else default for value in (at.was, at.now)
    )
    return not fleet.same(was, now)


def _installation(at: At) -> Judged:
    if at.key == "service":
        because = (
            "all units and programs get new names: to restart a process, stop and disable its old unit "
            "before the new unit starts"
        )
        forgotten = at.needs.find(need.FORGOTTEN)
        return manual(f"{because}; {forgotten.sentence}" if forgotten else because)
    if at.key == "state_directory" and at.was is not None and at.now is not None:
        return manual("beat starts without its schedule file: copy the file while beat is stopped")
    if at.key in {"app", "namespace"}:
        return manual("the application code must change together with this setting")
    return safe("each process uses the new value when it starts")


def _app_setting(at: At) -> Judged:
    rule = _RULES_OF_SETTINGS.get(at.key)
    if rule is not None:
        return rule(at)
    return _OF_ONE_PROCESS if is_local(at) else UNKNOWN


_OF_ONE_PROCESS = safe("each process uses the new value when it starts")


def _clock(at: At) -> Judged:
    kept = all(
        plan.scopes("schedule") and plan.get(BEAT, "scheduler") == "celery.beat:PersistentScheduler"
        for plan in (at.old, at.new)
    )
    if not kept:
        return _OF_ONE_PROCESS
    return manual(
        "beat clears its schedule file: each interval starts again, and schedules that are due during the "
        "restart are not sent; restart beat while no schedule is due"
    )


def _deadline(at: At) -> Judged:
    crontabs = any(at.new.get(scope, "cron") is not None for scope in at.new.scopes("schedule"))
    if not crontabs or expiring(at.was, at.now).risk is Class.SAFE:
        return _OF_ONE_PROCESS
    assert isinstance(at.now, int | float)
    return lossy(f"beat now skips a crontab run that is more than {duration(at.now)} late")


def _deduplication(at: At) -> Judged:
    if at.was and not at.now:
        return lossy("a message that is redelivered after a successful run now runs again")
    return _OF_ONE_PROCESS


def _control(at: At) -> Judged:
    del at
    return manual(
        "old and new processes do not receive each other's remote control commands, so a revoked task may "
        "run; send none until all processes have the new value"
    )


def _events(at: At) -> Judged:
    del at
    return manual("a monitor receives events of one exchange only: restart it with the new exchange too")


def _modules(at: At) -> Judged:
    lost = [f"`{name}`" for name in _names(at.was) if name not in _names(at.now)]
    if not lost:
        return safe("each process imports the module when it starts: the code must be installed by then")
    them = "it" if len(lost) == 1 else "them"
    return manual(
        f"workers no longer import {', '.join(lost)}, and discard messages of tasks that only {them} "
        "registers; check that no code sends these tasks and that no message of them is left"
    )


def _names(value: Value) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _missing_queues(at: At) -> Judged:
    if at.now is not False:
        return _OF_ONE_PROCESS
    return manual(
        "publishing to an undeclared queue now raises an error: check that no call names an undeclared queue"
    )


def _publishing(at: At) -> Judged:
    if _attempts(at.new) < _attempts(at.old):
        return lossy(
            "while the broker is unavailable, publishing now fails sooner: the call raises an error, and "
            "a message that is not sent again is lost"
        )
    return _OF_ONE_PROCESS


_ATTEMPTS = 3
"""Celery's default number of publishing retries."""


def _attempts(plan: Plan) -> float:
    if plan.get(APP, "task_publish_retry") is False:
        return 0
    policy = plan.get(APP, "task_publish_retry_policy")
    most = policy.get("max_retries") if isinstance(policy, dict) else _ATTEMPTS
    return most if isinstance(most, int | float) else math.inf


def _rate_limits(at: At) -> Judged:
    limits = [at.new.get(task, "options.rate_limit") for task in at.new.scopes("task")]
    if not at.now or not any([*limits, at.new.get(APP, "task_default_rate_limit")]):
        return _OF_ONE_PROCESS
    return manual(
        "rate limits no longer apply: check that the systems behind the tasks can handle more calls"
    )


def _direct(at: At) -> Judged:
    if at.was and not at.now:
        return manual(
            "workers no longer consume their own direct queues: check that no message is left there"
        )
    return _OF_ONE_PROCESS


def _revoked(at: At) -> Judged:
    if at.was is None:
        return _OF_ONE_PROCESS
    return manual("revoked tasks are recorded in the old file: copy it, or these tasks may run")


_RULES_OF_SETTINGS: dict[str, Rule] = {
    "timezone": _clock,
    "enable_utc": _clock,
    "beat_cron_starting_deadline": _deadline,
    "worker_deduplicate_successful_tasks": _deduplication,
    "control_exchange": _control,
    "event_exchange": _events,
    "imports": _modules,
    "include": _modules,
    "task_create_missing_queues": _missing_queues,
    "task_publish_retry": _publishing,
    "task_publish_retry_policy": _publishing,
    "task_default_rate_limit": rate_limited,
    "worker_disable_rate_limits": _rate_limits,
    "worker_direct": _direct,
    "worker_state_db": _revoked,
}
"""Settings with a rule of their own."""

RULES: dict[str, Rule] = {
    "results": _results,
    "installation": _installation,
    "app-setting": _app_setting,
}
"""The rule of each kind."""
