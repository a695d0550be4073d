"""Alerts for tasks that are late, fail, or do not run.

Decides:
    For each source of metrics `alert:CeleryExporterDown:SOURCE`, for the service `alert:NAME`, and for each
    queue that runs here `alert:NAME:QUEUE`. For each schedule `alert:NAME:SCHEDULE`, and for each critical
    task `alert:CeleryTaskNewFailure:TASK`. Keys: `alert`, `sources`, `queue`, `team`, `severity`,
    `for_seconds`, `summary`, `description`, and if its expression uses them `threshold`, `minimum`,
    `window_seconds`, `short_window_seconds`, `bound_seconds`, `tasks`, `task`, `other_tasks`,
    `earlier_names`, `schedule`, `dependency`, `parks`, `nodes`, `lists`, `matchers`. For each dependency with
    a breaker `alert:CeleryBreakerOpen:DEPENDENCY`, and for each task with a key `alert:NAME:TASK`.
    `app/alerts_without_source` and `app/alert_minute_seconds`.

Because:
    A queue has a backlog when it holds more messages than its workers can start within its latency target. A
    declared burst does not count as a backlog. A queue has stalled when no run starts for longer than its
    longest task may take. A queue for batch tasks can be stalled for hours before that alert fires. Its
    backlog alert fires sooner.

    A latency target is a promise about the wait in the queue. Only the telemetry of this service measures it,
    even behind a large backlog. Two alerts compare a long and a short window with the objective, as the Site
    Reliability Workbook advises. Failed runs have the same two alerts.

    A worker that stops waits for its runs and does not answer celery-exporter. The alerts wait longer than a
    restart, so a restart is not a lost worker.

    A rule reads the first source in the policy file that measures what it compares. A rule without a source
    would never fire, so it does not exist, and the plan names it. Broadcast queues and queues of other apps
    have no alerts. Without task events, celery-exporter and Flower count no runs. If the policy file says
    where a source is, the scrape jobs give its series the label `app`, and the rules select it.

    Beat sends no events of its own. The telemetry shows its ticks and its sends. Without it, the alert fires
    when no scheduled task was sent for longer than the most frequent schedule allows. A schedule is missed
    when its task has not started within its longest gap, plus the latency target of its queue and
    `schedule_slack`. A schedule with a gap of more than eight days has no alert, because Prometheus may not
    keep data for so long.

    A failure rate does not work for a task that is sent twice a day, so each failure of a critical task has
    an alert. A run that will be retried has not failed yet.

    A breaker that opens once has done its work. Its alert fires when probe after probe fails. Guards count in
    the workers alone, so only the telemetry shows them. Task events do not tell a parked run from a retry.
    So the alert on retries leaves parked runs out, and does not exist for such a queue without telemetry.

    Labels let Alertmanager send one page for one fault. `inhibits` names a cause, and a rule with it in
    `inhibited_by` stays quiet meanwhile.

Example:
    tasks:
      shop.mail.send: {queue: mail, latency: interactive, owner: storefront, runtime: {p50: 300ms, p99: 3s}}
    workers:
      mail: {queues: [mail], concurrency: 18, replicas: 2, stop_timeout: 30s}

    alert:CeleryQueueBacklog:mail/threshold = 74
    alert:CeleryQueueBacklog:mail/team = "storefront"
    alert:CeleryQueueBacklog:mail/sources = ["celery-exporter"]
    alert:CeleryQueueNoConsumer:mail/severity = "critical"
    alert:CeleryQueueNoConsumer:mail/for_seconds = 360
    alert:CeleryWorkersBelowMinimum:mail/minimum = 2

Refuses:
    PC530 alert-missing: name `telemetry` as a source of metrics, or monitor the broker's own metrics.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}
    PC531 critical-unwatched: send task events over Redis or RabbitMQ, or report failures in the task's code.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {critical: true}}
        silent: tasks: {shop.a: {critical: true}}
    PC532 events-off-monitored: remove the pin, so that workers and publishers send task events.
        fires:
            celery: {settings: {worker_send_task_events: false}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {worker_send_task_events: true}}
            tasks: {shop.a: {}}
    PC980 alert-without-source: name a source in the policy file that measures what the alerts compare.
        policy: parameters: {metric-sources: {sources: [redis-exporter]}}
        fires: tasks: {shop.a: {}}
        silent:
            broker: {transport: memory, url: "memory://"}
            tasks: {shop.a: {}}

Parameters:
    `exporter_matchers`: labels that select this service's celery-exporter, besides its job; {}.
    `broker_matchers`: labels that select this service's broker, besides the job of its exporter; {}.
    `telemetry_matchers`: labels that select the telemetry of this service, besides its name; {}.
    `flower_matchers`: labels that select this service's Flower, besides its job; {}.
    `severities`: severities that replace the default ones, by alert name; {}.
    `urgent_wait`: a queue with a latency target up to this pages a person when it has stopped; 1m.
    `patience`: the shortest time that a problem must last before its alert fires, at most 30m; 5m.
    `backlog_floor`: a queue with fewer messages has no backlog; 10.
    `failed_share`: the share of failed runs of a queue above which an alert fires; 0.05.
    `least_runs`: an alert on a share of runs needs at least this many runs; 20.
    `late_share`: the share of runs that start late or take too long above which an alert fires; 0.05.
    `retried_share`: the share of retries in the runs of a queue above which an alert fires; 0.5.
    `parked_share`: the share of runs that only wait for a rate or a key above which an alert fires; 0.8.
    `wait_objective`: the share of runs that must start within the latency target, over 30 days; 0.99.
    `success_objective`: the share of runs that must succeed, over 30 days; 0.99.
    `memory_share`: the share of its memory limit above which the broker has an alert; 0.8.
    `memory_critical_share`: the share of its memory limit above which the broker pages a person; 0.95.
    `minute`: the seconds of a minute in the times of all alerts, fewer only to try the alerts out; 60.
    `schedule_slack`: how late a scheduled task may be before its schedule is missed; 10m.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, info, warning
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import OF_GUARDS, SIGNALS, Signal, source_of
from policycompiler.model import Workload
from policycompiler.plan import APP, BEAT, Decision, Derived, Parameter, Plan
from policycompiler.policies.watching.alerts.alert import MINUTE_SECONDS, Found, Unseen, sources
from policycompiler.policies.watching.alerts.backlogs import (
    backlog,
    dead_letters,
    drain_time,
    metric_missing,
    unacked,
)
from policycompiler.policies.watching.alerts.brokers import broker_alerts
from policycompiler.policies.watching.alerts.budgets import failed_runs, late_starts
from policycompiler.policies.watching.alerts.criticals import critical_tasks, deaf, failed
from policycompiler.policies.watching.alerts.guards import (
    breakers,
    keys,
    parked,
    store_down,
)
from policycompiler.policies.watching.alerts.lost_workers import below_minimum, no_consumer
from policycompiler.policies.watching.alerts.queues import watched_queues
from policycompiler.policies.watching.alerts.runs import (
    failure_rate,
    killed,
    payload_too_large,
    retry_storm,
    stalled,
    unregistered,
)
from policycompiler.policies.watching.alerts.schedules import (
    beat_down,
    missed,
    not_sent,
    unsuccessful,
    watched_schedules,
)
from policycompiler.policies.watching.alerts.service import (
    broker_down,
    plans_differ,
    sources_down,
    telemetry_down,
    worker_lost,
)
from policycompiler.policies.watching.alerts.slow_runs import slow_runs
from policycompiler.policies.watching.alerts.tuned import DEFAULTS, NAME, Parameters, origin

__all__ = ["NAME", "Parameters", "apply"]

ALERT_MISSING = info("PC530", "alert-missing")
CRITICAL_UNWATCHED = warning("PC531", "critical-unwatched")
EVENTS_OFF_MONITORED = warning("PC532", "events-off-monitored")
ALERT_WITHOUT_SOURCE = info("PC980", "alert-without-source")

_OF_SERVICE = (
    sources_down,
    telemetry_down,
    plans_differ,
    broker_down,
    broker_alerts,
    worker_lost,
    unregistered,
    breakers,
    store_down,
    keys,
)
_OF_QUEUES = (
    no_consumer,
    backlog,
    drain_time,
    metric_missing,
    unacked,
    below_minimum,
    stalled,
    late_starts,
    failure_rate,
    failed_runs,
    killed,
    retry_storm,
    slow_runs,
    payload_too_large,
    parked,
)
_OF_SCHEDULES = (not_sent, missed, unsuccessful)


def apply(spec: Workload, plan: Plan, tuned: Parameters = DEFAULTS) -> Iterator[Decision | Diagnostic]:
    """Decide alerts on the sources, the broker, each queue that runs here, and each schedule."""
    del spec
    yield from _unwatched(plan)
    if not sources(plan):
        transport = plan.text(APP, "broker_transport")
        supports = plan.broker.metrics is None
        which = "celery-exporter does" if supports else "the sources in the policy file do"
        message = f"no queue has an alert: {which} not support {transport}"
        help_text = "monitor the broker's own metrics, or name `telemetry` as a source of metrics"
        yield ALERT_MISSING.at(("broker", "transport"), message, help=help_text)
        return
    unseen: dict[str, Signal] = {}
    for found in _alerts(plan, tuned):
        if not isinstance(found, Unseen):
            yield found
        elif _able(plan, found.signal):
            unseen.setdefault(found.alert, found.signal)
    if unseen:
        yield from _without_source(plan, unseen)
    if tuned.minute != MINUTE_SECONDS:
        because = "the policy file shortens the minutes of alerts"
        yield Decision(APP, "alert_minute_seconds", tuned.minute, because, (origin(tuned, "minute"),))
    yield from _events_off(plan)


def _alerts(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    for of_service in _OF_SERVICE:
        yield from of_service(plan, tuned)
    for queue in watched_queues(plan):
        for of_queue in _OF_QUEUES:
            yield from of_queue(plan, queue, tuned)
        if plan.find(queue.scope, "dead_letter_queue"):
            yield from dead_letters(plan, queue.scope, tuned)
    for task in critical_tasks(plan):
        if not deaf(plan, task):
            yield from failed(plan, task, tuned)
    schedules = watched_schedules(plan) if plan.keys(BEAT) else []
    if schedules:
        yield from beat_down(plan, schedules, tuned)
    for schedule in schedules:
        for of_schedule in _OF_SCHEDULES:
            yield from of_schedule(plan, schedule, tuned)


def _without_source(plan: Plan, unseen: dict[str, Signal]) -> Iterator[Decision | Diagnostic]:
    because = "no source of metrics measures what these alerts compare"
    told = {alert: str(signal) for alert, signal in sorted(unseen.items())}
    cause = Derived(APP, "metric_sources")
    yield Decision(APP, "alerts_without_source", {**told}, because, (cause,))
    path: SpecPath = ()
    chosen = plan.setting(APP, "metric_sources").origins
    if not any(isinstance(each, Parameter) for each in chosen):
        # Without parks, the default sources would show an alert on retries.
        parks = Signal.PARKED in unseen.values()
        unseen = {name: signal for name, signal in unseen.items() if parks and signal in OF_GUARDS}
        told = {name: str(signal) for name, signal in sorted(unseen.items())}
        path = ("store",) if plan.find(APP, "guard_store_variable") else ()
    if told:
        alerts = "an alert" if len(told) == 1 else f"{len(told)} alerts"
        message = f"no source of metrics shows {alerts}: {', '.join(told)}"
        able = sorted({name for signal in unseen.values() for name in _able(plan, signal)})
        help_text = f"name one of these sources in the policy file: {', '.join(able)}"
        yield ALERT_WITHOUT_SOURCE.at(path, message, help=help_text, at_key=bool(path))


def _able(plan: Plan, signal: Signal) -> list[str]:
    """The sources that measure a signal with this broker."""
    transport, events = plan.text(APP, "broker_transport"), plan.broker.metrics is not None
    return [
        name
        for name, each in SOURCES.items()
        if signal in SIGNALS[name] and each.broker in {None, transport} and (events or not each.reads_events)
    ]


def _unwatched(plan: Plan) -> Iterator[Diagnostic]:
    """Critical tasks whose failures no source can count."""
    for task in critical_tasks(plan):
        if why := deaf(plan, task):
            message = f"each failure of {task.name} matters, but no alert can see one: {why}"
            help_text = "report failures in the application, for instance with a task_failure signal handler"
            yield CRITICAL_UNWATCHED.at(("tasks", task.name, "critical"), message, help=help_text)


def _events_off(plan: Plan) -> Iterator[Diagnostic]:
    """Pins that turn the events off that a source needs."""
    source = source_of(Signal.STARTED, sources(plan))
    if source is None or not SOURCES[source].reads_events or not any(watched_queues(plan)):
        return
    for key, whose in (
        ("worker_send_task_events", "workers send no events when runs start or fail"),
        ("task_send_sent_event", "publishers send no events that name the queue of a task"),
    ):
        pin = plan.find(APP, key)
        if pin is not None and pin.policy == "as-written" and not pin.value:
            message = f"{whose}: no alert fires when queues stall or runs fail"
            path = ("celery", "settings", key)
            yield EVENTS_OFF_MONITORED.at(path, message, help=f"remove `{key}`", at_key=True)
    for task in plan.scopes("task"):
        if plan.get(task, "options.send_events") is False and plan.texts(task, "workers"):
            message = f"workers send no events about {task.name}: no alert counts its started and failed runs"
            where = ("tasks", task.name, "options", "send_events")
            yield EVENTS_OFF_MONITORED.at(where, message, help="remove `send_events`", at_key=True)
