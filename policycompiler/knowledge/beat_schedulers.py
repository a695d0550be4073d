"""Where each scheduler of beat stores its entries, and how it treats the entries of `beat_schedule`.

From the source code of celery 5.7, django-celery-beat 2.9 and celery-redbeat 2.4, tested in
`tests/knowledge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

StoreName: TypeAlias = Literal["file", "database", "redis"]


class Store(NamedTuple):
    """How a store treats an entry of `beat_schedule`.

    `options` are the options of `apply_async` that the store keeps, None for all. `expiry_option` is the
    option with the expiry of a run in seconds. `keeps_removed`: beat still sends an entry that was removed
    from `beat_schedule`, and `enabled` in an entry turns it off. `whole_seconds`: intervals and expiries
    lose their fractions. `zones`: a crontab keeps its own time zone. `solar`: an entry may be solar.

    `longest_name` is the longest task name in characters. `max_interval_seconds` is how long beat sleeps by
    default, if it must read changes in the store. `server` is the kind of server that the scheduler expects
    at the broker's address, empty if none.
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
"""An unknown store, with none of the limits of the known stores."""

_ALIASES = frozenset(name for name in _STORE_OF if "." not in name)


def store_of(scheduler: str) -> StoreName | None:
    """Where a known scheduler stores its entries; for Celery `a.b:C` and `a.b.C` are the same."""
    return next((store for known, store in _STORE_OF.items() if _dotted(known) == _dotted(scheduler)), None)


def is_importable(scheduler: str) -> bool:
    """Whether Celery can import a class with this name: it has a module, or is registered."""
    return scheduler in _ALIASES or "." in _dotted(scheduler)


def known_as(name: str) -> list[str]:
    """The known schedulers whose class has this name."""
    return [known for known in _STORE_OF if _dotted(known).rpartition(".")[2] == name]


def _dotted(scheduler: str) -> str:
    return scheduler.replace(":", ".")
