"""A strict reading of `rabbitmq/definitions.json`.

RabbitMQ imports much without a word: unknown keys, bindings of queues that do not exist, queues without
arguments, and arguments that it refuses for a declaration. What it refuses, it refuses halfway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from policycompiler.knowledge.queue_arguments import KNOWN, REFUSED, TYPE
from policycompiler.reality.problem import Problem

LASTING = {"durable": True, "auto_delete": False}
_Form: TypeAlias = Mapping[str, type]

_QUEUE: _Form = {"name": str, "vhost": str, "durable": bool, "auto_delete": bool, "arguments": dict}
_EXCHANGE: _Form = {**_QUEUE, "type": str, "internal": bool}
_BINDING: _Form = {
    **dict.fromkeys(("source", "vhost", "destination", "destination_type", "routing_key"), str),
    "arguments": dict,
}
_POLICY: _Form = {
    **dict.fromkeys(("name", "vhost", "pattern", "apply-to"), str),
    "priority": int,
    "definition": dict,
}
_SECTIONS: Mapping[str, _Form] = {
    "exchanges": _EXCHANGE,
    "queues": _QUEUE,
    "bindings": _BINDING,
    "policies": _POLICY,
}
_EXCHANGE_TYPES = frozenset({"direct", "fanout", "topic", "headers"})
_QUEUE_TYPES = frozenset({"classic", "quorum", "stream"})
_TEXTS = frozenset(
    {TYPE, "x-overflow", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy"}
)
"""Arguments whose value is text; all others of a known name have numbers, or true and false."""
_FLAGS = frozenset({"x-single-active-consumer"})
_OF_POLICIES = frozenset(
    {
        *(name.removeprefix("x-") for name in KNOWN),
        *("alternate-exchange", "federation-upstream-set", "ha-mode", "queue-version"),
    }
)


class Definitions(NamedTuple):
    """The sections of a document of the right form; `place` is the line of a name."""

    exchanges: Sequence[Mapping[str, Any]]
    queues: Sequence[Mapping[str, Any]]
    bindings: Sequence[Mapping[str, Any]]
    policies: Sequence[Mapping[str, Any]]
    text: str

    def place(self, name: str) -> int:
        """The first line with a name."""
        word = json.dumps(name, ensure_ascii=False)
        return next((at for at, line in enumerate(self.text.splitlines(), 1) if word in line), 1)


class _MalformedError(Exception):
    """A document that has not the form of definitions: one sentence for each problem."""


def lint(program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of definitions."""
    del program, variables
    for file in files:
        text = (folder / file).read_text("utf-8", errors="replace")
        try:
            found = read(text)
        except _MalformedError as malformed:
            yield from (Problem(file, 1, problem) for problem in malformed.args)
            continue
        for name, problem in _problems(found):
            yield Problem(file, found.place(name), problem)


def read_if_sound(text: str) -> Definitions | None:
    """Definitions of the right form; None for others, which `lint` reports."""
    try:
        return read(text)
    except _MalformedError:
        return None


def read(text: str) -> Definitions:
    """Definitions; raises `_MalformedError` with all that prevents it from being read."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        message = f"RabbitMQ cannot read it: {problem}"
        raise _MalformedError(message) from None
    if not isinstance(document, dict):
        raise _MalformedError("it is not a mapping of sections")
    problems = [f"RabbitMQ ignores the section `{each}`" for each in sorted(document.keys() - _SECTIONS)]
    problems += [f"the section `{each}` is missing" for each in sorted(_SECTIONS.keys() - document)]
    for section, form in _SECTIONS.items():
        entries = document.get(section, [])
        for at, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
            problems += [f"{section} {at}: {problem}" for problem in _malformed(entry, form)]
    if problems:
        raise _MalformedError(*problems)
    return Definitions(**document, text=text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _malformed(entry: object, form: _Form) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "it is not a mapping"
        return
    for key in sorted(form.keys() - entry):
        yield f"`{key}` is missing"
    for key in sorted(entry.keys() - form):
        yield f"`{key}` is not a key of it"
    for key, kind in form.items():
        if key in entry and type(entry[key]) is not kind:
            yield f"`{key}` must be {_KINDS[kind]}"


_KINDS = {str: "text", bool: "true or false", int: "a whole number", dict: "a mapping"}


def _problems(found: Definitions) -> Iterator[tuple[str, str]]:
    """What is wrong with sound entries, each with the name of the entry."""
    hosts = sorted({each["vhost"] for section in found[:4] for each in section})
    if len(hosts) > 1:
        yield hosts[-1], f"entries are in {len(hosts)} virtual hosts: {', '.join(hosts)}"
    for what, section in (("queue", found.queues), ("exchange", found.exchanges)):
        names = [each["name"] for each in section]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield name, f"{what} {name} is declared twice"
        for each in section:
            if any(each[key] is not value for key, value in LASTING.items()):
                yield each["name"], f"{what} {each['name']} does not outlive a restart, but Celery's does"
    for exchange in found.exchanges:
        if exchange["type"] not in _EXCHANGE_TYPES:
            yield exchange["name"], f"exchange {exchange['name']} has the unknown type {exchange['type']}"
        if exchange["internal"]:
            yield exchange["name"], f"exchange {exchange['name']} is internal: nobody can publish to it"
    for queue in found.queues:
        yield from ((queue["name"], f"queue {queue['name']}: {problem}") for problem in _arguments(queue))
    yield from _references(found)
    yield from _policies(found)


def _arguments(queue: Mapping[str, Any]) -> Iterator[str]:
    arguments, kind = queue["arguments"], queue["arguments"].get(TYPE, "classic")
    if kind not in _QUEUE_TYPES:
        yield f"`{TYPE}` {kind} is unknown"
    for name, value in arguments.items():
        if name not in KNOWN:
            yield f"RabbitMQ ignores the unknown argument `{name}`"
        elif name in REFUSED.get(str(kind), ()):
            yield f"RabbitMQ refuses `{name}` for a {kind} queue"
        elif name in _TEXTS and not isinstance(value, str):
            yield f"`{name}` must be text"
        elif name in _FLAGS and not isinstance(value, bool):
            yield f"`{name}` must be true or false"
        elif name not in _TEXTS | _FLAGS and (type(value) is not int or value < 0):
            yield f"`{name}` must be a whole number"


def _references(found: Definitions) -> Iterator[tuple[str, str]]:
    queues = {each["name"] for each in found.queues}
    exchanges = {each["name"] for each in found.exchanges}
    bound = {each["destination"] for each in found.bindings}
    for binding in found.bindings:
        source, destination = binding["source"], binding["destination"]
        if source not in exchanges and not source.startswith("amq."):
            yield source, f"a binding is to exchange {source or 'without a name'}, which is not declared"
        if binding["destination_type"] != "queue" or destination not in queues:
            yield destination, f"a binding is of {destination}, which is not a declared queue"
    for queue in found.queues:
        arguments = queue["arguments"]
        exchange = arguments.get("x-dead-letter-exchange")
        key = arguments.get("x-dead-letter-routing-key", queue["name"])
        if exchange is None and "x-dead-letter-routing-key" in arguments:
            yield queue["name"], f"queue {queue['name']} has a key for dead letters and no exchange for them"
        elif exchange == "" and key == queue["name"]:
            yield queue["name"], f"queue {queue['name']} gets its own dead letters"
        elif exchange == "" and key not in queues:
            yield queue["name"], f"dead letters of queue {queue['name']} are lost: queue {key} does not exist"
        elif exchange and exchange not in exchanges and not exchange.startswith("amq."):
            message = f"dead letters of queue {queue['name']} are lost: exchange {exchange} does not exist"
            yield queue["name"], message
    for exchange in sorted(exchanges & queues - bound):
        yield exchange, f"queue {exchange} is not bound to its exchange"


def _policies(found: Definitions) -> Iterator[tuple[str, str]]:
    names = [each["name"] for each in found.queues]
    for policy in found.policies:
        pattern, name = policy["pattern"], policy["name"]
        try:
            matched = [each for each in names if re.search(pattern, each)]
        except re.error as problem:
            yield name, f"policy {name}: RabbitMQ refuses the pattern: {problem}"
            continue
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield name, f"policy {name}: the pattern also matches longer names; begin with `^`, end with `$`"
        if len(matched) != 1:
            yield name, f"policy {name} matches {len(matched)} declared queues instead of one"
        if policy["apply-to"] not in {"queues", "classic_queues", "quorum_queues"}:
            yield name, f"policy {name} applies to {policy['apply-to']} instead of queues"
        for key in sorted(policy["definition"].keys() - _OF_POLICIES):
            yield name, f"policy {name}: RabbitMQ refuses the unknown key `{key}`"
        for key, value in policy["definition"].items():
            if key in _OF_POLICIES and f"x-{key}" not in _TEXTS and type(value) is str and value.isdecimal():
                yield name, f"policy {name}: `{key}` must be a whole number"
