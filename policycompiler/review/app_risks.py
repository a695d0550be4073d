"""How risky it is what changes about settings of the whole app, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, BEAT, Plan, Value, vocabulary
from policycompiler.review import fleet
from policycompiler.review.judged import At, Judged, Rule, lossy, manual, safe
from policycompiler.review.rollout import Class
from policycompiler.review.task_risks import expiring


def _results(at: At) -> Judged:
    if at.key in _BACKEND and at.was is not None and not _keeps(at.old):
        return safe("no task that is declared keeps a result there")
    if at.key in _BACKEND and at.was is not None:
        return lossy("results in the old backend are not found any more, whoever waits for them")
    if all(map(_stores, (at.old, at.new))) and (lost := [*_results_lost(at)]):
        return lossy("; ".join(lost))
    shorter = isinstance(at.was, int | float) and isinstance(at.now, int | float) and at.now < at.was
    if at.key == "result_expires" and shorter:
        return manual("who fetches a result later than that finds none; the callers have to be looked at")
    return safe("each process goes by it from its start on")


_BACKEND = ("result_backend", "result_backend_kind", "result_backend_variable")


def _stores(plan: Plan) -> bool:
    return any(plan.get(APP, key) is not None for key in _BACKEND) and _keeps(plan)


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
    declared = vocabulary.find(at.scope.kind, at.key)
    return _OF_ONE_PROCESS if declared is not None and declared.local else _unknown(at)


def _unknown(at: At) -> Judged:
    del at
    return manual("nothing is known of how old and new processes bear with each other over it")


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


_RULES_OF_SETTINGS: dict[str, Rule] = {
    "timezone": _clock,
    "enable_utc": _clock,
    "beat_cron_starting_deadline": _deadline,
    "worker_deduplicate_successful_tasks": _deduplication,
    "control_exchange": _control,
    "event_exchange": _events,
}
"""Settings that ask for more than their beginning tells."""


RULES: dict[str, Rule] = {
    "results": _results,
    "installation": _installation,
    "app-setting": _app_setting,
    "unknown": _unknown,
}
"""How each kind is judged."""
