"""Looks at the code of an application: through its own interpreter, and through its source.

`policycompiler_probe` and `source.py` are programs that the application's interpreter runs. No code of the
application is imported into this process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

PROBE_SECONDS = 120.0
"""The patience with the imports of an application; large ones take 10 s."""
_HERE = Path(__file__).parent
_PROBE = """
import sys
here = sys.argv.pop(1)
sys.path.insert(0, here)
from policycompiler_probe.program import main
sys.path.remove(here)
main()
"""
"""Modules come from the current folder, as for `celery -A`, and never from the folder of the program."""


class CodeError(Exception):
    """The application cannot be looked at; the text says why, and where in its code."""


class Unsaid(NamedTuple):
    """A value of the code that has no form in a workload, and why."""

    what: str
    why: str


class Code(NamedTuple):
    """The app as a worker loads it: the answer of the probe.

    `app` is the name that found it. `facts` is the document of the probe: plain data without secrets.
    `unsaid` are the values that have no form in a workload. `connects` are the addresses to which the
    application connected while it was imported.
    """

    app: str
    facts: Mapping[str, Any]
    unsaid: tuple[Unsaid, ...]
    connects: tuple[str, ...]


class SourceTask(NamedTuple):
    """A task in the source.

    `begins` is the line of its first decorator. `explicit`: the decorator gives the name; `named`: the name
    is known. `unresolved` are the options whose values the source alone does not show.
    """

    name: str
    place: str
    begins: int
    explicit: bool
    named: bool
    options: Mapping[str, Any]
    unresolved: tuple[str, ...]


class Send(NamedTuple):
    """A send in the source, by the name of a task or to a queue; None where the source does not show it."""

    place: str
    task: str | None
    queue: str | None


class SourceCode(NamedTuple):
    """What the source says without any import: the answer of `source.py`.

    `in_transactions` are the places of sends inside a transaction of a database, `unparsable` are the files
    that the interpreter of the application cannot parse.
    """

    tasks: tuple[SourceTask, ...]
    sends: tuple[Send, ...]
    in_transactions: tuple[str, ...]
    unparsable: tuple[Unsaid, ...]


class Call(NamedTuple):
    """A call to hold against the signature of a task: a name for it, the task and the arguments."""

    name: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]


def look(
    app: str,
    python: str,
    *,
    folder: Path,
    django: bool = False,
    rows: bool = False,
    calls: Sequence[Call] = (),
) -> Code:
    """Load an app in its own interpreter, in `folder`, and return what it has. Raises `CodeError`.

    `django` sets Django up first. `rows` reads the schedules of django-celery-beat, for which the app
    connects to its database.
    """
    asked = {"app": app, "django": django, "rows": rows, "calls": [each._asdict() for each in calls]}
    found = _asked([python, "-c", _PROBE, str(_HERE)], asked, folder)
    if problem := found.get("error"):
        where = f" ({problem['place']})" if problem["place"] else ""
        message = f"cannot load the app `{app}`: {problem['kind']}: {problem['text']}{where}"
        raise CodeError(message)
    unsaid = tuple(Unsaid(each["what"], each["why"]) for each in found["unsaid"])
    return Code(app, found, unsaid, tuple(found["connects"]))


def read_source(folders: Sequence[Path], python: str, *, folder: Path) -> SourceCode:
    """Parse the Python files below `folders` with an interpreter; nothing is imported. Raises `CodeError`."""
    program = [python, str(_HERE / "source.py")]
    found = _asked(program, {"folders": [str(each) for each in folders]}, folder)
    return SourceCode(
        tuple(
            SourceTask(
                each["name"],
                each["place"],
                each["begins"],
                each["explicit"],
                each["named"],
                each["options"],
                tuple(each["unresolved"]),
            )
            for each in found["tasks"]
        ),
        tuple(Send(each["place"], each["task"], each["queue"]) for each in found["sends"]),
        tuple(each["place"] for each in found["in_transactions"]),
        tuple(Unsaid(each["place"], each["text"]) for each in found["unparsable"]),
    )


def _asked(program: Sequence[str], asked: Mapping[str, object], folder: Path) -> dict[str, Any]:
    """The answer of a program, which gets the file for it and what is asked."""
    with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
        answer, log = Path(aside) / "answer.json", Path(aside) / "log"
        try:
            code = _run([*program, str(answer), json.dumps(asked)], folder, log)
        except subprocess.TimeoutExpired:
            message = f"the imports of the application took more than {PROBE_SECONDS:g} s"
            raise CodeError(message) from None
        except OSError as problem:
            message = f"cannot run {program[0]}: {problem.strerror}"
            raise CodeError(message) from None
        if not answer.exists():
            told = log.read_text("utf-8", errors="replace").strip().splitlines()
            ended = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            message = f"{program[0]} {ended}: {told[-1] if told else 'it said nothing'}"
            raise CodeError(message)
        found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        return found


def _run(command: Sequence[str], folder: Path, log: Path) -> int:
    """Run a program to its end, and end what the application has started meanwhile; its exit code."""
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - the interpreter that the user named
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    try:
        return process.wait(PROBE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
