"""What the processes of a fleet wrote down, and what became of the work by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import witness


class Outcome(NamedTuple):
    """What became of the work, as counts by task or by queue.

    `lost` was sent and never done; `doubled` was done more than once and must not be, or was sent by two
    beats; `left` is what still lies in queues; `refused` could not be sent, but for a firing that beat was
    in the midst of when it was stopped: that one is lost in every stop of beat (`knowledge.test_beat`).
    """

    lost: Mapping[str, int]
    doubled: Mapping[str, int]
    left: Mapping[str, int]
    refused: Mapping[str, int]

    @property
    def clean(self) -> bool:
        """Whether all that was sent was done, and that once."""
        return not any(self)

    @property
    def settled(self) -> bool:
        """Whether nothing is waited for any more."""
        return not self.lost and not self.left


class Evidence(NamedTuple):
    """The files in which producers, beat and workers note what they do."""

    published: Path
    witness: Path

    def attempts(self) -> list[dict]:
        """Every publish, whether or not it succeeded, in order."""
        return self._published("before")

    def sends_of(self, pid: int) -> int:
        """How often a process has tried to publish."""
        return sum(event["pid"] == pid for event in self.attempts())

    def ended(self) -> int:
        """How many runs have ended."""
        return len(witness.ends(self.witness))

    def outcome(self, once: frozenset[str], beats: Sequence[int], left: Mapping[str, int]) -> Outcome:
        """Of the work up to now. `once` are the tasks that must not run twice, `beats` the pids of beats."""
        # Read before the runs: what is sent meanwhile is not yet expected.
        sent = {event["id"] for event in self._published("after")}
        tried = {event["id"]: event["task"] for event in self.attempts()}
        done = {event["id"] for event in witness.ends(self.witness) if event["state"] == "SUCCESS"}
        runs = Counter(event["id"] for event in witness.starts(self.witness))
        twice = {run for run, times in runs.items() if times > 1 and tried.get(run) in once}
        return Outcome(
            lost=Counter(tried[each] for each in sent - done),
            doubled=Counter(tried[each] for each in twice | self._of_two_beats(beats)),
            left=left,
            refused=Counter(tried[each] for each in tried.keys() - sent - self._last_of(beats)),
        )

    def _last_of(self, beats: Sequence[int]) -> set[str]:
        """The last send of each beat."""
        return set({send["pid"]: send["id"] for send in self.attempts() if send["pid"] in beats}.values())

    def _of_two_beats(self, beats: Sequence[int]) -> set[str]:
        """What a beat sent although a later one had begun to."""
        latest, late = 0, set()
        for send in self.attempts():
            if send["pid"] in beats:
                turn = beats.index(send["pid"])
                latest = max(latest, turn)
                if turn < latest:
                    late.add(send["id"])
        return late

    def _published(self, event: str) -> list[dict]:
        return [found for found in witness.events(self.published) if found["event"] == event]
