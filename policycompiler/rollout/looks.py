"""One look at each kind of condition: what still does not hold, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from policycompiler.plan import Plan
from policycompiler.plan.fingerprint import SHOWN_AS
from policycompiler.plan.node_names import most_exact
from policycompiler.reality import messages
from policycompiler.reality.answers import Answer, ask, queues_of
from policycompiler.reality.connection import Client, broker_url, client, connected
from policycompiler.review.conditions import (
    ContentGone,
    Drained,
    Taken,
    TaskGone,
    WorkerAnswer,
    WorkersAnswer,
    coded,
)

Looked = Drained | Taken | TaskGone | ContentGone | WorkersAnswer
"""A condition that a look can show."""


class Access(NamedTuple):
    """How to reach the broker: the given URLs, else what the plan says, with these environment variables."""

    broker: str | None
    management: str | None
    environment: Mapping[str, str]

    def app(self, plan: Plan) -> Client:
        """A client of the broker of a plan. Raises `UnreachableError` without a URL."""
        return client(plan, broker_url(plan, self.broker, self.environment))


class Seen(NamedTuple):
    """What does not hold yet, empty if all does; and the way in which it was seen, if there are several."""

    missing: list[str]
    way: str = ""


def look(condition: Looked, plan: Plan, access: Access, patience_seconds: float) -> Seen:
    """Look once; a worker has so long to answer. Raises `UnreachableError`.

    What cannot be known does not hold.
    """
    app = access.app(plan)
    app.patience_seconds = patience_seconds
    try:
        match condition:
            case WorkersAnswer():
                return Seen(_not_answering(condition, app))
            case Drained():
                found = messages.left(plan, app, condition.queues, access.management)
            case Taken():
                found = messages.ready(plan, app, condition.queues)
            case TaskGone():
                found = messages.of_task(plan, app, condition.task, condition.queues)
            case ContentGone():
                found = messages.of_content(plan, app, condition.content_types, condition.queues)
    except messages.UncountableError as problem:
        return Seen([str(problem)])
    return Seen(found.left, found.way)


def _not_answering(condition: WorkersAnswer, app: Client) -> list[str]:
    with connected(app) as connection:
        queues = ask(app, connection, "active_queues")
        shown = ask(app, connection, "stats") if any(each.fingerprint for each in condition.workers) else []
    plans = {answer.node: answer.data.get(SHOWN_AS) for answer in shown if isinstance(answer.data, dict)}
    of_worker: dict[str, list[Answer]] = {each.name: [] for each in condition.workers}
    for answer in queues:
        if name := _worker_of(answer.node, condition.workers):
            of_worker[name].append(answer)
    return [told for each in condition.workers for told in _differences(each, of_worker[each.name], plans)]


def _worker_of(node: str, workers: tuple[WorkerAnswer, ...]) -> str:
    """The worker of a node."""
    of_patterns = {each.nodes: each.name for each in workers}
    found = most_exact(node, of_patterns)
    return "" if found is None else of_patterns[found]


def _differences(worker: WorkerAnswer, answers: list[Answer], plans: Mapping[str, object]) -> list[str]:
    """What a worker still lacks, a sentence each."""
    found = []
    nodes = {answer.node for answer in answers}
    if len(nodes) < worker.replicas:
        found.append(f"worker `{worker.name}`: {len(nodes)} of {worker.replicas} processes answer")
    found += [f"`{node}` answers twice: two processes have this name" for node in _twice(answers)]
    for answer in answers:
        consumed = queues_of(answer)
        if consumed != {*worker.queues}:
            found.append(
                f"`{answer.node}` consumes {coded(sorted(consumed)) or 'nothing'}, not {coded(worker.queues)}"
            )
        found += _other_plan(worker, answer.node, plans)
    return found


def _twice(answers: list[Answer]) -> list[str]:
    nodes = [answer.node for answer in answers]
    return sorted({node for node in nodes if nodes.count(node) > 1})


def _other_plan(worker: WorkerAnswer, node: str, plans: Mapping[str, object]) -> list[str]:
    if not worker.fingerprint:
        return []
    if node not in plans:
        return [f"`{node}` did not say which plan it runs"]
    plan = plans[node]
    if plan == worker.fingerprint or (plan is None and worker.or_none):
        return []
    told = f"plan {plan}" if plan else "a celeryconfig.py without a fingerprint"
    return [f"`{node}` runs {told}, not plan {worker.fingerprint}"]
