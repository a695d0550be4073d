"""Properties of every review: each difference is said once, and nothing else is."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from meanings import exact, meanings
from review_of import TODAY, plan_of_data
from simulated import broken
from workloads import HEAD

from policycompiler.plan import Plan, Scope
from policycompiler.plan.file import from_json, to_json
from policycompiler.review import Change, Class, Review, fleet, review
from policycompiler.review.deploy import moves

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
    plans = plan_of_data(one), plan_of_data(mutated)
    assume(all(plan is not None for plan in plans))
    return plans[::-1] if draw(st.booleans()) else plans


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


@bounded
@given(pair=pairs())
def test_each_setting_that_differs_is_covered_exactly_once_and_no_other(pair):
    old, new = pair
    found = review(old, new, TODAY)
    aside = renamed(new)
    covered = Counter(each for each in coverage(old, new, found) if each[0] not in aside)
    expected = Counter(each for each in differing(old, new) if each[0] not in aside)
    event(str(found.verdict))
    assert covered == expected


@settings(bounded, max_examples=20)
@given(pair=pairs())
def test_a_file_differs_in_meaning_only_where_a_change_says_so(pair):
    old, new = pair
    found = review(old, new, TODAY)
    covered = {
        *coverage(old, new, found),
        *((scope, key) for scope in renamed(new) for key in keys(old, new, scope)),
    }
    before, after = meanings(old), meanings(new)
    for path in before.keys() | after.keys():
        (was, shown), (now, shows) = (side.get(path, ("", frozenset())) for side in (before, after))
        if was != now:
            # What lists the processes, and the whole plan, show no setting of what they name.
            lists = path in {"Procfile", "plan.json"} or path.endswith(".target")
            assert covered if lists else covered & (shown | shows), path
    if not found.changes:
        assert before == after
    else:
        assert {path: was for path, (was, _) in before.items()} != {
            path: now for path, (now, _) in after.items()
        }


@bounded
@given(pair=pairs())
def test_a_process_is_left_alone_only_where_it_would_read_the_same(pair):
    old, new = pair
    found = moves(old, new)
    told = {*found.start, *found.restart, *found.reload, *found.stop}
    before, after = ({path: text for path, (text, _) in meanings(plan).items()} for plan in pair)
    left = [name for name in fleet.named(fleet.running(new)) if f"worker:{name}" not in told]
    event(f"{len(left)} left alone")
    for name in left:
        assert before[f"launch/{name}.sh"] == after[f"launch/{name}.sh"]
    if left:
        was, now = (read_by_workers(side["celeryconfig.py"]) for side in (before, after))
        # A queue too many does no harm.
        known = was.pop("task_queues")
        assert [each for each in now.pop("task_queues") if each not in known] == []
        assert was == now


def read_by_workers(configuration: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in configuration.items() if not key.startswith("beat_")}


def keys(old: Plan, new: Plan, scope: Scope) -> set[str]:
    return {*old.keys(scope), *new.keys(scope)}


def differing(old: Plan, new: Plan) -> Iterator[tuple[Scope, str]]:
    """Settings with another value, or none on one of the sides."""
    before, after = ({(each.scope, each.key): exact(each.value) for each in plan} for plan in (old, new))
    for each in before.keys() | after.keys():
        if each not in before or each not in after or before[each] != after[each]:
            yield each


def renamed(new: Plan) -> set[Scope]:
    """Tasks with another name, on both sides: compared with each other, and not with themselves."""
    found = {
        scope: new.texts(scope, "renamed_from")
        for scope in new.scopes("task")
        if new.get(scope, "renamed_from")
    }
    return {*found, *(Scope("task", name) for names in found.values() for name in names)}


def coverage(old: Plan, new: Plan, found: Review) -> Iterator[tuple[Scope, str]]:
    """The settings that differ by what the changes say."""
    for change in found.changes:
        if change.key:
            yield change.scope, change.key
        elif change.kind == "schedule-shifted":
            for key in ("cron", "every_seconds", "solar", "timezone"):
                if exact(old.get(change.scope, key)) != exact(new.get(change.scope, key)):
                    yield change.scope, key
        else:
            for key in keys(old, new, change.scope):
                yield change.scope, key


@bounded
@given(pair=pairs())
def test_no_rollout_loses_or_repeats_anything(pair):
    old, new = pair
    found = review(old, new, TODAY)
    event(f"{len(found.steps)} steps")
    assert broken(old, new, found) == []


@bounded
@given(pair=pairs())
def test_there_are_several_steps_only_where_a_change_asks_for_an_order(pair):
    found = review(*pair, TODAY)
    # What is settled by hand is no step of a deployment.
    steps = [step for step in found.steps if not step.action.startswith("by hand")]
    ordered = any(change.risk is Class.ORDERED for change in found.changes)
    assert len(steps) > 1 or not ordered
    # Who takes a task over, or hands it on, keeps an order with another app, which nobody but a person does.
    assert len(steps) <= 1 or ordered or any(map(_hands_over, found.changes))


def _hands_over(change: Change) -> bool:
    return change.risk is not Class.SAFE and "app runs it from now on" in change.because


@bounded
@given(pair=pairs())
def test_the_review_of_plans_read_back_is_the_same(pair):
    again = (from_json(to_json(plan)) for plan in pair)
    assert review(*again, TODAY) == review(*pair, TODAY)
