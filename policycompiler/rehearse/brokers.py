"""The private broker of a rehearsal: Redis where it is installed, else files."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from policycompiler.plan import Plan, Value
from policycompiler.rehearse.processes import Stage, until

_HOST = "127.0.0.1"
_START_SECONDS = 10.0
_T = TypeVar("_T")


class PrivateBroker(NamedTuple):
    """A broker for one rehearsal: its addresses, and the transport options that it needs.

    `kind` is its name for people. `settings` replace those of the compiled configuration.
    """

    kind: str
    url: str
    results: str
    options: Mapping[str, Value]

    @property
    def has_store(self) -> bool:
        """Whether guards can have their store where the results are."""
        return self.results.startswith("redis:")


@contextmanager
def emptied(plan: Plan, url: str) -> Iterator[None]:
    """A broker of the user that must be empty, and is empty again at the end.

    Raises `OSError` if it is not empty, does not answer, or is of a kind that does not show it.
    """
    # Celery is imported only where its client is needed: it is slow to import.
    from policycompiler.reality import broker  # noqa: PLC0415
    from policycompiler.reality.connection import UnreachableError  # noqa: PLC0415

    how = broker.emptiness(plan)
    if how is None:
        message = f"--broker: {plan.broker.label} cannot show that it is empty; leave out --broker"
        raise OSError(message)
    try:
        found = _ask(plan, url, how.content)
    except UnreachableError as problem:
        raise OSError(str(problem)) from None
    if found:
        message = f"the broker of --broker is not empty: {found}; its messages would be taken: {how.instead}"
        raise OSError(message)
    try:
        yield
    finally:
        try:
            _ask(plan, url, how.clear)
        except UnreachableError as problem:
            message = f"what was made on the broker may still be there: {problem}"
            raise OSError(message) from None


def _ask(plan: Plan, url: str, what: Callable[[Any, Plan], _T]) -> _T:
    from policycompiler.reality import connection  # noqa: PLC0415

    app = connection.client(plan, connection.broker_url(plan, url, {}))
    with connection.bounded(connection.LOOK_SECONDS), connection.connected(app) as connected:
        return what(connected, plan)


def own(url: str, stage: Stage) -> PrivateBroker:
    """The broker of the user, with results in files of the stage."""
    return PrivateBroker("the broker of --broker", url, _results(stage), {})


def private(stage: Stage, python: str) -> PrivateBroker:
    """A new broker: Redis if it and its client are installed. Raises `OSError` if it does not start."""
    program = shutil.which("redis-server")
    return _files(stage) if program is None or not _has_client(python) else _redis(stage, program)


def _has_client(python: str) -> bool:
    command = [python, "-c", "import kombu.transport.redis as found; assert found.redis"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_START_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _redis(stage: Stage, program: str) -> PrivateBroker:
    with socket.socket() as free:
        free.bind((_HOST, 0))
        port = free.getsockname()[1]
    words = [program, "--port", str(port), "--bind", _HOST, "--save", "", "--appendonly", "no"]
    stage.start("redis", [*words, "--dir", str(stage.folder), "--daemonize", "no"], {})
    if not until(lambda: _answers(port), _START_SECONDS):
        message = f"redis-server did not start: {stage.log('redis')}"
        raise OSError(message)
    url = f"redis://{_HOST}:{port}"
    return PrivateBroker("a private Redis", f"{url}/0", f"{url}/1", {})


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(5) == b"+PONG"
    except OSError:
        return False


def _files(stage: Stage) -> PrivateBroker:
    folder = stage.folder / "messages"
    folder.mkdir()
    control = stage.folder / "control"
    control.mkdir()
    options: Mapping[str, Value] = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(control),
    }
    return PrivateBroker("kombu's file system transport", "filesystem://", _results(stage), options)


def _results(stage: Stage) -> str:
    folder = stage.folder / "results"
    folder.mkdir(exist_ok=True)
    return f"file://{folder}"
