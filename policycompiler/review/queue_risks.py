"""How risky it is what changes about queues, and why."""

from __future__ import annotations

from policycompiler.plan import APP
from policycompiler.review.judged import At, Judged, Rule, manual, ordered, safe


def unattended(at: At) -> Judged | None:
    """What it means that a worker does no more for queues to which tasks go on being sent."""
    if at.old.get(at.before, "replicas", 1) == 0:
        return None
    left = sorted(at.needs.unattended.intersection(at.old.texts(at.before, "queues")))
    if not left:
        return None
    names = ", ".join(left)
    return manual(
        f"tasks go on being sent to {names}, and no worker takes from there any more: what is sent waits "
        "until one runs again, or expires; decide who runs it, or stop sending it first"
    )


def _queue_arguments(at: At) -> Judged:
    if at.new.get(APP, "broker_transport") != "rabbitmq":
        return safe("this broker does not keep it")
    if (by_hand := _declared_by_another(at) or _of_a_broadcast(at)) is not None:
        return by_hand
    if at.key == "dead_letter_arguments" and at.was is not None and at.now is not None:
        return _dead_letter_arguments(at)
    if at.scope.name in at.needs.replaced:
        return _made_anew(at)
    return safe("each process declares it as it is")


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
    return kept and other_type and at.new.get(APP, "broker_transport") == "rabbitmq"


def _dead_letter_arguments(at: At) -> Judged:
    """A person decides what becomes of the letters; where the queue itself is made anew, at a step."""
    if at.needs.elsewhere:
        return safe("each process declares it as it is")
    dead = at.old.text(at.before, "dead_letter_queue")
    refused = f"RabbitMQ refuses other arguments while {dead} exists"
    if at.scope.name in at.needs.replaced:
        return manual(
            f"{refused}: a step says when to run again or save what is in it and to delete it; until then "
            f"{at.needs.replaced[at.scope.name]} has a queue of its own for dead letters"
        )
    return manual(
        f"{refused}: right before the first step, run again or save what is in it, and delete it; an old "
        "process that starts before a new one makes it anew as it was, so that it has to be deleted again; "
        "one that starts after a new one is refused; what fails while it does not exist may be dropped"
    )


def _made_anew(at: At) -> Judged:
    if at.key != _main_argument(at):
        return safe("the queue is made anew for its arguments, and takes this with it")
    between = at.needs.replaced[at.scope.name]
    return ordered(
        "RabbitMQ refuses other arguments while the queue exists: no worker of it would start, no send "
        f"would pass; {between} stands in for it until it is empty and made anew"
    )


def _main_argument(at: At) -> str:
    """The setting of a queue that is made anew which says so."""
    arguments = at.old.get(at.before, "arguments") != at.new.get(at.scope, "arguments")
    return "arguments" if arguments else "exchange_type"


def _queue_binding(at: At) -> Judged:
    exchange, kind = (at.old.get(at.before, key) for key in ("exchange", "exchange_type"))
    shared = exchange != at.before.name and kind != "direct"
    if at.new.get(APP, "broker_transport") == "rabbitmq" and shared:
        return manual(
            "the old binding stays, and goes on bringing what it matches, until somebody removes it"
        )
    return safe("the new binding is made beside the old one, and both lead to the queue")


def _queue_removed(at: At) -> Judged:
    if at.scope.name in at.needs.leaving:
        return ordered("what is left in it has no worker any more, unless it is taken first")
    return safe("no worker of this app consumed it")


def _queue_added(at: At) -> Judged:
    if at.new.get(at.scope, "external"):
        return manual("another app consumes it, and has to be ready before anything is sent")
    return safe("nothing is sent to it before somebody is told to")


def _queue_options(at: At) -> Judged:
    if at.key == "external":
        return manual("who consumes the queue changes: the two apps have to agree when")
    if at.key == "broadcast":
        return manual(_to_a_broadcast(at) if at.now else _from_a_broadcast(at))
    return safe("each process goes by it from its start on")


def _to_a_broadcast(at: At) -> str:
    name = at.scope.name
    wait = f"no new worker takes what is left in {name}: stop sending to it and wait until it is empty"
    if at.new.get(APP, "broker_transport") != "rabbitmq":
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
