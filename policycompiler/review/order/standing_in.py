"""The plan in which queues with other names stand in for queues that RabbitMQ would refuse to declare."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from policycompiler.plan import Constant, Plan, Scope, Value, vocabulary
from policycompiler.review.order.plan_between import PlanBetween

_STAND_IN = "stand-in"
"""The constant that names a queue during the rollout."""


def renamed_queues(old_plan: Plan, plan: Plan, names: Mapping[str, str]) -> Plan:
    """The plan with other names for some of its queues, and for their exchanges.

    Their dead-letter queues get other names too, where the old plan declares them differently.
    """
    between = PlanBetween(Plan({}))
    for setting in plan:
        renamed = setting.scope.kind == "queue" and setting.scope.name in names
        target = Scope("queue", names[setting.scope.name]) if renamed else setting.scope
        between.take(target, {**between.keys(target), setting.key: setting})
    words = dict(names)
    for old, new in names.items():
        because = f"RabbitMQ refuses to declare the existing queue {old} with other arguments"
        before, after = Scope("queue", old), Scope("queue", new)
        exchange = plan.text(before, "exchange")
        words[exchange] = new if exchange == old else f"{exchange}.{new.rpartition('.')[2]}"
        name = Constant(_STAND_IN, new)
        between.decide(after, "exchange", words[exchange], because, plan.find(before, "exchange"), name)
        # Its own, whatever is written: RabbitMQ delivers a delayed message to all queues with the same key.
        between.decide(after, "routing_key", new, because, name)
        if _dead_letters_differ(old_plan, plan, before):
            _with_own_dead_letters(between, after, old)
    _without_written_keys(between, plan, names)
    for setting in [*between]:
        if (declared := vocabulary.find(setting.scope.kind, setting.key)) and declared.names_queues:
            value = _renaming(setting.value, words)
            if value != setting.value:
                because = "the queue has this name during the rollout"
                between.decide(setting.scope, setting.key, value, because, setting)
    return between.finished()


def _without_written_keys(between: PlanBetween, plan: Plan, names: Collection[str]) -> None:
    """Let schedules that send to these queues use the routing keys of the queues."""
    for schedule in plan.scopes("schedule"):
        options = plan.get(schedule, "options")
        if isinstance(options, dict) and "routing_key" in options:
            task = Scope("task", plan.text(schedule, "task"))
            if options.get("queue", plan.get(task, "queue")) in names:
                told: Value = {key: value for key, value in options.items() if key != "routing_key"}
                because = "the queue has another routing key during the rollout"
                between.decide(schedule, "options", told, because, plan.find(schedule, "options"))


def _dead_letters_differ(old: Plan, new: Plan, queue: Scope) -> bool:
    """Whether RabbitMQ would refuse the new declaration of the dead-letter queue of a queue."""
    before, after = (plan.get(queue, "dead_letter_arguments") for plan in (old, new))
    return before is not None and after is not None and before != after


def _with_own_dead_letters(between: PlanBetween, stand_in: Scope, queue: str) -> None:
    """Name the dead-letter queue of a stand-in after it, and route dead letters there."""
    dead = between.setting(stand_in, "dead_letter_queue")
    assert isinstance(dead.value, str)
    own = stand_in.name + dead.value.removeprefix(queue)
    because = f"RabbitMQ refuses to declare the existing queue {dead.value} with other arguments"
    name = Constant(_STAND_IN, stand_in.name)
    # A pin stays.
    brought = between.get(stand_in, "arguments.x-dead-letter-exchange") == ""
    if brought and between.value(stand_in, _LETTERS_TO) == dead.value:
        between.decide(stand_in, _LETTERS_TO, own, because, between.find(stand_in, _LETTERS_TO), name)
    between.decide(stand_in, "dead_letter_queue", own, because, dead, name)


_LETTERS_TO = "arguments.x-dead-letter-routing-key"


def _renaming(value: Value, words: Mapping[str, str]) -> Value:
    if isinstance(value, str):
        return words.get(value, value)
    if isinstance(value, list):
        return [*sorted(words.get(str(each), str(each)) for each in value)]
    if isinstance(value, dict) and str(value.get("queue")) in words:
        return {**value, "queue": words[str(value["queue"])]}
    return value
