"""The stand-ins of a load test: what they take of a slot, and what they note."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from policycompiler.runtime import stand_ins


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setattr(stand_ins, "_notes", {})
    monkeypatch.setattr(stand_ins, "_ended", set())


def request(identifier: str) -> stand_ins.Noted:
    found = stand_ins.Noted.__new__(stand_ins.Noted)
    found._request_dict = {"id": identifier}
    found.id = found.task_id = identifier
    return found


def told(**arguments: object) -> dict:
    return stand_ins.load_test(SimpleNamespace(hostname="worker@one"), **arguments)


def test_a_computing_stand_in_uses_a_processor_and_a_waiting_one_does_not():
    later = time.time() + 60
    before = time.thread_time()
    stand_ins.run(0.1, later, computes=True, most=60)
    assert time.thread_time() - before >= 0.1
    before = time.thread_time()
    stand_ins.run(0.2, later, computes=False, most=60)
    assert time.thread_time() - before < 0.1


def test_nothing_runs_beyond_the_end_of_the_test(monkeypatch):
    before = time.thread_time()
    stand_ins.run(20, time.time() - 1, computes=True, most=60)
    assert time.thread_time() - before < 10
    slept: list[float] = []
    monkeypatch.setattr(stand_ins.time, "sleep", slept.append)
    stand_ins.run(20, time.time() - 1, computes=False, most=60)
    assert slept == [0]


def test_a_run_ends_before_its_time_limit(monkeypatch):
    before = time.thread_time()
    stand_ins.run(20, time.time() + 60, computes=True, most=0.1)
    assert time.thread_time() - before < 10
    slept: list[float] = []
    monkeypatch.setattr(stand_ins.time, "sleep", slept.append)
    stand_ins.run(20, time.time() + 60, computes=False, most=0.1)
    assert slept == [0.1]


def test_notes_are_told_in_parts_and_forgotten_at_the_end(monkeypatch):
    monkeypatch.setattr(stand_ins, "MOST_NOTES", 2)
    for number in range(3):
        request(f"a-{number}")._note(float(number), started=True)
    request("other-0")._note(9.0, started=True)
    assert told(test="a") == {"first": 0, "notes": [(0, 0.0, True), (1, 1.0, True)]}
    assert told(test="a", known={"worker@one": 2, "worker@two": 0}) == {"first": 2, "notes": [(2, 2.0, True)]}
    assert told(test="a", known={"worker@one": 3})["notes"] == []
    assert told(test="a", end=True)["notes"] == []
    request("a-4")._note(4.0, started=True)
    assert told(test="a")["notes"] == []
    assert told(test="other")["notes"] == [(0, 9.0, True)]
    assert request("a-5").maybe_expire()


def test_a_message_of_somebody_else_is_not_noted():
    request("5e8f0d3e-30c8-4a7a-9d5f-0c3a5b7f1a2b")._note(1.0, started=True)
    assert stand_ins._notes == {}
