"""How risky changes of queues are, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.queues import arguments_of
from policycompiler.knowledge.brokers import Bindings
from policycompiler.knowledge.queue_arguments import DROPPING, KNOWN, LIMIT, OVERFLOW, TYPE, UNCOMPARED
from policycompiler.plan import Scope, Value
from policycompiler.review.facts import binding_clashes, fleet
from policycompiler.review.order import need
from policycompiler.review.outcome import Class
from policycompiler.review.risks.verdicts import At, Judged, Rule, lossy, manual, ordered, safe

ARGUMENTS = "arguments."
"""The prefix of the keys of queue arguments."""


def unattended(at: At) -> Judged | None:
    """Judge a worker that no longer consumes queues to which tasks are still sent."""
    if at.old.get(at.before, "replicas", 1) == 0:
        return None
    left = sorted(at.facts.unattended.intersection(at.old.texts(at.before, "queues")))
    if not left:
        return None
    names = ", ".join(left)
    return manual(
        f"tasks are still sent to {names}, but no worker consumes {names}: messages wait until a worker runs "
        "again, or expire; decide which worker runs them, or stop sending first"
    )


def _queue_arguments(at: At) -> Judged:
    if at.key == "type":
        return safe("the queue arguments already contain the type")
    if not at.key.startswith(ARGUMENTS):
        return _declared(at)
    argument = at.key.removeprefix(ARGUMENTS)
    if argument in UNCOMPARED and at.new.broker.declarations:
        return _uncompared(at, argument)
    lost = [*_thrown_away(at, [arguments_of(at.old, at.before)], argument), *_delivered_less(at, argument)]
    return _or_lossy(_of_unknown(argument) or _declared(at), iter(lost))


def _uncompared(at: At, argument: str) -> Judged:
    """Judge an argument that RabbitMQ ignores for a queue that exists."""
    if at.new.get(at.scope, "broker_policy") is not None:
        return safe("the new policy in `rabbitmq/definitions.json` takes effect when it is imported")
    return manual(
        f"RabbitMQ keeps the `{argument}` with which queue {at.scope.name} was declared; to change it, set a "
        f"policy with `{argument.removeprefix('x-')}` in RabbitMQ 4, or delete the queue while it is empty"
    )


def _delivered_less(at: At, argument: str) -> Iterator[str]:
    if argument == LIMIT and isinstance(at.was, int) and isinstance(at.now, int) and 0 <= at.now < at.was:
        yield f"RabbitMQ now gives up a message after {at.now} redeliveries instead of {at.was}"


def _of_unknown(argument: str) -> Judged | None:
    """A person must check an unknown argument."""
    return None if argument in KNOWN else manual(f"it is unknown what queue argument `{argument}` does")


def _declared(at: At) -> Judged:
    """Judge a different declaration of an existing queue."""
    clash = _clash(at) if at.key == "exchange_type" else None
    if not at.new.broker.declarations:
        return clash or safe("this broker does not store queue declarations")
    if (by_hand := _declared_by_another(at) or _of_a_broadcast(at) or clash) is not None:
        return by_hand
    if at.key == "dead_letter_arguments" and at.was is not None and at.now is not None:
        return _dead_letter_arguments(at)
    if (replaced := ordered(at.needs.find(need.REPLACED, at.scope.name))) is not None:
        return replaced if at.key == _main_argument(at) else _ALONG
    if _is_refused(at):
        return manual(
            f"RabbitMQ refuses the new declaration while queue {at.scope.name} exists, and publishers fail "
            "too; the steps do not replace a queue without a worker in both plans; stop sending to the "
            "queue, empty it or save its messages, delete it, then deploy"
        )
    return safe("each process declares the queue as it exists")


_ALONG = safe("the change takes effect when the queue is declared again for its arguments")


def _is_refused(at: At) -> bool:
    """Whether RabbitMQ refuses the new declaration of a queue that this app declares in both plans."""
    if at.facts.elsewhere or at.new.get(at.scope, "broadcast"):
        return False
    return at.key.startswith(ARGUMENTS) or (at.key == "exchange_type" and _is_exchange_refused(at))


def _or_lossy(judged: Judged, thrown_away: Iterator[str]) -> Judged:
    """The given result, unless new arguments of the queue discard messages that the old ones kept."""
    lost = list(thrown_away)
    if not lost:
        return judged
    more = [] if judged.risk is Class.SAFE else [judged.because]
    return lossy("; ".join([*lost, *more]))


def _thrown_away(at: At, before: list[dict[str, Value]], changed: str = "") -> Iterator[str]:
    """What the new arguments of a queue discard, unlike one of the old arguments.

    With a `changed` argument, only its effects.
    """
    expiring = at.new.broker.expiring
    if at.new.get(at.scope, "external"):
        return
    now = arguments_of(at.new, at.scope)
    full = str(now.get(OVERFLOW, "drop-head"))
    where = ", to its dead letters" if "x-dead-letter-exchange" in now else ""
    about = {changed, *(each for each in DROPPING if DROPPING[each].of_length and changed == OVERFLOW)}
    for argument, dropping in DROPPING.items():
        if changed and argument not in about:
            continue
        limit = now.get(argument) if argument in expiring else None
        if limit is not None and any(
            _is_less(limit, each.get(argument))
            or (dropping.of_length and each.get(OVERFLOW, "drop-head") != full)
            for each in before
        ):
            if dropping.of_length and full != "drop-head":
                yield f"`{argument}`: {_refusing(at)}"
            else:
                yield f"`{argument}`: {dropping.what}{where if dropping.dead_letters else ''}"


def _refusing(at: At) -> str:
    """What happens to messages that a full queue refuses."""
    if fleet.transport_option(at.new, "confirm_publish"):
        return (
            "a full queue refuses new messages: the call raises an error; a message that is not sent "
            "again, such as a retry or a schedule, is lost"
        )
    return "a full queue refuses new messages, which are lost silently without `confirm_publish`"


def _is_less(limit: Value, before: Value) -> bool:
    return not isinstance(before, int | float) or (isinstance(limit, int | float) and limit < before)


def _clash(at: At) -> Judged | None:
    """Judge the effects of the exchanges of old and new queues on this queue."""
    found, name = at.facts.clashes, at.scope.name
    # The exchanges of replaced and removed queues are deleted.
    deleted = {*at.facts.replaced, *at.needs.names(need.LEAVING)} if name in at.facts.replaced else set()
    if at.new.broker.declarations and found.retyped.get(name, frozenset()) - deleted:
        exchange = at.new.text(at.scope, "exchange")
        return manual(
            f"RabbitMQ refuses another type while exchange {exchange} exists: choose another name, or "
            "delete the exchange by hand first, while no process publishes to it"
        )
    crossed = found.crossed.get(name)
    return None if crossed is None else manual(_crossed(at, crossed))


def _crossed(at: At, crossed: binding_clashes.Crossed) -> str:
    exchange = crossed.exchange
    other = "exchange or routing key"
    if crossed.any_key or exchange == binding_clashes.DELAYS:
        other = "exchange" if crossed.any_key else "routing key"
    another = f"choose another {other} for {crossed.new}"
    what = "delayed messages" if exchange == binding_clashes.DELAYS else "messages"
    told = f"{what} for {crossed.meant_for} also reach {at.scope.name} and run twice"
    kept = at.new.broker.bindings
    if kept is Bindings.NONE:
        return f"{told} if a process knows both bindings to exchange {exchange}: {another}"
    if kept is Bindings.BROKER:
        removed = (
            f"the old binding is deleted from exchange {exchange} (with `rabbitmqadmin` or the management UI)"
        )
    elif kept is Bindings.FILE:
        removed = f"its entry is removed from the file `{exchange}.exchange` in the control folder"
    else:
        prefix = fleet.transport_option(at.new, "global_keyprefix") or ""
        removed = f"its member is removed from the set `{prefix}_kombu.binding.{exchange}`"
    return (
        f"{told}, because bindings outlive their processes: {another}, or send nothing until no old "
        f"process runs and {removed}"
    )


def _declared_by_another(at: At) -> Judged | None:
    """Judge a queue that another app declares."""
    before, after = at.old.get(at.before, "external"), at.new.get(at.scope, "external")
    if before and after:
        return manual("the app that consumes the queue declares it; both apps must declare the same")
    if after:
        return safe("the app that consumes the queue now declares it")
    if before:
        return manual(
            "this app now declares the queue, and RabbitMQ refuses a declaration that differs from the "
            "existing queue"
        )
    return None


def _of_a_broadcast(at: At) -> Judged | None:
    """Judge the declaration of a queue that becomes a broadcast, or stops being one."""
    if at.old.get(at.before, "broadcast") == at.new.get(at.scope, "broadcast"):
        return None
    if at.key == "exchange_type" and _is_exchange_refused(at):
        return manual(
            f"RabbitMQ refuses another type while exchange {_exchange(at)} exists: delete the exchange by "
            "hand first"
        )
    return safe("each process has its own queue of a broadcast, so no existing queue is declared differently")


def _is_exchange_refused(at: At) -> bool:
    kept = at.old.get(at.before, "exchange") == at.new.get(at.scope, "exchange")
    other_type = at.old.get(at.before, "exchange_type") != at.new.get(at.scope, "exchange_type")
    return kept and other_type and at.new.broker.declarations


def _dead_letter_arguments(at: At) -> Judged:
    """A person decides about the dead letters; for a replaced queue, in a step."""
    if at.facts.elsewhere:
        return safe("each process declares the queue as it exists")
    dead = at.old.text(at.before, "dead_letter_queue")
    refused = f"RabbitMQ refuses other arguments while {dead} exists"
    if at.scope.name in at.facts.replaced:
        return manual(
            f"{refused}: a step says when to rerun or save its dead letters and delete it; until then "
            f"{at.facts.replaced[at.scope.name]} has its own dead-letter queue"
        )
    return manual(
        f"{refused}: right before the first step, rerun or save its dead letters and delete it; if an old "
        "process starts before a new one, it declares the old queue again, and you must delete it again; "
        "if an old process starts later, RabbitMQ refuses it; tasks that fail meanwhile may leave no dead "
        "letter"
    )


def _main_argument(at: At) -> str:
    """The setting of a replaced queue that reports the replacement."""
    was, now = arguments_of(at.old, at.before), arguments_of(at.new, at.scope)
    names = sorted({*was, *now}, key=lambda name: (name != TYPE, name))
    differing = (each for each in names if each not in was or each not in now or was[each] != now[each])
    first = next(differing, None)
    return "exchange_type" if first is None else f"{ARGUMENTS}{first}"


def _queue_binding(at: At) -> Judged:
    if (by_hand := _clash(at)) is not None:
        return by_hand
    exchange, kind = (at.old.get(at.before, key) for key in ("exchange", "exchange_type"))
    shared = exchange != at.before.name and kind != "direct"
    if at.new.broker.bindings is not Bindings.NONE and shared and not at.facts.elsewhere:
        return manual(
            "the old binding stays and still routes matching messages to the queue until a person removes it"
        )
    return safe("the new binding is added to the old one, and both lead to the queue")


def _queue_removed(at: At) -> Judged:
    if (by_hand := _clash(at)) is not None:
        return by_hand
    leaving = ordered(at.needs.find(need.LEAVING, at.scope.name))
    return leaving or safe("no worker of this app consumed it")


def _queue_added(at: At) -> Judged:
    if at.new.get(at.scope, "external"):
        return manual("another app consumes the queue and must be ready before messages are sent")
    judged = _clash(at) or safe("no process sends to the new queue until that process is deployed")
    known = (at.facts.before.entry(task) for task in at.new.texts(at.scope, "tasks"))
    queues = {at.old.text(task, "queue") for task in known if task is not None}
    before = [arguments_of(at.old, Scope("queue", name)) for name in sorted(queues)]
    return _or_lossy(judged, _thrown_away(at, before))


def _queue_options(at: At) -> Judged:
    if at.key == "external":
        return manual("another app consumes the queue, or no longer does: agree with its team when to switch")
    if at.key == "broadcast":
        return manual(_to_a_broadcast(at) if at.now else _from_a_broadcast(at))
    return safe("each process uses the new value when it starts")


def _to_a_broadcast(at: At) -> str:
    name = at.scope.name
    wait = f"no new worker consumes the messages left in {name}: stop sending to it, wait until it is empty"
    if not at.new.broker.declarations:
        return f"{wait}, then deploy"
    exchange = f" and exchange {_exchange(at)}" if _is_exchange_refused(at) else ""
    refused = ", which RabbitMQ refuses to declare differently" if exchange else ""
    return f"{wait}, stop its workers, delete queue {name}{exchange}{refused}, then deploy"


def _from_a_broadcast(at: At) -> str:
    stop = f"old and new workers do not receive the same messages: stop sending to {at.scope.name}"
    if not _is_exchange_refused(at):
        return f"{stop} until every process has the new configuration"
    return (
        f"{stop}, stop its workers (which deletes their queues), delete exchange {_exchange(at)}, which "
        "RabbitMQ refuses to declare differently, then deploy"
    )


def _exchange(at: At) -> str:
    return at.old.text(at.before, "exchange")


RULES: dict[str, Rule] = {
    "queue-added": _queue_added,
    "queue-removed": _queue_removed,
    "queue-arguments": _queue_arguments,
    "queue-binding": _queue_binding,
    "queue-options": _queue_options,
}
"""The rule of each kind."""
