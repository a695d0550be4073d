"""The fingerprint of what `celeryconfig.py` says to workers and producers.

A worker shows it, so that others can ask which plan it has read. It covers the values that all processes read
from the file: no reasons, no origins, no schedules, no commands, and nothing that is left to Celery. So it
changes with every value that a reload would bring, and with nothing else. It is computed from values of the
plan, not from the emitted text: it is the same on every machine and for every version of Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256

from policycompiler.plan import Plan, Scope, vocabulary
from policycompiler.plan.vocabulary import Reader

SHOWN_AS = "policycompiler_plan"
"""The key of the fingerprint in the answer of a worker to `celery inspect stats`."""
_LENGTH = 12
_READERS = (Reader.CONFIGURATION, Reader.ANNOTATION)


def fingerprint(plan: Plan) -> str:
    """Twelve hexadecimal digits; two plans share them if their workers read the same settings."""
    told = plan.told()
    digest = sha256()
    for scope in _scopes(told):
        digest.update(f"{scope}\n".encode("utf-8", "surrogatepass"))
        for key, setting in sorted(told.keys(scope).items()):
            if _is_read(told, scope, key):
                value = json.dumps(setting.value, sort_keys=True)
                digest.update(f"{key} {value}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:_LENGTH]


def _scopes(plan: Plan) -> Iterator[Scope]:
    for kind in vocabulary.SCOPES:
        if any(key.is_read_by(*_READERS) for key in vocabulary.declared(kind)):
            yield from sorted(plan.scopes(kind))


def _is_read(plan: Plan, scope: Scope, key: str) -> bool:
    """Whether processes read a key; one that this version does not know is in no file that it writes."""
    if key == "external" and plan.get(scope, "broadcast"):
        # Each process declares its own queue, whoever else consumes.
        return False
    declared = vocabulary.find(scope.kind, key)
    return declared is not None and declared.is_read_by(*_READERS)
