"""The settings that somebody has set, and names that look like settings and are none."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from .saying import Notes, Unsayable, has_login, mapping, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECTIONS = frozenset({"beat_schedule", "task_annotations", "task_queues", "task_routes"})
"""Settings that the document has in another form."""
ADDRESSES = ("broker_url", "broker_read_url", "broker_write_url", "result_backend")
_LIKE_CELERYS = ("task_", "worker_", "beat_", "broker_", "result_", "celery_", "celeryd_")


def is_known(key: str) -> bool:
    """Whether Celery has a setting of this name, new or old."""
    from celery.app.defaults import _OLD_SETTING_KEYS, SETTING_KEYS

    return key in SETTING_KEYS or key.upper() in _OLD_SETTING_KEYS


def settings_of(app: Any, notes: Notes) -> Iterator[tuple[str, Any]]:
    """The settings that somebody set to something else than Celery's default."""
    from celery.app.defaults import DEFAULTS, SETTING_KEYS

    for key in sorted(SETTING_KEYS - SECTIONS - {*ADDRESSES}):
        value = app.conf.get(key)
        if value == DEFAULTS.get(key):
            continue
        if hasattr(value, "keys"):
            told = mapping(f"setting {key}", value, notes)
            if len(told) < len(value):
                notes.settings.add(key)
            if told or not value:
                yield key, told
            continue
        try:
            yield key, said(value, key)
        except Unsayable as problem:
            notes.settings.add(key)
            notes.cannot(f"setting {key}", str(problem))


def unknown_settings(app: Any) -> Iterator[str]:
    """Names that look like a setting of Celery, and that no setting has."""
    namespace = getattr(app, "namespace", None)
    prefix = f"{namespace.lower()}_" if namespace else ""
    for name in [*map(str, app.conf.maps[0]), *map(str, _keys_of(getattr(app.loader, "_conf", None)))]:
        plain = name.lower()
        if prefix and plain.startswith(prefix):
            plain = plain[len(prefix) :]
        elif prefix and name.isupper():
            continue  # another program's setting in the same module, such as Django's
        is_name = not name.startswith("_") and re.fullmatch(r"[a-z][a-z0-9_]*", plain)
        if is_name and plain.startswith(_LIKE_CELERYS) and not (is_known(plain) or is_known(name.lower())):
            yield plain


def _keys_of(configuration: Any) -> Iterable[Any]:
    try:
        return list(configuration.keys())
    except Exception:  # noqa: BLE001 - any object may be a configuration
        return []


def addresses_of(app: Any) -> dict[str, Any]:
    """What is said of each address that somebody has set; Celery asks its own variables first."""
    found = {key: os.environ.get(f"CELERY_{key.upper()}") or app.conf.get(key) for key in ADDRESSES}
    return {key: _address(value) for key, value in found.items() if value}


def _address(value: Any) -> dict[str, Any]:
    """The kind of an address, and the environment variables that have it; never the address."""
    text = value if isinstance(value, str) else ";".join(map(str, value))
    return {
        "scheme": text.partition("://")[0].partition(":")[0],
        "variables": sorted(name for name, found in os.environ.items() if found == text),
        "password": has_login(text) and ":" in text.partition("://")[2].rpartition("@")[0],
    }
