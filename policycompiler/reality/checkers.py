"""The programs that judge emitted files as their readers do, where they are installed.

No program changes a file or starts a process of the deployment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import yaml

from policycompiler.reality import alertmanager_lints, broker_lints, dashboards, definitions, lints, manifests
from policycompiler.reality.manifests import tools
from policycompiler.reality.problem import Problem

_PATIENCE_SECONDS = 120
_UNITS = "etc/systemd/system"
_TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sysinit")
"""Units of the distribution that units of services refer to."""
_LONGEST_PROBLEM = 500


class Checker(NamedTuple):
    """A program and the files that it judges.

    `program` is its name on the search path. `patterns` match the paths of files below the compiled folder.
    `judge` takes the path of the program, the folder, the files, and the variables that processes need.
    """

    name: str
    program: str
    patterns: tuple[str, ...]
    judge: Callable[[str, Path, Sequence[str], Mapping[str, str]], Iterator[Problem]]

    def found(self) -> str | None:
        """The path of its program; None if it is not installed."""
        return _found(self.program)

    def files(self, paths: Sequence[str]) -> list[str]:
        """The files that it judges."""
        return [path for path in paths if any(fnmatchcase(path, pattern) for pattern in self.patterns)]


class Report(NamedTuple):
    """The problems of all files, the files of each missing program, and the programs that judged."""

    problems: tuple[Problem, ...]
    missing: Mapping[str, tuple[str, ...]]
    used: tuple[str, ...]


LARGEST_BYTES = 64 * 1024 * 1024
_ALIAS = re.compile(r"(?:^|[\s:,\[{-])\*[A-Za-z0-9_]")


def unreadable(path: Path) -> str:
    """Why no reader should get a file; empty if it may. YAML with aliases can be small and mean gigabytes."""
    if path.stat().st_size > LARGEST_BYTES:
        return f"the file has more than {LARGEST_BYTES // 2**20} MiB"
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as problem:
        return f"the file is not UTF-8 text: {problem.reason} at byte {problem.start}"
    if path.suffix in (".yaml", ".yml") and _ALIAS.search(text):
        try:
            if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(text, Loader=yaml.CSafeLoader)):
                return "the file has aliases of YAML, which no compiled file has"
        except yaml.YAMLError:
            return ""
    return ""


def check(folder: Path, paths: Sequence[str], variables: Mapping[str, str]) -> Report:
    """Let every installed checker judge the files of a compiled folder.

    `variables` are the environment variables that processes need, each with a value of the right form.
    """
    problems: list[Problem] = []
    missing: dict[str, tuple[str, ...]] = {}
    used: list[str] = []
    for checker in CHECKERS:
        files = checker.files(paths)
        program = checker.found()
        if not files:
            continue
        if program is None:
            missing[checker.program] = (*missing.get(checker.program, ()), *files)
            continue
        used.append(checker.name)
        try:
            problems += checker.judge(program, folder, files, variables)
        except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
            problems.append(Problem(files[0], 1, f"{checker.name} could not be run: {problem}"))
    return Report(tuple(problems), missing, tuple(used))


def _found(program: str) -> str | None:
    """The path of a program, preferably beside the interpreter that runs this one."""
    if program == "python":
        return sys.executable
    beside = str(Path(sys.executable).parent)
    folders = [beside, os.environ.get("PATH", os.defpath), *_PLUGINS]
    return shutil.which(program, path=os.pathsep.join(folders))


_PLUGINS = (
    str(Path("~/.docker/cli-plugins").expanduser()),
    "/usr/local/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
)
"""Where Docker looks for `docker compose`, which is a program by itself."""


def _run(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a checker of this module
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )


def _told(ended: subprocess.CompletedProcess[str]) -> str:
    """What a program said, on one line."""
    text = " ".join((ended.stdout + ended.stderr).split())
    return text[:_LONGEST_PROBLEM] or f"it ended with {ended.returncode}"


_LOAD = """
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())
import celeryconfig
from celery import Celery
app = Celery(set_as_current=False)
app.config_from_object(celeryconfig, namespace=os.environ["POLICYCOMPILER_NAMESPACE"] or None)
app.finalize()
app.amqp.queues, app.amqp.router, app.conf.beat_schedule
"""
"""Loads the settings as a process does; nothing connects."""


def loads(python: str, folder: Path, variables: Mapping[str, str]) -> str:
    """Why an interpreter cannot load the compiled settings of a folder; empty if it can."""
    try:
        return next((each.text for each in _celery(python, folder, ["celeryconfig.py"], variables)), "")
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{python} could not be run: {problem}"


_SETTINGS = """
import importlib.util, json, re, sys, types
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[2])
spec = importlib.util.spec_from_file_location("celeryconfig", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
said = {}
for name, value in vars(module).items():
    if not name.startswith("__") and not isinstance(value, (types.ModuleType, types.FunctionType, type)):
        said[name] = re.sub(" at 0x[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", repr(value))
print(json.dumps(said))
"""


def settings(text: str, folder: Path, variables: Mapping[str, str]) -> dict[str, str] | None:
    """The settings of a configuration module, each as text; None if it cannot be loaded.

    `folder` has the modules beside it.
    """
    with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
        path = Path(aside) / "celeryconfig.py"
        path.write_text(text, encoding="utf-8")
        ended = _run(
            [sys.executable, "-c", _SETTINGS, str(path), str(folder.resolve())], Path(aside), variables
        )
    if ended.returncode:
        return None
    found: dict[str, str] = json.loads(ended.stdout)
    return found


def _celery(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    for file in files:
        ended = _run([program, "-c", _LOAD], (folder / file).parent, variables)
        if ended.returncode:
            last = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            lines = re.findall(r"celeryconfig\.py\", line (\d+)", ended.stderr)
            yield Problem(file, int(lines[-1]) if lines else 1, last[0][:_LONGEST_PROBLEM])


def _shell(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    del variables
    for file in files:
        ended = _run([program, "-n", file], folder)
        if ended.returncode:
            line = re.search(r": (?:line )?(\d+): ", ended.stderr)
            yield Problem(file, int(line[1]) if line else 1, _told(ended))


def _shellcheck(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    del variables
    # A `$` in a name is literal.
    ended = _run([program, "--format=gcc", "--exclude=SC2016", *files], folder)
    for file, line, text in re.findall(r"(?m)^(.+?):(\d+):\d+: (.*)$", ended.stdout):
        yield Problem(file, int(line), text)


def _systemd(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Loads the units of each folder in a root of their own, where the programs exist that they name."""
    del variables
    for _, together in groupby(sorted(files), lambda file: file.rpartition("/")[0]):
        yield from _units(program, folder, [*together])


def _units(program: str, folder: Path, files: Sequence[str]) -> Iterator[Problem]:
    with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
        root = Path(aside)
        (root / _UNITS).mkdir(parents=True)
        for target in _TARGETS:
            (root / _UNITS / f"{target}.target").write_text("[Unit]\n", encoding="utf-8")
        for file in files:
            text = (folder / file).read_text("utf-8")
            (root / _UNITS / Path(file).name).write_text(text, encoding="utf-8")
            for word in re.findall(r"(?m)^Exec\w+=[-@:+!]*\"?(/[^\s\"]+)", text):
                (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
                (root / word[1:]).touch(mode=0o755)
        for file in files:
            unit = Path(file).name.replace("@.", "@1.")
            ended = _run([program, f"--root={root}", "verify", "--man=no", unit], root, {"SYSTEMD_PAGER": ""})
            told = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
            for line in told:
                number = re.search(rf"{re.escape(Path(file).name)}:(\d+): ", line)
                yield Problem(
                    file, int(number[1]) if number else 1, line.replace(aside, "")[:_LONGEST_PROBLEM]
                )


_SUPERVISOR = """
import sys
from supervisor.options import ServerOptions
options = ServerOptions()
options.realize(["-c", sys.argv[1]])
"""


def _supervisor(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Reads the programs with supervisor's own reader, in the interpreter that has it."""
    python = Path(program).read_text("utf-8", errors="replace").partition("\n")[0].removeprefix("#!").strip()
    for file in files:
        with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
            main = Path(aside) / "supervisord.conf"
            main.write_text(
                f"[supervisord]\nlogfile={aside}/log\npidfile={aside}/pid\nchildlogdir={aside}\n"
                f"[include]\nfiles={(folder / file).resolve()}\n",
                encoding="utf-8",
            )
            ended = _run([*python.split(), "-c", _SUPERVISOR, str(main)], Path(aside), variables)
        if ended.returncode:
            yield Problem(file, 1, _told(ended).replace(aside, "").replace(str(folder.resolve()), ""))


def _rules(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    del variables
    for file in files:
        ended = _run([program, "check", "rules", file], folder)
        if ended.returncode:
            line = re.search(rf"{re.escape(file)}:? (\d+):", ended.stdout + ended.stderr)
            yield Problem(file, int(line[1]) if line else 1, _told(ended))


def _scrapes(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    del variables
    for file in files:
        ended = _run([program, "check", "config", file], folder)
        if ended.returncode:
            line = re.search(r" line (\d+):", ended.stdout + ended.stderr)
            yield Problem(file, int(line[1]) if line else 1, _told(ended))


def _rule_tests(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    del variables
    for file in files:
        ended = _run([program, "test", "rules", file], folder)
        if ended.returncode:
            yield Problem(file, 1, _told(ended))


def _notifications(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    del variables
    for file in files:
        ended = _run([program, "check-config", file], folder)
        if ended.returncode:
            line = re.search(r" line (\d+):", ended.stdout + ended.stderr)
            yield Problem(file, int(line[1]) if line else 1, _told(ended))


def _compose(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Reads the file where the environment files exist that it names; a warning is a problem, too."""
    for file in files:
        text = (folder / file).read_text("utf-8", errors="replace")
        with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
            (Path(aside) / "compose.yaml").write_text(text, encoding="utf-8")
            for name in re.findall(r"\./([A-Za-z0-9_-]+\.env)\b", text):
                (Path(aside) / name).touch()
            ended = _run([program, "-f", "compose.yaml", "config", "-q"], Path(aside), variables)
        if ended.returncode or ended.stderr.strip():
            line = re.search(r"line (\d+)", ended.stderr)
            yield Problem(file, int(line[1]) if line else 1, _told(ended).replace(f"{aside}/", ""))


CHECKERS = (
    Checker("celery", "python", ("celeryconfig.py", "kubernetes/*/celeryconfig.py"), _celery),
    Checker("sh", "sh", ("launch/*.sh", "rabbitmq/*.sh", "alertmanager/*.sh"), _shell),
    Checker("shellcheck", "shellcheck", ("launch/*.sh", "rabbitmq/*.sh", "alertmanager/*.sh"), _shellcheck),
    Checker("systemd", "systemd-analyze", ("systemd/*",), _systemd),
    Checker("supervisor", "supervisord", ("supervisor/*.conf",), _supervisor),
    Checker("compose", "docker-compose", ("compose.yaml",), _compose),
    Checker("lint", "python", ("launch/*.sh",), lints.scripts),
    Checker("lint", "python", ("systemd/*",), lints.units),
    Checker("lint", "python", ("supervisor/*.conf",), lints.programs),
    Checker("lint", "python", ("compose.yaml",), lints.services),
    Checker("lint", "python", (".env.example",), lints.environment),
    Checker("lint", "python", ("kubernetes/*.yaml",), manifests.manifests),
    Checker("kubectl", "kubectl", ("kubernetes/*.yaml",), tools.kubectl),
    Checker("kubernetes-validate", "kubernetes-validate", ("kubernetes/*.yaml",), tools.validate),
    Checker("lint", "python", ("rabbitmq/definitions.json",), definitions.lint),
    Checker("lint", "python", ("rabbitmq/permissions.sh",), broker_lints.permissions),
    Checker("lint", "python", ("rabbitmq/rabbitmq.conf",), broker_lints.rabbitmq),
    Checker("redis", "redis-server", ("redis/*.conf",), broker_lints.starts_redis),
    Checker("lint", "python", ("redis/*.conf",), broker_lints.redis),
    Checker("lint", "python", ("grafana/*.dashboard.json",), dashboards.lint),
    Checker("promtool check", "promtool", ("prometheus/*.rules.yaml",), _rules),
    Checker("promtool config", "promtool", ("prometheus/*.scrape.yaml",), _scrapes),
    Checker("promtool test", "promtool", ("prometheus/*tests.yaml",), _rule_tests),
    Checker("amtool check", "amtool", ("alertmanager/*.yaml",), _notifications),
    Checker("amtool routes", "amtool", ("alertmanager/*.routes.sh",), alertmanager_lints.reached),
    Checker("lint", "python", ("alertmanager/*.yaml",), alertmanager_lints.lint),
)
"""Every checker; a file that none judges has a reader of its own, or people read it."""
