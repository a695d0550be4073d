"""Check and diff read one book: what `check` finds of the new plan only, `diff` does not call safe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from generated_pairs import bounded, edited
from hypothesis import assume, event, given
from hypothesis import strategies as st
from review_of import TODAY
from workloads import compiled, workload

from policycompiler.compiler import Compilation
from policycompiler.diagnostics import SpecPath
from policycompiler.hazards import BOOK, EFFECTS, Effect, hazards
from policycompiler.manual import all_findings
from policycompiler.plan import Plan
from policycompiler.review import Class, review

PAGES = {page.finding.name: page for _, page in all_findings()}
EXAMPLES = {name: page for name, page in PAGES.items() if name in EFFECTS and page.fires and page.silent}
LOSES = frozenset({Effect.LOST, Effect.DOUBLED})

# One edit each, of which a reader of the diff has to hear: what was, what is, and the class.
RABBITMQ = "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\n"
TASK = "tasks: {shop.a: {queue: q, idempotent: true, runtime: 5m}}\n"
RESULTS = "results: {backend: redis, url: '${R}'}\n"
BEATS = "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 10m, expires: 1m%s}}\n"
CHORD = f"{RESULTS}tasks: {{shop.a: {{queue: q, canvas: [chord], runtime: 5m}}}}\n"
SCHEDULED = "tasks: {shop.a: {queue: q, idempotent: true%s}}\nschedules: {s: {task: shop.a, every: 10m%s}}\n"
POOLED = "workers: {w: {queues: [q], pool: %s}}\ntasks: {shop.a: {queue: q, work: %s}}\n"
LIMIT = "tasks: {shop.a: {queue: q, idempotent: true, options: {time_limit: %s}}}\n"
MEASURED = "tasks: {shop.a: {queue: q, idempotent: true, runtime: 5m, options: {%s}}}\n"
BROADCAST = "queues: {q: {broadcast: true}}\ntasks: {shop.a: {queue: q, idempotent: true%s}}\n"
QUORUM = f"{RABBITMQ}tasks: {{shop.a: {{queue: q}}}}\nqueues: {{q: {{type: quorum}}}}\n"


def pinned(setting: str, rest: str = TASK) -> str:
    return f"celery: {{settings: {{{setting}}}}}\n{rest}"


def rated(limit: str, rate: str = "") -> str:
    return f"tasks: {{shop.a: {{queue: q{rate}, options: {{rate_limit: {limit}}}}}}}\n"


EDITS: Mapping[str, tuple[str, str, Class]] = {
    "a queue of Redis becomes a fanout": (
        f"{TASK}queues: {{q: {{}}}}",
        f"{TASK}queues: {{q: {{exchange_type: fanout}}}}",
        Class.LOSSY,
    ),
    "another kind of backend behind one variable": (
        RESULTS + TASK,
        RESULTS.replace("redis", "database") + TASK,
        Class.LOSSY,
    ),
    "a countdown above the expiry of a schedule": (
        BEATS % "",
        BEATS % ", options: {countdown: 120}",
        Class.LOSSY,
    ),
    "a lower limit of a schedule of what nobody measured": (
        SCHEDULED % ("", ", options: {time_limit: 600}"),
        SCHEDULED % ("", ", options: {time_limit: 4}"),
        Class.MANUAL,
    ),
    "a limit of a schedule below that of its task": (
        SCHEDULED % (", options: {soft_time_limit: 60}", ""),
        SCHEDULED % (", options: {soft_time_limit: 60}", ", options: {soft_time_limit: 4}"),
        Class.MANUAL,
    ),
    "a lower limit of a schedule than runs take": (
        SCHEDULED % (", runtime: 5m", ", options: {time_limit: 600}"),
        SCHEDULED % (", runtime: 5m", ", options: {time_limit: 4}"),
        Class.LOSSY,
    ),
    "a lower expiry in the options of a schedule": (
        SCHEDULED % ("", ", options: {expires: 300}"),
        SCHEDULED % ("", ", options: {expires: 20}"),
        Class.LOSSY,
    ),
    "a pool that keeps no limit": (POOLED % ("prefork", "io"), POOLED % ("threads", "io"), Class.MANUAL),
    "a task computes where all share a process": (
        POOLED % ("threads", "io"),
        POOLED % ("threads", "cpu"),
        Class.MANUAL,
    ),
    "a countdown above the expiry of a task": (
        "tasks: {shop.a: {queue: q, expires: 1m}}",
        "tasks: {shop.a: {queue: q, expires: 1m, max_countdown: 10m}}",
        Class.LOSSY,
    ),
    "a module is imported no more": (pinned("imports: [x, y]"), pinned("imports: [x]"), Class.MANUAL),
    "a module is included no more": (pinned("include: [x, y]"), pinned("include: [y]"), Class.MANUAL),
    "quorum queues are not detected": (
        QUORUM,
        pinned("worker_detect_quorum_queues: false", QUORUM),
        Class.MANUAL,
    ),
    "a broadcast is retried": (
        BROADCAST % "",
        BROADCAST % ", retry: {on: [ConnectionError], max: 3}",
        Class.LOSSY,
    ),
    "a lower hard limit of what nobody measured": (LIMIT % 600, LIMIT % 4, Class.MANUAL),
    "a lower hard limit than runs take": (
        MEASURED % "time_limit: 600",
        MEASURED % "time_limit: 4",
        Class.LOSSY,
    ),
    "a lower soft limit than runs take": (
        MEASURED % "soft_time_limit: 600, time_limit: 700",
        MEASURED % "soft_time_limit: 4, time_limit: 700",
        Class.LOSSY,
    ),
    "a lower hard limit for all": (
        pinned("task_time_limit: 600"),
        pinned("task_time_limit: 4"),
        Class.MANUAL,
    ),
    "the count of a chord is kept for less than a part takes": (
        CHORD,
        pinned("result_chord_expires: 10", CHORD),
        Class.LOSSY,
    ),
    "late runs go on after a lost connection": (
        TASK,
        pinned("worker_cancel_long_running_tasks_on_connection_loss: false"),
        Class.LOSSY,
    ),
    "missing queues are not made": (TASK, pinned("task_create_missing_queues: false"), Class.MANUAL),
    "no remote control": (TASK, pinned("worker_enable_remote_control: false"), Class.MANUAL),
    "sends are not tried again": (TASK, pinned("task_publish_retry: false"), Class.LOSSY),
    "sends are tried less often": (TASK, pinned("task_publish_retry_policy: {max_retries: 1}"), Class.LOSSY),
    "a worker gives its broker up": (TASK, pinned("broker_connection_max_retries: 1"), Class.MANUAL),
    "a rate limit for what nobody counted": (rated("10/s"), rated("1/h"), Class.MANUAL),
    "a rate limit below the rate": (
        rated("10/s", ", rate: 1/s"),
        rated("1/h", ", rate: 1/s"),
        Class.MANUAL,
    ),
    "no rate limit holds": (
        rated("1/s"),
        pinned("worker_disable_rate_limits: true", rated("1/s")),
        Class.MANUAL,
    ),
    "a worker takes all there is": (TASK, pinned("worker_prefetch_multiplier: 0"), Class.MANUAL),
    "a class of the user's own": (TASK, pinned("worker_consumer: 'x:Consumer'"), Class.MANUAL),
    "a setting of which nothing is known": (TASK, pinned("task_protocol: 1"), Class.MANUAL),
    "an option of which nothing is known": (
        f"broker: {{transport: redis, url: '${{U}}'}}\n{TASK}",
        f"broker: {{transport: redis, url: '${{U}}', options: {{foo: 1}}}}\n{TASK}",
        Class.MANUAL,
    ),
    "a visibility timeout below a run": (
        TASK,
        f"broker: {{transport: redis, url: '${{U}}', visibility_timeout: 10}}\n{TASK}",
        Class.LOSSY,
    ),
    "an expiry that comes of a lower share": (
        "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 10m}}\n",
        "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 10m}}\n#0.1",
        Class.LOSSY,
    ),
}
NOT_LOWERED: Mapping[str, tuple[str, str]] = {
    "a limit that is raised": (LIMIT % 4, LIMIT % 600),
    "a limit that follows the declared run time": (
        "tasks: {shop.a: {queue: q, idempotent: true, runtime: 5m}}",
        "tasks: {shop.a: {queue: q, idempotent: true, runtime: 4m}}\nworkers: {q: {stop_timeout: 1h}}",
    ),
    "one more module": (pinned("imports: [x]"), pinned("imports: [x, y]")),
    "the interval and its expiry together": (
        "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 10m}}\n",
        "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 5m}}\n",
    ),
    "sends are tried more often": (TASK, pinned("task_publish_retry_policy: {max_retries: 9}")),
    "a rate limit above the rate": (rated("10/s", ", rate: 1/m"), rated("5/s", ", rate: 1/m")),
    "missing queues are made again": (pinned("task_create_missing_queues: false"), TASK),
}
SHARE = "version: 1\nparameters: {schedule-options: {expires_over_interval: 0.1}}\n"


@cache
def made(text: str) -> Compilation:
    return compiled(text, SHARE if text.endswith("#0.1\n") else "")


def plan_of(fragment: str) -> Plan:
    plan = made(workload(fragment) + ("#0.1\n" if fragment.endswith("#0.1") else "")).plan
    assert plan is not None, fragment
    return plan


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_does_harm_is_not_safe(edit):
    old, new, risk = EDITS[edit]
    assert review(plan_of(old), plan_of(new), TODAY).verdict is risk


@pytest.mark.parametrize("edit", NOT_LOWERED)
def test_an_edit_that_does_none_is_no_loss(edit):
    old, new = NOT_LOWERED[edit]
    verdict = review(plan_of(old), plan_of(new), TODAY).verdict
    assert verdict in {Class.SAFE, Class.ORDERED}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_example_of_a_finding_brings_has_the_class_of_its_effect_and_the_same_words(name):
    page = EXAMPLES[name]
    before, after = (compiled(workload(text), page.policy).plan for text in (page.silent, page.fires))
    told = review(before, after, TODAY)
    least = Class.LOSSY if EFFECTS[name] in LOSES else Class.MANUAL
    assert told.verdict is not None
    assert told.verdict.rank >= least.rank
    (hazard, *_) = (each for each in hazards(after) if each.name == name)
    assert any(hazard.message in change.because for change in told.changes)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_book_says_what_check_says(name):
    page = EXAMPLES[name]
    compilation = compiled(workload(page.fires), page.policy)
    assert {*found_in(compilation)} == {(each.name, each.message) for each in hazards(compilation.plan)}


def test_every_hazard_is_a_finding_of_a_policy():
    assert EFFECTS.keys() <= PAGES.keys()


def found_in(compilation: Compilation) -> Iterator[tuple[str, str]]:
    return ((each.name, each.message) for each in compilation.diagnostics if each.name in EFFECTS)


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_a_task_that_moves_to_another_worker_of_the_same_kind_is_no_new_hazard(pool):
    found = review(*(_on_a_worker(pool, name) for name in ("one", "two")))
    assert {change.risk for change in found.changes} <= {Class.SAFE, Class.ORDERED}


def _on_a_worker(pool: str, name: str) -> Plan:
    text = (
        "tasks: {shop.a: {queue: %s, runtime: 1s, idempotent: true}}\nworkers: {%s: {queues: [%s], pool: %s}}"
    )
    plan = compiled(workload(text % (name, name, name, pool))).plan
    assert plan is not None
    return plan


def test_what_an_earlier_version_did_not_say_is_no_hazard_that_the_old_plan_has():
    new = plan_of(pinned("worker_cancel_long_running_tasks_on_connection_loss: false"))
    kept = {scope: dict(new.keys(scope)) for setting in new for scope in [setting.scope]}
    for keys in kept.values():
        keys.pop("longest_run_seconds", None)
    old = Plan(kept)
    assert len(BOOK) > len({*hazards(new)})
    assert review(old, new, TODAY).verdict is Class.SAFE


@st.composite
def with_harm(draw: st.DrawFn) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Two workloads that differ in a few parts, some of which may do harm."""
    one, other = draw(edited())
    for section, edit in draw(st.lists(st.sampled_from(HARM), max_size=2)):
        given_ = other.setdefault(section, {})
        for key, value in edit.items():
            entry = given_.get(key)
            given_[key] = {**entry, **value} if isinstance(entry, dict) else value
    return one, other


HARM: tuple[tuple[str, dict[str, dict[str, object]]], ...] = (
    *(
        ("celery", {"settings": pins})
        for pins in (
            {"worker_cancel_long_running_tasks_on_connection_loss": False},
            {"worker_prefetch_multiplier": 0},
            {"task_acks_late": True},
            {"broker_connection_retry": False},
            {"task_publish_retry_policy": {"interval_max": 1}},
            {"task_acks_on_timeout": False},
            {"accept_content": ["yaml"]},
            {"task_default_rate_limit": "1/h"},
            {"result_expires": 1},
            {"worker_enable_remote_control": False},
            {"task_time_limit": None},
            {"task_soft_time_limit": 9, "task_time_limit": 3},
        )
    ),
    *(
        ("tasks", {"shop.a": fields})
        for fields in (
            {"idempotent": False, "options": {"acks_late": True}},
            {"idempotent": False, "retry": {"on": ["OSError"], "max": 2}},
            {"runtime": "5m", "options": {"time_limit": 3}},
            {"options": {"reject_on_worker_lost": True, "retry_on_worker_lost": False}},
            {"canvas": ["chord"], "runtime": "2h"},
            {"expires": "1m", "max_countdown": "10m"},
            {"rate": "9/s", "options": {"rate_limit": "1/m"}},
            {"idempotent": True, "retry": {"on": ["OSError"]}, "options": {"max_retries": None}},
        )
    ),
    ("queues", {"p": {"broadcast": True}}),
    ("queues", {"q": {"exchange_type": "fanout"}}),
    ("workers", {"v": {"queues": ["p"], "stop_timeout": "1s"}}),
    ("workers", {"v": {"queues": ["p"], "replicas": 0}}),
    ("workers", {"v": {"queues": ["p", "q"], "pool": "solo"}}),
    ("workers", {"v": {"queues": ["p"], "environment": {"REMAP_SIGTERM": "SIGQUIT"}}}),
)


def harm_in(compilation: Compilation) -> set[tuple[str, SpecPath]]:
    return {(each.name, each.path) for each in compilation.diagnostics if each.name in EFFECTS}


@bounded
@given(pair=with_harm())
def test_what_check_finds_of_the_new_workload_only_is_not_safe(pair):
    old, new = (compiled(json.dumps(data)) for data in pair)
    assume(old.plan is not None)
    assume(new.plan is not None)
    found = harm_in(new)
    names = {name for name, _ in found - harm_in(old)} - {name for name, _ in harm_in(old)}
    told = review(old.plan, new.plan, TODAY)
    event(f"{len(names)} new kinds of harm")
    if names:
        least = Class.LOSSY if any(EFFECTS[name] in LOSES for name in names) else Class.MANUAL
        assert told.verdict is not None
        assert told.verdict.rank >= least.rank, names


@bounded
@given(pair=with_harm())
def test_nothing_is_in_an_order_that_has_one_step(pair):
    old, new = (compiled(json.dumps(data)).plan for data in pair)
    assume(old is not None)
    assume(new is not None)
    told = review(old, new, TODAY)
    steps = [step for step in told.steps if not step.by_hand]
    ordered = any(change.risk is Class.ORDERED for change in told.changes)
    assert len(steps) > 1 or not ordered
