"""Alerts for tasks that are late, fail, or do not run.

Decides:
    The scopes `alert:CeleryExporterDown`, `alert:CeleryBrokerDown`, and for each queue that runs here
    `alert:NAME:QUEUE` of `CeleryQueueNoConsumer`, `CeleryQueueBacklog`, `CeleryQueueStalled`,
    `CeleryWorkersBelowMinimum` and `CeleryTaskFailureRate`; with schedules `alert:CeleryBeatDown` and for
    each of them `alert:CeleryScheduleMissed:SCHEDULE`. Keys: `alert`, `queue`, `team`, `severity`,
    `for_seconds`, `summary`, `description`, and if its expression uses them `threshold`,
    `window_seconds`, `minimum`, `tasks`, `task`, `schedule`, `matchers`.

Because:
    A queue has a backlog when it holds more messages than its workers can start within its latency target. A
    declared burst does not count as a backlog.

    A worker that stops waits for its runs and does not answer celery-exporter. The alerts wait longer than
    a restart, so a restart is not a lost worker. A queue has stalled when no run starts for longer than its
    longest task may take. A queue for batch tasks can be stalled for hours before that alert fires. Its
    backlog alert fires sooner.

    A queue has no alert where celery-exporter cannot measure it. celery-exporter supports queues on Redis and
    RabbitMQ. It cannot measure broadcast queues and queues of other apps. Without task events it counts no
    started and no failed runs.

    No exporter measures beat. The alert fires when no scheduled task was sent for longer than the most
    frequent schedule allows. Other publishers of these tasks can hide a stopped beat. A schedule is missed
    when its task has not started within its longest gap, plus the latency target of its queue and
    `schedule_slack`. A schedule with a gap of more than eight days has no alert, because Prometheus may not
    keep data for so long.

    Labels let Alertmanager send one page for one lost worker. A rule with the label `inhibits: worker`
    inhibits the rules with `inhibited_by: worker` and the same label `worker`. The Alertmanager
    configuration for it is at the top of the rules file.

Example:
    tasks:
      shop.mail.send: {queue: mail, latency: interactive, owner: storefront, runtime: {p50: 300ms, p99: 3s}}
    workers:
      mail: {queues: [mail], concurrency: 18, replicas: 2, stop_timeout: 30s}

    alert:CeleryQueueBacklog:mail/threshold = 74
    alert:CeleryQueueBacklog:mail/team = "storefront"
    alert:CeleryQueueNoConsumer:mail/severity = "critical"
    alert:CeleryQueueNoConsumer:mail/for_seconds = 360
    alert:CeleryWorkersBelowMinimum:mail/minimum = 2

Refuses:
    PC530 alert-missing: monitor the broker's own metrics; celery-exporter supports only Redis and RabbitMQ.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}
    PC532 events-off-monitored: remove the pin, so that workers and publishers send task events.
        fires:
            celery: {settings: {worker_send_task_events: false}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {worker_send_task_events: true}}
            tasks: {shop.a: {}}

Parameters:
    `exporter_matchers`: labels that select this service's celery-exporter, besides its job; {}.
    `broker_matchers`: labels that select this service's broker, besides the job of its exporter; {}.
    `severities`: severities that replace the default ones, by alert name; {}.
    `urgent_wait`: a queue with a latency target up to this pages a person when it has stopped; 1m.
    `patience`: the shortest time that a problem must last before its alert fires; 5m.
    `backlog_floor`: a queue with fewer messages has no backlog; 10.
    `failed_share`: the share of failed runs of a queue above which an alert fires; 0.05.
    `least_runs`: the alert on failed runs needs at least this many runs; 20.
    `schedule_slack`: how late a scheduled task may be before its schedule is missed; 10m.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, info, warning
from policycompiler.knowledge.brokers import broker
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Plan
from policycompiler.policies.watching.alerts.backlogs import backlog
from policycompiler.policies.watching.alerts.lost_workers import below_minimum, no_consumer
from policycompiler.policies.watching.alerts.queues import watched_queues
from policycompiler.policies.watching.alerts.runs import failure_rate, stalled, tells_of_runs
from policycompiler.policies.watching.alerts.schedules import beat_down, has_beat, missed, watched_schedules
from policycompiler.policies.watching.alerts.service import broker_down, exporter_down
from policycompiler.policies.watching.alerts.tuned import DEFAULTS, NAME, Parameters

__all__ = ["NAME", "Parameters", "apply"]

ALERT_MISSING = info("PC530", "alert-missing")
EVENTS_OFF_MONITORED = warning("PC532", "events-off-monitored")


def apply(spec: Workload, plan: Plan, tuned: Parameters = DEFAULTS) -> Iterator[Decision | Diagnostic]:
    """Decide alerts on the exporter, the broker, and each queue that runs here."""
    del spec
    transport = plan.text(APP, "broker_transport")
    if broker(transport).metrics is None:
        message = f"no queue has an alert: celery-exporter does not support {transport}"
        help_text = "monitor the broker's own metrics, such as the age of its oldest message"
        yield ALERT_MISSING.at(("broker", "transport"), message, help=help_text)
        return
    yield from exporter_down(plan, tuned)
    yield from broker_down(plan, tuned)
    queues = list(watched_queues(plan))
    if queues:
        yield from _events_off(plan)
    for queue in queues:
        yield from no_consumer(plan, queue, tuned)
        yield from backlog(plan, queue, tuned)
        yield from below_minimum(plan, queue, tuned)
        if tells_of_runs(plan, queue):
            yield from stalled(plan, queue, tuned)
            yield from failure_rate(plan, queue, tuned)
    schedules = watched_schedules(plan) if has_beat(plan) else []
    if schedules:
        yield from beat_down(plan, schedules, tuned)
    told = {queue.scope.name for queue in queues if tells_of_runs(plan, queue)}
    for schedule in schedules:
        if plan.text(schedule.task, "queue") in told:
            yield from missed(plan, schedule, tuned)


def _events_off(plan: Plan) -> Iterator[Diagnostic]:
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
