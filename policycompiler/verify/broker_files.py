"""Where the files for a broker say something else than the plan beside them.

Refuses:
    PC927 broker-file-disagrees: compile again.
        when: a compiled file for the broker declares, allows or sets something else than the plan says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from policycompiler.diagnostics import Diagnostic, Place, error
from policycompiler.plan import APP, Plan, Scope
from policycompiler.reality.broker_lints import WORDS, commands_of
from policycompiler.reality.definitions import Definitions, read_if_sound

BROKER_FILE_DISAGREES = error("PC927", "broker-file-disagrees")

_HELP = "compile again"
_DEFINITIONS = "rabbitmq/definitions.json"
_LINES = {
    "rabbitmq/rabbitmq.conf": ("server.", "="),
    "redis/redis.conf": ("server.", " "),
    "redis/guards.conf": ("store_server.", " "),
}
"""Files with a line for each key of the plan with a prefix, and what is between key and value."""
_PERMISSIONS = "rabbitmq/permissions.sh"


def findings(plan: Plan, folder: Path, names: Iterable[str]) -> Iterator[Diagnostic]:
    """The differences between the files of a compiled folder, by their names in it, and the plan."""
    told = plan.told()
    for name in names:
        if name not in (_DEFINITIONS, _PERMISSIONS, *_LINES):
            continue
        text = (folder / name).read_text("utf-8", errors="replace")
        for at, problem in _of_file(told, name, text):
            place = Place((folder / name).as_posix(), at, 1)
            yield BROKER_FILE_DISAGREES.at((), problem, help=_HELP, place=place)


def _of_file(plan: Plan, name: str, text: str) -> Iterator[tuple[int, str]]:
    if name in _LINES:
        yield from _lines(plan, text, *_LINES[name])
    elif name == _PERMISSIONS:
        yield from _permissions(plan, text)
    elif (found := read_if_sound(text)) is not None:
        yield from _definitions(plan, found)


def _lines(plan: Plan, text: str, prefix: str, between: str) -> Iterator[tuple[int, str]]:
    """Lines that the plan does not have, or has with another value; and lines that are gone."""
    planned = {key: str(value) for key, value in plan.below(APP, prefix).items()}
    seen = set()
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, value = (part.strip() for part in line.partition(between)[::2])
        seen.add(key)
        if key not in planned:
            yield at, f"the plan does not have `{key}`"
        elif value != planned[key]:
            yield at, f"`{key}` is {value}, planned {planned[key]}"
    for key in sorted(planned.keys() - seen):
        yield 1, f"`{key}` is not set, planned {planned[key]}"


_NEEDED = {"WORKER": ("configure", "write", "read"), "PRODUCER": ("configure", "write"), "MONITOR": ()}
"""The rights on every queue that each kind of user needs."""


def _permissions(plan: Plan, text: str) -> Iterator[tuple[int, str]]:
    host, queues = str(plan.get(APP, "broker_virtual_host", "/")), _declared(plan)
    others = [queue for queue in plan.scopes("queue") if plan.value(queue, "external")]
    for at, words in commands_of(text):
        if len(words) != WORDS or any(not _is_pattern(each) for each in words[-3:]):
            continue
        *_, found, user, configure, write, read = words
        patterns = {"configure": configure, "write": write, "read": read}
        if found != host:
            yield at, f"rights are in virtual host {found}, planned {host}"
        role = user.removeprefix("${RABBITMQ_").removesuffix("_USER:-}")
        for right in _NEEDED.get(role, ()):
            missing = [queue.name for queue in queues if not re.search(patterns[right], queue.name)]
            if missing:
                yield at, f"{role.lower()}s have no right to {right} queue {missing[0]}"
        yield from (
            (at, f"{role.lower()}s may declare and delete queue {queue.name} of another app")
            for queue in others
            if re.search(configure, queue.name)
        )


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _declared(plan: Plan) -> list[Scope]:
    """The queues that `celeryconfig.py` lists and that this app declares under their own name."""
    keys = {"exchange", "exchange_type", "routing_key", "consumer_arguments"}
    return [
        queue
        for queue in plan.scopes("queue")
        if not plan.value(queue, "external")
        and not plan.value(queue, "broadcast")
        and keys & plan.keys(queue).keys()
    ]


def _definitions(plan: Plan, found: Definitions) -> Iterator[tuple[int, str]]:
    host = plan.get(APP, "broker_virtual_host", "/")
    for entry in (each for section in found[:4] for each in section if each["vhost"] != host):
        name = str(entry.get("name") or entry.get("destination"))
        yield found.place(name), f"{name} is in virtual host {entry['vhost']}, planned {host}"
    declared = _declared(plan)
    planned = {queue.name: plan.below(queue, "arguments.") for queue in declared}
    for queue in declared:
        if plan.get(queue, "dead_letter_queue") is not None:
            letters = plan.value(queue, "dead_letter_arguments")
            planned.setdefault(str(plan.value(queue, "dead_letter_queue")), letters)  # type: ignore[arg-type]  # a mapping
    yield from _compared("queue", "arguments", planned, _by_name(found.queues, "arguments"), found)
    copies = [queue for queue in plan.scopes("queue") if plan.value(queue, "broadcast")]
    own = [*declared, *(queue for queue in copies if not plan.value(queue, "external"))]
    types = {
        str(plan.value(queue, "exchange")): plan.get(queue, "exchange_type")
        for queue in own
        if plan.get(queue, "exchange")
    }
    yield from _compared("exchange", "type", types, _by_name(found.exchanges, "type"), found)
    keys = {
        queue.name: (plan.get(queue, "exchange"), plan.get(queue, "routing_key"))
        for queue in declared
        if plan.get(queue, "exchange") and plan.find(queue, "routing_key")
    }
    bound = {each["destination"]: (each["source"], each["routing_key"]) for each in found.bindings}
    yield from _compared("binding of queue", "exchange and key", keys, bound, found)
    service = plan.text(APP, "service")
    policies = {
        f"{service}:{queue.name}": (
            plan.value(queue, "broker_policy"),
            plan.get(APP, "broker_policy_priority"),
        )
        for queue in declared
        if plan.find(queue, "broker_policy")
    }
    said = {each["name"]: (each["definition"], each["priority"]) for each in found.policies}
    yield from _compared("policy", "definition and priority", policies, said, found)


def _by_name(section: Iterable[Mapping[str, Any]], key: str) -> dict[str, Any]:
    return {each["name"]: each[key] for each in section}


def _compared(
    what: str, about: str, planned: Mapping[str, Any], said: Mapping[str, Any], found: Definitions
) -> Iterator[tuple[int, str]]:
    for name in sorted(planned.keys() - said):
        yield 1, f"{what} {name} is missing"
    for name in sorted(said.keys() - planned):
        yield found.place(name), f"{what} {name} is not in the plan"
    for name in sorted(planned.keys() & said):
        if said[name] != planned[name]:
            yield found.place(name), f"{what} {name} has another {about} than planned"
