"""Queue names that the broker does not accept or does not have."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.knowledge.brokers.sqs import canonical
from policycompiler.plan import APP, Plan, Scope

OPTIONS = "broker_transport_options"


def sqs_queues(plan: Plan) -> Iterator[Hazard]:
    """Check each queue that a process of this app opens."""
    transport = plan.broker
    if not transport.letters:
        yield from _refused(plan)
        return
    options = plan.get(APP, OPTIONS)
    options = options if isinstance(options, dict) else {}
    prefix, table = str(options.get("queue_name_prefix") or ""), options.get("predefined_queues")
    named: dict[str, Scope] = {}
    for queue in plan.scopes("queue"):
        name = canonical(prefix + queue.name)
        if isinstance(table, dict) and table:
            if {queue.name, name} <= table.keys():
                continue
            yield _undefined(queue, name, set(table))
        elif len(name.encode()) > transport.longest_name:
            most = transport.longest_name
            message = (
                f"queue {queue.name} is called {name} on SQS: {len(name)} characters, but SQS allows {most}"
            )
            yield _invalid(plan, queue, message, "choose a shorter name")
        elif strange := _strange(plan, name):
            message = f"queue {queue.name} is called {name} on SQS, which does not accept {strange} in a name"
            yield _invalid(plan, queue, message, "use only letters, digits, `-`, `_` and `.`")
        elif name in named:
            message = f"queues {named[name].name} and {queue.name} are one queue on SQS ({name}): tasks mix"
            yield _invalid(plan, queue, message, "choose names that differ in more than `.` and `-`")
        named.setdefault(name, queue)


def _strange(plan: Plan, name: str) -> str:
    """The first character that the broker does not accept; empty if there is none."""
    ours = name.removesuffix(".fifo")
    allowed = (
        each for each in ours if not (each.isascii() and each.isalnum()) and each not in plan.broker.letters
    )
    return next((f"`{each}`" for each in allowed), "")


def _refused(plan: Plan) -> Iterator[Hazard]:
    """Names that are too long for the broker or have a character that it cannot store."""
    label, most = plan.broker.label, plan.broker.longest_name
    for queue in plan.scopes("queue"):
        # The name of a dead-letter queue is longer.
        name = str(plan.get(queue, "dead_letter_queue") or queue.name)
        length = len(name.encode())
        refused = [each for each in plan.broker.refused if each in queue.name]
        if refused:
            message = f"queue {queue.name} has `{refused[0]}` in its name, which {label} cannot store"
            yield _invalid(plan, queue, message, "choose another name")
        elif length > most:
            message = f"the name of queue {name} has {length} bytes, but {label} allows {most}"
            yield _invalid(plan, queue, message, "choose a shorter name")


def _undefined(queue: Scope, name: str, table: set[str]) -> Hazard:
    """Kombu looks up a queue by its name and by its name on SQS; both must be in the table."""
    path: SpecPath = ("broker", "options", "predefined_queues")
    if {queue.name, name} & table:
        message = (
            f"queue {queue.name} is called {name} on SQS, and kombu needs both names in `predefined_queues`: "
            "its workers do not start, and sends to it fail"
        )
        help_text = "use a name with only letters, digits, `-` and `_`, and remove `queue_name_prefix`"
    else:
        message = (
            f"queue {queue.name} is not in `predefined_queues`, which lists all usable queues: its workers "
            "do not start, and sends to it fail"
        )
        help_text = f"add `{name}` with its URL, or give its tasks a `queue` from the table"
    settings = ((APP, OPTIONS), (queue, "tasks"))
    return Hazard("predefined-queue-missing", settings, message, help_text, path)


def _invalid(plan: Plan, queue: Scope, message: str, help_text: str) -> Hazard:
    settings = ((queue, "tasks"), (APP, OPTIONS))
    path = place_of(plan, queue, "exchange", "external")
    tasks = plan.texts(queue, "tasks")
    if tasks and (pinned := plan.written(Scope("task", tasks[0]), "queue")):
        path = pinned
    return Hazard("queue-name-invalid", settings, message, help_text, path)
