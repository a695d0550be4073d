"""What to write instead of an unknown key or a value that is not allowed.

Most unknown keys are not misspelled: they are Celery's words, or belong one level deeper, one level higher
or in another section. The places come from the model itself and from Celery's settings, so a new field needs
no entry here.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from policycompiler.diagnostics import TYPO, SpecPath, did_you_mean, misspelled, nearest
from policycompiler.knowledge import celery_settings as celery
from policycompiler.knowledge.brokers import BROKERS
from policycompiler.model import words
from policycompiler.model.shapes import NAME, form_at, keys_of, paths_below
from policycompiler.model.workload import FileOwn, Workload, WorkloadFile
from policycompiler.model.workload.app import Broker, Results
from policycompiler.model.workload.queues import Queue
from policycompiler.model.workload.tasks import TaskFields
from policycompiler.model.workload.workers import Worker

_PREFIX_OF = {Broker: "broker_", Results: "result_", Worker: "worker_", TaskFields: "task_"}
"""The prefix of Celery's settings about a section."""

_DJANGO_RESULTS = frozenset({"django-db", "django-cache"})


def for_missing(location: SpecPath, model: type[BaseModel]) -> str:
    """Help for a missing key at this location."""
    part, key = form_at(model, location[:-1]), str(location[-1])
    said = words.MISSING.get(part, {}).get(key) if isinstance(part, type) else None
    return said or f"add `{key}:`"


def for_key(key: str, location: SpecPath, model: type[BaseModel]) -> str:
    """What to do about an unknown key; `location` ends with the key."""
    where = form_at(model, location[:-1])
    # A file has more sections than the merged workload.
    allowed = sorted(keys_of(WorkloadFile if where is Workload else where))
    meant = words.KEYS.get(where, {}).get(key) if isinstance(where, type) else None
    if meant:
        return meant
    if near := misspelled(key, allowed):
        return f"did you mean `{near}`?"
    return (
        _belongs(key, location, model, where)
        or did_you_mean(key, allowed)
        or _near_below(key, where)
        or f"allowed: {', '.join(allowed)}"
    )


def _near_below(key: str, where: object) -> str:
    """A key one level deeper in the same entry that resembles this key."""
    below = {path[-1]: path for path in reversed(paths_below(where)) if NAME not in path}
    near = nearest(key, below, likeness=TYPO)
    return f"write `{_nested(below[near])}`" if near else ""


def _belongs(key: str, location: SpecPath, model: type[BaseModel], where: object) -> str:
    """Where the key is valid: deeper in the same entry, elsewhere in the file, or in Celery."""
    below = [path for path in paths_below(where) if path[-1] == key]
    if where is Queue and key.startswith("x-"):
        return f"write `arguments: {{{key}: …}}`"
    if below and location[:-1]:
        return f"write `{_nested(_shortest(below))}`"
    if not issubclass(model, Workload | WorkloadFile | FileOwn):
        return ""
    return elsewhere(key, location, where)


def elsewhere(key: str, location: SpecPath = (), where: object = None) -> str:
    """Where in a workload a misplaced key belongs; empty if it belongs nowhere."""
    prefix = next((_PREFIX_OF[kind] for kind in _PREFIX_OF if where is kind), None)
    if where is Broker and _of_transport(key):
        return f"write `options: {{{key}: …}}`"
    if celery.is_setting(key) or key in celery.SECTIONS:
        return f"write `{celery.SECTIONS.get(key) or f'celery.settings.{key}'}`"
    if prefix and f"{prefix}{key}" in celery.known_settings():
        return f"write `celery: {{settings: {{{prefix}{key}: …}}}}`"
    # Not below `defaults`, which repeat the fields of tasks.
    if known := [path for path in paths_below(Workload) if path[-1] == key]:
        own = [path for path in known if _of_same_entry(path, location)]
        path = _shortest(own or known)
        # A key above the place, in the same task or worker: its name is known.
        filled = (str(given) if part == NAME else part for part, given in _paired(path, location))
        return f"write `{'.'.join(filled if own else path)}`"
    return f"write `broker.options.{key}`" if _of_transport(key) else ""


def _of_transport(key: str) -> bool:
    return any(celery.versions_of(f"transport:{each}", key) for each in BROKERS)


def _of_same_entry(path: tuple[str, ...], location: SpecPath) -> bool:
    named = NAME in path and len(location) > path.index(NAME)
    return named and all(part in (NAME, given) for part, given in _paired(path[:-1], location))


def _paired(path: tuple[str, ...], location: SpecPath) -> Iterator[tuple[str, str | int]]:
    for index, part in enumerate(path):
        yield part, location[index] if index < len(location) else part


def _shortest(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    return min(paths, key=lambda path: (len(path), path))


def _nested(path: tuple[str, ...]) -> str:
    """`options: {rate_limit: …}`."""
    text = f"{path[-1]}: …"
    for part in reversed(path[:-1]):
        text = f"{part}: {{{text}}}"
    return text


def for_value(path: SpecPath, found: object, allowed: list[str]) -> str:
    """What to do about a value that is not one of the allowed words."""
    field, word = str(path[-1]) if path else "", str(found)
    if not isinstance(found, str):
        return ""
    if field == "backend" and word in _DJANGO_RESULTS:
        store = "database" if word == "django-db" else "memcached"
        return f"write `{store}`, and set the environment variable of `results.url` to `{word}`"
    meant = words.VALUES.get(field, {}).get(word.lower())
    if meant in allowed:
        return f"write `{meant}`"
    # Short words resemble many others, so a weak match would be a guess.
    return did_you_mean(word, allowed, likeness=0.65)
