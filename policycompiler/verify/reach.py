"""Whether the look at a deployment was possible at all.

Because:
    A look that failed has found nothing, which must not read as agreement with the plan.

Refuses:
    PC840 broker-unreachable: start the broker, or correct its address.
        when: no connection to the broker of the plan is possible within 4 s, or it is lost during the look.
    PC841 broker-refused: correct the user, the password or the rights of the user.
        when: the broker answers, and refuses the login or a command.
    PC842 client-library-missing: install the extra that the help names, where this program runs.
        when: the client library for the kind of broker is not installed here.
    PC843 look-incomplete: give the user the right to read this part, or correct the address.
        when: a part of a broker cannot be read, such as the management API of RabbitMQ, or the broker refuses
        the questions to workers.
    PC844 workers-unseen: watch the workers by other means.
        when: the broker does not transport remote control, so no worker can be asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, info, warning
from policycompiler.plan import Plan
from policycompiler.reality.live import Failure, Live

BROKER_UNREACHABLE = error("PC840", "broker-unreachable")
BROKER_REFUSED = error("PC841", "broker-refused")
CLIENT_LIBRARY_MISSING = error("PC842", "client-library-missing")
LOOK_INCOMPLETE = warning("PC843", "look-incomplete")
WORKERS_UNSEEN = info("PC844", "workers-unseen")

_BROKER = ("broker",)


def findings(plan: Plan, live: Live) -> Iterator[Diagnostic]:
    """Why the look failed, or which parts it lacks."""
    if live.problem is not None:
        failure, message, extra = live.problem
        if failure is Failure.LIBRARY:
            told = f"a library for {plan.broker.label} is missing: {message}"
            help_text = f"install it with `pip install 'policycompiler[{extra}]'`"
            yield CLIENT_LIBRARY_MISSING.at(_BROKER, told, help=help_text)
        elif failure is Failure.UNSUPPORTED:
            yield LOOK_INCOMPLETE.at(_BROKER, message, help="look at this broker by hand")
        elif failure is Failure.REFUSED:
            told = f"the broker refuses the login or a command: {message}"
            yield BROKER_REFUSED.at(_BROKER, told, help="correct the user, the password or the user's rights")
        else:
            told = f"the broker cannot be reached: {message}"
            yield BROKER_UNREACHABLE.at(
                _BROKER, told, help="start the broker, or correct the address with `--broker`"
            )
        return
    for part in live.broker.unread if live.broker else ():
        message = f"a part of the broker cannot be read: {part}"
        yield LOOK_INCOMPLETE.at(_BROKER, message, help="give the user the right to read it")
    if live.unasked:
        message = f"the workers cannot be asked: {live.unasked}"
        yield LOOK_INCOMPLETE.at(
            _BROKER, message, help="check whether the broker refuses or blocks publishers"
        )
    elif live.workers is None:
        message = f"{plan.broker.label} does not transport remote control, so no worker can be asked"
        yield WORKERS_UNSEEN.at(_BROKER, message, help="watch the workers by other means, such as their logs")
