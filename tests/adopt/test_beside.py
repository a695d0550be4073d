"""An imported workload is deployed beside the running original: nothing is refused, nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import pytest
from places import APPS, SUPPORT
from processes import running, wait_until
from servers import rabbitmq_server, redis_server

from policycompiler import adoption
from policycompiler.adoption import Sources
from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server

RECORD = """
import os
from celery import signals
@signals.task_postrun.connect(weak=False)
def note(task_id=None, task=None, **_):
    line = f"{os.environ['SIDE']} {task.name} {task_id}\\n"
    file = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)
"""
SEND = """
import sys
from celery.app.utils import find_app
app = find_app(sys.argv[1])
app.loader.import_default_modules()
app.finalize()
arguments = {"courier.parcels.track": (1,), "invoices.send": (1,)}
for number in range(10):
    for name in sys.argv[3:]:
        app.send_task(name, args=(1,), task_id=f"{sys.argv[2]}-{name}-{number}")
"""


class Application(NamedTuple):
    """An application: its app, its queues, tasks that may run anywhere, and how its code loads a file."""

    app: str
    queues: str
    tasks: tuple[str, ...]
    commands: tuple[str, ...]
    settings: tuple[str, str, str]
    urls: tuple[str, ...]
    environment: dict[str, str]


COURIER = Application(
    "courier.app",
    "parcels,invoices,celery,audit",
    ("courier.parcels.track", "courier.parcels.deliver", "courier.invoices.note"),
    ("courier.service", "Procfile"),
    (
        "courier/factory.py",
        r"    app\.conf\.update\(.*\n    \)\n",
        "    app.config_from_object('celeryconfig')\n",
    ),
    ("COURIER_BROKER",),
    {},
)
LIBRARY = Application(
    "library",
    "default,mail,slow",
    ("loans.tasks.remind_overdue", "loans.tasks.refresh_counts"),
    ("supervisor.conf",),
    (
        "library/celery.py",
        r'app\.config_from_object\("django\.conf:settings", namespace="CELERY"\)',
        "app.config_from_object('celeryconfig')",
    ),
    ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"),
    {"DJANGO_SETTINGS_MODULE": "library.settings", "LIBRARY_DATABASE": "/nowhere/library.sqlite3"},
)


class Beside:
    """The original and the adopted application, on one broker."""

    def __init__(self, application: Application, folder: Path, url: str, stack: ExitStack) -> None:
        self.application, self.folder, self._stack = application, folder, stack
        self.original, self.adopted = folder / "original", folder / "adopted-code"
        shutil.copytree(APPS / folder.name, self.original)
        shutil.copytree(APPS / folder.name, self.adopted)
        name, pattern, replacement = application.settings
        text = (self.adopted / name).read_text("utf-8")
        changed, count = re.subn(pattern, replacement, text, flags=re.DOTALL)
        assert count == 1
        (self.adopted / name).write_text(changed, encoding="utf-8")
        (folder / "record.py").write_text(RECORD, encoding="utf-8")
        (folder / "send.py").write_text(SEND, encoding="utf-8")
        self.runs = folder / "runs"
        self._common = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "RUNS": str(self.runs),
            **dict.fromkeys(application.urls, url),
            **application.environment,
        }

    def environment(self, side: str, *modules: Path) -> dict[str, str]:
        path = os.pathsep.join(map(str, (*modules, self.folder, SUPPORT)))
        return {**self._common, "SIDE": side, "PYTHONPATH": path}

    def compile(self) -> Path:
        """Import the original as it is, and compile what was imported."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._common.items():
                patch.setenv(name, value)
            sources = Sources(
                [self.application.app],
                sys.executable,
                django=False,
                rows=False,
                commands=[self.original / each for each in self.application.commands],
                source=[],
                measured=[],
                folder=self.original,
            )
            found = adoption.adopt(sources, None)
        adoption.write(found.files, self.folder / "adopted")
        made = compile_workload(
            [self.folder / "adopted/workloads"], policy=self.folder / "adopted/policy.yaml"
        )
        assert not made.failed
        for file in made.files:
            path = self.folder / "build" / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
        return self.folder / "build"

    def start(self, name: str, command: list[str], folder: Path, environment: dict[str, str]) -> Popen[bytes]:
        log = self.folder / f"{name}.log"
        process = self._stack.enter_context(running(command, log=log, environment=environment, folder=folder))
        wait_until(lambda: "ready." in self.log(name), "ready", seconds=60, process=process, log=log)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", errors="replace")

    def send(self, side: str, folder: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, str(self.folder / "send.py"), self.application.app, side]
        subprocess.run([*command, *self.application.tasks], cwd=folder, env=environment, check=True)

    def ran(self) -> list[str]:
        if not self.runs.exists():
            return []
        return [line.split()[2] for line in self.runs.read_text("utf-8").splitlines()]


@pytest.fixture(params=["courier", "library"])
def beside(request, tmp_path) -> Iterator[Beside]:
    application, server = {
        "courier": (COURIER, rabbitmq_server),
        "library": (LIBRARY, redis_server),
    }[request.param]
    folder = tmp_path / request.param
    folder.mkdir()
    with ExitStack() as stack:
        url = stack.enter_context(server(tmp_path))
        yield Beside(application, folder, url, stack)


def test_both_run_side_by_side_and_each_message_runs_once(beside):
    application = beside.application
    old = beside.environment("original", beside.original)
    words = [
        "worker",
        "-P",
        "threads",
        "-c",
        "2",
        "-Q",
        application.queues,
        "-n",
        "original@%h",
        "-l",
        "INFO",
    ]
    beside.start("original", ["celery", "-A", application.app, *words, "-I", "record"], beside.original, old)
    beside.send("before", beside.original, old)
    build = beside.compile()
    new = beside.environment("adopted", build, beside.adopted)
    for script in sorted((build / "launch").glob("*.sh")):
        if script.stem != "beat":
            command = ["sh", str(script), "-I", "record", "-l", "INFO"]
            beside.start(script.stem, command, beside.adopted, new)
    beside.send("old", beside.original, old)
    beside.send("new", beside.adopted, new)
    sent = {
        f"{side}-{task}-{n}"
        for side in ("before", "old", "new")
        for task in application.tasks
        for n in range(10)
    }
    wait_until(lambda: sent <= set(beside.ran()), "every run", seconds=60)
    assert sorted(beside.ran()) == sorted(sent)
    for script in (build / "launch").glob("*.sh"):
        if script.stem != "beat":
            assert "PRECONDITION_FAILED" not in beside.log(script.stem)
            assert "Traceback" not in beside.log(script.stem)
    sides = {line.split()[0] for line in beside.runs.read_text("utf-8").splitlines()}
    assert sides == {"original", "adopted"}
