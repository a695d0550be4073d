"""`celeryconfig.py`: the settings of the app, for workers, beat and publishers.

Plain Celery loads it with `app.config_from_object("celeryconfig")`. With a namespace, its names have the
prefix that Django settings need. It imports only Celery, kombu and the standard library. Exceptions for
retries are imported when a task is registered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from policycompiler import runtime
from policycompiler.emitters.base import MODE_FILE, OutputFile, Raw, Reading
from policycompiler.emitters.celeryconfig import guards, queues, schedules, settings, tasks, telemetry
from policycompiler.emitters.celeryconfig.imports import import_lines
from policycompiler.emitters.python import python_literal
from policycompiler.emitters.templates import render
from policycompiler.plan import APP, Plan
from policycompiler.plan.fingerprint import SHOWN_AS, fingerprint

ID = "celeryconfig"
SHIPPED = {
    "guards": ("guards", "guard(_guards)", "_guarded = "),
    "copies": ("dead_letters", "keep(_dead_letters)", ""),
    "telemetry": ("telemetry", "observe(_telemetry)", ""),
    "logs": ("logs", "write_json()", ""),
    "traces": ("traces", "trace(_traced_service)", ""),
}
"""By the section that needs it: a module or package that processes load, what the section calls, and where
it puts the result.

Python 3.9 and Celery 5.3 can run them.
"""

OF_GUARDS = ("telemetry", "observe(_telemetry, _guarded)", "")
"""The metrics of a process whose tasks are guarded."""


def emit(plan: Plan) -> Iterator[OutputFile]:
    """The module, compiled to prove that Python can read it; and those beside it that it loads."""
    reading = Reading(plan)
    prefix = str(reading.get(APP, "namespace") or "")
    exact, patterns = tasks.exact_names(reading), tasks.patterns(reading)
    layouts: tasks.Layouts = {}
    routes = [
        (name, tasks.route(reading, name, task, layouts))
        for name, task in exact + patterns
        if tasks.is_routed(reading, task)
    ]
    of_names, of_patterns = (
        [
            (name, tasks.annotation(reading, name, task, layouts))
            for name, task in found
            if tasks.is_annotated(reading, task)
        ]
        for found in (exact, patterns)
    )
    annotated = of_names or of_patterns or not plan.as_is(APP)
    guarded = guards.told(reading)
    content: dict[str, object] = {
        "service": Raw(reading.text(APP, "service")),
        "written_for": Raw(_written_for(reading)),
        "use": Raw(_use(prefix)),
        "variables": settings.url_variables(reading),
        "urls": list(settings.url_lines(reading, prefix)),
        "groups": list(settings.groups(reading, prefix)),
        "queues_name": settings.name("task_queues", prefix),
        "queues": list(queues.declared(reading)),
        "exchanges": queues.any_has_an_exchange(reading),
        "dead_letters": queues.any_declares_dead_letters(reading),
        "guards": guarded,
        "router": guards.refuses_messages(guarded),
        "copies": queues.copies(reading),
        "telemetry": telemetry.told(reading),
        "logs": reading.get(APP, "log_format") == "json",
        "traces": reading.text(APP, "service") if reading.get(APP, "traces") else "",
        "broadcast": queues.any_is_broadcast(reading),
        "routes_name": settings.name("task_routes", prefix),
        "routes": routes,
        "annotations_name": settings.name("task_annotations", prefix) if annotated else "",
        "annotations": of_names,
        "patterns": of_patterns,
        "routed": bool(routes) or not plan.as_is(APP),
        "undeclared": not plan.as_is(APP),
        "exceptions": tasks.any_names_exceptions(reading),
        "renamed": [(name, task.name) for name, task in tasks.earlier_names(reading)],
        "sent_as": tasks.sent_as(reading),
        "schedules_name": settings.name("beat_schedule", prefix),
        "schedules": list(schedules.schedules(reading)),
        "solar": schedules.any_is_solar(reading),
        "keepalive": settings.needs_socket(reading),
        # The path is in the environment of a container.
        "alive": plan.find(APP, "alive_file") is not None,
        "fingerprint": {SHOWN_AS: fingerprint(plan)},
    }
    calls = {**SHIPPED, "telemetry": OF_GUARDS} if guarded else SHIPPED
    content["beside"] = {section: _loaded(*names) for section, names in calls.items()}
    there = [section for section, value in content.items() if value]
    content["imports"] = import_lines(there)
    # Thousands of tasks share a few routes and options; compiling every line would need too much memory.
    proof = {**content, "routes": _each_once(routes), "annotations": _each_once(of_names)}
    compile(_module(proof), "celeryconfig.py", "exec", dont_inherit=True)
    yield reading.file("celeryconfig.py", _module(content))
    for section, (module, *_) in SHIPPED.items():
        if content[section]:
            yield from _shipped(module)


def _written_for(reading: Reading) -> str:
    """The versions of Celery and the broker that these settings are for."""
    broker, version = reading.text(APP, "broker_transport"), reading.get(APP, "broker_version")
    return f"Celery {reading.text(APP, 'celery_version')} on {broker}{f' {version}' if version else ''}"


def _use(prefix: str) -> str:
    arguments = f'"celeryconfig", namespace="{prefix}"' if prefix else '"celeryconfig"'
    return f"app.config_from_object({arguments})"


def _module(content: Mapping[str, object]) -> str:
    return render("celeryconfig/celeryconfig.py.j2", python_literal, content)


def _shipped(module: str) -> Iterator[OutputFile]:
    """A module, or the modules of a package. The same text for every plan: it shows no setting."""
    here = Path(runtime.__file__).parent
    files = sorted((here / module).glob("*.py")) or [here / f"{module}.py"]
    for file in files:
        path = file.relative_to(here).as_posix()
        yield OutputFile(f"celeryconfig_{path}", file.read_text("utf-8"), MODE_FILE, ())


def _loaded(module: str, call: str, result: str) -> Raw:
    """The lines that load a module from beside this one, and call its function."""
    words = {"module": Raw(module), "call": Raw(call), "result": Raw(result)}
    return Raw(render("celeryconfig/beside.py.j2", python_literal, words).rstrip("\n"))


def _each_once(entries: Sequence[tuple[str, Raw]]) -> list[tuple[str, Raw]]:
    """One entry for each value. Names need no check: each is the literal of a text."""
    return [(name, value) for value, name in {value: name for name, value in entries}.items()]
