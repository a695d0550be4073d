"""When somebody is told that tasks are late, failing, or not running at all.

Decides:
    The scopes `alert:CeleryExporterDown`, `alert:CeleryBrokerDown`, and for each queue that runs here
    `alert:NAME:QUEUE` of `CeleryQueueNoConsumer`, `CeleryQueueBacklog`, `CeleryQueueStalled`,
    `CeleryWorkersBelowMinimum` and `CeleryTaskFailureRate`; with schedules `alert:CeleryBeatDown` and for
    each of them `alert:CeleryScheduleMissed:SCHEDULE`. Keys: `alert`, `queue`, `team`, `severity`,
    `for_seconds`, `summary`, `description`, and where its expression has them `threshold`,
    `window_seconds`, `minimum`, `tasks`, `task`, `schedule`, `matchers`.

Because:
    A queue's promise says when waiting is trouble: more messages than its workers start within the promise
    will break it; a burst that a task declares is no trouble either. A worker that stops waits for its
    tasks and answers nobody meanwhile, so a restart is not mistaken for a loss; and a slot that the
    longest task holds is not stalled, so the window is longer than that task. A batch queue may thus stall
    for hours before it says so, but its backlog tells sooner. No alert exists where celery-exporter sees
    nothing: it measures queues on Redis and RabbitMQ only, a broadcast queue or another app's has no place
    in its figures, and without task events it knows of no start and no failure.

    Nothing measures beat itself. That it has ended shows when no task of any schedule is sent for longer than
    the most frequent one allows; a task that others send as well hides it. A schedule is missed when its task
    has not started within its longest gap, the promise of its queue, and some slack; where the gap is more
    than eight days no alert watches it, as Prometheus may not look back so far.

    Labels let Alertmanager make one page of one dead worker: what a rule with `inhibits: worker` explains has
    `inhibited_by: worker` and the same `worker`. The rules file begins with the rules for it.

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
    PC530 alert-missing: watch the broker's own metrics; celery-exporter counts on Redis and RabbitMQ only.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}
    PC532 events-off-monitored: remove the pin, so that workers and producers tell of their tasks.
        fires:
            celery: {settings: {worker_send_task_events: false}}
            tasks: {shop.a: {}}
        silent:
            celery: {settings: {worker_send_task_events: true}}
            tasks: {shop.a: {}}

Parameters:
    `exporter_matchers`: labels of this service's celery-exporter, besides its job; {}.
    `broker_matchers`: labels of this service's broker, besides the job of its exporter; {}.
    `severities`: by alert, instead of its own; {}.
    `urgent_wait`: a queue that promises a start within it calls somebody; 60.
    `patience`: the shortest that trouble has to last; 300.
    `backlog_floor`: fewer messages are no backlog; 10.
    `failed_share`: of the runs of a queue; 0.05.
    `least_runs`: a share of fewer says nothing; 20.
    `schedule_slack`: how late a periodic task may be before it is missed; 600.
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
    """Watch the exporter, the broker, and each queue that runs here."""
    del spec
    transport = plan.text(APP, "broker_transport")
    if broker(transport).metrics is None:
        message = f"no queue has an alert: celery-exporter measures nothing on {transport}"
        help_text = "watch the broker's own metrics, such as the age of its oldest message"
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
        ("worker_send_task_events", "workers tell of no start and no failure"),
        ("task_send_sent_event", "nobody tells which queue a task was sent to"),
    ):
        pin = plan.find(APP, key)
        if pin is not None and pin.policy == "as-written" and not pin.value:
            message = f"{whose}: no alert says that tasks stand still or fail"
            path = ("celery", "settings", key)
            yield EVENTS_OFF_MONITORED.at(path, message, help="remove it", at_key=True)
    for task in plan.scopes("task"):
        if plan.get(task, "options.send_events") is False and plan.texts(task, "workers"):
            message = f"nothing is told of {task.name}: no alert counts its starts and failures"
            where = ("tasks", task.name, "options", "send_events")
            yield EVENTS_OFF_MONITORED.at(where, message, help="remove it", at_key=True)
