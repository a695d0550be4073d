"""Messages on Redis: one script reads all keys at once, so a message that moves meanwhile counts once.

kombu keeps a queue as one list for each priority level. It keeps the messages that workers hold in one hash,
each as message, exchange and routing key.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from policycompiler.plan import APP, Plan, Value
from policycompiler.reality.connection import Client, connected
from policycompiler.reality.messages.counts import Count, Look, binding

_LEVEL = "\x06\x16"
"""What kombu puts between a queue's name and a level of priority."""
_STEPS: Sequence[float] = (0, 3, 6, 9)
_COUNT = """
local look, at, result = cjson.decode(ARGV[1]), 0, {ready = {}, held = {}, all = 0}
local forms = {}
for _, form in ipairs(look.forms) do forms[form] = true end

local function read(text)
  local ok, m = pcall(cjson.decode, text)
  return ok and type(m) == "table" and m or {}
end

local function wanted(m)
  if type(m) ~= "table" then return false end
  if look.task ~= "" then return type(m.headers) == "table" and m.headers.task == look.task end
  return forms[m["content-type"]] == true
end

for number, queue in ipairs(look.queues) do
  local ready = 0
  for _ = 1, look.levels do
    at = at + 1

    if look.task == "" then ready = ready + redis.call("LLEN", KEYS[at]) else
      for _, m in ipairs(redis.call("LRANGE", KEYS[at], 0, -1)) do

        if wanted(read(m)) then ready = ready + 1 end
      end
    end
  end
  result.ready[number], result.held[number] = ready, 0
end

for _, text in ipairs(look.held and redis.call("HVALS", KEYS[#KEYS]) or {}) do
  local m = read(text)
  if wanted(m[1]) then result.all = result.all + 1 end

  for number, queue in ipairs(look.queues) do
    local own = m[2] == queue.exchange and (queue.any or m[3] == queue.key)

    if own or (m[2] == "" and m[3] == queue.name) then result.held[number] = result.held[number] + 1 end
  end
end
return cjson.encode(result)
"""
# From the newest to the oldest: kombu takes from the right, where the oldest ends up.
_MOVE = """
local n = 0
for _, q in ipairs(KEYS) do
  for i = 1, #ARGV, 2 do
    local m = redis.call("LPOP", q .. ARGV[i])
    while m do
      redis.call("RPUSH", q .. ARGV[i + 1], m)
      n = n + 1
      m = redis.call("LPOP", q .. ARGV[i])
    end
  end
end
return n
"""


def ready(plan: Plan, app: Client, queues: Sequence[str]) -> Look:
    """How many messages of each queue no worker has fetched."""
    found = _counted(plan, app, queues, held=False)
    return Look({name: Count(number) for name, number in zip(queues, found["ready"], strict=True)})


def left(plan: Plan, app: Client, queues: Sequence[str], management: str | None = None) -> Look:
    """How many messages of each queue are ready or held, including those with a countdown."""
    del management
    found = _counted(plan, app, queues)
    pairs = zip(found["ready"], found["held"], strict=True)
    return Look(dict(zip(queues, (Count(*pair) for pair in pairs), strict=True)))


def of_task(plan: Plan, app: Client, task: str, queues: Sequence[str]) -> Look:
    """How many messages of a task are ready in each queue, and held from any queue."""
    found = _counted(plan, app, queues, task=task)
    return Look(
        {name: Count(number) for name, number in zip(queues, found["ready"], strict=True)}, found["all"]
    )


def of_content(plan: Plan, app: Client, types: Sequence[str], queues: Sequence[str]) -> Look:
    """How many messages are ready in each queue, and how many held ones have one of these content types."""
    found = _counted(plan, app, queues, forms=types)
    return Look(
        {name: Count(number) for name, number in zip(queues, found["ready"], strict=True)}, found["all"]
    )


def move_levels(plan: Plan, app: Client, queues: Sequence[str], going: Sequence[float]) -> int:
    """Move messages from the lists of removed levels to those of the plan; the number of moved ones."""
    steps = steps_of(plan)
    # The most urgent is moved last, so workers take it first.
    ways = [
        level_of(plan, each)
        for step in sorted(going, reverse=True)
        for each in (step, steps[bisect(steps, step) - 1])
    ]
    return int(_evaluated(app, _MOVE, [key_of(plan, queue) for queue in queues], ways))


def _counted(
    plan: Plan,
    app: Client,
    queues: Sequence[str],
    *,
    task: str = "",
    forms: Sequence[str] = (),
    held: bool = True,
) -> Mapping[str, Any]:
    steps, bound = steps_of(plan), [binding(plan, queue) for queue in queues]
    look = {
        "task": task,
        "forms": list(forms),
        "held": held,
        "levels": len(steps),
        "queues": [
            {"name": each.queue, "exchange": each.exchange, "key": each.key or "", "any": each.key is None}
            for each in bound
        ],
    }
    lists = [key_of(plan, queue) + level_of(plan, step) for queue in queues for step in steps]
    found = _evaluated(
        app, _COUNT, [*lists, key_of(plan, _text(plan, "unacked_key", "unacked"))], [json.dumps(look)]
    )
    # An empty table of Lua is an object.
    read: dict[str, Any] = json.loads(found)
    return {key: value or [] if key != "all" else value for key, value in read.items()}


def _evaluated(app: Client, script: str, keys: Sequence[str], words: Sequence[str]) -> Any:  # noqa: ANN401
    with connected(app) as connection:
        # Neither redis-cli nor redis-py: they do not accept every address that Celery accepts.
        channel: Any = connection.default_channel
        return channel.client.eval(script, len(keys), *keys, *words)


def steps_of(plan: Plan) -> Sequence[float]:
    """The priority levels of each queue."""
    found = _option(plan, "priority_steps")
    steps = [step for step in found if isinstance(step, int | float)] if isinstance(found, list) else []
    return steps or _STEPS


def level_of(plan: Plan, step: float) -> str:
    """The suffix of the list of a level after the name of its queue."""
    return f"{_text(plan, 'sep', _LEVEL)}{step}" if step else ""


def key_of(plan: Plan, name: str) -> str:
    """The key of a list or another structure of kombu, which does not prefix the keys of a script."""
    return f"{_text(plan, 'global_keyprefix', '')}{name}"


def _text(plan: Plan, option: str, default: str) -> str:
    return str(_option(plan, option) or default)


def _option(plan: Plan, key: str) -> Value:
    options = plan.get(APP, "broker_transport_options")
    return options.get(key) if isinstance(options, dict) else None
