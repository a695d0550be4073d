"""How redis_exporter of the service is started.

Decides:
    If `app/metric_sources` has `redis-exporter`: `app/redis_exporter_image` if containers include it;
    `app/redis_exporter` if the policy file names its program; with any of them
    `app/redis_exporter_database` and `app/redis_exporter_keys`.

Because:
    redis_exporter counts only the messages of keys that its command names, and each priority of a queue has
    a key. So the command follows from the plan. Many teams have an exporter for each Redis already, so
    nothing starts it unasked. It reads the URL of the broker, but wants the database of each key once more.
    It does not ask a Sentinel for the master.

Example:
    deploy: {image: "registry.example/shop:1.4.2", include: [redis-exporter]}
    tasks: {shop.mail.send: {}}

    app/redis_exporter_image = "oliver006/redis_exporter:v1.88.0"
    app/redis_exporter_database = 0
    app/redis_exporter_keys = ["shop.standard.io", "unacked"]

Refuses:
    PC978 redis-exporter-sentinel: start redis_exporter yourself, with the address of the master.
        fires:
            broker: {transport: redis, url: "${B}", options: {master_name: shop}}
            deploy: {image: "registry.example/shop:1.4.2", include: [redis-exporter]}
            tasks: {shop.a: {}}
        silent:
            broker: {transport: redis, url: "${B}"}
            deploy: {image: "registry.example/shop:1.4.2", include: [redis-exporter]}
            tasks: {shop.a: {}}

Parameters:
    `image`: the image of redis_exporter; "oliver006/redis_exporter:v1.88.0".
    `program`: path of redis_exporter on hosts; if set, systemd and supervisor start it; null.
    `database`: the number of the Redis database if the URL is a variable; 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.knowledge.metric_sources import REDIS_EXPORTER
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Folder, Image
from policycompiler.plan import APP, Decision, Derived, Origin, Plan, Scope, Value
from policycompiler.plan.queue_lists import queue_lists
from policycompiler.policies.policy import deployed, parameter

NAME = "redis-exporter"

REDIS_EXPORTER_SENTINEL = warning("PC978", "redis-exporter-sentinel")

MASTER = "master_name"
"""The option of a broker behind Sentinel."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    image: Image = Field("oliver006/redis_exporter:v1.88.0", description="image of redis_exporter")
    program: Folder | None = Field(
        None, description="path of redis_exporter on hosts; if set, systemd and supervisor start it"
    )
    database: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="number of the Redis database if the URL is a variable"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Where it runs, and which database it reads."""
    if not plan.find(APP, "metric_sources") or REDIS_EXPORTER.name not in plan.texts(APP, "metric_sources"):
        return
    parts, included = deployed(spec, "include") or ([], None)
    assert isinstance(parts, list)
    contained = included is not None and NAME in parts and plan.find(APP, "image") is not None
    options = plan.get(APP, "broker_transport_options")
    if isinstance(options, dict) and options.get(MASTER):
        if contained or tuned.program is not None:
            yield _sentinel(plan)
        return
    if included is not None and contained:
        image = parameter(NAME, "image", tuned.image)
        because = "the deployment includes it"
        yield Decision(APP, "redis_exporter_image", tuned.image, because, (included, image))
    if tuned.program is not None:
        because = "redis_exporter is installed there, and units start it"
        program = parameter(NAME, "program", tuned.program)
        yield Decision(APP, "redis_exporter", tuned.program, because, (program,))
    if contained or tuned.program is not None:
        yield _database(plan, tuned)
        yield _keys(plan)


def _sentinel(plan: Plan) -> Diagnostic:
    path = plan.written(APP, "broker_transport_options") or ("broker",)
    message = "redis_exporter cannot ask a Sentinel for the master, so nothing starts it"
    help_text = (
        "start it yourself with the address of the master in REDIS_ADDR; docs/monitoring.md has its keys"
    )
    return REDIS_EXPORTER_SENTINEL.at(path, message, help=help_text)


def _keys(plan: Plan) -> Decision:
    """Each list of each queue, also of dead letters, and the hash with the messages that workers hold."""
    queues = plan.scopes("queue")
    dead = {str(name) for queue in queues if (name := plan.get(queue, "dead_letter_queue")) is not None}
    names = sorted({*(queue.name for queue in queues), *dead})
    given = plan.get(APP, "broker_transport_options")
    options = given if isinstance(given, dict) else {}
    held = f"{options.get('global_keyprefix') or ''}{options.get('unacked_key') or 'unacked'}"
    keys: list[Value] = [key for name in names for key in queue_lists(plan, Scope("queue", name))]
    because = "the messages of the service wait there, or are held by workers"
    origins = [Derived(APP, "broker_transport")]
    if given is not None:
        origins.append(Derived(APP, "broker_transport_options"))
    return Decision(APP, "redis_exporter_keys", [*keys, held], because, tuple(origins))


def _database(plan: Plan, tuned: Parameters) -> Decision:
    number, origin = tuned.database, parameter(NAME, "database", tuned.database)
    because = "the URL of the broker is a variable, and the policy file says which database it has"
    origins: tuple[Origin, ...] = (origin,)
    url = plan.get(APP, "broker_url")
    if url is not None:
        path = urlsplit(str(url)).path.strip("/")
        number, origins = int(path) if path.isdecimal() else 0, (Derived(APP, "broker_url"),)
        because = "the URL of the broker has this database"
    return Decision(APP, "redis_exporter_database", number, because, origins)
