"""The same commands for processes in containers."""

from __future__ import annotations

from collections.abc import Sequence

from policycompiler.emitters.commands import name
from policycompiler.emitters.kubernetes.objects import part_name, selector
from policycompiler.knowledge.kubernetes import BEAT, WORKER
from policycompiler.knowledge.metric_sources import CELERY_EXPORTER
from policycompiler.knowledge.runbook import Deed
from policycompiler.plan import APP, Plan, Scope

_STATES = (Deed.PROCESSES, Deed.BEAT_STATE, Deed.EXPORTER_STATE)
_KILLED = "custom-columns=POD:.metadata.name,ENDED:.status.containerStatuses[*].lastState.terminated.reason"


def kubernetes(plan: Plan, deed: Deed | str, workers: Sequence[Scope]) -> list[str]:
    """The commands for Kubernetes; a text is a command inside a container of the first worker."""
    kubectl = f"kubectl --namespace {plan.text(APP, 'kubernetes_namespace')}"
    names = [plan.text(worker, "kubernetes_name") for worker in workers]
    if not isinstance(deed, Deed):
        return [f"{kubectl} exec deployment/{names[0]} -- {deed}"]
    component = WORKER
    if deed in (Deed.BEAT_STATE, Deed.BEAT_LOGS, Deed.BEAT_RESTART):
        names, component = [part_name(plan, BEAT)], BEAT
    if deed in (Deed.EXPORTER_STATE, Deed.EXPORTER_RESTART):
        names, component = [part_name(plan, CELERY_EXPORTER.name)], CELERY_EXPORTER.name
    if deed is Deed.MORE:
        most = [int(plan.number(worker, "replicas")) + 1 for worker in workers]
        counted = zip(names, most, strict=True)
        return [f"{kubectl} scale deployment/{each} --replicas={number}" for each, number in counted]
    return [f"{kubectl} {_of(deed, each, component)}" for each in names]


def _of(deed: Deed, deployment: str, component: str) -> str:
    chosen = ",".join(f"{key}={value}" for key, value in selector(deployment, component).items())
    if deed in _STATES:
        return f"get pods --selector {chosen}"
    if deed in (Deed.LOGS, Deed.BEAT_LOGS):
        return f"logs --selector {chosen} --since=1h --tail=-1 --prefix"
    if deed is Deed.KILLS:
        return f"get pods --selector {chosen} --output '{_KILLED}'"
    if deed is Deed.START:
        return f"describe deployment/{deployment}"
    return f"rollout restart deployment/{deployment}"


def compose(plan: Plan, deed: Deed | str, workers: Sequence[Scope]) -> list[str]:
    """The commands for Compose, in the folder with `compose.yaml`."""
    names = [f"worker-{name(worker.name)}" for worker in workers]
    if not isinstance(deed, Deed):
        return [f"docker compose exec {names[0]} {deed}"]
    if deed in (Deed.BEAT_STATE, Deed.BEAT_LOGS, Deed.BEAT_RESTART):
        names = ["beat"]
    if deed in (Deed.EXPORTER_STATE, Deed.EXPORTER_RESTART):
        names = ["exporter"]
    told = " ".join(names)
    if deed is Deed.KILLS:
        ids = f"$(docker compose ps --all --quiet {told})"
        return [f"docker inspect --format '{{{{.Name}}}} {{{{.State.OOMKilled}}}}' {ids}"]
    if deed in _STATES:
        verb = "ps --all"
    elif deed in (Deed.LOGS, Deed.BEAT_LOGS):
        verb = "logs --since=1h"
    elif deed is Deed.MORE:
        most = (int(plan.number(worker, "replicas")) + 1 for worker in workers)
        counted = zip(names, most, strict=True)
        verb = " ".join(["up --detach", *(f"--scale {each}={number}" for each, number in counted)])
    elif deed in (Deed.START, Deed.BEAT_RESTART, Deed.EXPORTER_RESTART):
        verb = "up --detach"
    else:
        verb = "restart"
    return [f"docker compose {verb} {told}"]
