"""How risky a change is while old and new processes run side by side, and why."""

from __future__ import annotations

from policycompiler.review.broker_risks import RULES as RULES_OF_BROKERS
from policycompiler.review.judged import At, Judged, Rule, lossy, manual, ordered, safe
from policycompiler.review.queue_risks import RULES as RULES_OF_QUEUES
from policycompiler.review.queue_risks import unattended
from policycompiler.review.schedule_risks import RULES as RULES_OF_SCHEDULES
from policycompiler.review.task_risks import RULES as RULES_OF_TASKS


def risk_of(at: At, kind: str) -> Judged:
    """Judge a change of a kind."""
    rule = _RULES.get(kind)
    if rule is None:
        return safe(_HARMLESS_KINDS.get(kind, "it takes effect in each process when that starts with it"))
    return rule(at)


def _pool(at: At) -> Judged:
    if at.was == "prefork":
        return manual(f"pool {at.now} keeps no time limits as prefork does: nothing ends a run that hangs")
    return safe("it runs so from its start on")


def _worker_removed(at: At) -> Judged:
    return unattended(at) or safe(
        "it ends its runs when it is stopped, and others take what its queues bring"
    )


def _worker_queues(at: At) -> Judged:
    return unattended(at) or safe("what one worker leaves another takes")


def _capacity(at: At) -> Judged:
    if at.key == "replicas" and at.now == 0 and (left := unattended(at)):
        return left
    slots = [
        plan.number_if_any(scope, "concurrency") or 1
        for plan, scope in ((at.old, at.before), (at.new, at.scope))
    ]
    replicas = [
        plan.number_if_any(scope, "replicas") or 0
        for plan, scope in ((at.old, at.before), (at.new, at.scope))
    ]
    before, after = (number * times for number, times in zip(slots, replicas, strict=True))
    if after < before:
        return safe(f"nothing is lost by it; its slots go from {before:g} to {after:g}, and queues may grow")
    return safe(f"its slots go from {before:g} to {after:g}")


def _worker_grace(at: At) -> Judged:
    if at.scope.name in at.needs.impatient:
        return ordered("a stop would kill runs that old producers have allowed to last longer")
    if at.scope.name in at.needs.outlasted:
        return ordered("a stop of an old worker would kill runs that new producers allow to last longer")
    return safe("a stop waits long enough for whatever is sent")


def _backend(at: At) -> Judged:
    if at.key in {"result_backend", "result_backend_variable"} and at.was is not None:
        return lossy("results in the old backend are not found any more, whoever waits for them")
    shorter = isinstance(at.was, int | float) and isinstance(at.now, int | float) and at.now < at.was
    if at.key == "result_expires" and shorter:
        return manual("who fetches a result later than that finds none; the callers have to be looked at")
    return safe("each process goes by it from its start on")


def _installation(at: At) -> Judged:
    if at.key == "service":
        return manual(
            "all units and programs have other names: the old ones are stopped and disabled by hand"
        )
    if at.key == "state_directory" and at.was is not None and at.now is not None:
        return manual("beat starts without its file of last runs, unless that is copied while it stands")
    if at.key in {"app", "namespace"}:
        return manual("the application has to be changed with it")
    return safe("it takes effect when a process starts")


def _app_setting(at: At) -> Judged:
    if at.key.startswith(_HARMLESS):
        return safe("each process goes by it from its start on")
    return manual("nothing is known of how old and new processes bear with each other over it")


_HARMLESS = (
    *(
        "worker_",
        "beat_",
        "timezone",
        "enable_utc",
        "task_send_sent_event",
        "task_track_started",
        "task_publish_",
    ),
    *("task_create_missing_queues", "event_", "control_", "database_", "redis_", "task_default_exchange"),
    *("task_default_routing_key", "task_default_rate_limit", "task_annotations", "task_remote_tracebacks"),
    *("task_store_errors_even_if_ignored", "task_inherit_parent_priority", "task_eager_propagates"),
)
"""How the settings begin that are of one process alone, or that all processes take alike."""


_ALERT = "Prometheus goes by it once its rules are loaded"


_HARMLESS_KINDS = {
    **dict.fromkeys(("alert-added", "alert-removed", "alert-changed"), _ALERT),
    "worker-added": "it takes messages from its start on",
    "schedule-removed": "beat sends it no more",
    "task-facts": "it is what settings are reckoned from; no process reads it",
    "task-priority": "it is the order in which messages are taken, and loses none",
    "queue-promise": "it is what alerts and sizes are reckoned from",
    "beat-added": "nothing is sent before beat starts",
    "beat-removed": "nothing is sent by schedule any more",
}
"""Why the kinds that have no rule are safe."""


_RULES: dict[str, Rule] = {
    **RULES_OF_TASKS,
    **RULES_OF_QUEUES,
    **RULES_OF_SCHEDULES,
    **RULES_OF_BROKERS,
    "worker-removed": _worker_removed,
    "worker-queues": _worker_queues,
    "worker-pool": _pool,
    "capacity": _capacity,
    "worker-grace": _worker_grace,
    "results": _backend,
    "installation": _installation,
    "app-setting": _app_setting,
}
"""How each kind is judged; the others change nothing that old and new processes share."""
