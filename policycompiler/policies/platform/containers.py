"""What the containers of a service are made of.

Decides:
    With an image: `app/image_user`, `secret_name`, `kubernetes_namespace`, `configuration_directory`,
    `alive_file`, `alive_seconds`; of the parts that it includes `broker_image`, `exporter_image`,
    `flower_image`, `network_policy`, `monitors` and `prometheus_rules`; `autoscaler` if a worker has bounds;
    with beat `beat/cpu_request_cores` and `memory_request_bytes`.

Because:
    Only a team knows its image. Without one there are no containers, and the targets `compose` and
    `kubernetes` have no files. A fixed number as user works with every image, because Kubernetes cannot see
    that a user with a name is not root.

    A worker touches a file while its event loop runs and its broker answers. A probe of the file costs
    nothing, and a busy worker passes it. `celery inspect ping` starts a Python process with the whole
    application each time, and a busy worker of the solo pool does not answer it. The limit is long, because
    a restart does not help against a broker that is away
    (https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/).

Example:
    deploy: {image: "registry.example/shop:1.4.2"}
    tasks: {shop.mail.send: {}}

    app/image = "registry.example/shop:1.4.2"
    app/secret_name = "shop-celery"
    app/image_user = 10001

Refuses:
    PC960 image-tag-moving: write a version as the tag of the image, or a digest.
        fires: deploy: {image: "registry.example/shop:latest"}
        silent: deploy: {image: "registry.example/shop:1.4.2"}
    PC968 part-without-effect: remove the part, or declare what it needs.
        fires:
            deploy: {image: "registry.example/shop:1.4.2", include: [broker]}
            broker: {transport: redis, url: "redis://cache.internal/0"}
        silent:
            deploy: {image: "registry.example/shop:1.4.2", include: [broker]}
    PC961 node-names-equal: write `%h` in the node name, so that each container has its own.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {node_name: "q@fixed", replicas: 2}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {node_name: "q@%h", replicas: 2}}

Parameters:
    `exporter_image`: the image of celery-exporter; "danihodovic/celery-exporter:0.12.2".
    `flower_image`: the image of Flower; "mher/flower:2.0.1".
    `unhealthy_seconds`: the age of the file from which a worker is unhealthy; 600.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.knowledge.metric_sources import REDIS_EXPORTER, TELEMETRY
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Image
from policycompiler.plan import (
    APP,
    BEAT,
    Constant,
    Decision,
    Derived,
    Origin,
    Plan,
    Written,
)
from policycompiler.plan.node_names import has_host
from policycompiler.policies.policy import deployed, parameter

NAME = "containers"

IMAGE_TAG_MOVING = warning("PC960", "image-tag-moving")
NODE_NAMES_EQUAL = warning("PC961", "node-names-equal")
PART_WITHOUT_EFFECT = warning("PC968", "part-without-effect")

AUTOSCALER = "keda"
"""The processor load, by which `hpa` scales, says nothing about tasks that wait."""
IMAGE_USER = 10001
"""A number that no distribution gives to a user of its own."""
SECRET_NAME = "{service}-celery"  # noqa: S105 - a name
NAMESPACE = "{service}"
CONFIGURATION_DIRECTORY = "/etc/{service}"
"""Away from the code, which an image has in a folder that nobody can guess."""
ALIVE_FILE = "/tmp/celery-alive"  # noqa: S108 - in a container of its own
PARTS = ["exporter"]
"""The alert rules need celery-exporter."""
OBJECTS = {"monitors": "monitors", "network-policy": "network_policy", "rules": "prometheus_rules"}
"""The setting of each optional object of Kubernetes."""
BEAT_CPU_CORES = 0.1
"""Beat sleeps nearly always."""
BEAT_MEMORY_BYTES = 134_217_728
"""128 MiB: Celery with an application; measured 50 MB without one."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    exporter_image: Image = Field(
        "danihodovic/celery-exporter:0.12.2", description="image of celery-exporter"
    )
    flower_image: Image = Field("mher/flower:2.0.1", description="image of Flower")
    unhealthy_seconds: Annotated[int, Field(ge=60, le=86400)] = Field(
        600, description="age of the file from which a worker is unhealthy, in seconds"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide what containers share, if there is an image."""
    if plan.find(APP, "image") is None:
        return
    yield from _moving(plan)
    yield from _equal_names(plan)
    service = plan.text(APP, "service")
    for key, field, name, pattern, because in (
        (
            "secret_name",
            "secrets",
            "SECRET_NAME",
            SECRET_NAME,
            "the URLs with their passwords are only there",
        ),
        ("kubernetes_namespace", "namespace", "NAMESPACE", NAMESPACE, "each service has its own namespace"),
    ):
        origins = (Derived(APP, "service"), Constant(name, pattern))
        value, origin = deployed(spec, field) or (pattern.format(service=service.rstrip("-")), None)
        yield Decision(APP, key, value, because, origins if origin is None else (origin,))
    user, origin = deployed(spec, "image_user") or (IMAGE_USER, Constant("IMAGE_USER", IMAGE_USER))
    yield Decision(APP, "image_user", user, "a number shows that the user is not root", (origin,))
    folder = CONFIGURATION_DIRECTORY.format(service=service)
    because = "PYTHONPATH names this folder, so Python finds celeryconfig.py and the image stays as it is"
    origins = (Derived(APP, "service"), Constant("CONFIGURATION_DIRECTORY", CONFIGURATION_DIRECTORY))
    yield Decision(APP, "configuration_directory", folder, because, origins)
    yield from _autoscaler(spec, plan)
    yield from _alive(tuned)
    yield from _parts(spec, plan, tuned)
    if plan.scopes("beat"):
        yield from _of_beat()


def _moving(plan: Plan) -> Iterator[Diagnostic]:
    image = plan.text(APP, "image")
    if "@sha256:" in image:
        return
    tag = image.rpartition("/")[2].partition(":")[2]
    if tag in {"", "latest"}:
        path = plan.written(APP, "image") or ()
        message = (
            f"image {image} has no fixed version, so a restart may start other code, and a rollback cannot"
        )
        yield IMAGE_TAG_MOVING.at(path, message, help="write a version as the tag, or a digest")


def _equal_names(plan: Plan) -> Iterator[Diagnostic]:
    """Containers have no number, so only the host distinguishes the processes of a worker."""
    for worker in plan.scopes("worker"):
        name = str(plan.get(worker, "node_name", ""))
        several = plan.number(worker, "replicas") > 1
        if plan.get(worker, "node_name_is_whole") and several and not has_host(name):
            message = f"each container of worker {worker.name} has the node name {name}"
            help_text = "write `%h` after the `@`: it is the name of the container"
            yield NODE_NAMES_EQUAL.at(("workers", worker.name, "node_name"), message, help=help_text)


def _autoscaler(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """What scales the workers that have bounds."""
    bounds = [Derived(worker, "scaling") for worker in plan.scopes("worker") if plan.find(worker, "scaling")]
    if bounds:
        kind, origin = deployed(spec, "autoscaler") or (AUTOSCALER, Constant("AUTOSCALER", AUTOSCALER))
        because = "it scales by the length of the queues, and reaches workers that wait for other systems"
        yield Decision(APP, "autoscaler", kind, because, (origin, *bounds))


def _alive(tuned: Parameters) -> Iterator[Decision]:
    because = "a probe of a file costs nothing, and a busy worker passes it"
    yield Decision(APP, "alive_file", ALIVE_FILE, because, (Constant("ALIVE_FILE", ALIVE_FILE),))
    because = "a restart does not bring back a broker, so a worker may be without it for this long"
    found = parameter(NAME, "unhealthy_seconds", tuned.unhealthy_seconds)
    yield Decision(APP, "alive_seconds", tuned.unhealthy_seconds, because, (found,))


def _without_effect(plan: Plan, parts: Sequence[object]) -> dict[str, str]:
    """The parts that cannot be there, each with the reason."""
    why = {}
    label = plan.broker.label
    if plan.broker.container is None:
        why["broker"] = f"{label} has no container of its own"
    elif plan.find(APP, "broker_url_variable") is None:
        why["broker"] = "no variable has the URL of the broker, so the processes would use another broker"
    if plan.broker.metrics is None:
        why["exporter"] = f"celery-exporter does not support {label}"
    measured = plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []
    if REDIS_EXPORTER.name not in measured:
        why[REDIS_EXPORTER.name] = f"{REDIS_EXPORTER.label} is no source of metrics of this service"
    scraped = {"exporter", REDIS_EXPORTER.name} & set(map(str, parts)) - set(why)
    if not scraped and TELEMETRY.name not in measured:
        why["monitors"] = "there is neither an exporter nor telemetry that Prometheus could scrape"
    return {part: reason for part, reason in why.items() if part in parts}


def _parts(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """The image of each part beside workers and beat, and the optional objects of Kubernetes."""
    parts, origin = deployed(spec, "include") or ([*PARTS], Constant("PARTS", [*PARTS]))
    assert isinstance(parts, list)
    unfit = _without_effect(plan, parts)
    if isinstance(origin, Written):
        for part, why in unfit.items():
            path = (*origin.path, parts.index(part))
            message = f"part `{part}` has no effect: {why}"
            yield PART_WITHOUT_EFFECT.at(path, message, help=f"remove `{part}`, or declare what it needs")
    parts = [part for part in parts if part not in unfit]
    container = plan.broker.container
    if container is not None and "broker" in parts:
        tag = plan.get(APP, "broker_version", container.version)
        origins: tuple[Origin, ...] = (origin, Derived(APP, "broker_transport"))
        if plan.find(APP, "broker_version"):
            origins = (*origins, Derived(APP, "broker_version"))
        yield Decision(APP, "broker_image", f"{container.image}:{tag}", "the deployment includes it", origins)
    images = {"exporter": tuned.exporter_image, "flower": tuned.flower_image}
    for part, image in images.items():
        if part in parts:
            because = (
                "the alert rules need celery-exporter" if part == "exporter" else "the deployment includes it"
            )
            key = f"{part}_image"
            yield Decision(APP, key, image, because, (origin, parameter(NAME, key, image)))
    for part, key in OBJECTS.items():
        if part in parts:
            yield Decision(APP, key, value=True, because="the deployment includes it", origins=(origin,))


def _of_beat() -> Iterator[Decision]:
    for key, value, name, because in (
        ("cpu_request_cores", BEAT_CPU_CORES, "BEAT_CPU_CORES", "beat sleeps nearly always"),
        ("memory_request_bytes", BEAT_MEMORY_BYTES, "BEAT_MEMORY_BYTES", "beat loads the application once"),
    ):
        yield Decision(BEAT, key, value, because, (Constant(name, value),))
