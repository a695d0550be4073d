"""How the compiled processes are started on a stage: their environment, and the words of their commands."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from policycompiler.plan import APP, Plan, Scope
from policycompiler.rehearse.brokers import PrivateBroker

_VARIABLES = ("broker_url_variable", "result_backend_variable", "guard_store_variable")
"""The settings with the names of variables; the store of guards is where the results are."""


def environment(plan: Plan, broker: PrivateBroker, folder: Path, modules: Iterable[Path]) -> dict[str, str]:
    """The variables of the processes in a folder; `modules` are more folders to import from."""
    urls = {"CELERY_BROKER_URL": broker.url, "CELERY_RESULT_BACKEND": broker.results}
    for key, value in zip(_VARIABLES, (broker.url, broker.results, broker.results), strict=True):
        if variable := plan.get(APP, key):
            urls[str(variable)] = value
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(folder), *(str(each.resolve()) for each in modules)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        **urls,
    }


def worker_words(plan: Plan, worker: Scope, node: str, slots: int, *, included: str) -> list[str]:
    """The compiled command of a worker process, with a node name, a number of slots and one more module."""
    # The processes of different hosts or containers may share a name. The last one counts.
    words = ["sh", f"launch/{worker.name}.sh", "--include", included, "--hostname", node]
    return words if plan.find(worker, "autoscale") else [*words, "--concurrency", str(slots)]


def slots_variable(plan: Plan, worker: Scope) -> str:
    """The variable in which the launch script wants the number of slots; empty for a number of the plan."""
    source = str(plan.get(worker, "concurrency_source", ""))
    return source[2:-1] if source.startswith("${") else ""
