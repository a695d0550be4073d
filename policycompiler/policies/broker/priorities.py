"""Which task of a queue is delivered first, in the numbers of each broker.

Decides:
    If a queue has priorities: `task:NAME/options.priority`. On RabbitMQ,
    `queue:NAME/arguments.x-max-priority` of a classic queue. On Redis, `priority_steps` in
    `app/broker_transport_options`.

Because:
    In a workload, priority 9 is the most urgent and 0 the least urgent. RabbitMQ delivers the highest number
    first, and messages without priority last. Redis delivers the lowest number first, and messages without
    priority before all others
    (https://docs.celeryq.dev/en/stable/userguide/routing.html#special-routing-options). On Redis the compiler
    therefore reverses the numbers, and sends tasks without priority as the least urgent.

    A queue has the levels that it declares. Otherwise it has ten levels if one of its tasks declares a
    priority. On a classic queue of RabbitMQ the levels are an argument. An existing queue cannot change its
    arguments: use a new name, or delete the queue first. Quorum queues have no priorities up to RabbitMQ 3.
    From RabbitMQ 4 they need no argument, and have two levels: priorities of 5 and more are urgent
    (https://www.rabbitmq.com/docs/quorum-queues#priorities).

    On Redis the steps are always 0 to 9. A change of levels then leaves no message in an unread list. The
    separator that kombu uses in list names must not change: it also separates bindings in Redis that
    earlier processes wrote. The order of queues must not change either: kombu reads the first step of all
    queues before the second step of any queue.

    Priorities apply only to messages in the queue: a worker runs prefetched messages in the order of
    delivery. A publisher sends the priority only if it has the routes or the task.

Example:
    tasks:
      shop.mail.reset: {queue: mail, priority: 9}
      shop.mail.news: {queue: mail, priority: 2}

    task:shop.mail.reset/options.priority = 0
    task:shop.mail.news/options.priority = 7
    refuses priority-monitoring

Refuses:
    PC228 priority-direction: keep one of the two; if in doubt, `priority`.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {priority: 9, options: {priority: 0}}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {priority: 9, options: {priority: 9}}}
    PC229 priority-redis-steps: write one step for each level, rising from 0, or remove `priority_steps`.
        fires:
            broker: {transport: redis, url: "${B}", options: {priority_steps: [0, 5]}}
            queues: {mail: {priorities: 3}}
        silent:
            broker: {transport: redis, url: "${B}", options: {priority_steps: [0, 5]}}
            queues: {mail: {priorities: 2}}
    PC230 quorum-priority: use a classic queue, a separate queue for urgent tasks, or RabbitMQ 4.
        fires:
            broker: {transport: rabbitmq, url: "${B}", version: "3.13"}
            tasks: {shop.a: {queue: mail, priority: 9}}
            queues: {mail: {type: quorum}}
        silent:
            broker: {transport: rabbitmq, url: "${B}", version: "4.0"}
            tasks: {shop.a: {queue: mail, priority: 9}}
            queues: {mail: {type: quorum}}
    PC231 priority-unused: use Redis or RabbitMQ, or a separate queue for urgent tasks.
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

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.knowledge import pairs
from policycompiler.knowledge.brokers import PRIORITY_STEPS, Levels, broker
from policycompiler.knowledge.pairs import Feature
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Origin, Plan, Scope, Setting, Value, Written

NAME = "priorities"

PRIORITY_DIRECTION = error("PC228", "priority-direction")
PRIORITY_REDIS_STEPS = error("PC229", "priority-redis-steps")
QUORUM_PRIORITY = error("PC230", "quorum-priority")
PRIORITY_UNUSED = warning("PC231", "priority-unused")

MOST_URGENT = 9
"""The highest priority in a workload, on every broker."""
LEAST_URGENT = 0
"""The priority of a task that declares none: it overtakes no other task."""
LEVELS = 10
"""One level for each priority; RabbitMQ advises against more."""
ARGUMENT = "x-max-priority"
"""The highest level of a classic queue on RabbitMQ."""
STEPS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
"""Each priority that a publisher may send has its own list, even if a queue's levels change later."""


class _Ladder(NamedTuple):
    """The numbers of a queue's levels on its broker, least urgent first, and the origin of their count."""

    numbers: list[int]
    origin: Origin


_Item: TypeAlias = Decision | Diagnostic


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Decide the levels of each queue, then the number of each task."""
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
        message = f"{transport} does not support priorities, so `{path[-1]}` has no effect"
        help_text = "use Redis or RabbitMQ, or a separate queue for urgent tasks"
        yield PRIORITY_UNUSED.at(path, message, help=help_text, at_key=True)


def _levels(spec: Workload, plan: Plan, scope: Scope) -> tuple[int, Origin] | None:
    """How many levels a queue needs, and the origin."""
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
        message = "`priority_steps` must be whole numbers that rise from 0"
        help_text = "write numbers that rise from 0, or remove `priority_steps`"
        yield PRIORITY_REDIS_STEPS.at(path, message, help=help_text)
    elif not asked:
        return {}
    elif pinned is None and plan.as_is(APP) and not _declares_levels(asked.values()):
        steps = [*PRIORITY_STEPS]
    elif pinned is None:
        yield _with_steps(plan, [origin for _, origin in asked.values()])
    else:
        assert isinstance(pinned, list)
        steps = [int(str(step)) for step in pinned]
        most, scope = max((levels, scope) for scope, (levels, origin) in asked.items())
        declared = asked[scope][1]
        if most > len(steps) and isinstance(declared, Written):
            message = f"`priority_steps` pins {len(steps)} steps, but queue {scope.name} has {most} levels"
            related = (Related(declared.path, f"requires {most} levels"),)
            help_text = "remove `priority_steps` (the compiler then sets ten), or declare fewer levels"
            yield PRIORITY_REDIS_STEPS.at(path, message, help=help_text, related=related)
    return {scope: _Ladder(steps[:levels][::-1], origin) for scope, (levels, origin) in asked.items()}


def _declares_levels(asked: Iterable[tuple[int, Origin]]) -> bool:
    """Whether a queue declares its levels, and not only a task its priority."""
    return any(isinstance(origin, Written) and origin.path[0] == "queues" for _, origin in asked)


def _rise_from_0(steps: Value) -> bool:
    if not isinstance(steps, list) or not all(type(step) is int for step in steps):
        return False
    numbers = [int(str(step)) for step in steps]
    return numbers[:1] == [0] and numbers == sorted(set(numbers))


def _with_steps(plan: Plan, origins: list[Origin]) -> Decision:
    earlier = plan.find(APP, "broker_transport_options")
    options: dict[str, Value] = {"priority_steps": [*STEPS]}
    steps = Constant("STEPS", [*STEPS])
    because = "Redis needs one list for each priority"
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
    declared = not plan.as_is(scope) or _declares_levels([(levels, origin)])
    ours = not plan.value(scope, "external") and not plan.value(scope, "broadcast")
    if levels > 1 and ours and declared:
        because = f"the queue has {levels} priority levels, and the lowest is 0"
        origins: tuple[Origin, ...] = (origin,)
        if isinstance(origin, Written) and origin.path[0] == "tasks":
            origins += (Constant("LEVELS", LEVELS),)
        yield Decision(scope, f"arguments.{ARGUMENT}", levels - 1, because, origins)
    return _Ladder([*range(levels)], origin)


def _before(setting: Setting) -> tuple[Origin, ...]:
    """The origins of a setting, without the constants of the overridden policy."""
    return tuple(origin for origin in setting.origins if not isinstance(origin, Constant))


def _quorum(spec: Workload, plan: Plan, scope: Scope, origin: Origin) -> Diagnostic:
    assert isinstance(origin, Written)
    version = plan.text(APP, "broker_version")
    message = (
        f"queue {scope.name} is a quorum queue, and RabbitMQ {version} does not support priorities "
        "on quorum queues"
    )
    pinned = scope.name in spec.queues and spec.queues[scope.name].type is not None
    related = (Related(("queues", scope.name, "type"), "pinned here"),) if pinned else ()
    help_text = "use a classic queue, a separate queue for urgent tasks, or RabbitMQ 4"
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
                f"{scope.name} declares priority {declared} of {MOST_URGENT}, which is {number} on this "
                f"broker, but pins `options.priority: {pinned.value}`"
            )
            related = (Related(path, f"{MOST_URGENT} is the most urgent on every broker"),)
            help_text = "keep one of the two; if in doubt, `priority`"
            where: SpecPath = ("tasks", scope.name, "options", "priority")
            yield PRIORITY_DIRECTION.at(where, message, help=help_text, related=related)
    elif declared is not None:
        because = f"priority {declared} of {MOST_URGENT} is {number} in the numbers of this broker"
        origins: tuple[Origin, ...] = tuple(dict.fromkeys((Written(path), ladder.origin)))
        yield Decision(scope, "options.priority", number, because, origins)
    elif not silent_last and not plan.value(scope, "external") and not plan.as_is(scope):
        because = "the task declares no priority, and Redis would deliver its messages first"
        origins = (ladder.origin, Constant("LEAST_URGENT", LEAST_URGENT))
        yield Decision(scope, "options.priority", number, because, origins)
