"""A look at the workers and beats that answer remote control: one question to all, answers merged by node."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from celery import Celery

from policycompiler.knowledge import celery_settings
from policycompiler.plan import Plan
from policycompiler.plan.fingerprint import SHOWN_AS
from policycompiler.plan.node_names import worker_of
from policycompiler.reality import mailbox
from policycompiler.reality.connection import Connected
from policycompiler.reality.mailbox import Event, Reply
from policycompiler.reality.nodes import OPTIONS, Consumed, Held, Node, Workers

SETTLED_SECONDS = 3.0
"""A worker sends a heartbeat every 2 s, and answers at once unless its main loop is blocked."""
PATIENCE_SECONDS = 5.0
"""How long to wait for a node that the plan expects."""
_LAST = "ping"
"""A worker answers in order, so a node that answers only this is not a worker."""
_COMMANDS: Mapping[str, Mapping[str, object]] = {
    "stats": {},
    "active_queues": {},
    "registered": {"taskinfoitems": list(OPTIONS)},
    "conf": {"with_defaults": False},
    "active": {"safe": True},
    "reserved": {},
    "scheduled": {},
    _LAST: {},
}
"""`report` is not among them: it would send the environment of a worker over the broker."""
_POOL = re.compile(r"celery\.concurrency\.(\w+):TaskPool")
_POOLS = {"thread": "threads"}
_TASK = re.compile(r"(\S+)(?: \[(.*)\])?$", re.DOTALL)


def can_answer(plan: Plan) -> bool:
    """Whether the broker transports remote control in a form that this program can use."""
    return plan.broker.control and plan.broker.server in mailbox.BOXES


def look(app: Celery, connection: Connected, plan: Plan, server: str | None = None) -> Workers:
    """Ask all workers, and wait 3 to 5 s for the answers. The broker must be able to (`can_answer`).

    `server` is its kind, if it is not that of the plan.
    """
    expected = {scope.name: int(plan.number(scope, "replicas")) for scope in plan.scopes("worker")}

    def enough(replies: list[Reply], _: list[Event], seconds: float) -> bool:
        if seconds >= PATIENCE_SECONDS:
            return True
        names = {reply.node for reply in replies if reply.command == _LAST}
        answered = Counter(worker_of(plan, name) for name in names)
        return seconds >= SETTLED_SECONDS and all(answered[name] >= n for name, n in expected.items())

    replies, events = mailbox.ask(app, connection, server or plan.broker.server, _COMMANDS, enough)
    return merged(replies, events)


def merged(replies: Iterable[Reply], events: Iterable[Event]) -> Workers:
    """The answers by node. A command that a node refused or did not answer leaves its fields empty."""
    answers: dict[str, dict[str, Any]] = {}
    times: Counter[tuple[str, str]] = Counter()
    for node, command, answer in replies:
        times[node, command] += 1
        if not (isinstance(answer, dict) and "error" in answer):
            answers.setdefault(node, {}).setdefault(command, answer)
    beats = {name: times[name, _LAST] for name, given in answers.items() if set(given) == {_LAST}}
    heard = {str(event.fields.get("hostname")): event for event in events}
    nodes = {
        name: _node(name, given, heard.get(name), max(times[name, command] for command in given))
        for name, given in sorted(answers.items())
        if name not in beats
    }
    return Workers(nodes, beats)


def _node(name: str, given: Mapping[str, Any], event: Event | None, answers: int) -> Node:
    stats = _mapping(given.get("stats"))
    pool, scaler = _mapping(stats.get("pool")), _mapping(stats.get("autoscaler"))
    held = {key: _list(given.get(key)) for key in ("active", "reserved", "scheduled")}
    requests = [each.get("request", each) for several in held.values() for each in several if _mapping(each)]
    named = {str(request.get("name")) for request in requests if isinstance(request, dict)}
    settings = _mapping(given.get("conf"))
    return Node(
        name,
        pool=_pool(str(pool.get("implementation", ""))),
        slots=_whole(pool.get("max-concurrency")),
        autoscale=(int(scaler["min"]), int(scaler["max"])) if {"min", "max"} <= scaler.keys() else None,
        busy=len(held["active"]),
        reserved=len(held["reserved"]),
        scheduled=len(held["scheduled"]),
        prefetch=_whole(stats.get("prefetch_count")),
        recycles_after=_whole(pool.get("max-tasks-per-child")),
        queues=tuple(_consumed(each) for each in _list(given.get("active_queues")) if _mapping(each)),
        tasks=dict(_tasks(_list(given.get("registered")))),
        # The module of the settings may show other names too, the environment among them.
        settings={key: value for key, value in settings.items() if celery_settings.is_setting(key)},
        handles=frozenset({*named, *_mapping(stats.get("total"))}),
        held=tuple(_held(held)),
        version=str(event.fields.get("sw_ver", "")) if event else "",
        ahead_seconds=_ahead(event) if event else None,
        plan=str(stats.get(SHOWN_AS) or ""),
        answers=answers,
    )


def _held(told: Mapping[str, list[Any]]) -> Iterator[Held]:
    for kind, several in told.items():
        for each in several:
            request = _mapping(_mapping(each).get("request", each))
            way = _mapping(request.get("delivery_info"))
            yield Held(str(way.get("exchange") or ""), str(way.get("routing_key") or ""), kind == "scheduled")


def _consumed(told: Mapping[str, Any]) -> Consumed:
    exchange = _mapping(told.get("exchange"))
    return Consumed(
        str(told.get("name")),
        str(exchange.get("name", "")),
        str(exchange.get("type", "")),
        str(told.get("routing_key") or ""),
        _mapping(told.get("queue_arguments")),
    )


def _tasks(told: Iterable[object]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for each in told:
        if found := _TASK.match(str(each)):
            options = (word.partition("=") for word in (found[2] or "").split(" ") if "=" in word)
            yield found[1], {key: value for key, _, value in options}


def _pool(implementation: str) -> str:
    """The name of a pool, as `--pool` takes it; a class of the user by its own name."""
    found = _POOL.fullmatch(implementation)
    return _POOLS.get(found[1], found[1]) if found else implementation


def _ahead(event: Event) -> float | None:
    sent = event.fields.get("timestamp")
    return float(sent) - event.arrived if isinstance(sent, int | float) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
