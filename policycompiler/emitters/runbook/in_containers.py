"""The same commands for processes in containers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from policycompiler.emitters import exporters
from policycompiler.emitters.commands import name
from policycompiler.emitters.kubernetes.objects import part_name, selector
from policycompiler.emitters.runbook.about import About
from policycompiler.emitters.runbook.on_hosts import SEARCHED, Label
from policycompiler.knowledge.kubernetes import BEAT, WORKER
from policycompiler.knowledge.runbook import Deed
from policycompiler.plan import APP, Plan, Scope

_OF_BEAT = (Deed.BEAT_STATE, Deed.BEAT_LOGS, Deed.BEAT_RESTART, Deed.SENDS)
_OF_EXPORTER = (Deed.EXPORTER_STATE, Deed.EXPORTER_RESTART)
_STATES = (Deed.PROCESSES, Deed.BEAT_STATE, Deed.EXPORTER_STATE)
_LOGS = (Deed.LOGS, Deed.BEAT_LOGS, Deed.FAILURES, Deed.SENDS)
_KILLED = "custom-columns=POD:.metadata.name,ENDED:.status.containerStatuses[*].lastState.terminated.reason"


def kubernetes(
    plan: Plan, deed: Deed | str, about: About, workers: Sequence[Scope], label: Label
) -> list[str]:
    """The commands for Kubernetes; a text is a command inside a container of the first worker."""
    kubectl = f"kubectl --namespace {plan.text(APP, 'kubernetes_namespace')}"
    if not isinstance(deed, Deed):
        return [f"{kubectl} exec deployment/{plan.text(workers[0], 'kubernetes_name')} -- {deed}"]
    if deed in _OF_BEAT:
        return [f"{kubectl} {_of(deed, part_name(plan, BEAT), BEAT)}"]
    if deed in _OF_EXPORTER:
        names = [each.source.name for each in about.among(exporters.in_containers(plan))]
        return [f"{kubectl} {_of(deed, part_name(plan, each), each)}" for each in names]
    found = []
    for worker in workers:
        deployment = plan.text(worker, "kubernetes_name")
        words = _of(deed, deployment, WORKER)
        if deed is Deed.MORE:
            most = int(plan.number(worker, "replicas")) + 1
            words = f"scale deployment/{deployment} --replicas={most}"
        found.append(f"{kubectl} {words}{label(worker)}")
    return found


def _of(deed: Deed, deployment: str, component: str) -> str:
    chosen = ",".join(f"{key}={value}" for key, value in selector(deployment, component).items())
    if deed in _STATES:
        return f"get pods --selector {chosen}"
    if deed in _LOGS:
        return f"logs --selector {chosen} --since=1h --tail=-1 --prefix{_search(deed)}"
    if deed is Deed.KILLS:
        return f"get pods --selector {chosen} --output '{_KILLED}'"
    if deed is Deed.START:
        return f"describe deployment/{deployment}"
    return f"rollout restart deployment/{deployment}"


def _search(deed: Deed) -> str:
    return f" | grep --extended-regexp {shlex.quote(SEARCHED[deed])}" if deed in SEARCHED else ""


def compose(plan: Plan, deed: Deed | str, about: About, workers: Sequence[Scope], label: Label) -> list[str]:
    """The commands for Compose, in the folder with `compose.yaml`."""
    if not isinstance(deed, Deed):
        return [f"docker compose exec {_service(workers[0])} {deed}"]
    if deed in _OF_BEAT:
        return [_composed(deed, "beat")]
    if deed in _OF_EXPORTER:
        return [_composed(deed, each.part) for each in about.among(exporters.in_containers(plan))]
    return [
        _composed(deed, _service(worker), int(plan.number(worker, "replicas"))) + label(worker)
        for worker in workers
    ]


def _service(worker: Scope) -> str:
    return f"worker-{name(worker.name)}"


def _composed(deed: Deed, service: str, replicas: int = 1) -> str:
    if deed is Deed.KILLS:
        ids = f"$(docker compose ps --all --quiet {service})"
        return f"docker inspect --format '{{{{.Name}}}} {{{{.State.OOMKilled}}}}' {ids}"
    if deed in _STATES:
        verb = "ps --all"
    elif deed in _LOGS:
        return f"docker compose logs --since=1h {service}{_search(deed)}"
    elif deed is Deed.MORE:
        verb = f"up --detach --scale {service}={replicas + 1}"
    elif deed in (Deed.START, Deed.BEAT_RESTART, Deed.EXPORTER_RESTART):
        verb = "up --detach"
    else:
        verb = "restart"
    return f"docker compose {verb} {service}"
