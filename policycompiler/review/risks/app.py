"""How risky it is what changes about settings of the whole app, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.hazards.chords import BACKEND
from policycompiler.plan import APP, BEAT, Plan, Value
from policycompiler.review.facts import fleet
from policycompiler.review.outcome import Class
from policycompiler.review.risks.tasks import expiring, rate_limited
from policycompiler.review.risks.verdicts import UNKNOWN, At, Judged, Rule, is_local, lossy, manual, safe


def _results(at: At) -> Judged:
    if at.key == BACKEND and at.was is None and any(at.old.get(APP, key) for key in _PLACES):
        return manual("the old plan does not say which kind of backend it has: compile its sources again")
    if at.key in _BACKEND and at.was is not None and not _keeps(at.old):
        return safe("no task that is declared keeps a result there")
    if at.key in _BACKEND and at.was is not None:
        return lossy("results in the old backend are not found any more, whoever waits for them")
    if all(map(_stores, (at.old, at.new))) and (lost := [*_results_lost(at)]):
        return lossy("; ".join(lost))
    shorter = isinstance(at.was, int | float) and isinstance(at.now, int | float) and at.now < at.was
    if at.key in {"result_expires", "result_failure_expires"} and shorter:
        return manual("who fetches a result later than that finds none; the callers have to be looked at")
    return _OF_ONE_PROCESS if at.key in _BACKEND or is_local(at) else UNKNOWN


_PLACES = ("result_backend", "result_backend_variable")
_BACKEND = (*_PLACES, BACKEND)


def _stores(plan: Plan) -> bool:
    return any(plan.get(APP, key) is not None for key in _PLACES) and _keeps(plan)


def _keeps(plan: Plan) -> bool:
    """Whether a task keeps its results."""
    usual = plan.get(APP, "task_ignore_result")
    return any(not plan.get(task, "options.ignore_result", usual) for task in plan.scopes("task"))


def _results_lost(at: At) -> Iterator[str]:
    """What is not found, or not read, of the results and the chords under way."""
    if at.key in {"database_table_names", "database_table_schemas"}:
        yield "results in the old tables are not found any more, whoever waits for them"
    if at.key == "result_backend_transport_options":
        if _differs(at, "global_keyprefix", "") or _differs(at, "master_name", None):
            yield "old results and the counts of chords under way are found by nobody any more"
        chords = any("chord" in str(at.new.get(task, "canvas")) for task in at.new.scopes("task"))
        if chords and _differs(at, "result_chord_ordered", default=True):
            yield (
                "old and new workers count a chord in keys of another type, and Redis refuses the one or the "
                "other: the body of a chord under way may never run"
            )


def _differs(at: At, option: str, default: Value) -> bool:
    """Whether an option in a setting says something else."""
    was, now = (
        value.get(option, default) if isinstance(value, dict) else default for value in (at.was, at.now)
    )
    return not fleet.same(was, now)


def _installation(at: At) -> Judged:
    if at.key == "service":
        return manual(
            "all units and programs have other names: to restart a process is to stop and disable its old "
            "unit before the new one starts"
        )
    if at.key == "state_directory" and at.was is not None and at.now is not None:
        return manual("beat starts without its file of last runs, unless that is copied while it stands")
    if at.key in {"app", "namespace"}:
        return manual("the application has to be changed with it")
    return safe("it takes effect when a process starts")


def _app_setting(at: At) -> Judged:
    rule = _RULES_OF_SETTINGS.get(at.key)
    if rule is not None:
        return rule(at)
    return _OF_ONE_PROCESS if is_local(at) else UNKNOWN


_OF_ONE_PROCESS = safe("each process goes by it from its start on")


def _clock(at: At) -> Judged:
    kept = all(
        plan.scopes("schedule") and plan.get(BEAT, "scheduler") == "celery.beat:PersistentScheduler"
        for plan in (at.old, at.new)
    )
    if not kept:
        return _OF_ONE_PROCESS
    return manual(
        "beat clears its file of last runs: each interval begins anew, and what falls due while beat is "
        "restarted is not sent; restart it while nothing is due"
    )


def _deadline(at: At) -> Judged:
    crontabs = any(at.new.get(scope, "cron") is not None for scope in at.new.scopes("schedule"))
    if not crontabs or expiring(at.was, at.now).risk is Class.SAFE:
        return _OF_ONE_PROCESS
    return lossy(f"a crontab for which beat is more than {at.now} s late is left out from now on")


def _deduplication(at: At) -> Judged:
    if at.was and not at.now:
        return lossy("from now on a message that comes again after its run ended well is run again")
    return _OF_ONE_PROCESS


def _control(at: At) -> Judged:
    del at
    return manual(
        "old and new processes do not hear each other's remote control, so that a revoked task may run: send "
        "none until the last of them has it"
    )


def _events(at: At) -> Judged:
    del at
    return manual("a monitor hears one of the two exchanges only: restart it with the new one as well")


def _modules(at: At) -> Judged:
    lost = [f"`{name}`" for name in _names(at.was) if name not in _names(at.now)]
    if not lost:
        return safe("each process imports it when it starts: the code has to be there by then")
    them = "it" if len(lost) == 1 else "them"
    return manual(
        f"workers no longer import {', '.join(lost)}: they discard messages of tasks that only {them} "
        "registers, so look that nothing sends such a task any more, and that none is left"
    )


def _names(value: Value) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _missing_queues(at: At) -> Judged:
    if at.now is not False:
        return _OF_ONE_PROCESS
    return manual(
        "a send to a queue that the workload does not declare raises an error from now on: look that no call "
        "names one"
    )


def _publishing(at: At) -> Judged:
    if _attempts(at.new) < _attempts(at.old):
        return lossy(
            "a send while the broker is away is given up sooner: the call raises an error, and what does not "
            "send again is lost"
        )
    return _OF_ONE_PROCESS


_ATTEMPTS = 3
"""How often Celery tries to send again where nothing says so."""


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
    return manual("no rate limit holds from now on: see that what the tasks call takes as many calls at once")


def _direct(at: At) -> Judged:
    if at.was and not at.now:
        return manual("no worker takes from the queue of its own any more: look that nothing is left there")
    return _OF_ONE_PROCESS


def _revoked(at: At) -> Judged:
    if at.was is None:
        return _OF_ONE_PROCESS
    return manual("the tasks that were revoked stand in the old file: copy it, or they may run")


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
"""Settings that ask for more than that each process goes by them."""

RULES: dict[str, Rule] = {
    "results": _results,
    "installation": _installation,
    "app-setting": _app_setting,
}
"""How each kind is judged."""
