"""What a container of a worker or of beat starts, and with what: the same for Compose and Kubernetes.

A container has no number of its own, so each counts as the first process of its host. The name of the
container distinguishes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from hashlib import sha256

from policycompiler.emitters import celeryconfig
from policycompiler.emitters.base import OutputFile, Raw, Reading
from policycompiler.emitters.commands import (
    Target,
    beat_command,
    beat_environment,
    name,
    worker_command,
    worker_environment,
)
from policycompiler.plan import APP, BEAT, Plan, Scope

CONFIGURATION = "celeryconfig.py"
FLOWER = "flower"
SCHEDULE = "/var/tmp/celerybeat-schedule"  # noqa: S108 - in a container of its own
"""Every image has this folder, and every user may write there."""
ALIVE_VARIABLE = "CELERY_ALIVE_FILE"
"""The variable from which `celeryconfig.py` reads the path of the file."""
_AGE = (
    "import os, sys, time; "
    "sys.exit(not os.path.exists(sys.argv[1]) "
    "or time.time() - os.path.getmtime(sys.argv[1]) > float(sys.argv[2]))"
)


def has_containers(plan: Plan) -> bool:
    """Whether there is an image, so containers can be written."""
    return plan.find(APP, "image") is not None


def missing(plan: Plan) -> str:
    """What targets with containers need and the plan lacks."""
    return "" if has_containers(plan) else "the workload and the policy file have no `deploy: {image: …}`"


def worker_words(
    plan: Plan, worker: Scope, escape: Callable[[str], str], variable: Callable[[str], str]
) -> list[str]:
    """The command of a worker as words. `escape` and `variable` write text and variables for the target."""
    target = Target(lambda before, after: escape(f"{before}1{after}"), variable)
    return _words(worker_command(plan, worker, "celery", target), escape)


def beat_words(plan: Plan, escape: Callable[[str], str]) -> list[str]:
    """The command of beat as words."""
    return _words(beat_command(plan, "celery", SCHEDULE), escape)


def _words(lines: list[list[str]], escape: Callable[[str], str]) -> list[str]:
    return [str(word) if isinstance(word, Raw) else escape(word) for line in lines for word in line]


def worker_variables(plan: Plan, worker: Scope) -> dict[str, str]:
    """The environment of a worker, without secrets."""
    own = {str(key): value for key, value in worker_environment(plan, worker)}
    if "PYTHONPATH" in own:
        own["PYTHONPATH"] = f"{plan.text(APP, 'configuration_directory')}:{own['PYTHONPATH']}"
    alive = {ALIVE_VARIABLE: plan.text(APP, "alive_file")} if plan.value(worker, "alive_probe") else {}
    # The probe reads this file, so no other value may win.
    return dict(sorted({**_paths(plan), **own, **alive}.items()))


def beat_variables(plan: Plan) -> dict[str, str]:
    """The environment of beat, without secrets."""
    return {**{str(key): value for key, value in beat_environment(plan)}, **_paths(plan)}


def environment_file(plan: Plan, part: str = "") -> str:
    """The environment file of Compose: that of the application, or of a `part` beside it.

    A part is a program of others, so it must not see the secrets of the application.
    """
    return f"{name(plan.text(APP, 'secret_name'))}{part and f'-{part}'}.env"


def telemetry_ports(plan: Plan, scope: Scope) -> tuple[int, int] | None:
    """The first and the last port that a worker or beat may have on one host; None without telemetry.

    In a container of its own a process has the first one.
    """
    found = plan.get(scope, "telemetry_port" if scope.kind == BEAT.kind else "telemetry_ports")
    if found is None:
        return None
    first, *_, last = [*found, *found] if isinstance(found, list) else [found, found]
    return int(str(first)), int(str(last))


def _paths(plan: Plan) -> dict[str, str]:
    return {"PYTHONPATH": plan.text(APP, "configuration_directory")}


def mebibytes(plan: Plan, scope: Scope, key: str) -> int:
    """A number of bytes rounded up, in a unit that Compose and Kubernetes have under nearly the same name."""
    return math.ceil(plan.number(scope, key) / 2**20)


def alive_command(plan: Plan) -> list[str]:
    """A command that fails if the file of a worker is too old."""
    return ["python3", "-c", _AGE, plan.text(APP, "alive_file"), f"{plan.number(APP, 'alive_seconds'):g}"]


def modules(plan: Plan) -> list[OutputFile]:
    """The files that processes load, as the target `celeryconfig` writes them; the settings are the first."""
    return [*celeryconfig.emit(plan)]


def items(modules: Iterable[OutputFile]) -> list[dict[str, object]]:
    """Keys of a ConfigMap with their paths, if one of these files is in a folder: keys have none."""
    paths = {key_of(each): each.path for each in modules}
    if all(key == path for key, path in paths.items()):
        return []
    return [{"key": key, "path": path} for key, path in paths.items()]


def key_of(module: OutputFile) -> str:
    """The key of such a file in a ConfigMap, which has no folders."""
    return module.path.replace("/", ".")


def configuration_hash(reading: Reading, modules: Iterable[OutputFile]) -> str:
    """A short hash of these files: containers with another one must be replaced."""
    digest = sha256()
    for found in modules:
        reading.note(found)
        digest.update(found.text.encode())
    return digest.hexdigest()[:16]
