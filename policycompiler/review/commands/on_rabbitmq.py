"""Commands that count the messages in RabbitMQ queues, or delete the queues."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from policycompiler.plan import APP, Plan, Scope
from policycompiler.review.commands.shell import address
from policycompiler.review.facts import fleet
from policycompiler.review.outcome import WaitFor, nothing_left, pause

_PRINTS = 'if (found < {}) print "no such queue here"; else print left'
_FAILS = 'if (found < {} || left) {{ print "missing, not empty, or in use"; exit 1 }}'
# A node of the broker has Python, but maybe not kombu; of several addresses the first counts.
_VHOST = (
    "import os; from urllib.parse import unquote, urlsplit; "
    'print(unquote(urlsplit(os.environ[{}].split(";")[0]).path[1:]) or "/")'
)
_IF_DONE = " | grep -w OK"
"""Celery exits with 0 even where the broker refuses."""
_TICK_SECONDS = 6
"""RabbitMQ counts a quorum queue every 5 s (`quorum_tick_interval`); an untyped queue may be one."""


def until_empty(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until no message of these queues is ready, unacknowledged or delayed in the broker."""
    yield nothing_left(left(plan, queues))
    delayed = [task for queue in queues for task in _delayed_in_broker(plan, queue)]
    if seconds := fleet.longest_way_seconds(plan, delayed):
        yield pause(seconds, "until then, the broker moves delayed messages back to their queues")
        yield nothing_left(left(plan, queues))


def _delayed_in_broker(plan: Plan, queue: str) -> list[Scope]:
    """The tasks of a queue, where the broker and not a worker delays some of them.

    With one quorum queue it does so for all queues that are bound to a topic exchange.
    """
    quorum = any(is_quorum(plan, scope.name) for scope in plan.scopes("queue"))
    if not quorum or plan.get(Scope("queue", queue), "exchange_type") == "direct":
        return []
    tasks = [Scope("task", name) for name in plan.texts(Scope("queue", queue), "tasks")]
    return tasks if any(fleet.longest_delay_seconds(plan, task) for task in tasks) else []


def until_taken(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until no message of these queues is ready."""
    if queues:
        yield nothing_left(ready(plan, queues))


def until_none_in_form(plan: Plan, queues: Sequence[str], content_types: Sequence[str]) -> None:
    """No command can read a message that a worker holds."""
    del plan, queues, content_types


def until_none_of(plan: Plan, task: str, queues: Sequence[str]) -> None:
    """No command can read a message that a worker holds."""
    del plan, task, queues


def until_levels_moved(old: Plan, new: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """A queue keeps its priority levels itself."""
    del old, new, queues
    return iter(())


def left(plan: Plan, queues: Sequence[str]) -> str:
    """How many messages of queues are ready or unacknowledged."""
    return _summed(plan, queues, ("messages",), _PRINTS)


def ready(plan: Plan, queues: Sequence[str]) -> str:
    """How many messages of queues no worker has fetched yet."""
    return _summed(plan, queues, ("messages_ready",), _PRINTS)


def delete_queue(plan: Plan, queue: str) -> str:
    """Delete a queue, if it is empty and no worker consumes it."""
    name = shlex.quote(queue)
    if plan.keys(Scope("queue", queue)) and not is_quorum(plan, queue):
        return f"{_amqp(plan)} queue.delete {name} yes yes{_IF_DONE}"
    # RabbitMQ deletes a quorum queue even if it is not empty or in use. A dead-letter queue may be one.
    unused = _summed(plan, [queue], ("messages", "consumers"), _FAILS)
    return f"{unused} && {_amqp(plan)} queue.delete {name} no no{_IF_DONE}"


def delete_exchange(plan: Plan, exchange: str) -> str:
    """Delete an exchange that nothing is bound to."""
    return f"{_amqp(plan)} exchange.delete {shlex.quote(exchange)} yes{_IF_DONE}"


def is_quorum(plan: Plan, queue: str) -> bool:
    """Whether a queue is declared as a quorum queue."""
    return plan.get(Scope("queue", queue), "type") == "quorum"


def _amqp(plan: Plan) -> str:
    return f"celery --app {shlex.quote(plan.text(APP, 'app'))} amqp"


def _summed(plan: Plan, queues: Sequence[str], columns: Sequence[str], end: str) -> str:
    """Sums columns of queues. A queue that is not listed is not empty: it may be on another virtual host."""
    total = " + ".join(f"${number}" for number in range(2, 2 + len(columns)))
    one_of = " || ".join(f"$1 == {json.dumps(queue, ensure_ascii=False)}" for queue in queues)
    count = f"{one_of} {{ found++; left += {total} }}"
    awk = shlex.quote(f"BEGIN {{ left = 0 }} {count} END {{ {end.format(len(queues))} }}")
    variable, given = address(plan)
    vhost = f"vhost=$({given}python -c {shlex.quote(_VHOST.format(json.dumps(variable)))})"
    rows = f'rabbitmqctl -p "$vhost" list_queues --quiet --no-table-headers name {" ".join(columns)}'
    looks = f"sleep {_TICK_SECONDS} && {vhost} && rows=$({rows})"
    return f"{looks} && printf '%s\\n' \"$rows\" | awk -F '\\t' {awk}"
