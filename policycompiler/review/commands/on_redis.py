"""Commands that count messages in Redis, or move them. Each prints a number.

kombu keeps a queue as one list for each priority level, and the messages that all workers hold in one hash.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from policycompiler.emitters.python import python_literal
from policycompiler.plan import Plan, Scope
from policycompiler.review.commands.shell import address, word
from policycompiler.review.facts import fleet
from policycompiler.review.outcome import WaitFor, nothing_left

_LEVEL = "\x06\x16"
"""What kombu puts between a queue's name and a level of priority."""
_ASK = (
    "import os, sys, kombu; c = kombu.Connection(os.environ[{}], transport_options={}); "
    "print(c.default_channel.client.eval(*sys.argv[1:]))"
)
"""Neither redis-cli nor redis-py: they do not accept every address that Celery accepts."""
_ATTEMPTS = 3
"""To reach the broker; without a number kombu retries without end."""
_REACHED_BY = ("master_name", "min_other_sentinels", "sentinel_kwargs")

# The last key is the hash of the messages that workers hold, all others are lists.
_COUNT_LISTS = 'for i = 1, #KEYS - 1 do n = n + redis.call("LLEN", KEYS[i]) end '
_READ = 'do local ok, m = pcall(cjson.decode, m) if ok and type(m) == "table" then {} end end '
_COUNT_LISTED = (
    'for i = 1, #KEYS - 1 do for _, m in ipairs(redis.call("LRANGE", KEYS[i], 0, -1)) ' + _READ + "end "
)
_COUNT_HELD = 'for _, m in ipairs(redis.call("HVALS", KEYS[#KEYS])) ' + _READ
_FORMS = "local forms = {} for _, form in ipairs(ARGV) do forms[form] = true end "
_IF_TASK = 'if type({0}) == "table" and type({0}.headers) == "table" and {0}.headers.task == ARGV[1] '
# From the newest to the oldest: kombu takes from the right, where the oldest ends up.
_MOVE_LEVELS = (
    "for _, q in ipairs(KEYS) do for i = 1, #ARGV, 2 do "
    'local m = redis.call("LPOP", q .. ARGV[i]) '
    'while m do redis.call("RPUSH", q .. ARGV[i + 1], m) n = n + 1 m = redis.call("LPOP", q .. ARGV[i]) end '
    "end end "
)


def until_empty(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until no message of these queues is ready or held, including those with a countdown."""
    return (nothing_left(of_queue(plan, queue)) for queue in queues)


def until_taken(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until no message of these queues is ready."""
    return (nothing_left(ready(plan, queue)) for queue in queues)


def until_none_in_form(plan: Plan, queues: Sequence[str], content_types: Sequence[str]) -> Iterator[WaitFor]:
    """Until no message of these content types is ready or held."""
    yield from until_taken(plan, queues)
    yield nothing_left(held_in_form(plan, content_types))


def until_none_of(plan: Plan, task: str, queues: Sequence[str]) -> Iterator[WaitFor] | None:
    """Until no message of a task is ready or held; None for a pattern, which no command can search."""
    return None if "*" in task else (nothing_left(of_task(plan, queue, task)) for queue in queues)


def until_levels_moved(old: Plan, new: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until no message is left in the lists of removed levels; the command moves them to lists that stay.

    Waiting is not enough: a stopping worker returns its messages to the lists of its own levels.
    """
    going = {*fleet.priority_steps(old)} - {*fleet.priority_steps(new)}
    if going and queues:
        yield nothing_left(move_levels(new, queues, sorted(going)))


def delete_queue(plan: Plan, queue: str) -> None:
    """Redis keeps no empty queue."""
    del plan, queue


def delete_exchange(plan: Plan, exchange: str) -> None:
    """Redis keeps no exchange without bindings."""
    del plan, exchange


def ready(plan: Plan, queue: str) -> str:
    """How many messages no worker has fetched yet."""
    return _asked(plan, _COUNT_LISTS, _lists_and_held(plan, queue))


def of_queue(plan: Plan, queue: str) -> str:
    """How many messages are ready or held; a held one is stored as message, exchange and routing key."""
    scope = Scope("queue", queue)
    exchange, key = (str(plan.get(scope, each, queue)) for each in ("exchange", "routing_key"))
    # A topic's key is a pattern, so every message of its exchange counts.
    direct = plan.get(scope, "exchange_type", "direct") == "direct"
    bound = "m[2] == ARGV[2] and m[3] == ARGV[3]" if direct else "m[2] == ARGV[2]"
    held = f'if (m[2] == "" and m[3] == ARGV[1]) or ({bound}) then n = n + 1 end'
    words = (queue, exchange, *((key,) if direct else ()))
    return _asked(plan, _COUNT_LISTS + _COUNT_HELD.format(held), _lists_and_held(plan, queue), *words)


def held_in_form(plan: Plan, content_types: Sequence[str]) -> str:
    """How many messages of these content types workers hold, from all queues."""
    count = _COUNT_HELD.format('if type(m[1]) == "table" and forms[m[1]["content-type"]] then n = n + 1 end')
    return _asked(plan, f"{_FORMS}{count}", [_held(plan)], *content_types)


def of_task(plan: Plan, queue: str, task: str) -> str:
    """How many messages of a task are ready in a queue, or held from any queue."""
    listed, held = (
        count.format(f"{_IF_TASK.format(message)}then n = n + 1 end")
        for count, message in ((_COUNT_LISTED, "m"), (_COUNT_HELD, "m[1]"))
    )
    return _asked(plan, listed + held, _lists_and_held(plan, queue), task)


def move_levels(plan: Plan, queues: Sequence[str], going: Sequence[float]) -> str:
    """Move messages from the lists of removed levels to those of the plan; the number of moved ones."""
    # The most urgent is moved last, so workers take it first.
    ways = [
        _level(plan, each)
        for step in sorted(going, reverse=True)
        for each in (step, fleet.priority_step(plan, step))
    ]
    return _asked(plan, _MOVE_LEVELS, [word(_key(plan, queue)) for queue in queues], *ways)


def _asked(plan: Plan, script: str, keys: Sequence[str], *arguments: str) -> str:
    """Reads all keys at once, so a message that a worker fetches meanwhile is counted exactly once."""
    whole = shlex.quote(f"local n = 0 {script}return n")
    words = [*keys, *map(word, arguments)]
    variable, given = address(plan)
    options = {key: fleet.transport_option(plan, key) for key in _REACHED_BY}
    reached = {"max_retries": _ATTEMPTS} | {key: value for key, value in options.items() if value is not None}
    program = shlex.quote(_ASK.format(json.dumps(variable), python_literal(reached)))
    return f"{given}python -c {program} {whole} {len(keys)} {' '.join(words)}"


def _lists_and_held(plan: Plan, queue: str) -> list[str]:
    lists = (_key(plan, queue) + _level(plan, step) for step in fleet.priority_steps(plan))
    return [*map(word, lists), _held(plan)]


def _held(plan: Plan) -> str:
    return word(_key(plan, str(fleet.transport_option(plan, "unacked_key") or "unacked")))


def _level(plan: Plan, step: float) -> str:
    """The suffix of the list of a level after the name of its queue."""
    return f"{fleet.transport_option(plan, 'sep') or _LEVEL}{step}" if step else ""


def _key(plan: Plan, name: str) -> str:
    return f"{fleet.transport_option(plan, 'global_keyprefix') or ''}{name}"
