"""The files of a rehearsal: what was compiled, and what the rehearsal puts around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from types import MappingProxyType

from policycompiler.emitters.base import MODE_SCRIPT, OutputFile
from policycompiler.emitters.python import python_literal
from policycompiler.plan import APP as THE_APP
from policycompiler.plan import BEAT, Plan, Value
from policycompiler.rehearse.brokers import PrivateBroker

APP, RECORDER, GUARDED = "rehearsal_app", "rehearsal_recorder", "rehearsal_guards"
"""The modules of the stand-in, of what notes the runs, and of what guards meet."""
VISIBILITY_SECONDS = 6
"""With guards, the broker gives the messages of a killed worker to another one after so long."""
_SOON: Mapping[str, Value] = {
    "visibility_timeout": VISIBILITY_SECONDS,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
_SETTINGS, _COMPILED = "celeryconfig", "compiled_celeryconfig"


class Guards(Enum):
    """What becomes of the guards of tasks: off, as messages have no arguments, or on, in what kind of app."""

    OFF = auto()
    OF_STAND_IN = auto()
    OF_APPLICATION = auto()


def write(
    plan: Plan,
    files: Sequence[OutputFile],
    broker: PrivateBroker,
    folder: Path,
    python: str,
    settings: Mapping[str, Value] = MappingProxyType({}),
    guards: Guards = Guards.OFF,
    app: str | None = None,
) -> None:
    """Write the compiled files with the broker of the rehearsal and more settings, and a command `celery`.

    The command loads `app`, if it is given, in place of the app of the workload.
    """
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.parts))
        path.chmod(file.mode)
    (folder / f"{_SETTINGS}.py").rename(folder / f"{_COMPILED}.py")
    (folder / f"{_SETTINGS}.py").write_text(_settings(plan, broker, settings, guards), encoding="utf-8")
    (folder / "bin").mkdir()
    celery = folder / "bin" / "celery"
    planned = plan.text(THE_APP, "app")
    celery.write_text(celery_script(python, planned, app or planned), encoding="utf-8")
    celery.chmod(MODE_SCRIPT)


def celery_script(python: str, planned: str, app: str) -> str:
    """A command `celery` of an interpreter, which loads `app` where `planned` is asked for."""
    other = (
        f'if [ "$1 $2" = {quote(f"--app {planned}")} ]; then shift 2; set -- --app {quote(app)} "$@"; fi\n'
    )
    return f'#!/bin/sh\n{other if app != planned else ""}exec "{python}" -m celery "$@"\n'


def write_stand_in(plan: Plan, folder: Path) -> None:
    """Write an app with the declared tasks, under each name that a command loads."""
    modules: dict[str, list[str]] = {APP: [_stand_in(plan)]}
    for name in sorted(_apps(plan)):
        module, _, attribute = name.partition(":")
        modules.setdefault(module, []).append(f"from {APP} import app as {attribute or 'app'}\n")
    roots = {name.partition(".")[0] for name in modules}
    for name in sorted(_exceptions(plan)):
        module, _, exception = name.rpartition(".")
        root = module.partition(".")[0]
        # A library that is there has its own.
        if root in roots or not _is_there(root):
            modules.setdefault(module, []).append(f"class {exception}(Exception):\n    pass\n")
    for module, lines in modules.items():
        path = folder.joinpath(*module.split("."))
        is_package = any(other.startswith(f"{module}.") for other in modules)
        path = path / "__init__.py" if is_package else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(lines), encoding="utf-8")


def _settings(plan: Plan, broker: PrivateBroker, more: Mapping[str, Value], guards: Guards) -> str:
    """The compiled settings, at the broker of the rehearsal."""
    url, results, options = (
        _setting_name(plan, key) for key in ("broker_url", "result_backend", "broker_transport_options")
    )
    lines = [
        f"from {_COMPILED} import *",
        "",
        f"{url} = {python_literal(broker.url)}",
        f"{results} = {python_literal(broker.results)}",
        *(f"{_setting_name(plan, key)} = {python_literal(value)}" for key, value in more.items()),
    ]
    changed = dict(broker.options)
    if plan.find(THE_APP, "parking") is not None:
        lines += ["", f"import {_COMPILED} as _compiled"]
        if guards is Guards.OFF:
            lines += ["", "_compiled._guarded.told = _compiled._guarded.told._replace(tasks={}, patterns={})"]
        else:
            real = guards is Guards.OF_APPLICATION
            lines += [f"import {GUARDED} as _guards", "", f"_guards.prepare(_compiled._guarded, real={real})"]
            changed |= _SOON
    if changed:
        compiled = f"globals().get({python_literal(options)}, {{}})"
        lines.append(f"{options} = {{**{compiled}, **{changed!r}}}")
    return "\n".join(lines) + "\n"


def _setting_name(plan: Plan, key: str) -> str:
    """The name of a setting in the compiled module."""
    prefix = str(plan.get(THE_APP, "namespace") or "")
    return f"{prefix}_{key}".upper() if prefix else key


def _stand_in(plan: Plan) -> str:
    """An app with the declared tasks, for want of the real one."""
    # A pattern has at least one task that it declares.
    names = sorted(
        {scope.name.replace("*", "any") for scope in plan.scopes("task")}
        | {plan.text(scope, "task") for scope in plan.scopes("schedule")}
    )
    prefix = str(plan.get(THE_APP, "namespace") or "")
    arguments = f'"{_SETTINGS}", namespace="{prefix}"' if prefix else f'"{_SETTINGS}"'
    lines = [
        "from celery import Celery",
        "",
        'app = Celery("rehearsal")',
        f"app.config_from_object({arguments})",
        "",
    ]
    lines += ["", "def stand_in(*args, **kwargs):", '    """Do nothing."""', "", ""]
    lines += [f"for name in {names!r}:", "    app.task(stand_in, name=name)"]
    return "\n".join(lines) + "\n"


def _exceptions(plan: Plan) -> set[str]:
    """The exceptions that retries and breakers name, with their modules."""
    keys = ("options.autoretry_for", "options.dont_autoretry_for")
    lists = [plan.get(task, key) for task in plan.scopes("task") for key in keys]
    for task in plan.scopes("task"):
        failures = plan.get(task, "guard_failures")
        lists += failures.values() if isinstance(failures, dict) else ()
    return {str(name) for names in lists if isinstance(names, list) for name in names if "." in str(name)}


def _is_there(root: str) -> bool:
    """Whether a package can be imported; to look for a root imports nothing."""
    try:
        return find_spec(root) is not None
    except ValueError:
        # It has no file, such as the program that runs.
        return True


def _apps(plan: Plan) -> set[str]:
    """The names of all apps that the commands load."""
    own = {str(plan.get(each, "app")) for each in (*plan.scopes("worker"), BEAT) if plan.get(each, "app")}
    return {plan.text(THE_APP, "app"), *own}
