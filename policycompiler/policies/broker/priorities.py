"""Which task of a queue goes first, said to each broker in its own direction.

Decides:
    Where a queue has priorities `task:NAME/options.priority`; on RabbitMQ
    `queue:NAME/arguments.x-max-priority` of a classic queue; on Redis `priority_steps` in
    `app/broker_transport_options`.

Because:
    In a workload 9 is most urgent and 0 least. RabbitMQ takes the highest number first, and a message
    without one last; Redis takes the lowest first, and a message without one before all others
    (https://docs.celeryq.dev/en/stable/userguide/routing.html#special-routing-options). So on Redis the
    numbers are turned round, and a task that declares none is sent as the least urgent there too. A queue
    has the levels that it declares, else ten where a task of it declares a priority. On a classic queue of
    RabbitMQ they are an argument, which a living queue cannot get: it gets a new name, or is deleted first.
    A quorum queue has none up to RabbitMQ 3 and needs no argument from 4 on, where 5 and more is urgent
    (https://www.rabbitmq.com/docs/quorum-queues#priorities; not run here, as RabbitMQ 4 is not at hand).

    On Redis the steps are always the ten from 0 to 9, so that a change of levels leaves no message in a
    list that nobody looks at. kombu's separator of the lists' names stays as it is, since the same one
    separates the bindings that earlier processes left in Redis; and so does the order of queues, as kombu
    looks at the first step of all queues before the second of any.

    A priority counts in the queue only: what a worker has taken ahead is run in the order it was taken.
    A producer needs the routes or the task to send it.

Example:
    tasks:
      shop.mail.reset: {queue: mail, priority: 9}
      shop.mail.news: {queue: mail, priority: 2}

    task:shop.mail.reset/options.priority = 0
    task:shop.mail.news/options.priority = 7
    refuses priority-monitoring

Refuses:
    PC228 priority-direction: keep one of the two, `priority` where in doubt.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {priority: 9, options: {priority: 0}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {priority: 9, options: {priority: 9}}}
    PC229 priority-redis-steps: give a step for each level, rising from 0, or remove them.
        fires:
            broker: {transport: redis, url: "${B}", options: {priority_steps: [0, 5]}}
            queues: {mail: {priorities: 3}}
        silent:
            broker: {transport: redis, url: "${B}", options: {priority_steps: [0, 5]}}
            queues: {mail: {priorities: 2}}
    PC230 quorum-priority: use a classic queue, a queue for what is urgent, or RabbitMQ 4.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: mail, priority: 9}}
            queues: {mail: {type: quorum}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "4.0"}
            tasks: {shop.a: {queue: mail, priority: 9}}
            queues: {mail: {type: quorum}}
    PC231 priority-unused: use Redis or RabbitMQ, or a queue for what is urgent.
        fires:
            broker: {transport: sqs, url: "${B}"}
            tasks: {shop.a: {priority: 9}}
        silent:
            broker: {transport: redis, url: "${B}"}
            tasks: {shop.a: {priority: 9}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.knowledge import pairs
from policycompiler.knowledge.brokers import Levels, broker
from policycompiler.knowledge.pairs import Feature
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Origin, Plan, Scope, Setting, Value, Written

NAME = "priorities"

PRIORITY_DIRECTION = error("PC228", "priority-direction")
PRIORITY_REDIS_STEPS = error("PC229", "priority-redis-steps")
QUORUM_PRIORITY = error("PC230", "quorum-priority")
PRIORITY_UNUSED = warning("PC231", "priority-unused")

MOST_URGENT = 9
"""Of the workload language, on every broker."""
LEAST_URGENT = 0
"""Of a task that declares no priority: what says nothing does not overtake."""
LEVELS = 10
"""One for each priority there is; RabbitMQ advises against more."""
ARGUMENT = "x-max-priority"
"""RabbitMQ counts the levels of a classic queue by the highest of them."""
STEPS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
"""Every priority that a producer may send has a list of its own, whatever a queue's levels are later."""


class _Ladder(NamedTuple):
    """The numbers of a queue's levels on its broker, least urgent first, and who says how many there are."""

    numbers: list[int]
    origin: Origin


_Item: TypeAlias = Decision | Diagnostic


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Levels of each queue, then the number of each task."""
    transport = plan.text(APP, "broker_transport")
    kept = broker(transport).levels
    if kept is None:
        yield from _unused(spec, transport)
        return
    asked = {scope: found for scope in plan.scopes("queue") if (found := _levels(spec, plan, scope))}
    ladders: dict[Scope, _Ladder] = {}
    if kept is Levels.LISTS:
        ladders = yield from _on_redis(spec, plan, asked)
    else:
        for scope, (levels, origin) in asked.items():
            ladders[scope] = yield from _on_rabbitmq(spec, plan, scope, levels, origin)
    for name in spec.tasks:
        scope = Scope("task", name)
        ladder = ladders.get(Scope("queue", plan.text(scope, "queue")))
        if ladder is not None:
            yield from _task(spec, plan, scope, ladder, silent_last=kept is Levels.ARGUMENT)


def _unused(spec: Workload, transport: str) -> Iterator[Diagnostic]:
    paths: list[SpecPath] = [
        ("tasks", name, "priority") for name, task in spec.tasks.items() if task.priority is not None
    ]
    paths += [("queues", name, "priorities") for name, queue in spec.queues.items() if queue.priorities]
    for section, entries in (("tasks", spec.tasks), ("schedules", spec.schedules)):
        pinned = [
            name for name, entry in entries.items() if entry.options and entry.options.priority is not None
        ]
        paths += [(section, name, "options", "priority") for name in pinned]
    if "task_default_priority" in ((spec.celery and spec.celery.settings) or {}):
        paths.append(("celery", "settings", "task_default_priority"))
    for path in paths:
        message = f"{transport} has no priorities; `{path[-1]}` changes nothing"
        help_text = "use Redis or RabbitMQ, or a queue of its own for what is urgent"
        yield PRIORITY_UNUSED.at(path, message, help=help_text, at_key=True)


def _levels(spec: Workload, plan: Plan, scope: Scope) -> tuple[int, Origin] | None:
    """How many levels a queue has to have, and who says so."""
    declared = spec.queues[scope.name].priorities if scope.name in spec.queues else None
    if declared is not None:
        return declared, Written(("queues", scope.name, "priorities"))
    for name in plan.texts(scope, "tasks"):
        if spec.tasks[name].priority is not None:
            return LEVELS, Written(("tasks", name, "priority"))
    return None


def _on_redis(
    spec: Workload, plan: Plan, asked: dict[Scope, tuple[int, Origin]]
) -> Generator[_Item, None, dict[Scope, _Ladder]]:
    """Returns the ladders: step by step down to the most urgent."""
    path: SpecPath = ("broker", "options", "priority_steps")
    pinned = (spec.broker.options or {}).get("priority_steps")
    steps = STEPS
    if pinned is not None and not _rise_from_0(pinned):
        message = "steps of priorities are whole numbers that rise from 0"
        yield PRIORITY_REDIS_STEPS.at(path, message, help="write them so, or remove them")
    elif not asked:
        return {}
    elif pinned is None:
        yield _with_steps(plan, [origin for _, origin in asked.values()])
    else:
        assert isinstance(pinned, list)
        steps = [int(str(step)) for step in pinned]
        most, scope = max((levels, scope) for scope, (levels, origin) in asked.items())
        declared = asked[scope][1]
        if most > len(steps) and isinstance(declared, Written):
            message = f"{len(steps)} steps of priority are pinned, but queue {scope.name} has {most} levels"
            related = (Related(declared.path, f"{most} levels follow from this"),)
            help_text = "remove them (the compiler then sets ten), or declare fewer levels"
            yield PRIORITY_REDIS_STEPS.at(path, message, help=help_text, related=related)
    return {scope: _Ladder(steps[:levels][::-1], origin) for scope, (levels, origin) in asked.items()}


def _rise_from_0(steps: Value) -> bool:
    if not isinstance(steps, list) or not all(type(step) is int for step in steps):
        return False
    numbers = [int(str(step)) for step in steps]
    return numbers[:1] == [0] and numbers == sorted(set(numbers))


def _with_steps(plan: Plan, origins: list[Origin]) -> Decision:
    earlier = plan.find(APP, "broker_transport_options")
    options: dict[str, Value] = {"priority_steps": [*STEPS]}
    steps = Constant("STEPS", [*STEPS])
    because = "a list for each priority"
    if earlier is None:
        return Decision(APP, "broker_transport_options", options, because, (*origins, steps))
    assert isinstance(earlier.value, dict)
    return Decision(
        APP,
        "broker_transport_options",
        {**earlier.value, **options},
        f"{earlier.because}; {because}",
        (*_before(earlier), *origins, steps),
        overrides=True,
    )


def _on_rabbitmq(
    spec: Workload, plan: Plan, scope: Scope, levels: int, origin: Origin
) -> Generator[_Item, None, _Ladder]:
    """Returns the ladder: step by step up to the most urgent."""
    if plan.text(scope, "type") == "quorum":
        celery, version = plan.text(APP, "celery_version"), plan.get(APP, "broker_version")
        if version is not None and pairs.broken(Feature.LEVELS, "quorum", celery, str(version)):
            yield _quorum(spec, plan, scope, origin)
        return _Ladder([*range(LEVELS)], origin)
    pinned = plan.get(scope, f"arguments.{ARGUMENT}")
    if isinstance(pinned, int):
        return _Ladder([*range(pinned + 1)], Written(("queues", scope.name, "arguments", ARGUMENT)))
    if levels > 1 and not plan.value(scope, "external") and not plan.value(scope, "broadcast"):
        because = f"{levels} levels of priority, the lowest is 0"
        origins: tuple[Origin, ...] = (origin,)
        if isinstance(origin, Written) and origin.path[0] == "tasks":
            origins += (Constant("LEVELS", LEVELS),)
        yield Decision(scope, f"arguments.{ARGUMENT}", levels - 1, because, origins)
    return _Ladder([*range(levels)], origin)


def _before(setting: Setting) -> tuple[Origin, ...]:
    """Where a setting came from, without the constants of the policy that is overridden."""
    return tuple(origin for origin in setting.origins if not isinstance(origin, Constant))


def _quorum(spec: Workload, plan: Plan, scope: Scope, origin: Origin) -> Diagnostic:
    assert isinstance(origin, Written)
    version = plan.text(APP, "broker_version")
    message = f"queue {scope.name} is a quorum queue, and those of RabbitMQ {version} have no priorities"
    pinned = scope.name in spec.queues and spec.queues[scope.name].type is not None
    related = (Related(("queues", scope.name, "type"), "pinned here"),) if pinned else ()
    help_text = "use a classic queue, a queue of its own for what is urgent, or RabbitMQ 4"
    return QUORUM_PRIORITY.at(origin.path, message, help=help_text, related=related)


def _task(
    spec: Workload, plan: Plan, scope: Scope, ladder: _Ladder, *, silent_last: bool
) -> Iterator[Decision | Diagnostic]:
    declared = spec.tasks[scope.name].priority
    urgency = LEAST_URGENT if declared is None else declared
    number = ladder.numbers[urgency * len(ladder.numbers) // (MOST_URGENT + 1)]
    pinned = plan.find(scope, "options.priority")
    path: SpecPath = ("tasks", scope.name, "priority")
    if pinned is not None:
        if declared is not None and pinned.value != number:
            message = (
                f"{scope.name} has priority {declared} of {MOST_URGENT}, which is {number} on this broker, "
                f"but {pinned.value} is pinned"
            )
            related = (Related(path, f"{MOST_URGENT} is most urgent here, on every broker"),)
            help_text = "keep one of the two, `priority` where in doubt"
            where: SpecPath = ("tasks", scope.name, "options", "priority")
            yield PRIORITY_DIRECTION.at(where, message, help=help_text, related=related)
    elif declared is not None:
        because = f"priority {declared} of {MOST_URGENT}, as this broker counts"
        origins: tuple[Origin, ...] = tuple(dict.fromkeys((Written(path), ladder.origin)))
        yield Decision(scope, "options.priority", number, because, origins)
    elif not silent_last and not plan.value(scope, "external"):
        because = "declares no priority, and without one Redis would take it first"
        origins = (ladder.origin, Constant("LEAST_URGENT", LEAST_URGENT))
        yield Decision(scope, "options.priority", number, because, origins)
