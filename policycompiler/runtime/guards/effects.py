"""An effect once: the record of a key in the store, from the claim to the result.

A record is absent, running, waiting, or done. All times are those of the store.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import getLogger
from typing import Any, NamedTuple

from kombu.serialization import dumps, loads

from . import counts
from .errors import KeyMissing, Later, OtherArguments, Poisoned, StoreDownError
from .store import Store
from .told import OfTask

GRACE_SECONDS = 60.0
"""How much later than promised a message may come before another one takes over."""
LIMIT_MARGIN_SECONDS = 10.0
"""How much longer than the hard time limit of its message a run owns its effect."""
LOOK_SECONDS = 1.0
"""How soon a duplicate looks again, at the earliest."""
_GUARD = "effects"
IGNORED = "ignored"
"""The form of a result that nobody gets."""
_DONE_TRIES = 3
_RETURN = ": return only what the result serializer takes"
_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
CLAIM = (
    _NOW
    + """
local owner, by, token, args, lease, most, keep, latest = unpack(ARGV)
if now > tonumber(latest) then return {'late', now} end
local record = KEYS[1]
for _, name in ipairs(KEYS) do
  if redis.call('EXISTS', name) == 1 then
    record = name
    break
  end
end
local found = redis.call(
  'HMGET', record, 'state', 'owner', 'until', 'args', 'takeovers', 'form', 'result',
  'since')
local state, takeovers = found[1], tonumber(found[5] or 0)
if state and found[4] ~= args and found[2] ~= owner then return {'other'} end
if state == 'done' then return {'done', found[6] or '', found[7] or ''} end
local left = state and tonumber(found[3]) - now or 0
local taken = 0
if left > 0 and (state == 'running' or found[2] ~= owner) then
  return {'busy', left, now - tonumber(found[8] or now)}
end
if state == 'running' then
  takeovers, taken = takeovers + 1, 1
  if takeovers > tonumber(most) then
    redis.call('DEL', record)
    return {'poisoned'}
  end
end
redis.call('HSET', record, 'state', 'running', 'owner', owner, 'by', by,
  'token', token, 'args', state and found[4] or args, 'takeovers', takeovers,
  'since', string.format('%.0f', now),
  'until', string.format('%.0f', now + lease))
redis.call('PEXPIRE', record, string.format('%.0f', keep + lease))
return {'run', taken, now, record}
"""
)
"""Of the names of a record, the first is for a new one.

Only a run whose lease is over is taken over, even by a copy of the same message.

A late claim must not take the record: the task would wait for the end of the lease.
A retry may have other arguments than the first message, whose arguments stay.
"""
MOVE = (
    _NOW
    + """
local token, state, milliseconds, keep, begins = unpack(ARGV)
local found = redis.call('HMGET', KEYS[1], 'state', 'token')
if found[1] ~= 'running' or found[2] ~= token then return 0 end
local till = tonumber(milliseconds) > 0 and now + milliseconds or 0
redis.call('HSET', KEYS[1], 'state', state, 'until', string.format('%.0f', till))
if state == 'waiting' then
  redis.call('HSET', KEYS[1], 'since', string.format('%.0f', now + begins))
end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', keep + milliseconds))
return 1
"""
)
DONE = """
local token, args, form, result, keep = unpack(ARGV)
local found = redis.call('HMGET', KEYS[1], 'state', 'token', 'args')
local lost = token ~= '' and found[2] ~= token and 1 or 0
if found[1] ~= 'done' then
  redis.call('HSET', KEYS[1], 'state', 'done', 'token', token,
    'args', found[1] and found[3] or args,
    'form', form, 'result', result)
  redis.call('PEXPIRE', KEYS[1], keep)
end
return lost
"""
"""A result is always kept, even of a run that has lost its claim: the effect exists."""
DELETE = """
local found = redis.call('HMGET', KEYS[1], 'state', 'token')
if found[1] ~= 'running' or found[2] ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
FREE = """
for _, name in ipairs(KEYS) do
  local found = redis.call('HMGET', name, 'state', 'owner', 'by')
  if found[1] == 'running' and found[2] == ARGV[1] and found[3] == ARGV[2] then
    redis.call('HSET', name, 'until', 0)
  end
end
"""


class Stored(NamedTuple):
    """What an earlier run has returned, as the serializer wrote it."""

    form: str
    result: bytes

    @property
    def is_ignored(self) -> bool:
        """Whether that run wanted no result."""
        return self.form == IGNORED


class Effects:
    """The records of one task."""

    def __init__(self, store: Store, names: str, task: str, told: OfTask) -> None:
        self.store, self.task, self.told = store, task, told
        self.names = [f"{names}{each}:" for each in told.records or (task,)]
        self._signature: inspect.Signature | None = None

    def named(self, task: Any, args: Any, kwargs: Any) -> tuple[list[str], str]:
        """The names that a record may have, and a hash of the arguments."""
        parameters = self._signature
        if parameters is None:
            parameters = self._signature = inspect.signature(task.run)
        bound = parameters.bind(*args, **kwargs)
        given = _hash(bound.arguments)
        bound.apply_defaults()
        value = self._value(parameters, bound.arguments)
        key = _hash(value)
        return [f"{each}{key}" for each in self.names], given

    def _value(self, parameters: inspect.Signature, given: Mapping[str, Any]) -> Any:
        first, *rest = str(self.told.key).split(".")
        value: Any = given.get(first)
        if first not in parameters.parameters:
            # The task takes any named argument.
            kinds = parameters.parameters.values()
            named = [each.name for each in kinds if each.kind is each.VAR_KEYWORD]
            value = dict(given.get(named[0]) or {}).get(first) if named else None
        for part in rest:
            inside = isinstance(value, Mapping)
            value = value.get(part) if inside else getattr(value, part, None)
        if value is None or value == "":
            message = f"task {self.task} has no value for its key {self.told.key}"
            message += ", so its effect could happen twice"
            raise KeyMissing(message)
        return value

    def claim(self, names: list[str], given: str, request: Any) -> Claim | Stored:
        """A claim of the effect, or its result; `Later` if another run has it."""
        told, token = self.told, os.urandom(8).hex()
        claim = Claim(self, names[0], token, given)
        most, keep = told.takeovers, _milliseconds(told.keep)
        who = request.id, request.hostname or "", token
        lease = _milliseconds(self.lease_seconds(request))
        try:
            asked = *who, given, lease, most, keep
            answer, *found = self.store.run_in_time(_GUARD, CLAIM, names, *asked)
        except StoreDownError:
            if told.on_store_error == "run":
                return claim._replace(token="")
            raise
        return self._answered(answer.decode(), found, claim)

    def lease_seconds(self, request: Any) -> float:
        """How long a run owns its effect: longer than the hard limit of its message.

        That limit beats that of the task here, and comes from the caller or from older
        settings.
        """
        limit = (getattr(request, "timelimit", None) or (None,))[0]
        return max(self.told.lease, limit + LIMIT_MARGIN_SECONDS if limit else 0.0)

    def _answered(self, answer: str, found: Any, claim: Claim) -> Claim | Stored:
        if answer == "run":
            self.store.set_clock(found[1])
            if found[0]:
                counts.add("takeovers_total", task=self.task)
            return claim._replace(name=found[2].decode())
        if answer == "done":
            return Stored(found[0].decode(), found[1])
        if answer == "poisoned":
            counts.add("poisoned_total", task=self.task)
            lost = self.told.takeovers + 1
            message = f"{lost} runs of task {self.task} ended without an outcome; "
            message += "it may kill its process"
            raise Poisoned(message)
        if answer == "busy":
            counts.add("duplicates_total", task=self.task, outcome="busy")
            says = f"another run of task {self.task} has the same key"
            raise Later(_look(*found) / 1000, "busy", says)
        counts.add("duplicates_total", task=self.task, outcome="other_arguments")
        message = f"task {self.task} ran with the same {self.told.key} "
        message += "and other arguments"
        raise OtherArguments(message)

    def free(self, names: list[str], request: Any) -> None:
        """Give up the claim of a run whose process is gone."""
        try:
            self.store.run(_GUARD, FREE, names, request.id, request.hostname or "")
        except StoreDownError:
            _tell(self.task, "its claim")

    def restored(self, stored: Stored) -> Any:
        """The result of an earlier run."""
        if not stored.form:
            message = f"the earlier result of task {self.task} was not stored"
            message += _RETURN
            raise TypeError(message)
        content_type, _, encoding = stored.form.partition(" ")
        accept = {content_type}
        return loads(stored.result, content_type, encoding, accept)  # type: ignore[no-untyped-call]


class Claim(NamedTuple):
    """A run that has the effect. Without a token the store was down, and it runs."""

    effects: Effects
    name: str
    token: str
    given: str

    @property
    def key(self) -> str:
        """What the task may give on as a key."""
        return self.name

    def wait(self, seconds: float) -> None:
        """The message comes again in so many seconds."""
        self._move("waiting", seconds + GRACE_SECONDS, begins=seconds)

    def renew(self) -> bool:
        """Extend the lease; False if the claim is lost."""
        return self._move("running", self.effects.told.lease)

    def free(self) -> None:
        """The run was interrupted: what it did is not known."""
        self._move("running", 0)

    def delete(self) -> None:
        """The run failed: the effect may be tried again."""
        self._run(DELETE, self.token)

    def done(self, task: Any, request: Any, result: Any) -> None:
        """Keep the result. A result that cannot be stored fails the task."""
        form, text, problem = _written(task.app, result)
        keep = _milliseconds(self.effects.told.keep)
        # Another app that sends by name knows nothing of the option of the task.
        ignored = getattr(request, "ignore_result", False) or task.ignore_result
        if problem is not None and ignored:
            form, text, _ = _written(task.app, None)
        tries = _DONE_TRIES if self.token else 1
        if not any(self._keep(form, text, keep, wait=bool(n)) for n in range(tries)):
            _tell(self.effects.task, "its result")
        if not form and self.effects.told.duplicate == "result":
            message = f"task {self.effects.task} ran, but its result cannot be stored"
            message += f" for duplicates{_RETURN}"
            raise TypeError(message) from problem

    def ignored(self) -> None:
        """The run ended without a result, and wants none: so do its duplicates."""
        self._keep(IGNORED, b"", _milliseconds(self.effects.told.keep), wait=False)

    def _keep(self, form: str, text: Any, keep: int, *, wait: bool) -> bool:
        """The effect exists, so it is worth some time to say so."""
        if wait:
            time.sleep(0.2)
        given = self.token, self.given, form, text, keep
        insist = bool(self.token)
        try:
            lost = self.effects.store.run(
                _GUARD, DONE, [self.name], *given, insist=insist
            )
        except StoreDownError:
            return False
        if lost:
            _warn_of_lost_claim(self.effects.task)
        return True

    def _move(self, state: str, seconds: float, begins: float = 0) -> bool:
        times = seconds, self.effects.told.keep, begins
        return self._run(MOVE, self.token, state, *map(_milliseconds, times))

    def _run(self, script: str, *arguments: Any) -> bool:
        if not self.token:
            return False
        try:
            return bool(self.effects.store.run(_GUARD, script, [self.name], *arguments))
        except StoreDownError:
            # The record stays as it is until its lease is over.
            _tell(self.effects.task, "its claim")
            return True


@contextmanager
def beating(claim: Claim | None) -> Iterator[None]:
    """Renew the lease while the task runs, where no hard limit ends a run."""
    if claim is None or not claim.token or not claim.effects.told.heartbeat:
        yield
        return
    over = threading.Event()

    def beat() -> None:
        while not over.wait(claim.effects.told.lease / 3):
            claim.renew()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1)


def _look(left: int, lasted: int) -> float:
    """The milliseconds until a duplicate looks again.

    After as long as the run has lasted: it learns of the end soon, and looks rarely.
    One that waits for its message has lasted a negative time.
    """
    least = 1000 * LOOK_SECONDS
    return min(left, max(lasted, least - min(lasted, 0)))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _written(app: Any, result: Any) -> tuple[str, Any, Exception | None]:
    """A result as the serializer of results writes it; no form if it cannot."""
    try:
        written = dumps(result, serializer=app.conf.result_serializer)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - any serializer, any error
        return "", "", error
    content_type, encoding, text = written
    return f"{content_type} {encoding}", text, None


def _hash(value: Any) -> str:
    """The same for the same value in each process; a number and its text differ."""
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    # The default text of an object has its address.
    kinds = type(value).__mro__[:-1]
    has_text = any({"__str__", "__repr__"} & vars(kind).keys() for kind in kinds)
    return str(value) if has_text else type(value).__qualname__


def _warn_of_lost_claim(task: str) -> None:
    counts.add("lost_claims_total", task=task)
    message = "task %s lost its claim while it ran; its effect may exist twice"
    getLogger(__name__).warning(message, task)


def _tell(task: str, what: str) -> None:
    message = "the store did not take %s of task %s; it is free when its lease is over"
    getLogger(__name__).warning(message, what, task)
