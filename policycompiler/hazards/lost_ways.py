"""Messages that reach no worker: folders, names and routing keys that do not fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.knowledge import topics
from policycompiler.plan import APP, Plan, Scope, Value

_OPTIONS = "broker_transport_options"


def lost_ways(plan: Plan) -> Iterator[Hazard]:
    """Check the broker's folders, queue names, and the routing keys of schedules."""
    options = plan.get(APP, _OPTIONS)
    given = options if isinstance(options, dict) else {}
    into, out = plan.broker.folders or ("", "")
    defaults = plan.broker.place.keeps
    if into and given.get(into, defaults[into]) != given.get(out, defaults[out]):
        message = f"`{into}` and `{out}` differ: every process writes to one folder and reads from the other"
        path: SpecPath = ("broker", "options", into if into in given else out)
        yield Hazard("folders-apart", ((APP, _OPTIONS),), message, "write the same folder for both", path)
    for queue in plan.scopes("queue"):
        yield from _reserved(plan, queue, given)
    for schedule in plan.scopes("schedule"):
        yield from _unmatched(plan, schedule)


def _reserved(plan: Plan, queue: Scope, given: Mapping[str, Value]) -> Iterator[Hazard]:
    own = {given.get(option, name) for option, name in plan.broker.own_keys.items()}
    if queue.name not in own and not queue.name.startswith("_kombu."):
        return
    if not plan.broker.own_keys:
        return
    message = f"kombu keeps its own data under the key `{queue.name}`: a queue of this name fails (WRONGTYPE)"
    path = place_of(plan, queue, "exchange")
    settings = ((queue, "exchange"), (APP, _OPTIONS))
    yield Hazard("queue-name-reserved", settings, message, "rename the queue", path, about=(queue,))


def _unmatched(plan: Plan, schedule: Scope) -> Iterator[Hazard]:
    options = plan.get(schedule, "options")
    key = options.get("routing_key") if isinstance(options, dict) else None
    if not isinstance(options, dict) or not isinstance(key, str):
        return
    task = plan.entry(plan.text(schedule, "task"))
    name = options.get("queue") or (None if task is None else plan.text(task, "queue"))
    queue = Scope("queue", str(name))
    if plan.get(queue, "exchange_type") != "topic":
        return
    binding, transport = plan.text(queue, "routing_key"), plan.text(APP, "broker_transport")
    sharing = (
        plan.text(other, "routing_key")
        for other in plan.scopes("queue")
        if plan.get(other, "exchange") == plan.get(queue, "exchange")
    )
    if any(topics.matches(each, key, transport) for each in sharing):
        return
    message = (
        f"schedule {schedule.name} sends with routing key `{key}`, which matches neither `{binding}` of "
        f"queue {queue.name} nor another binding of its exchange: every message is lost"
    )
    path: SpecPath = ("schedules", schedule.name, "options", "routing_key")
    settings = ((schedule, "options"), (queue, "routing_key"), (queue, "exchange_type"))
    yield Hazard("routing-key-unmatched", settings, message, "remove `routing_key`", path, about=(schedule,))
