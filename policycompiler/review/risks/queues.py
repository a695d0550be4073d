"""How risky it is what changes about queues, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.queues import arguments_of
from policycompiler.knowledge.brokers import Bindings
from policycompiler.knowledge.queue_arguments import DROPPING, KNOWN, LIMIT, OVERFLOW, TYPE
from policycompiler.plan import Scope, Value
from policycompiler.review.facts import binding_clashes, fleet
from policycompiler.review.order import need
from policycompiler.review.outcome import Class
from policycompiler.review.risks.verdicts import At, Judged, Rule, lossy, manual, ordered, safe

ARGUMENTS = "arguments."
"""How the keys of the arguments of a queue begin."""


def unattended(at: At) -> Judged | None:
    """What it means that a worker does no more for queues to which tasks go on being sent."""
    if at.old.get(at.before, "replicas", 1) == 0:
        return None
    left = sorted(at.facts.unattended.intersection(at.old.texts(at.before, "queues")))
    if not left:
        return None
    names = ", ".join(left)
    return manual(
        f"tasks go on being sent to {names}, and no worker takes from there any more: what is sent waits "
        "until one runs again, or expires; decide who runs it, or stop sending it first"
    )


def _queue_arguments(at: At) -> Judged:
    if at.key == "type":
        return safe("its arguments say it to the broker")
    if not at.key.startswith(ARGUMENTS):
        return _declared(at)
    argument = at.key.removeprefix(ARGUMENTS)
    lost = [*_thrown_away(at, [arguments_of(at.old, at.before)], argument), *_delivered_less(at, argument)]
    return _or_lossy(_of_unknown(argument) or _declared(at), iter(lost))


def _delivered_less(at: At, argument: str) -> Iterator[str]:
    if argument == LIMIT and isinstance(at.was, int) and isinstance(at.now, int) and 0 <= at.now < at.was:
        yield f"RabbitMQ now gives up a message after {at.now} redeliveries instead of {at.was}"


def _of_unknown(argument: str) -> Judged | None:
    """What nobody knows of is for a person to look at."""
    return None if argument in KNOWN else manual(f"it is unknown what queue argument `{argument}` does")


def _declared(at: At) -> Judged:
    """What comes of another declaration of a queue that exists."""
    clash = _clash(at) if at.key == "exchange_type" else None
    if not at.new.broker.declarations:
        return clash or safe("this broker does not keep it")
    if (by_hand := _declared_by_another(at) or _of_a_broadcast(at) or clash) is not None:
        return by_hand
    if at.key == "dead_letter_arguments" and at.was is not None and at.now is not None:
        return _dead_letter_arguments(at)
    if (replaced := ordered(at.needs.find(need.REPLACED, at.scope.name))) is not None:
        return replaced if at.key == _main_argument(at) else _ALONG
    if _is_refused(at):
        return manual(
            f"RabbitMQ refuses it while queue {at.scope.name} exists, to whoever sends there too, and the "
            "steps make no queue anew that has not a worker before and after: stop sending to it, empty it "
            "or save what is in it, delete it, then deploy"
        )
    return safe("each process declares it as it is")


_ALONG = safe("the queue is made anew for its arguments, and takes this with it")


def _is_refused(at: At) -> bool:
    """Whether RabbitMQ refuses this of the queue, which is declared by this app before and after."""
    if at.facts.elsewhere or at.new.get(at.scope, "broadcast"):
        return False
    return at.key.startswith(ARGUMENTS) or (at.key == "exchange_type" and _is_exchange_refused(at))


def _or_lossy(judged: Judged, thrown_away: Iterator[str]) -> Judged:
    """As judged, unless arguments of the queue throw away what those of before kept."""
    lost = list(thrown_away)
    if not lost:
        return judged
    more = [] if judged.risk is Class.SAFE else [judged.because]
    return lossy("; ".join([*lost, *more]))


def _thrown_away(at: At, before: list[dict[str, Value]], changed: str = "") -> Iterator[str]:
    """What the new arguments of a queue throw away, and one of those of before does not.

    Of a `changed` argument, what comes of it.
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
    """What becomes of what a full queue refuses."""
    if fleet.transport_option(at.new, "confirm_publish"):
        return (
            "a full queue refuses what is sent: the call raises an error, and a retry, a firing of beat or "
            "whatever does not send again is lost"
        )
    return "a full queue refuses what is sent, which without `confirm_publish` nobody notices"


def _is_less(limit: Value, before: Value) -> bool:
    return not isinstance(before, int | float) or (isinstance(limit, int | float) and limit < before)


def _clash(at: At) -> Judged | None:
    """What the exchanges of old and new queues do to this one."""
    found, name = at.facts.clashes, at.scope.name
    # Of queues that are made anew, or go, the exchange is deleted.
    deleted = {*at.facts.replaced, *at.needs.names(need.LEAVING)} if name in at.facts.replaced else set()
    if at.new.broker.declarations and found.retyped.get(name, frozenset()) - deleted:
        exchange = at.new.text(at.scope, "exchange")
        return manual(
            f"RabbitMQ refuses another type while exchange {exchange} exists: choose another name, or delete "
            "it by hand first, while nothing is sent to it"
        )
    crossed = found.crossed.get(name)
    return None if crossed is None else manual(_crossed(at, crossed))


def _crossed(at: At, crossed: binding_clashes.Crossed) -> str:
    exchange = crossed.exchange
    other = "exchange or routing key"
    if crossed.any_key or exchange == binding_clashes.DELAYS:
        other = "exchange" if crossed.any_key else "routing key"
    another = f"choose another {other} for {crossed.new}"
    what = "what is delayed" if exchange == binding_clashes.DELAYS else "what is sent"
    told = f"{what} for {crossed.meant_for} comes to {at.scope.name} too, and runs twice"
    kept = at.new.broker.bindings
    if kept is Bindings.NONE:
        return f"{told}, where both bindings to exchange {exchange} are known: {another}"
    if kept is Bindings.BROKER:
        removed = f"the one of before is deleted from exchange {exchange} (`rabbitmqadmin`, management pages)"
    elif kept is Bindings.FILE:
        removed = f"its entry is removed from the file `{exchange}.exchange` of the control folder"
    else:
        prefix = fleet.transport_option(at.new, "global_keyprefix") or ""
        removed = f"its member is removed from the set `{prefix}_kombu.binding.{exchange}`"
    return (
        f"{told}, as bindings outlive what made them: {another}, or send nothing until no old "
        f"process runs and {removed}"
    )


def _declared_by_another(at: At) -> Judged | None:
    """What another app's declaration asks for."""
    before, after = at.old.get(at.before, "external"), at.new.get(at.scope, "external")
    if before and after:
        return manual("the app that consumes the queue declares it; both have to say the same")
    if after:
        return safe("the app that consumes the queue declares it from now on")
    if before:
        return manual("RabbitMQ refuses it unless the queue exists as it is declared here from now on")
    return None


def _of_a_broadcast(at: At) -> Judged | None:
    """What becomes of a declaration with a queue that becomes a broadcast, or is one no more."""
    if at.old.get(at.before, "broadcast") == at.new.get(at.scope, "broadcast"):
        return None
    if at.key == "exchange_type" and _is_exchange_refused(at):
        return manual(
            f"RabbitMQ refuses another type while exchange {_exchange(at)} exists: delete it by hand first"
        )
    return safe("a broadcast is a queue of each process: none is declared otherwise than it exists")


def _is_exchange_refused(at: At) -> bool:
    kept = at.old.get(at.before, "exchange") == at.new.get(at.scope, "exchange")
    other_type = at.old.get(at.before, "exchange_type") != at.new.get(at.scope, "exchange_type")
    return kept and other_type and at.new.broker.declarations


def _dead_letter_arguments(at: At) -> Judged:
    """A person decides what becomes of the letters; where the queue itself is made anew, at a step."""
    if at.facts.elsewhere:
        return safe("each process declares it as it is")
    dead = at.old.text(at.before, "dead_letter_queue")
    refused = f"RabbitMQ refuses other arguments while {dead} exists"
    if at.scope.name in at.facts.replaced:
        return manual(
            f"{refused}: a step says when to run again or save what is in it and to delete it; until then "
            f"{at.facts.replaced[at.scope.name]} has a queue of its own for dead letters"
        )
    return manual(
        f"{refused}: right before the first step, run again or save what is in it, and delete it; an old "
        "process that starts before a new one makes it anew as it was, so that it has to be deleted again; "
        "one that starts after a new one is refused; what fails while it does not exist may be dropped"
    )


def _main_argument(at: At) -> str:
    """The setting of a queue that is made anew which says so."""
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
            "the old binding stays, and goes on bringing what it matches, until somebody removes it"
        )
    return safe("the new binding is made beside the old one, and both lead to the queue")


def _queue_removed(at: At) -> Judged:
    if (by_hand := _clash(at)) is not None:
        return by_hand
    leaving = ordered(at.needs.find(need.LEAVING, at.scope.name))
    return leaving or safe("no worker of this app consumed it")


def _queue_added(at: At) -> Judged:
    if at.new.get(at.scope, "external"):
        return manual("another app consumes it, and has to be ready before anything is sent")
    judged = _clash(at) or safe("nothing is sent to it before somebody is told to")
    known = (at.facts.before.entry(task) for task in at.new.texts(at.scope, "tasks"))
    queues = {at.old.text(task, "queue") for task in known if task is not None}
    before = [arguments_of(at.old, Scope("queue", name)) for name in sorted(queues)]
    return _or_lossy(judged, _thrown_away(at, before))


def _queue_options(at: At) -> Judged:
    if at.key == "external":
        return manual("who consumes the queue changes: the two apps have to agree when")
    if at.key == "broadcast":
        return manual(_to_a_broadcast(at) if at.now else _from_a_broadcast(at))
    return safe("each process goes by it from its start on")


def _to_a_broadcast(at: At) -> str:
    name = at.scope.name
    wait = f"no new worker takes what is left in {name}: stop sending to it and wait until it is empty"
    if not at.new.broker.declarations:
        return f"{wait}, then deploy"
    exchange = f" and exchange {_exchange(at)}" if _is_exchange_refused(at) else ""
    refused = ", which RabbitMQ refuses to declare otherwise" if exchange else ""
    return f"{wait}, stop its workers, delete queue {name}{exchange}{refused}, then deploy"


def _from_a_broadcast(at: At) -> str:
    stop = f"old and new workers do not hear the same: stop sending to {at.scope.name}"
    if not _is_exchange_refused(at):
        return f"{stop} until every process has the new configuration"
    return (
        f"{stop}, stop its workers, whose own queues go with them, delete exchange {_exchange(at)}, which "
        "RabbitMQ refuses to declare otherwise, then deploy"
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
"""How each kind is judged."""
