"""How messages and results are serialized.

Decides:
    `app/task_serializer`, `app/result_serializer`, `app/accept_content`.

Because:
    Every client reads JSON, Celery's own control and event messages use it, and reading it runs no code. A
    worker that accepts pickle runs any code that is put into a message on its broker. If one task is sent as
    pickle, every worker of its queue must accept pickle, so the risk cannot be limited to one task
    (https://docs.celeryq.dev/en/stable/userguide/security.html#serializers).

    If the package of a serializer or a compression is not installed, every send fails. The compiler cannot
    see which packages are installed. Clients read only results whose serializer `result_accept_content`
    lists (`accept_content`, if that is not set). Reading another one is an error. An app can register its
    own serializers, so an unknown name is reported only if it looks like a known one. Every serializer can
    write the arguments of a schedule, because YAML gives a date as text.

Example:
    tasks: {shop.mail.send: {}}

    app/task_serializer = "json"
    app/accept_content = ["json"]

Refuses:
    PC207 serializer-not-accepted: add the serializer to `accept_content`.
        fires:
            celery: {settings: {accept_content: [json]}}
            tasks: {shop.a: {options: {serializer: yaml}}}
        silent:
            celery: {settings: {accept_content: [json, yaml]}}
            tasks: {shop.a: {options: {serializer: yaml}}}
    PC262 result-not-accepted: add the serializer to the list, or pin a `result_serializer` from the list.
        fires:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {accept_content: [yaml], task_serializer: yaml}}
        silent:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {accept_content: [yaml], task_serializer: yaml, result_serializer: yaml}}
    PC250 pickle: write `json`.
        fires: tasks: {shop.a: {options: {serializer: pickle}}}
        silent: tasks: {shop.a: {options: {serializer: json}}}
    PC252 unknown-encoding: correct the name.
        fires: tasks: {shop.a: {options: {compression: gzipp}}}
        silent: tasks: {shop.a: {options: {compression: gzip}}}
    PC253 compression-missing-dep: install the package for every publisher and worker, or write `gzip`.
        fires: tasks: {shop.a: {options: {compression: zstd}}}
        silent: tasks: {shop.a: {options: {compression: gzip}}}
    PC254 serializer-missing-dep: install the package for every publisher and worker, or write `json`.
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
"""Every client reads it, it is safe to read, and Celery's own control messages need it anyway."""
PICKLES = frozenset({"pickle", "application/x-python-serialize"})
"""Celery's name for it, and its content type in messages."""
SERIALIZERS = {
    "json": "",
    "pickle": "",
    "yaml": "PyYAML",
    "msgpack": "msgpack",
    "auth": "cryptography",
    "raw": "",
}
"""The serializers of kombu and Celery, each with the additional package that it needs."""
COMPRESSIONS = {
    **dict.fromkeys(("gzip", "zlib", "bzip2", "bzip", "lzma", "xz"), ""),
    **dict.fromkeys(("zstd", "zstandard"), "zstandard"),
    "brotli": "brotli",
}
"""The compressions of kombu, each with the package that it needs beyond Python's standard library."""
_CODES_IN_SETTINGS = ("task_serializer", "result_serializer")
_LISTS_IN_SETTINGS = ("accept_content", "result_accept_content")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """JSON, unless pinned."""
    json = (Constant("SERIALIZER", SERIALIZER),)
    for key in ("task_serializer", "result_serializer"):
        if plan.find(APP, key) is None:
            yield Decision(APP, key, SERIALIZER, "every client reads JSON, and reading it runs no code", json)
    yield from _doubts(spec)
    senders = _senders(spec, plan)
    if plan.find(APP, "accept_content") is None:
        wanted = sorted({SERIALIZER, plan.text(APP, "result_serializer"), *senders})
        origins = (*json, *senders.values(), Derived(APP, "result_serializer"))
        why = "tasks, results and Celery's control messages use these serializers"
        yield Decision(APP, "accept_content", [*wanted], why, tuple(dict.fromkeys(origins)))
    yield from as_findings(serialization(plan, senders), SERIALIZER_NOT_ACCEPTED, RESULT_NOT_ACCEPTED)


def _senders(spec: Workload, plan: Plan) -> dict[str, Origin]:
    """Serializers of messages, each with the first place that names it."""
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
    """Findings about each serializer and compression in the workload."""
    told: set[str] = set()
    for key, name, path in _written(spec):
        if key == "compression" and name not in told:
            told.add(name)
            yield from _doubt(name, path, COMPRESSIONS, COMPRESSION_MISSING_DEP, "gzip")
        elif name in PICKLES:
            message = (
                "a worker that reads pickle runs any code in the message: write access to the broker controls"
                " the workers"
            )
            help_text = "write `json`, and send references to objects that JSON cannot hold"
            yield PICKLE.at(path, message, help=help_text)
        elif name not in told:
            told.add(name)
            yield from _doubt(name, path, SERIALIZERS, SERIALIZER_MISSING_DEP, "json")


def _written(spec: Workload) -> Iterator[tuple[str, str, SpecPath]]:
    """`serializer` or `compression`, the name, and its place in the workload."""
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
    # A MIME type is a registered serializer's content type.
    if name not in known and "/" not in name and (meant := did_you_mean(name, known)):
        message = f"Celery does not know `{path[-1]}: {name}`: unless the app registers it, every send fails"
        yield UNKNOWN_ENCODING.at(path, message, help=meant)
    elif known.get(name):
        package = known[name]
        message = (
            f"`{name}` needs the package `{package}` in all publishers and workers: without it sends fail"
        )
        help_text = f"install `{package}` for every publisher and worker, or write `{safe}`"
        yield lacking.at(path, message, help=help_text)
