"""Queue names that SQS does not accept or does not have."""

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
        elif len(name) > transport.longest_name:
            most = transport.longest_name
            message = (
                f"queue {queue.name} is called {name} on SQS: {len(name)} characters, but SQS allows {most}"
            )
            yield _invalid(plan, queue, message, "choose a shorter name")
        elif name in named:
            message = f"queues {named[name].name} and {queue.name} are one queue on SQS ({name}): tasks mix"
            yield _invalid(plan, queue, message, "choose names that differ in more than `.` and `-`")
        named.setdefault(name, queue)


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
