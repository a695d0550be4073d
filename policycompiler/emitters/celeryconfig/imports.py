"""The import lines, as a formatter would sort them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from policycompiler.emitters.base import Raw

_NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "variables": ("celery.exceptions.ImproperlyConfigured", "os.getenv"),
        "queues": ("kombu.Queue",),
        "exchanges": ("kombu.Exchange",),
        "broadcast": ("uuid.uuid4",),
        "annotations_name": ("logging.getLogger",),
        "guards": ("celery.exceptions.ImproperlyConfigured", "importlib.import_module"),
        "copies": ("celery.exceptions.ImproperlyConfigured", "importlib.import_module"),
        "telemetry": ("celery.exceptions.ImproperlyConfigured", "importlib.import_module"),
        "logs": ("celery.exceptions.ImproperlyConfigured", "importlib.import_module"),
        "traces": ("celery.exceptions.ImproperlyConfigured", "importlib.import_module"),
        "exceptions": ("celery.exceptions.ImproperlyConfigured", "importlib.import_module"),
        "patterns": ("fnmatch.fnmatchcase",),
        "schedules": ("celery.schedules.crontab", "zoneinfo.ZoneInfo"),
        "solar": ("celery.schedules.solar",),
        "keepalive": ("socket",),
        "renamed": (
            "celery.app.trace.build_tracer",
            "celery.current_app",
            "celery.signals",
            "logging.getLogger",
        ),
        "sent_as": ("celery.canvas.Signature", "celery.signals"),
        "alive": ("contextlib.suppress", "os.getenv", "pathlib.Path"),
        "fingerprint": ("celery.bootsteps.StartStopStep", "celery.signals"),
    }
)
"""By the sections of the module, as its template calls them."""
_THIRD_PARTY = frozenset({"celery", "kombu"})


def import_lines(sections: Iterable[str]) -> list[Raw]:
    """The imports of these sections: first the standard library, then the rest; never the application."""
    names: dict[str, set[str]] = {}
    for section in sections:
        for needed in _NEEDED.get(section, ()):
            module, _, name = needed.rpartition(".")
            names.setdefault(module, set()).add(name)
    first, third = [f"import {module}" for module in sorted(names.pop("", ()))], list[str]()
    for module in sorted(names):
        block = third if module.partition(".")[0] in _THIRD_PARTY else first
        block.append(f"from {module} import {', '.join(sorted(names[module]))}")
    blank = [""] if first and third else []
    return [Raw(line) for line in (*first, *blank, *third)]
