"""Pairs of workloads that differ in a few parts, for properties of reviews."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from review_of import plan_of_data
from workloads import HEAD

from policycompiler.plan import Plan

QUEUES = ("p", "q", "r")
NAMES = ("shop.a", "shop.b", "shop.c.x")
PATTERNS = ("shop.c.*", "shop.*")
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {},
    {"worker_send_task_events": True},
    {"accept_content": ["json", "yaml"]},
    {"accept_content": ["json", "yaml"], "task_serializer": "yaml"},
    {"task_compression": "gzip"},
    {"worker_proc_alive_timeout": 20},
    {"timezone": "Europe/Paris"},
)


def _tasks(transport: str) -> st.SearchStrategy[dict[str, object]]:
    # A consumer on RabbitMQ is cut off after half an hour.
    countdowns = st.sampled_from(("1m", "3h") if transport == "redis" else ("1m", "10m"))
    return st.builds(
        lambda task, more: {**task, **more},
        _facts,
        st.fixed_dictionaries({}, optional={"max_countdown": countdowns}),
    )


_facts = st.fixed_dictionaries(
    {"queue": st.sampled_from(QUEUES)},
    optional={
        "idempotent": st.booleans(),
        "runtime": st.sampled_from(("1s", "20s", "4m", {"p50": "1s", "p99": "5s"})),
        "rate": st.sampled_from(("1/s", "3/h")),
        "result": st.sampled_from(("ignore", "keep")),
        "latency": st.sampled_from(("interactive", "standard", "batch")),
        "work": st.sampled_from(("io", "cpu")),
        "expires": st.sampled_from(("1h", "2h")),
        "description": st.sampled_from(("one", "two")),
        "owner": st.sampled_from(("one", "two")),
        "critical": st.booleans(),
        "external": st.sampled_from((False, False, True)),
        "memory": st.sampled_from(("50MiB", "100MiB")),
        "options": st.sampled_from(
            ({"rate_limit": "3/s"}, {"track_started": True}, {"compression": "gzip"}, {"delivery_mode": 1})
        ),
    },
)
_queues = st.sampled_from(
    (
        {},
        {"exchange": "x"},
        {"routing_key": "some.key"},
        {"consumer_arguments": {"x-priority": 2}},
        {"arguments": {"x-max-length": 9}},
        {"type": "classic"},
        {"type": "classic", "priorities": 5},
        {"dead_letter": True},
        {"type": "classic", "dead_letter": True},
        {"broadcast": True},
    )
)
_workers = st.fixed_dictionaries(
    {"queues": st.sampled_from(([*QUEUES], [*QUEUES, "shop.*"], ["p"], ["q", "r"]))},
    optional={
        "concurrency": st.sampled_from((2, 4, {"min": 1, "max": 3})),
        "replicas": st.sampled_from((0, 1, 2)),
        "stop_timeout": st.sampled_from(("10m", "20m")),
        "options": st.sampled_from(({"loglevel": "DEBUG"}, {"without_gossip": True})),
        "environment": st.sampled_from(({"A": "1"}, {"A": "2", "B": "3"})),
        "command_prefix": st.sampled_from((["nice"], ["nice", "-n", "5"])),
    },
)
_times = st.sampled_from(
    (
        {"every": "1m"},
        {"every": "1h"},
        {"cron": "0 3 * * *"},
        {"cron": "0 3 * * *", "timezone": "Africa/Abidjan"},
        {"cron": "0 4 * * *", "timezone": "Africa/Lagos"},
        {"cron": "30 3 * * 1"},
        {"cron": "30 3 * * mon"},
    )
)
_schedules = st.builds(
    lambda times, more: {**times, **more},
    _times,
    st.fixed_dictionaries(
        {"task": st.just("shop.a")},
        optional={
            "args": st.sampled_from(([1], [True], [2, {"k": None}])),
            "kwargs": st.sampled_from(({"full": True}, {"full": 0})),
            "enabled": st.booleans(),
            "expires": st.sampled_from(("10s", "20s")),
            "options": st.sampled_from(({"priority": 3}, {"queue": "p"}, {"headers": {"a": 1}})),
            "description": st.sampled_from(("one", "two")),
            "owner": st.sampled_from(("one", "two")),
        },
    ),
)


def _brokers(transport: str) -> st.SearchStrategy[dict[str, object]]:
    options = ({"socket_timeout": 5}, {"priority_steps": [0, 5]}, {"priority_steps": [0, 3, 6, 9]})
    more = {"version": st.sampled_from(("7.0", "7.2") if transport == "redis" else ("3.10", "3.13"))}
    if transport == "redis":
        more |= {"options": st.sampled_from(options), "visibility_timeout": st.sampled_from(("5h", "6h"))}
    fixed = {"transport": st.just(transport), "url": st.just("${CELERY_BROKER_URL}")}
    return st.fixed_dictionaries(fixed, optional=more)


def _workloads(transport: str) -> st.SearchStrategy[dict[str, object]]:
    tasks = _tasks(transport)
    named = dict.fromkeys(NAMES[1:] + PATTERNS, tasks)
    return st.fixed_dictionaries(
        {
            "version": st.just(1),
            "service": st.just("shop"),
            "app": st.just(HEAD["app"]),
            "broker": _brokers(transport),
            "tasks": st.fixed_dictionaries({NAMES[0]: tasks}, optional=named),
            "results": st.fixed_dictionaries(
                {"backend": st.just("redis"), "url": st.sampled_from(("${R}", "${R}", "${S}"))},
                optional={"keep": st.sampled_from(("1h", "2h"))},
            ),
        },
        optional={
            "owner": st.sampled_from(("one", "two")),
            "celery": st.fixed_dictionaries({"settings": st.sampled_from(SETTINGS)}),
            "queues": st.fixed_dictionaries({}, optional=dict.fromkeys(QUEUES, _queues)),
            "workers": st.fixed_dictionaries({}, optional={"v": _workers, "w": _workers}),
            "schedules": st.fixed_dictionaries({}, optional={"s": _schedules, "t": _schedules}),
            "beat": st.sampled_from(({"host": "one"}, {"host": "two"})),
        },
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Plan, Plan]:
    """The plans of two workloads, of which one has some parts of the other."""
    one, mutated = draw(edited())
    plans = plan_of_data(one), plan_of_data(mutated)
    assume(all(plan is not None for plan in plans))
    return plans


@st.composite
def edited(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two workloads, of which one has some parts of the other."""
    transport = draw(st.sampled_from(("redis", "rabbitmq")))
    one, other = draw(_workloads(transport)), draw(_workloads(transport))
    mutated = copy.deepcopy(one)
    for section in draw(st.sets(st.sampled_from(sorted({*one, *other} - {"tasks"})), max_size=2)):
        _take(mutated, other, section)
    for name in draw(st.sets(st.sampled_from(NAMES[1:] + PATTERNS), max_size=2)):
        _take(mutated["tasks"], other["tasks"], name)
    if draw(st.integers(0, 3)) == 0 and "shop.b" in mutated["tasks"]:
        mutated["tasks"]["shop.z"] = {**mutated["tasks"].pop("shop.b"), "renamed_from": ["shop.b"]}
    if draw(st.integers(0, 3)) == 0:
        mutated["tasks"]["shop.a"] = other["tasks"]["shop.a"]
    return (mutated, one) if draw(st.booleans()) else (one, mutated)


def _take(mutated: dict[str, object], other: Mapping[str, object], key: str) -> None:
    if key in other:
        mutated[key] = other[key]
    else:
        mutated.pop(key, None)


bounded = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""How many pairs a property is held against."""
