"""How KEDA counts the messages of workers.

Decides:
    With an image, for workers with `replicas: {min, max}` and KEDA: `app/scaler`, `scaler_fields`,
    `scaler_secrets`; `worker:NAME/scaling_sources`.

Because:
    KEDA does not read the URLs that Celery reads. For Redis it wants host and port, the number of the
    database and the password each for itself. For RabbitMQ it wants the URL of the management API, because
    the protocol of clients does not count the messages that workers hold. So the Secret needs keys of its
    own. A URL without credentials in the workload needs none.

    Redis keeps a queue with priorities in one list for each step, and KEDA adds up the lists that it gets.

Example:
    deploy: {image: "registry.example/shop:1.4.2"}
    tasks: {shop.a: {queue: q}}
    workers: {q: {replicas: {min: 1, max: 4}}}

    app/scaler = "redis"
    worker:q/scaling_sources = ["q"]

Refuses:
    PC943 scaling-unreadable: write `deploy: {autoscaler: hpa}`, or a fixed number of replicas.
        fires:
            broker: {transport: sqs, url: "${B}"}
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}
    PC949 scaling-needs-keys: add the keys to the Secret.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}
        silent:
            broker: {transport: redis, url: "redis://redis:6379/0"}
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}

Parameters:
    `database`: the number of the Redis database that KEDA reads if the URL is a variable; 0.
    `tls`: whether KEDA encrypts its connection if the URL is a variable; false.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, info, warning
from policycompiler.knowledge.brokers import Scaler
from policycompiler.knowledge.kubernetes import KEDA
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Derived, Origin, Plan, Scope, Value
from policycompiler.plan.queue_lists import queue_lists
from policycompiler.policies.policy import parameter

NAME = "scaler"

SCALING_UNREADABLE = warning("PC943", "scaling-unreadable")
SCALING_NEEDS_KEYS = info("PC949", "scaling-needs-keys", Profile.STRICT)


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    database: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="number of the Redis database that KEDA reads if the URL is a variable"
    )
    tls: bool = Field(
        default=False, description="whether KEDA encrypts its connection if the URL is a variable"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide how KEDA reads the broker, and the sources of each worker with bounds."""
    del spec
    if plan.get(APP, "autoscaler") != KEDA:
        return
    scaled = [worker for worker in plan.scopes("worker") if plan.find(worker, "scaling")]
    scaler = _scaler(plan)
    if scaler is None:
        yield from (_unreadable(plan, worker) for worker in scaled)
        return
    yield from _connection(plan, scaler, tuned)
    for worker in scaled:
        sources: list[Value] = [name for queue in _queues(plan, worker) for name in queue_lists(plan, queue)]
        origins: list[Origin] = [Derived(worker, "queues")]
        if plan.find(APP, "broker_transport_options"):
            origins.append(Derived(APP, "broker_transport_options"))
        because = "the messages of the worker wait there"
        yield Decision(worker, "scaling_sources", sources, because, tuple(origins))


def _options(plan: Plan) -> dict[str, Value]:
    found = plan.get(APP, "broker_transport_options")
    return found if isinstance(found, dict) else {}


def _scaler(plan: Plan) -> Scaler | None:
    """How KEDA counts the messages; None if it cannot."""
    options = _options(plan)
    return next((each for each in plan.broker.scalers if not each.option or options.get(each.option)), None)


def _unreadable(plan: Plan, worker: Scope) -> Diagnostic:
    transport, most = plan.broker.label, int(plan.number(worker, "replicas"))
    message = (
        f"KEDA cannot count messages on {transport} with what a workload says, so worker {worker.name} has "
        f"{most} processes all the time"
    )
    help_text = "write `deploy: {autoscaler: hpa}` if its tasks compute, or a fixed number of replicas"
    return SCALING_UNREADABLE.at(("workers", worker.name, "replicas"), message, help=help_text)


def _connection(plan: Plan, scaler: Scaler, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """How KEDA reaches the broker: by a URL without credentials, else by keys of the Secret."""
    because = "KEDA counts messages in the broker"
    origins_of_kind = (Derived(APP, "autoscaler"), Derived(APP, "broker_transport"))
    yield Decision(APP, "scaler", scaler.kind, because, origins_of_kind)
    fields: dict[str, Value] = dict(scaler.fields)
    origins: list[Origin] = [Derived(APP, "scaler")]
    if scaler.option:
        fields[scaler.option_field] = str(_options(plan)[scaler.option])
        origins.append(Derived(APP, "broker_transport_options"))
    url = plan.find(APP, "broker_url")
    parts = urlsplit(str(url.value)) if url is not None and scaler.address else None
    database, tls = tuned.database, tuned.tls
    if parts is not None and parts.hostname:
        assert plan.broker.container is not None
        fields[scaler.address] = f"{parts.hostname}:{parts.port or plan.broker.container.port}"
        number = parts.path.strip("/")
        database, tls = int(number) if number.isdecimal() else 0, parts.scheme == "rediss"
        origins.append(Derived(APP, "broker_url"))
    else:
        origins += [parameter(NAME, "database", tuned.database), parameter(NAME, "tls", tuned.tls)]
    if scaler.database:
        fields[scaler.database] = str(database)
    if scaler.tls and (tls or plan.get(APP, "broker_use_ssl")):
        fields[scaler.tls] = "true"
    yield Decision(APP, "scaler_fields", fields, "all triggers read the same broker", tuple(origins))
    if scaler.address not in fields:
        secrets: dict[str, Value] = dict(scaler.secrets)
        because = "KEDA does not read the URLs that Celery reads"
        yield Decision(APP, "scaler_secrets", secrets, because, (Derived(APP, "scaler"),))
        yield _needs_keys(plan, scaler, fields)


def _needs_keys(plan: Plan, scaler: Scaler, fields: Mapping[str, Value]) -> Diagnostic:
    needed = scaler.secrets[scaler.needed]
    optional = sorted(key for key in scaler.secrets.values() if key != needed)
    message = (
        f"KEDA reads the address of the broker from key {needed} of Secret {plan.text(APP, 'secret_name')}"
    )
    if optional:
        message += f", and if they are there {', '.join(optional)}"
    help_text = f"add {needed} to the Secret"
    if scaler.database:
        how = "with" if scaler.tls in fields else "without"
        message += f"; it reads database {fields[scaler.database]} {how} TLS"
        help_text += f", and set `database` and `tls` of the policy {NAME} if they differ"
    path = plan.written(APP, "secret_name") or ("deploy",)
    return SCALING_NEEDS_KEYS.at(path, message, help=help_text)


def _queues(plan: Plan, worker: Scope) -> list[Scope]:
    """The queues whose messages its processes share."""
    left = set(plan.texts(worker, "exclude_queues")) if plan.find(worker, "exclude_queues") else set()
    queues = [Scope("queue", name) for name in plan.texts(worker, "queues") if name not in left]
    return [queue for queue in queues if not plan.value(queue, "broadcast")]
