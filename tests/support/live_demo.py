"""A small deployment to look at: two workers and a beat, compiled and started; and what a look finds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import yaml
from places import SUPPORT
from processes import running, wait_until

from policycompiler import __version__, output
from policycompiler.compiler import compile_workload
from policycompiler.plan import Plan
from policycompiler.plan.file import from_json
from policycompiler.reality import live as reality
from policycompiler.reality.live import Live
from policycompiler.verify.live import findings

WORKLOAD = """\
version: 1
service: demo
app: live_app:app
owner: demo
broker: {{transport: {transport}, url: "${{CELERY_BROKER_URL}}"}}
celery: {{version: "5.7", settings: {{task_default_queue: main, beat_enable_remote_control: true}}}}
defaults: {{work: io, idempotent: true, runtime: 1s, rate: 1/h, result: ignore}}
tasks:
  demo.quick: {{queue: main}}
  demo.other: {{queue: other}}
workers:
  main: {{queues: [main], pool: threads, concurrency: 2}}
  other: {{queues: [other], pool: prefork, concurrency: 1}}
schedules:
  tick: {{task: demo.quick, every: 1h, expires: 30m}}
"""


def workload(transport: str, changes: Mapping[str, object] | None = None) -> dict:
    """The workload, with parts replaced: `{"workers.main.concurrency": 5}`; None removes one."""
    data = yaml.safe_load(WORKLOAD.format(transport=transport))
    for path, value in (changes or {}).items():
        *above, last = path.split("/")
        inner = data
        for key in above:
            inner = inner.setdefault(key, {})
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return data


def planned(folder: Path, transport: str, changes: Mapping[str, object] | None = None) -> Path:
    """The output folder of a compile of the workload with changes; errors of a check do not matter."""
    folder.mkdir(exist_ok=True)
    source = folder / "workload.yaml"
    source.write_text(yaml.safe_dump(workload(transport, changes)), "utf-8")
    rules = folder / "policy.yaml"
    rules.write_text('version: 1\nseverities: {"*": warning}\n', "utf-8")
    compilation = compile_workload([source], policy=rules)
    assert not compilation.failed, compilation.diagnostics
    manifest = output.manifest_file(compilation.files, compilation.sources, __version__)
    assert not output.write(folder / "build", [*compilation.files, manifest]).problems
    return folder / "build"


def plan_in(build: Path) -> Plan:
    """The plan of a compiled folder."""
    return from_json((build / "plan.json").read_text("utf-8"))


class Demo:
    """A deployment: its folder, its compiled output, and the URL of its broker."""

    def __init__(self, folder: Path, transport: str, url: str) -> None:
        self.folder = folder
        self.transport = transport
        self.url = url
        self.build = planned(folder / "as-planned", transport)

    def plan(self, changes: Mapping[str, object] | None = None) -> Plan:
        """The plan of the workload with changes."""
        return plan_in(planned(self.folder / "changed", self.transport, changes))

    @contextmanager
    def started(
        self, script: str, *flags: str, build: Path | None = None, ready: str = "", **environment: str
    ) -> Iterator[Popen[bytes]]:
        """A process by its launch script, once it has said that it is ready."""
        log = self.folder / f"{script}-{len(list(self.folder.glob('*.log')))}.log"
        modules = [str(build or self.build), str(SUPPORT)]
        variables = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(modules),
            "LANG": "C.UTF-8",
            "CELERY_BROKER_URL": self.url,
            "BEAT_SCHEDULE": str(self.folder / f"{log.name}-schedule"),
            **environment,
        }
        command = [(build or self.build) / "launch" / f"{script}.sh", *flags]
        ready = ready or ("beat pidbox: Connected" if script == "beat" else " ready.")
        with running(command, log=log, environment=variables, folder=self.folder) as process:
            wait_until(
                lambda: ready in log.read_text("utf-8"), f"{script} is ready", process=process, log=log
            )
            yield process

    def look(self, plan: Plan | None = None, *, url: str = "", management: str | None = None) -> Live:
        """One look."""
        return reality.look(plan or plan_in(self.build), {}, broker=url or self.url, management=management)

    def found(self, plan: Plan | None = None, live: Live | None = None, **where: str) -> dict[str, list[str]]:
        """The messages of the findings of a look by name; of a new look, if none is given."""
        plan = plan or plan_in(self.build)
        told: dict[str, list[str]] = {}
        for finding in findings(plan, live or self.look(plan, **where)):
            told.setdefault(finding.name, []).append(finding.message)
        return told
