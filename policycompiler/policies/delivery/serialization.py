"""How messages are written.

Decides:
    `app/task_serializer`, `app/result_serializer`, `app/accept_content`.

Because:
    JSON is what every client reads, what Celery's own control and event messages use, and what cannot
    run code when it is read. A worker that accepts pickle runs whatever anybody can put on its broker; a
    single task that is sent as pickle needs every worker of its queue to accept it, so there is no contained
    exception (https://docs.celeryq.dev/en/stable/userguide/security.html#serializers). A serializer or a
    compression whose package is not installed makes every send fail; whether it is installed, no workload
    can tell. Results are read by `result_accept_content`, and where that is not set by `accept_content`;
    reading one that is written otherwise is an error. An app can register serializers of its own, so an
    unknown name is doubted only where it looks like a known one. What a schedule can be given here, each
    serializer can write: a date is text to YAML.

Example:
    tasks: {shop.mail.send: {}}

    app/task_serializer = "json"
    app/accept_content = ["json"]

Refuses:
    PC207 serializer-not-accepted: add it to `accept_content`.
        fires:
            celery: {settings: {accept_content: [json]}}
            tasks: {shop.a: {options: {serializer: yaml}}}
        silent:
            celery: {settings: {accept_content: [json, yaml]}}
            tasks: {shop.a: {options: {serializer: yaml}}}
    PC262 result-not-accepted: add it to the list, or pin a `result_serializer` that is in it.
        fires:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {accept_content: [yaml], task_serializer: yaml}}
        silent:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {accept_content: [yaml], task_serializer: yaml, result_serializer: yaml}}
    PC250 pickle: write json.
        fires: tasks: {shop.a: {options: {serializer: pickle}}}
        silent: tasks: {shop.a: {options: {serializer: json}}}
    PC252 unknown-encoding: correct the name.
        fires: tasks: {shop.a: {options: {compression: gzipp}}}
        silent: tasks: {shop.a: {options: {compression: gzip}}}
    PC253 compression-missing-dep: install the package with every producer and worker, or write gzip.
        fires: tasks: {shop.a: {options: {compression: zstd}}}
        silent: tasks: {shop.a: {options: {compression: gzip}}}
    PC254 serializer-missing-dep: install the package with every producer and worker, or write json.
        fires: tasks: {shop.a: {options: {serializer: msgpack}}}
        silent: tasks: {shop.a: {options: {serializer: json}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Finding, SpecPath, did_you_mean, error, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.serialization import serialization
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Written

NAME = "serialization"

SERIALIZER_NOT_ACCEPTED = error("PC207", "serializer-not-accepted")
RESULT_NOT_ACCEPTED = error("PC262", "result-not-accepted")
PICKLE = error("PC250", "pickle")
UNKNOWN_ENCODING = warning("PC252", "unknown-encoding")
COMPRESSION_MISSING_DEP = info("PC253", "compression-missing-dep")
SERIALIZER_MISSING_DEP = info("PC254", "serializer-missing-dep")

SERIALIZER = "json"
"""Read by every client, safe to read, and Celery's own control messages need it accepted anyway."""
PICKLES = frozenset({"pickle", "application/x-python-serialize"})
"""What Celery calls it, and what its messages do."""
SERIALIZERS = {
    "json": "",
    "pickle": "",
    "yaml": "PyYAML",
    "msgpack": "msgpack",
    "auth": "cryptography",
    "raw": "",
}
"""Those of kombu and Celery, each with the package that it needs beyond theirs."""
COMPRESSIONS = {
    **dict.fromkeys(("gzip", "zlib", "bzip2", "bzip", "lzma", "xz"), ""),
    **dict.fromkeys(("zstd", "zstandard"), "zstandard"),
    "brotli": "brotli",
}
"""Those of kombu, each with the package that it needs beyond Python's own library."""
_CODES_IN_SETTINGS = ("task_serializer", "result_serializer")
_LISTS_IN_SETTINGS = ("accept_content", "result_accept_content")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """JSON, unless pinned."""
    json = (Constant("SERIALIZER", SERIALIZER),)
    for key in ("task_serializer", "result_serializer"):
        if plan.find(APP, key) is None:
            yield Decision(APP, key, SERIALIZER, "every client reads it, and reading it runs no code", json)
    yield from _doubts(spec)
    senders = _senders(spec, plan)
    if plan.find(APP, "accept_content") is None:
        wanted = sorted({SERIALIZER, plan.text(APP, "result_serializer"), *senders})
        origins = (*json, *senders.values(), Derived(APP, "result_serializer"))
        why = "what is sent, and Celery's control messages"
        yield Decision(APP, "accept_content", [*wanted], why, tuple(dict.fromkeys(origins)))
    yield from as_findings(serialization(plan, senders), SERIALIZER_NOT_ACCEPTED, RESULT_NOT_ACCEPTED)


def _senders(spec: Workload, plan: Plan) -> dict[str, Origin]:
    """Serializers that messages are written with, each with the first who says so."""
    senders: dict[str, Origin] = {plan.text(APP, "task_serializer"): Derived(APP, "task_serializer")}
    for name, task in sorted(spec.tasks.items()):
        if task.options is not None and task.options.serializer is not None:
            senders.setdefault(task.options.serializer, Written(("tasks", name, "options", "serializer")))
    for name, schedule in sorted(spec.schedules.items()):
        if schedule.options is not None and schedule.options.serializer is not None:
            path = ("schedules", name, "options", "serializer")
            senders.setdefault(schedule.options.serializer, Written(path))
    return senders


def _doubts(spec: Workload) -> Iterator[Diagnostic]:
    """About each name of a serializer or a compression that somebody wrote."""
    told: set[str] = set()
    for key, name, path in _written(spec):
        if key == "compression" and name not in told:
            told.add(name)
            yield from _doubt(name, path, COMPRESSIONS, COMPRESSION_MISSING_DEP, "gzip")
        elif name in PICKLES:
            message = (
                "reading pickle runs whatever code the sender put into it: who writes to the broker owns the "
                "workers"
            )
            yield PICKLE.at(path, message, help="write json; what JSON cannot say is said by reference")
        elif name not in told:
            told.add(name)
            yield from _doubt(name, path, SERIALIZERS, SERIALIZER_MISSING_DEP, "json")


def _written(spec: Workload) -> Iterator[tuple[str, str, SpecPath]]:
    """`serializer` or `compression`, the name, and where it stands."""
    settings = (spec.celery and spec.celery.settings) or {}
    base: SpecPath = ("celery", "settings")
    for key in _CODES_IN_SETTINGS:
        if isinstance(name := settings.get(key), str):
            yield "serializer", name, (*base, key)
    for key in _LISTS_IN_SETTINGS:
        if isinstance(names := settings.get(key), list):
            yield from (("serializer", str(each), (*base, key, index)) for index, each in enumerate(names))
    for key in ("task_compression", "result_compression"):
        if isinstance(name := settings.get(key), str):
            yield "compression", name, (*base, key)
    owners: list[tuple[SpecPath, object]] = [
        (("tasks", name), task.options) for name, task in sorted(spec.tasks.items())
    ]
    owners += [(("schedules", name), entry.options) for name, entry in sorted(spec.schedules.items())]
    for owner, options in owners:
        for key in ("serializer", "compression"):
            if (name := getattr(options, key, None)) is not None:
                yield key, name, (*owner, "options", key)


def _doubt(
    name: str, path: SpecPath, known: dict[str, str], lacking: Finding, safe: str
) -> Iterator[Diagnostic]:
    # A MIME type stands for what is known by it.
    if name not in known and "/" not in name and (meant := did_you_mean(name, known)):
        message = f"`{name}` is none of Celery's; unless the app registers it, every send fails"
        yield UNKNOWN_ENCODING.at(path, message, help=meant)
    elif known.get(name):
        package = f"the package {known[name]}"
        message = f"`{name}` needs {package} wherever tasks are sent or run; without it every send fails"
        yield lacking.at(path, message, help=f"install it there, or write {safe}")
