"""The files of a rehearsal: what was compiled, and what the rehearsal puts around it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from policycompiler.emitters.base import MODE_SCRIPT, OutputFile
from policycompiler.emitters.python import python_literal
from policycompiler.plan import APP as THE_APP
from policycompiler.plan import BEAT, Plan
from policycompiler.rehearse.brokers import PrivateBroker

APP, RECORDER = "rehearsal_app", "rehearsal_recorder"
"""The modules of the stand-in, and of what notes the runs."""
_SETTINGS, _COMPILED = "celeryconfig", "compiled_celeryconfig"
_HERE = Path(__file__).parent


def write(plan: Plan, files: Sequence[OutputFile], broker: PrivateBroker, folder: Path, python: str) -> None:
    """Write the compiled files with the broker of the rehearsal, the recorder, and a command `celery`."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.parts))
        path.chmod(file.mode)
    (folder / f"{_SETTINGS}.py").rename(folder / f"{_COMPILED}.py")
    (folder / f"{_SETTINGS}.py").write_text(_settings(plan, broker), encoding="utf-8")
    shutil.copy(_HERE / "recorder.py", folder / f"{RECORDER}.py")
    (folder / "bin").mkdir()
    celery = folder / "bin" / "celery"
    celery.write_text(f'#!/bin/sh\nexec "{python}" -m celery "$@"\n', encoding="utf-8")
    celery.chmod(MODE_SCRIPT)


def write_stand_in(plan: Plan, folder: Path) -> None:
    """Write an app with the declared tasks, under each name that a command loads."""
    (folder / f"{APP}.py").write_text(_stand_in(plan), encoding="utf-8")
    for name in sorted(_apps(plan)):
        module, _, attribute = name.partition(":")
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"from {APP} import app as {attribute or 'app'}\n", encoding="utf-8")


def _settings(plan: Plan, broker: PrivateBroker) -> str:
    """The compiled settings, at the broker of the rehearsal."""
    url, results, options = (
        _setting_name(plan, key) for key in ("broker_url", "result_backend", "broker_transport_options")
    )
    lines = [
        f"from {_COMPILED} import *",
        "",
        f"{url} = {python_literal(broker.url)}",
        f"{results} = {python_literal(broker.results)}",
    ]
    if broker.options:
        compiled = f"globals().get({python_literal(options)}, {{}})"
        lines.append(f"{options} = {{**{compiled}, **{dict(broker.options)!r}}}")
    return "\n".join(lines) + "\n"


def _setting_name(plan: Plan, key: str) -> str:
    """The name of a setting in the compiled module."""
    prefix = str(plan.get(THE_APP, "namespace") or "")
    return f"{prefix}_{key}".upper() if prefix else key


def _stand_in(plan: Plan) -> str:
    """An app with the declared tasks, for want of the real one."""
    names = sorted(
        {scope.name for scope in plan.scopes("task") if "*" not in scope.name}
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


def _apps(plan: Plan) -> set[str]:
    """The names of all apps that the commands load."""
    own = {str(plan.get(each, "app")) for each in (*plan.scopes("worker"), BEAT) if plan.get(each, "app")}
    return {plan.text(THE_APP, "app"), *own}
