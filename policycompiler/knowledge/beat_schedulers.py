"""Where each scheduler of beat keeps its entries, and what it does with those of `beat_schedule`.

Read from celery 5.7, django-celery-beat 2.9 and celery-redbeat 2.4, and run in `tests/knowledge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

StoreName: TypeAlias = Literal["file", "database", "redis"]


class Store(NamedTuple):
    """What becomes of an entry of `beat_schedule` in a store.

    `options` are the options of `apply_async` that it keeps, None for all; from `expiry_option` it reads the
    expiry of a run, in seconds. `keeps_removed` says that an entry that has left `beat_schedule` is still
    sent, and that `enabled` in an entry switches it off. `whole_seconds` says that intervals and expiries
    lose their fractions. `zones` says that a crontab keeps a zone of its own, `solar` that an entry may go by
    the sun. `longest_name` is the longest name of a task, in characters. `max_interval_seconds` is how long
    beat sleeps by default, where it has to notice what people change in the store. `server` is the kind of
    server that it looks for at the broker's address, empty where it looks for none there.
    """

    options: frozenset[str] | None = None
    expiry_option: str = "expires"
    keeps_removed: bool = False
    whole_seconds: bool = False
    zones: bool = True
    solar: bool = True
    longest_name: int | None = None
    max_interval_seconds: int | None = None
    server: str = ""


STORES: Mapping[str, Store] = MappingProxyType(
    {
        "file": Store(),
        "database": Store(
            options=frozenset({"queue", "exchange", "routing_key", "priority", "headers"}),
            expiry_option="expire_seconds",
            keeps_removed=True,
            whole_seconds=True,
            longest_name=200,
            max_interval_seconds=5,
        ),
        "redis": Store(zones=False, solar=False, server="redis"),
    }
)

PERSISTENT = "celery.beat:PersistentScheduler"
DATABASE = "django_celery_beat.schedulers:DatabaseScheduler"
REDBEAT = "redbeat.RedBeatScheduler"

_STORE_OF: Mapping[str, StoreName] = MappingProxyType(
    {
        PERSISTENT: "file",
        "celery.beat:Scheduler": "file",
        DATABASE: "database",
        "django": "database",
        REDBEAT: "redis",
        "redbeat.schedulers:RedBeatScheduler": "redis",
    }
)
"""By class; `django` is the name that django-celery-beat registers with Celery."""

NO_STORE = Store()
"""Stands for a store that nobody knows: nothing is taken from what is known of others."""

_ALIASES = frozenset(name for name in _STORE_OF if "." not in name)


def store_of(scheduler: str) -> StoreName | None:
    """Where a known scheduler keeps its entries; Celery reads `a.b:C` and `a.b.C` alike."""
    return next((store for known, store in _STORE_OF.items() if _dotted(known) == _dotted(scheduler)), None)


def is_importable(scheduler: str) -> bool:
    """Whether Celery can find a class by this name: it has a module, or is registered."""
    return scheduler in _ALIASES or "." in _dotted(scheduler)


def known_as(name: str) -> list[str]:
    """The known schedulers whose class has this name."""
    return [known for known in _STORE_OF if _dotted(known).rpartition(".")[2] == name]


def _dotted(scheduler: str) -> str:
    return scheduler.replace(":", ".")
