"""Several apps of one service: one configuration serves all, so what differs must go elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from policycompiler.knowledge import celery_settings
from policycompiler.plan import Setting
from policycompiler.reality.code import Code
from policycompiler.reality.code.today import CODE
from policycompiler.reality.observed import observed

_OF_WORKERS = {
    "worker_concurrency": "concurrency",
    "worker_max_memory_per_child": "max_memory_per_child",
    "worker_max_tasks_per_child": "max_tasks_per_child",
    "worker_pool": "pool",
    "worker_prefetch_multiplier": "prefetch_multiplier",
    "worker_send_task_events": "task_events",
}
"""Settings that each worker may have for itself, as a flag of its command."""
_seen = partial(observed, source=CODE)


def of_workers(codes: Sequence[Code], workers: Iterable[Setting]) -> Iterator[Setting]:
    """The settings of the other apps that the workers of these apps can have as flags."""
    apps = {each.scope: each.value for each in workers if each.key == "app"}
    for code, key, value in _differing(codes):
        for scope, app in apps.items():
            if app == code.app and key in _OF_WORKERS:
                yield _seen(scope, _OF_WORKERS[key], value, place=code.facts["place"])


def left(codes: Sequence[Code]) -> Iterator[tuple[str, str, str]]:
    """The other differences: the place, the setting, and the reason why it is left out."""
    for code, key, value in _differing(codes):
        if key not in _OF_WORKERS:
            why = f"`{codes[0].app}` has another value than {value!r}, and one configuration serves all apps"
            yield code.facts["place"], f"setting {key} of {code.app}", why
    for code in codes[1:]:
        first, mine = _brokers(codes[0]), _brokers(code)
        if first != mine:
            why = f"it is at {mine}; that of `{codes[0].app}` is at {first}, and one plan has one broker"
            yield code.facts["place"], f"the broker of {code.app}", f"{why}: import each app by itself"


def _brokers(code: Code) -> str:
    """The kind of address of the broker."""
    return f"{code.facts['addresses'].get('broker_url', {}).get('scheme', 'amqp')}://"


def _differing(codes: Sequence[Code]) -> Iterator[tuple[Code, str, Any]]:
    """The settings of the other apps that the first one has not, or has otherwise."""
    for code in codes[1:]:
        mine, first = code.facts["settings"], codes[0].facts["settings"]
        for key in sorted({*mine, *first}):
            usual = celery_settings.default_of(key)
            value = mine.get(key, usual)
            if value != first.get(key, usual):
                yield code, key, value
