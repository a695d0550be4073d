"""Who reads a setting, as the vocabulary says it, is who goes by a file that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from meanings import meaning, meanings
from places import EVERYTHING
from plans import changed

from policycompiler import emitters
from policycompiler.compiler import compile_workload
from policycompiler.plan import Plan, Setting, vocabulary
from policycompiler.plan.vocabulary import Key, Reader

SOURCES = sorted(EVERYTHING.glob("*.yaml"))
_FOR_ANYBODY = {"RUNBOOK.md"}
"""People read there what processes do, too."""
_CONFIGURATION = {Reader.CONFIGURATION, Reader.ANNOTATION, Reader.BEAT_CONFIGURATION}


def readers_of(path: str) -> set[Reader]:  # noqa: PLR0911 - one for each kind of file
    """Who acts on a file."""
    if path.startswith("kubernetes/"):
        return readers_of_manifest(path.rpartition("/")[2])
    if path == "celeryconfig.py":
        return _CONFIGURATION
    # They name every process, and contain a hash of the configuration.
    if path in {"compose.yaml", ".env.example"}:
        return {*_CONFIGURATION, Reader.WORKER, Reader.BEAT}
    folder, _, name = path.rpartition("/")
    if folder.partition("/")[0] in {"prometheus", "grafana"}:
        return {Reader.ALERT}
    if folder in {"rabbitmq", "redis"}:
        # Its queues are those of the configuration.
        return {Reader.SERVER, Reader.CONFIGURATION}
    if path in {"routing.json", "ROUTING.md", *_FOR_ANYBODY}:
        return {Reader.PEOPLE}
    if name == "beat.sh" or name.endswith("-beat.service"):
        return {Reader.BEAT}
    # What starts all of them at once is of workers and of beat.
    return {Reader.WORKER} if name.endswith(".sh") or "@" in name else {Reader.WORKER, Reader.BEAT}


def readers_of_manifest(name: str) -> set[Reader]:
    """Who acts on a file of the base."""
    if name == "celeryconfig.py":
        return _CONFIGURATION
    if name.endswith("-rules.yaml"):
        return {Reader.ALERT}
    if name.endswith("-exporter.yaml"):
        # It watches the queues that are declared.
        return {*_CONFIGURATION, Reader.WORKER, Reader.BEAT}
    return {Reader.BEAT} if name.endswith("-beat.yaml") else {Reader.WORKER, Reader.BEAT}


def key_of(setting: Setting) -> Key:
    found = vocabulary.find(setting.scope.kind, setting.key)
    assert found is not None, setting.address
    return found


@cache
def plan_of(source: Path) -> Plan:
    found = compile_workload([source], targets=()).plan
    assert found is not None
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_file_shows_what_its_readers_read_or_what_is_for_people(source):
    plan = plan_of(source)
    for file in emitters.emit(plan, emitters.TARGETS):
        if file.path in _FOR_ANYBODY:
            continue
        wrong = {
            plan.setting(*each).address
            for each in file.settings
            if not key_of(plan.setting(*each)).is_read_by(*readers_of(file.path), Reader.PEOPLE)
        }
        assert (file.path, wrong) == (file.path, set())


def test_what_a_reader_reads_is_in_a_file_of_its_own():
    shown: dict[Key, set[Reader]] = {}
    decided: set[Key] = set()
    for plan in map(plan_of, SOURCES):
        decided.update(map(key_of, plan))
        for file in emitters.emit(plan, emitters.TARGETS):
            for each in file.settings:
                shown.setdefault(key_of(plan.setting(*each)), set()).update(readers_of(file.path))
    for key in decided:
        missing = key.readers - shown.get(key, set()) - {Reader.PEOPLE}
        assert (key.scope, key.name, missing) == (key.scope, key.name, set())


def one_of_each(plan: Plan) -> Iterator[Setting]:
    """The first setting of each key that is for people only."""
    told = set()
    for setting in plan:
        if (setting.scope.kind, setting.key) not in told:
            told.add((setting.scope.kind, setting.key))
            if key_of(setting).readers == {Reader.PEOPLE}:
                yield setting


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_is_for_people_changes_no_process(source, monkeypatch):
    for setting in (plan := plan_of(source)):
        if setting.key.endswith("_variable"):
            monkeypatch.setenv(str(setting.value), "memory://")
    before = {path: said for path, (said, _) in meanings(plan).items() if acts(path)}
    settings = list(one_of_each(plan))
    assert settings
    for setting in settings:
        after = {
            file.path: meaning(file)
            for file in emitters.emit(changed(plan, setting), ("celeryconfig", "launch"))
            if acts(file.path)
        }
        assert (setting.address, after) == (setting.address, {path: before[path] for path in after})


def acts(path: str) -> bool:
    """Whether a process goes by a file."""
    return path == "celeryconfig.py" or path.startswith("launch/")
