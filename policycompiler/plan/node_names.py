"""The node names of the processes of a worker, as patterns: how a running node is found in a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from policycompiler.plan import Plan, Scope

_BY_CELERY = re.compile(r"%[hndiI]")


def pattern(plan: Plan, worker: Scope) -> str:
    """The node names of a worker as a glob: `worker@mail.*`, or `apply@*` for a name with a host of its own.

    Commands give a process a number and its host; a name that the workload writes whole gets a number only if
    there are several processes.
    """
    name = str(plan.get(worker, "node_name", worker.name))
    if not plan.get(worker, "node_name_is_whole"):
        return f"{name}.*"
    if (plan.number_if_any(worker, "replicas") or 1) > 1:
        first, _, host = name.partition("@")
        name = f"{first}.*@{host}"
    return _BY_CELERY.sub("*", name)


def has_host(name: str) -> bool:
    """Whether a whole node name contains the host of its process: `%h` or `%n`."""
    return bool({"%h", "%n"}.intersection(re.findall(r"%.", name)))


def most_exact(node: str, patterns: Iterable[str]) -> str | None:
    """The pattern that fits a node; of several, the one with the most fixed characters.

    A process that was started by hand has no number: `worker@mail` fits `worker@mail.*`.
    """
    fitting = [each for each in patterns if fnmatchcase(node, each) or _by_hand(node, each)]
    return max(fitting, key=lambda each: len(each.replace("*", "")), default=None)


def _by_hand(node: str, found: str) -> bool:
    name = found.removesuffix(".*")
    return name != found and (node == name or node.startswith(f"{name}@"))


def worker_of(plan: Plan, node: str) -> str:
    """The worker of a plan to which a node belongs; empty without one."""
    workers = {pattern(plan, scope): scope.name for scope in plan.scopes("worker")}
    found = most_exact(node, workers)
    return "" if found is None else workers[found]
