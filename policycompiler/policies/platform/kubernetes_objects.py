"""The names of objects on Kubernetes, and the volume of beat.

Decides:
    With an image: `app/kubernetes_name`, the first part of all names; `worker:NAME/kubernetes_name`; with a
    schedule file `beat/schedule_volume_bytes`.

Because:
    A name on Kubernetes has lower-case letters, digits and `-`, and a worker may have others. A name depends
    on its own worker only, so a new worker renames no other. If two names were equal, one Deployment would
    replace the other.

    Beat stores when it last sent each schedule. Without the file an interval starts again, so beat never
    sends a weekly task if its pod is replaced every day. A claim keeps the file for the next pod.

Example:
    deploy: {image: "registry.example/shop:1.4.2"}
    queues: {q: {}}
    workers: {Big_Reports: {queues: [q]}}

    worker:Big_Reports/kubernetes_name = "shop-worker-big-reports"

Refuses:
    PC940 kubernetes-name-taken: rename the worker.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            queues: {q: {}}
            workers: {a.b: {queues: [q]}, a-b: {queues: [q]}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            queues: {q: {}}
            workers: {a.b: {queues: [q]}, a-c: {queues: [q]}}
    PC941 schedule-file-lost: remove the parameter, or use a scheduler that stores its entries elsewhere.
        when: the parameter `beat_volume_mib` is 0, and beat stores its last runs in a file.
    PC942 read-only-file: remove `statedb`, or write a path below /tmp.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            queues: {q: {}}
            workers: {q: {options: {statedb: /var/lib/shop/state}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            queues: {q: {}}
            workers: {q: {options: {statedb: /tmp/state}}}

    PC953 slots-of-node: write a number of slots, or a variable that the Secret sets.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            queues: {q: {}}
            workers: {q: {concurrency: auto}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            queues: {q: {}}
            workers: {q: {concurrency: 4}}

Parameters:
    `beat_volume_mib`: the size of the volume for the schedule file of beat, in MiB; 0 keeps the file in the
    pod; 1024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, warning
from policycompiler.knowledge.kubernetes import LONGEST_NAME, WORKER, object_name
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Plan
from policycompiler.policies.policy import parameter

NAME = "kubernetes-objects"

KUBERNETES_NAME_TAKEN = warning("PC940", "kubernetes-name-taken")
SCHEDULE_FILE_LOST = warning("PC941", "schedule-file-lost")
READ_ONLY_FILE = warning("PC942", "read-only-file")
SLOTS_OF_NODE = warning("PC953", "slots-of-node")

_MIB = 1024 * 1024
_HASH = 6
WRITABLE = "/tmp/"  # noqa: S108 - in a container of its own
"""The only folder of a container that a worker may write in."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    beat_volume_mib: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        1024,
        description="size of the volume for the schedule file of beat, in MiB; 0 keeps the file in the pod",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide names, if there is an image."""
    del spec
    if plan.find(APP, "image") is None:
        return
    prefix = plan.text(APP, "service").rstrip("-")
    because = "names of one service begin with its name"
    yield Decision(APP, "kubernetes_name", prefix, because, (Derived(APP, "service"),))
    yield from _names(plan, prefix)
    yield from _state(plan)
    yield from _slots(plan)
    if plan.scopes("beat") and plan.get(BEAT, "store", "file") == "file":
        size = tuned.beat_volume_mib
        because = "the next pod of beat continues where the last one stopped"
        found = parameter(NAME, "beat_volume_mib", size)
        yield Decision(BEAT, "schedule_volume_bytes", size * _MIB, because, (found,))
        if not size:
            message = (
                "each new pod of beat starts without its schedule file: intervals start again, and runs that "
                "were due meanwhile are not sent"
            )
            help_text = "remove the parameter `beat_volume_mib`, or use a scheduler with a store"
            yield SCHEDULE_FILE_LOST.at(("schedules",), message, help=help_text)


def _names(plan: Plan, prefix: str) -> Iterator[Decision | Diagnostic]:
    sharing: dict[str, list[str]] = {}
    for worker in plan.scopes("worker"):
        sharing.setdefault(_plain(prefix, worker.name), []).append(worker.name)
    for worker in plan.scopes("worker"):
        plain = _plain(prefix, worker.name)
        name = object_name(prefix, WORKER, plain)
        # A worker whose name is not changed keeps it.
        taken = len(sharing[plain]) > 1 and worker.name != plain
        because = "the name of the worker in the letters that Kubernetes allows"
        if taken or not plain or len(name) > LONGEST_NAME:
            name = _unequal(name, worker.name)
            because = "the plain name is taken or too long, so a hash of the worker's name follows"
        origins = (Derived(APP, "kubernetes_name"), Constant("LONGEST_NAME", LONGEST_NAME))
        yield Decision(worker, "kubernetes_name", name, because, origins)
        if taken:
            others = ", ".join(other for other in sharing[plain] if other != worker.name)
            message = (
                f"on Kubernetes, worker {worker.name} would have the name of worker {others}, so it has the "
                f"name {name}"
            )
            help_text = "rename the worker, so that names differ in more than `.`, `_` and capitals"
            yield KUBERNETES_NAME_TAKEN.at(("workers", worker.name), message, help=help_text)


def _plain(prefix: str, worker: str) -> str:
    """The name of a worker in lower-case letters, digits and `-`, without that of the service."""
    return re.sub(r"[^a-z0-9]+", "-", worker.lower()).strip("-").removeprefix(f"{prefix}-")


def _unequal(name: str, worker: str) -> str:
    end = sha256(worker.encode()).hexdigest()[:_HASH]
    return f"{name[: LONGEST_NAME - _HASH - 1].rstrip('-')}-{end}"


def _state(plan: Plan) -> Iterator[Diagnostic]:
    for worker in plan.scopes("worker"):
        path = plan.get(worker, "statedb")
        if path is not None and not str(path).startswith(WRITABLE):
            message = f"a container cannot write `{path}`, so worker {worker.name} does not start"
            help_text = "remove `statedb`, or write a path below /tmp, which each container has for itself"
            where = plan.written(worker, "statedb") or ("workers", worker.name)
            yield READ_ONLY_FILE.at(where, message, help=help_text)


def _slots(plan: Plan) -> Iterator[Diagnostic]:
    """A container sees all cores of its node, whatever it requests."""
    for worker in plan.scopes("worker"):
        source = plan.find(worker, "concurrency_source")
        if source is not None and not str(source.value).startswith("${"):
            message = (
                f"worker {worker.name} has a slot for each core of its machine, not of its container, so its "
                "memory depends on the machine"
            )
            where = plan.written(worker, "concurrency_source") or ("workers", worker.name)
            help_text = "write a number of slots, or a variable such as `${CELERY_CONCURRENCY}`"
            yield SLOTS_OF_NODE.at(where, message, help=help_text)
