"""The environment variables that the outputs read, each with its purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters import exporters
from policycompiler.emitters.commands import (
    TELEMETRY_PORTS,
    TELEMETRY_WORKER,
    URL_VARIABLES,
    required_variables,
    variable,
)
from policycompiler.emitters.containers import ALIVE_VARIABLE, FLOWER, environment_file
from policycompiler.plan import APP, Plan, Scope

Read = tuple[tuple[Scope, str], ...]


class Variable(NamedTuple):
    """A variable: what it is for, who reads it, and a value to begin with.

    An `optional` one has a default in each process that reads it. `read` are the settings that it follows
    from.
    """

    name: str
    purpose: str
    example: str
    read: Read = ()
    optional: bool = False


def variables(plan: Plan) -> Iterator[Variable]:
    """The variables in the order in which a person fills them in, each once."""
    told = set()
    for each in (*_urls(plan), *_slots(plan), *_parts(plan), *_optional(plan)):
        if each.name not in told:
            told.add(each.name)
            yield each


_URLS = (*URL_VARIABLES,)


def _urls(plan: Plan) -> Iterator[Variable]:
    """The URLs of broker and result backend."""
    for each in required_variables(plan):
        read: Read = tuple((APP, key) for key in _URLS if plan.get(APP, key) == each.name)
        url, inside = _url(plan) if (APP, _URLS[0]) in read else ("", ())
        yield Variable(each.name, f"URL of the {each.purpose}, for every process", url, (*read, *inside))


def _url(plan: Plan) -> tuple[str, Read]:
    """The address of the broker in Compose; empty if it runs elsewhere."""
    container = plan.broker.container
    if container is None or plan.find(APP, "broker_image") is None:
        return "", ()
    return container.url.format(host="broker"), ((APP, "broker_transport"),)


def _slots(plan: Plan) -> Iterator[Variable]:
    for worker in plan.scopes("worker"):
        source = str(plan.get(worker, "concurrency_source", ""))
        if source.startswith("${"):
            purpose = f"number of slots of worker {worker.name}"
            yield Variable(variable(source[2:-1]), purpose, "", ((worker, "concurrency_source"),))


def _parts(plan: Plan) -> Iterator[Variable]:
    """What the containers beside workers and beat read, under names of their own."""
    url, inside = _url(plan)
    read: Read = (*inside, (APP, "secret_name"))
    for exporter in exporters.in_containers(plan):
        file = environment_file(plan, exporter.part)
        purpose = f"URL of the broker, for {exporter.source.label}; for Compose in {file}"
        yield Variable(exporter.url, purpose, url, read)
    if plan.find(APP, "flower_image"):
        file = environment_file(plan, FLOWER)
        yield Variable(
            "CELERY_BROKER_URL", f"URL of the broker, for Flower; for Compose in {file}", url, read
        )
        yield Variable(
            "FLOWER_BASIC_AUTH", f"user:password of Flower's page; for Compose in {file}", "", read
        )


def _optional(plan: Plan) -> Iterator[Variable]:
    purpose = "number of the process on its host, if a launch script starts several"
    yield Variable("INSTANCE", purpose, "1", optional=True)
    if plan.scopes("beat"):
        purpose = "file with the time of each last run, for launch/beat.sh"
        yield Variable("BEAT_SCHEDULE", purpose, "celerybeat-schedule", optional=True)
    if alive := plan.get(APP, "alive_file"):
        purpose = "file that a worker touches while it is alive; containers set it, other processes need none"
        yield Variable(ALIVE_VARIABLE, purpose, str(alive), ((APP, "alive_file"),), optional=True)
    yield from _watching(plan)
    keys = plan.get(APP, "scaler_secrets")
    for field, key in sorted(keys.items()) if isinstance(keys, dict) else ():
        purpose = f"`{field}` of the broker for KEDA, a key of the Secret of Kubernetes"
        yield Variable(variable(str(key)), purpose, "", ((APP, "scaler_secrets"),), optional=True)


def _watching(plan: Plan) -> Iterator[Variable]:
    """What decides whether a process serves metrics, and where traces go."""
    read: Read = ((APP, "telemetry_bind"),)
    if plan.find(*read[0]):
        purpose = "port or range of ports for the metrics of a process; scripts, units and containers set it"
        yield Variable(TELEMETRY_PORTS, purpose, "9540-9541", read, optional=True)
        purpose = "name of the worker in its metrics; scripts, units and containers set it"
        yield Variable(TELEMETRY_WORKER, purpose, "", read, optional=True)
    if plan.find(APP, "traces"):
        purpose = "address of the collector of traces, which understands OTLP over HTTP"
        read = ((APP, "traces"),)
        yield Variable("OTEL_EXPORTER_OTLP_ENDPOINT", purpose, "http://localhost:4318", read, optional=True)
