"""Drives workers: senders send, and the workers are asked every second what they started."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from uuid import uuid4

from policycompiler.interrupts import EXIT_INTERRUPTED
from policycompiler.load_test.records import Records, Sent
from policycompiler.load_test.sender import BROKER
from policycompiler.load_test.traffic import Traffic
from policycompiler.load_test.trial import Trial
from policycompiler.load_test.wish import Interrupted, LoadTestError
from policycompiler.plan.file import to_json
from policycompiler.quantities import duration
from policycompiler.reality.connection import UnreachableError
from policycompiler.reality.messages import UncountableError
from policycompiler.rehearse.processes import until
from policycompiler.runtime.stand_ins import COMMAND, MOST_NOTES

_PACKAGES = Path(__file__).parents[2]
_SENDER = "from policycompiler.load_test import sender; sender.main()"
_ONE_SENDER = 250.0
"""Messages per second of a sender process, which was measured to fall behind at 800 on a busy core."""
_MOST_SENDERS = 8
_READY_SECONDS, _STOP_SECONDS = 20.0, 3.0
_LOOK_SECONDS = 1.0
_LONGEST_SECONDS = 86_400.0
"""The longest run of a stand-in without a time limit."""
_PATIENCE_SECONDS = 2.0
"""How long a worker may take to answer; one without a free thread answers between two runs."""
_LAST_SECONDS = 10.0
"""The same for the last question."""
_AFTER_SECONDS = 30.0
"""How much later messages expire: the last count must still see them."""


def drive(trial: Trial, traffic: Traffic, nodes: Sequence[str], ended: Callable[[], list[str]]) -> Records:
    """Send everything, and wait until it has started or the time is over. A signal ends it early.

    `ended` names worker processes that ended meanwhile.
    """
    test = _Test(trial, traffic, nodes)
    code = 0
    try:
        test.prepare()
        test.begin()
        test.watch(ended)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except Interrupted as signal:
        code = signal.exit_code
    if not test.begun:
        raise KeyboardInterrupt if code == EXIT_INTERRUPTED else Interrupted(code)
    return test.end(code, ended)


class _Test:
    """A load test that runs."""

    def __init__(self, trial: Trial, traffic: Traffic, nodes: Sequence[str]) -> None:
        self._trial, self._traffic, self._nodes = trial, traffic, nodes
        self._place, self._stage = trial.place, trial.stage
        self._id = uuid4().hex
        self._known = dict.fromkeys(nodes, 0)
        self._started: dict[int, list[float]] = {}
        self._failed: set[int] = set()
        self._problems: list[str] = []
        self._senders: list[str] = []
        self.begun = 0.0

    # Sending -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Start the senders, and wait until they are connected."""
        folder, total = self._stage.folder, len(self._traffic.messages)
        (folder / "plan.json").write_text(to_json(self._trial.plan), encoding="utf-8")
        count = min(_MOST_SENDERS, max(1, ceil(total / self._traffic.seconds / _ONE_SENDER)))
        # The folder of this package: the sender runs elsewhere.
        path = os.pathsep.join([str(_PACKAGES), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        environment = {**os.environ, BROKER: self._place.url, "PYTHONPATH": path}
        for number in range(count):
            lines = [self._line(each) for each in range(number, total, count)]
            (folder / f"messages-{number}.jsonl").write_text("".join(lines), encoding="utf-8")
            name = f"sender-{number}"
            words = [sys.executable, "-P", "-c", _SENDER, str(folder), str(number)]
            self._stage.start(name, words, environment)
            self._senders.append(name)
        until(lambda: self._ready() or bool(self._ended_senders()), self._stage.allowed(_READY_SECONDS))
        if not self._ready():
            message = f"the messages could not be sent: {self._stage.log(self._senders[0])}"
            raise LoadTestError(message)

    def _line(self, number: int) -> str:
        message = self._traffic.messages[number]
        driven = self._traffic.driven[message.flow]
        fields = {
            "number": number,
            "after": message.arrived,
            "task": driven.name,
            "queue": driven.flow.queue,
            "priority": driven.flow.priority,
            "seconds": message.run,
            "computes": driven.computes,
            # A stand-in that computes on a shared processor takes longer than it computes.
            "most": driven.limit or _LONGEST_SECONDS,
        }
        return json.dumps(fields) + "\n"

    def _ready(self) -> bool:
        folder = self._stage.folder
        return all((folder / f"ready-{number}").exists() for number in range(len(self._senders)))

    def _ended_senders(self) -> list[str]:
        return [name for name in self._senders if self._stage.processes[name].poll() is not None]

    def begin(self) -> None:
        """Let all senders begin at the same moment."""
        ahead, folder = 0.2, self._stage.folder
        until_ = time.time() + ahead + self._traffic.seconds + self._trial.wish.drain_seconds + _AFTER_SECONDS
        job = {"test": self._id, "begin": time.monotonic() + ahead, "until": until_}
        (folder / "begin.part").write_text(json.dumps(job), encoding="utf-8")
        self.begun = time.time() + ahead
        (folder / "begin.part").rename(folder / "begin.json")

    def sent(self) -> dict[int, Sent]:
        """What the senders noted so far."""
        found = {}
        for number in range(len(self._senders)):
            path = self._stage.folder / f"sent-{number}.jsonl"
            # The last line may be half written.
            for line in path.read_text("utf-8").rpartition("\n")[0].splitlines():
                place, at, late = json.loads(line)
                found[place] = Sent(at, late)
        return found

    # Watching ----------------------------------------------------------------------------------------------

    def watch(self, ended: Callable[[], list[str]]) -> None:
        """Ask again and again, until all that was sent has started, or the time is over."""
        last = self.begun + self._traffic.seconds + self._trial.wish.drain_seconds
        while time.time() < last:
            next_look = time.monotonic() + _LOOK_SECONDS
            sent = self.sent()
            sending = len(self._ended_senders()) < len(self._senders)
            self.ask(_PATIENCE_SECONDS)
            self._show(sent)
            if ended() or (not sending and self._started.keys() >= sent.keys()):
                return
            time.sleep(max(0.0, min(next_look - time.monotonic(), last - time.time())))

    def _show(self, sent: dict[int, Sent]) -> None:
        now = min(time.time() - self.begun, self._traffic.seconds)
        waits = sorted(
            max(0.0, times[0] - sent[each].at) for each, times in self._started.items() if each in sent
        )
        wait = f", wait p99 {waits[ceil(0.99 * len(waits)) - 1]:.2f} s" if waits else ""
        self._trial.tell(
            f"{max(now, 0):.0f} s of {duration(round(self._traffic.seconds))}: "
            f"{len(sent)} of {len(self._traffic.messages)} sent, {len(self._started)} started{wait}"
        )

    def ask(self, seconds: float) -> set[str]:
        """Ask the workers for what they started since the last answer; the nodes that told all."""
        told = set()
        arguments = {"test": self._id, "known": self._known}
        with _tolerating(self._problems):
            for node, _, answer in self._place.ask({COMMAND: arguments}, self._nodes, seconds):
                # A late answer to an earlier question comes with its ticket, so this is the newest.
                if not isinstance(answer, dict) or answer.get("first") != self._known.get(node):
                    continue
                for number, at, started in answer["notes"]:
                    if started:
                        self._started.setdefault(number, []).append(at)
                    else:
                        self._failed.add(number)
                self._known[node] += len(answer["notes"])
                if len(answer["notes"]) < MOST_NOTES:
                    told.add(node)
        return told

    # The end -----------------------------------------------------------------------------------------------

    def end(self, code: int, ended: Callable[[], list[str]]) -> Records:
        """Stop sending, ask for the last time, and let the workers discard what is left."""
        running = [name for name in self._senders if name not in self._ended_senders()]
        seconds = min(max(time.time() - self.begun, 0.0), self._traffic.seconds)
        self._stage.stop(running, _STOP_SECONDS)
        for name in self._senders:
            if self._stage.processes[name].returncode:
                self._problems.append(f"not all messages were sent: {self._stage.log(name)}")
        now = time.time()
        # Counted before the last question: what starts in between is in the answers.
        left = self._left() if self._started.keys() < self.sent().keys() else {}
        gone = set(ended())
        silent = {*self._nodes} - gone
        end = time.monotonic() + _LAST_SECONDS
        while silent and time.monotonic() < end:
            silent -= self.ask(_PATIENCE_SECONDS)
        self._problems += [f"worker process {name} ended: {self._stage.log(name)}" for name in sorted(gone)]
        self._problems += [f"worker `{name}` did not say what it ran" for name in sorted(silent)]
        with _tolerating(self._problems):
            self._place.ask({COMMAND: {"test": self._id, "end": True}}, self._nodes, _PATIENCE_SECONDS)
        return Records(
            self.sent(),
            self._started,
            self._failed,
            self.begun,
            now,
            seconds,
            left,
            sorted(silent | gone),
            code,
            list(dict.fromkeys(self._problems)),
        )

    def _left(self) -> dict[str, bool]:
        queues = sorted({each.flow.queue for each in self._traffic.driven})
        try:
            found = self._place.left(self._trial.plan, queues)
        except (UncountableError, UnreachableError):
            return {}
        return {name: count.any for name, count in found.queues.items()}


@contextmanager
def _tolerating(problems: list[str]) -> Iterator[None]:
    """A broker that does not answer once is a problem, and no end."""
    try:
        yield
    except UnreachableError as problem:
        problems.append(f"the broker did not answer: {problem}")
