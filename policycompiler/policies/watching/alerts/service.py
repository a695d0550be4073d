"""Alerts on the whole service: its sources of metrics, the broker, and the plan that its processes run."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.signals import SIGNALS, Signal
from policycompiler.plan import APP, Derived, Plan, Value
from policycompiler.policies.watching.alerts.alert import (
    PAGE,
    TICKET,
    About,
    Choice,
    Found,
    constant,
    decide,
    patience,
    sources,
    span,
)
from policycompiler.policies.watching.alerts.first_steps import ask_broker, start
from policycompiler.policies.watching.alerts.tuned import Parameters

BROKER_PATIENCE_SECONDS = 60
"""Two scrapes: without a broker no task is sent and no task runs."""
ROLLOUT_SECONDS = 3600
"""A rollout with long runs is over by then."""
SEEN_UP_SECONDS = 3600
"""A process that was there within this time is missed."""


def sources_down(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """An alert for each source without whose metrics other alerts cannot fire."""
    for name in sources(plan):
        each = SOURCES[name]
        # Prometheus scrapes such a broker directly, so the broker itself is down.
        is_broker = each.broker is not None and Signal.BROKER_UP not in SIGNALS[name]
        if each.in_workers or is_broker:
            continue
        choices = {
            "severity": constant("PAGE", PAGE, f"no alert on metrics of {each.label} can fire"),
            "for_seconds": patience(tuned, f"a restart of {each.label} is over by then"),
        }
        also = f" {each.label} also fails while the broker is down." if each.fails_with_broker else ""
        description = (
            f"Prometheus cannot scrape {each.label}, or has no target for it. "
            f"No alert on its metrics can fire.{also} "
            f"First: curl the /metrics of {each.label}, then restart its unit."
        )
        summary = f"{plan.text(APP, 'service')}: {each.label} is not scraped"
        about = About(suffix=name)
        yield from decide(
            plan, "CeleryExporterDown", about, (), choices, (summary, description), tuned, measured=[name]
        )


def telemetry_down(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """No process of the service is scraped."""
    if not plan.scopes("worker"):
        return
    choices = {
        "severity": constant("PAGE", PAGE, "neither workers nor beat run, or nobody would see it"),
        "for_seconds": patience(tuned, "a restart of all workers is over by then"),
    }
    description = (
        "Prometheus scrapes neither a worker nor beat of this service. All are down, or it cannot reach "
        f"their ports. {start(plan, plan.scopes('worker'))}"
    )
    summary = f"{plan.text(APP, 'service')}: no process is scraped"
    yield from decide(
        plan, "CeleryTelemetryDown", About(), (Signal.PLAN,), choices, (summary, description), tuned
    )


def plans_differ(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """Processes run settings of two compiles, long after a rollout."""
    choices = {
        "severity": constant("TICKET", TICKET, "the processes run, with different settings"),
        "for_seconds": constant("ROLLOUT_SECONDS", ROLLOUT_SECONDS, "a rollout is over by then"),
    }
    description = (
        f"Processes of this service have run different plans for {span(choices['for_seconds'])}. "
        "First: policycompiler verify --live, then restart the processes with the earlier plan."
    )
    summary = f"{plan.text(APP, 'service')}: processes run different plans"
    yield from decide(
        plan, "CeleryPlansDiffer", About(), (Signal.PLAN,), choices, (summary, description), tuned
    )


def broker_down(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """No task is sent and no task runs."""
    of_broker = [name for name in sources(plan) if SOURCES[name].broker is not None]
    if not of_broker:
        return
    choices = {
        "severity": constant("PAGE", PAGE, "without a broker no task is sent and no task runs"),
        "for_seconds": constant(
            "BROKER_PATIENCE_SECONDS", BROKER_PATIENCE_SECONDS, "a single failed scrape is not an outage"
        ),
    }
    description = (
        f"{plan.broker.label} is unreachable. Without the broker no task is sent or run. {ask_broker(plan)}"
    )
    summary = f"{plan.text(APP, 'service')}: the broker is down"
    yield from decide(
        plan, "CeleryBrokerDown", About(), (), choices, (summary, description), tuned, measured=of_broker[:1]
    )


def worker_lost(plan: Plan, tuned: Parameters) -> Iterator[Found]:
    """A named worker process has gone; not in containers, where each has another name."""
    workers = [worker for worker in plan.scopes("worker") if not plan.find(worker, "scaling")]
    if plan.find(APP, "image") or not workers:
        return
    names, origins = dict[Value, None](), []
    for worker in workers:
        name = plan.text(worker, "node_name")
        whole = bool(plan.get(worker, "node_name_is_whole"))
        # celery-exporter shows what follows the `@`, and a process adds its number and its host.
        names[name.partition("@")[2].replace("%h", "*") + ("" if whole else ".*")] = None
        origins.append(Derived(worker, "node_name"))
    nodes: Value = [*names]
    choices = {
        "severity": constant("TICKET", TICKET, "other alerts page if a queue needs the worker"),
        "for_seconds": patience(tuned, "a restart is over by then"),
        "window_seconds": constant(
            "SEEN_UP_SECONDS", SEEN_UP_SECONDS, "a process that was there an hour ago is missed"
        ),
        "nodes": Choice(nodes, "the workers of this service have these hosts in their names", tuple(origins)),
    }
    description = (
        "A worker process that answered within the last hour has gone. After a planned removal the alert "
        f"ends within an hour. {start(plan, workers)}"
    )
    summary = f"{plan.text(APP, 'service')}: a worker process is lost"
    signals = (Signal.WORKER_UP,)
    yield from decide(plan, "CeleryWorkerLost", About(), signals, choices, (summary, description), tuned)
