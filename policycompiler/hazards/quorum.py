"""Features that fail with certain versions of Celery and RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import is_consumed, type_of
from policycompiler.knowledge.pairs import Feature, Pair, broken
from policycompiler.knowledge.queue_arguments import TYPE
from policycompiler.plan import APP, Plan, Scope

DETECT = "worker_detect_quorum_queues"
_CELERY, _BROKER = (APP, "celery_version"), (APP, "broker_version")
_TYPE = f"arguments.{TYPE}"


def version_pairs(plan: Plan) -> Iterator[Hazard]:
    """Check the queues that workers consume."""
    if not plan.broker.quorum_queues:
        return
    consumed = [queue for queue in plan.scopes("queue") if is_consumed(plan, queue)]
    quorum = next((queue for queue in consumed if type_of(plan, queue) == "quorum"), None)
    if quorum is not None:
        yield from _unconsumable(plan, quorum)
        if (pair := _broken(plan, Feature.DECLARE, "quorum")) and plan.get(*_BROKER) is not None:
            yield _hazard(plan, "quorum-unsupported", quorum, pair, f"queue {quorum.name}")
    yield from _lost_retries(plan, [queue for queue in consumed if type_of(plan, queue) == "quorum"])
    if (
        plan.scopes("worker")
        and plan.get(*_BROKER) is not None
        and plan.get(APP, "worker_enable_remote_control") is not False
    ):
        pair = _broken(plan, Feature.CONTROL, "classic")
        if pair is not None:
            yield _hazard(plan, "control-queues-refused", APP, pair, "workers")


def _unconsumable(plan: Plan, queue: Scope) -> Iterator[Hazard]:
    """Queues that no worker can consume."""
    pair = _broken(plan, Feature.CONSUME, "quorum")
    if pair is not None:
        yield _hazard(plan, "quorum-unsupported", queue, pair, f"workers of queue {queue.name}")
    elif plan.get(APP, DETECT) is False:
        message = (
            f"without `{DETECT}` Celery sets a global prefetch, which RabbitMQ refuses (540) for the quorum "
            f"queue {queue.name}: its workers receive no messages and retry without end"
        )
        settings = ((APP, DETECT), (queue, _TYPE))
        path = place_of(plan, APP, DETECT)
        yield Hazard("quorum-unsupported", settings, message, f"remove `{DETECT}: false`", path)


def _lost_retries(plan: Plan, queues: list[Scope]) -> Iterator[Hazard]:
    pair = _broken(plan, Feature.RETRY, "quorum") if queues else None
    if pair is None:
        return
    for queue in queues:
        if plan.get(queue, "exchange_type") == "direct":
            continue  # nothing is delayed in the broker
        task = next(
            (task for name in plan.texts(queue, "tasks") if _retries(plan, task := Scope("task", name))), None
        )
        if task is not None:
            yield _hazard(plan, "delayed-retry-lost", queue, pair, f"retries of {task.name}")
            return


def _retries(plan: Plan, task: Scope) -> bool:
    if plan.get(task, "options.max_retries") == 0:
        return False
    return bool(plan.get(task, "options.autoretry_for") or plan.get(task, "options.retry_on_worker_lost"))


def _broken(plan: Plan, feature: Feature, queue: str) -> Pair | None:
    broker = plan.get(*_BROKER)
    return broken(feature, queue, plan.text(*_CELERY), None if broker is None else str(broker))


def _hazard(plan: Plan, name: str, scope: Scope, pair: Pair, who: str) -> Hazard:
    celery, broker = plan.text(*_CELERY), plan.get(*_BROKER)
    with_broker = f"RabbitMQ {broker}" if broker is not None else "a RabbitMQ of unknown version"
    message = f"{who} fail with Celery {celery} and {with_broker}: {pair.what}"
    fixes = [f"Celery {pair.celery_fix} or newer"] if pair.celery_fix else []
    fixes += [f"RabbitMQ {pair.broker_fix} or newer"] if pair.broker_fix else []
    help_text = f"run {' or '.join(fixes)}, and declare that version"
    if scope != APP:
        help_text += ", or use a classic queue"
    settings = (_CELERY, _BROKER, *(((scope, _TYPE),) if scope != APP else ()))
    path: SpecPath = place_of(plan, *_CELERY)
    if plan.written(*_CELERY) is None:
        path = place_of(plan, *_BROKER) if broker is not None else ("broker",)
    related = (Related(place_of(plan, scope, "type"), "a quorum queue"),) if scope != APP else ()
    return Hazard(name, settings, message, help_text, path, related)
