"""The fingerprint differs where workers would read something else, and nowhere else."""

from __future__ import annotations

import ast

import pytest
from review_of import RABBITMQ, plan_of
from rollout_cases import CASES, TICKS, pair, tasks
from workloads import compiled, workload

from policycompiler.emitters import emit
from policycompiler.plan import Plan
from policycompiler.plan.file import from_json, to_json
from policycompiler.plan.fingerprint import SHOWN_AS, fingerprint

OF_BEAT = ("beat_", "ZonedCrontab")
PLAIN = tasks(a="q")


def module(plan: Plan) -> ast.Module:
    (text,) = (file.text for file in emit(plan, ("celeryconfig",)) if file.path == "celeryconfig.py")
    return ast.parse(text)


def read(plan: Plan) -> list[str]:
    """What a worker reads: the code without imports, docstring, schedules, and the fingerprint itself."""
    lines = [
        line
        for line in module(plan).body
        if not isinstance(line, ast.Import | ast.ImportFrom | ast.Expr)
        and getattr(line, "name", "") != "_ShowsPlan"
    ]
    dumped = map(ast.dump, lines)
    return [each for each in dumped if not any(word in each for word in OF_BEAT)]


def shown(plan: Plan) -> str:
    """The fingerprint that a worker answers with."""
    (answered,) = (
        each
        for each in ast.walk(module(plan))
        if isinstance(each, ast.Dict) and [ast.literal_eval(key) for key in each.keys if key] == [SHOWN_AS]
    )
    return ast.literal_eval(answered)[SHOWN_AS]


def test_a_file_that_leaves_values_to_celery_shows_it_too():
    plan = plan_of(f"{RABBITMQ}tasks: {{shop.a: {{policies: as-is, queue: q}}}}\n")
    assert plan.told() != plan
    assert shown(plan) == fingerprint(plan) == fingerprint(plan.told())


@pytest.mark.parametrize(("name", "broker"), CASES)
def test_it_differs_exactly_where_workers_read_something_else(name, broker):
    old, new = (plan_of(broker + text) for text in pair(name))
    assert (fingerprint(old) == fingerprint(new)) == (read(old) == read(new))


@pytest.mark.parametrize(
    ("more", "same"),
    [
        (TICKS, True),
        ("workers: {q: {queues: [q], concurrency: 9}}\n", True),
        ("celery: {settings: {worker_proc_alive_timeout: 20}}\n", False),
        ("queues: {q: {consumer_arguments: {x-priority: 5}}}\n", False),
        ("queues: {q: {bound: 9}}\n", False),
    ],
    ids=["a schedule", "the command of a worker", "a setting", "a declaration", "a bound"],
)
def test_it_covers_what_the_file_says_to_workers(more, same):
    old, new = plan_of(RABBITMQ + PLAIN), plan_of(RABBITMQ + PLAIN + more)
    assert (fingerprint(old) == fingerprint(new)) == same == (read(old) == read(new))


@pytest.mark.parametrize("more", ["rate: 6/s", "rate: 5/s, burst: 9", "rate: 5/s, breaker: {}"])
def test_it_covers_dependencies(more):
    plain = "tasks: {shop.a: {queue: q, runtime: 1s, calls: [stripe]}}\ndependencies: {stripe: {%s}}\n"
    old, new = (plan_of(RABBITMQ + plain % each) for each in ("rate: 5/s", more))
    assert fingerprint(old) != fingerprint(new)
    assert read(old) != read(new)


def test_a_reason_does_not_change_it_and_neither_does_the_plan_file():
    plan = compiled(workload(PLAIN)).plan
    assert plan is not None
    other = Plan(
        {
            scope: {each.key: each._replace(because="another", policy="other") for each in settings}
            for scope, settings in plan.by_scope()
        }
    )
    assert fingerprint(other) == fingerprint(plan) == fingerprint(from_json(to_json(plan))) == shown(plan)
