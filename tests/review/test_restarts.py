"""What goes over to a new plan is what reads a file that differs, and nothing else."""

from __future__ import annotations

import pytest
from review_of import reviewed
from workloads import compiled, workload

from policycompiler.emitters import emit
from policycompiler.emitters.celeryconfig.settings import shows
from policycompiler.plan import APP
from policycompiler.review import deploy

TASKS = "tasks: {shop.a: {queue: a, runtime: 1s}, shop.b: {queue: b, runtime: 1s}}\n"
DAILY = 'schedules: {daily: {task: shop.a, cron: "0 3 * * *", expires: 1h}}\n'


def processes(old: str, new: str) -> set[str]:
    """Everything that any step starts, restarts, reloads or stops."""
    steps = reviewed(old, new).steps
    return {each for step in steps for each in (*step.start, *step.restart, *step.reload, *step.stop)}


@pytest.mark.parametrize(
    ("old", "new", "over"),
    [
        (TASKS, TASKS + DAILY, {"beat"}),
        (TASKS + DAILY, TASKS, {"beat"}),
        (TASKS + DAILY, TASKS + DAILY.replace("0 3", "0 4"), {"beat"}),
        (
            TASKS + DAILY,
            TASKS + DAILY + "celery: {settings: {beat_max_loop_interval: 10}}",
            {"beat"},
        ),
    ],
    ids=["a first schedule", "no schedule any more", "another time", "a setting of beat"],
)
def test_only_beat_goes_over(old, new, over):
    assert processes(old, new) == over


def test_what_no_process_reads_restarts_none():
    assert processes(TASKS, TASKS + "owner: shop") == set()


def test_the_settings_of_a_command_are_those_that_its_files_show():
    made = compiled(workload(TASKS + DAILY + "results: {backend: redis, url: '${R}'}"))
    shown = {file.path: {key for scope, key in file.settings if scope == APP} for file in emit(made.plan)}
    workers = set().union(*(keys for path, keys in shown.items() if "worker" in path or "launch/a" in path))
    assert workers == set(deploy._ON_THE_COMMAND)
    beat = set().union(*(keys for path, keys in shown.items() if "beat" in path))
    assert beat - workers == set(deploy._ON_BEATS_COMMAND)


def test_the_settings_that_go_over_are_those_that_the_module_shows():
    made = compiled(workload(TASKS + DAILY + "results: {backend: redis, url: '${R}'}"))
    (module,) = [file for file in emit(made.plan, ("celeryconfig",)) if file.path == "celeryconfig.py"]
    told = {key for scope, key in module.settings if scope == APP}
    # In its docstring: for whom it was written.
    assert told - {key for key in told if shows(key)} == {
        *("service", "broker_transport", "celery_version"),
    }
    assert {key for key in made.plan.keys(APP) if shows(key)} <= told
