"""Keys of effects, dependencies and bounds: what run-time code is told, and what follows elsewhere."""

from __future__ import annotations

import pytest
from workloads import after, compiled, workload

from policycompiler.plan import APP, Scope
from policycompiler.policies.delivery import late_acknowledgement, refused_messages, retries
from policycompiler.policies.limits import time_limits
from policycompiler.policies.workers import concurrency, guard_store, leases, shared_calls
from policycompiler.policies.written import dependencies

CHARGE = "tasks: {shop.a: {queue: q, idempotent: false, idempotency_key: id"
RABBITMQ = 'broker: {transport: rabbitmq, url: "${B}"}\n'


def test_a_key_makes_a_harmful_task_safe_to_repeat():
    found = after(late_acknowledgement, f"{CHARGE}}}}}").plan
    task = Scope("task", "shop.a")
    assert found.value(task, "idempotent") is True
    assert found.value(task, "options.acks_late") is True


def test_a_key_allows_retries():
    fragment = CHARGE + ", retry: {on: [ConnectionError], max: 3}}}"
    without = fragment.replace("idempotency_key: id, ", "")
    text = workload(fragment.replace("idempotent: false, ", "idempotent: false, runtime: 1s, "))
    assert "retry-non-idempotent" not in {found.name for found in compiled(text).diagnostics}
    names = {found.name for found in compiled(workload(without)).diagnostics}
    assert "retry-non-idempotent" in names


@pytest.mark.parametrize(
    ("fields", "workers", "lease", "heartbeat"),
    [
        # The hard limit is that of runs of 1 s with a long tail, or a pin.
        (", options: {time_limit: 30}", "", 40, False),
        (", options: {time_limit: 30}", "workers: {q: {pool: gevent}}", 40, True),
        ("", "", 60, True),
        (", options: {time_limit: 30}", "workers: {q: {pool: threads}}", 40, True),
        ("", "celery: {settings: {task_time_limit: 90}}", 100, False),
    ],
)
def test_the_lease_outlasts_the_hard_limit_or_is_renewed(
    fields: str,
    workers: str,
    lease: int,
    heartbeat: bool,  # noqa: FBT001
):
    found = after(leases, f"{CHARGE}{fields}}}}}\n{workers}").decided
    assert found["task:shop.a/idempotency_lease_seconds"][0] == lease
    assert found["task:shop.a/idempotency_heartbeat"][0] is heartbeat


def test_a_task_that_computes_without_a_hard_limit_is_refused():
    found = after(leases, f"{CHARGE}, work: cpu}}}}").findings
    assert [(each.name, each.at) for each in found] == [("lease-unrenewed", "1:64")]
    limited = f"{CHARGE}, work: cpu, options: {{time_limit: 30}}}}}}"
    assert after(leases, limited).findings == []


@pytest.mark.parametrize(
    ("head", "variable"),
    [("", "CELERY_GUARD_STORE_URL"), ('store: {url: "${MINE}"}\n', "MINE")],
)
def test_the_store_is_a_variable_of_its_own(head: str, variable: str):
    found = after(shared_calls, f"{head}{CHARGE}}}}}").plan
    assert found.value(APP, "guard_store_variable") == variable


def test_the_store_has_memory_for_all_effects_that_it_keeps():
    two = (
        "tasks: {shop.a: {queue: q, idempotency_key: {key: id, keep: 1h}, rate: 10/s}, "
        "shop.b: {queue: q, idempotency_key: {key: id, keep: 2h}%s}}"
    )
    found = after(guard_store, two % ", rate: 5/s").plan
    records = 10 * 3600 + 5 * 7200
    memory = found.number(APP, "guard_store_memory_bytes")
    assert memory - 2**20 < records * 1536 * 1.5 <= memory
    assert found.value(APP, "store_server.maxmemory") == f"{memory / 2**20:.0f}mb"
    unknown = after(guard_store, two % "").plan
    assert unknown.find(APP, "store_server.maxmemory") is None
    assert unknown.value(APP, "store_server.maxmemory-policy") == "noeviction"


def test_a_key_that_is_kept_for_too_much_memory_is_told():
    fragment = "tasks: {shop.a: {queue: q, idempotency_key: id, rate: 100/s, runtime: 1s}}"
    (found,) = (each for each in after(guard_store, fragment).findings if each.name == "store-memory-large")
    assert "60,480,000 records" in found.message


def test_nothing_is_decided_without_a_guard():
    found = after(shared_calls, "tasks: {shop.a: {}}").plan
    guards = {"guard_store_variable", "parking"}
    assert not guards & {setting.key for setting in found}
    assert not found.scopes("dependency")


CALLS = (
    "dependencies: {{stripe: {{rate: 10/s, hold: {hold}, breaker: {{open_for: {open}}}}}}}\n"
    "tasks:\n"
    "  shop.a: {{queue: q, calls: [stripe], runtime: {{p50: 1s, p99: 1s}}}}\n"
    "  shop.b: {{queue: {other}}}\n"
)


def test_time_limits_grow_by_the_longest_wait_for_a_turn():
    short, long = (
        after(time_limits, CALLS.format(hold=hold, open="1m", other="p")).plan.number(
            Scope("task", "shop.a"), "options.soft_time_limit"
        )
        for hold in ("1s", "9s")
    )
    assert long - short == 8


@pytest.mark.parametrize(("opened", "park"), [("10s", 60), ("4m", 360)])
def test_parks_count_as_countdowns(opened: str, park: int):
    found = after(dependencies, CALLS.format(hold="1s", open=opened, other="p")).plan
    assert found.value(APP, "parking") == {"longest_seconds": park, "store_seconds": 30}
    whole = after(shared_calls, CALLS.format(hold="1s", open=opened, other="p")).plan
    assert whole.number(Scope("task", "shop.a"), "max_countdown_seconds") == park
    assert whole.find(Scope("task", "shop.b"), "max_countdown_seconds") is None


def test_a_pinned_visibility_timeout_below_a_park_is_refused():
    head = 'broker: {transport: redis, url: "${B}", visibility_timeout: 5m}\n'
    names = {
        found.name
        for found in compiled(workload(head + CALLS.format(hold="1s", open="4m", other="p"))).diagnostics
    }
    assert "eta-over-visibility" in names


@pytest.mark.parametrize(("other", "pauses"), [("p", ["q"]), ("q", [])])
def test_a_queue_pauses_only_if_all_its_tasks_call_the_dependency(other: str, pauses: list[str]):
    found = after(shared_calls, CALLS.format(hold="1s", open="1m", other=other)).decided
    assert found["dependency:stripe/pauses"][0] == pauses


@pytest.mark.parametrize(
    ("breaker", "retry", "failures"),
    [
        ("{on: [TimeoutError]}", "retry: {on: [ConnectionError]}", ["TimeoutError"]),
        ("{}", "retry: {on: [ConnectionError]}", ["ConnectionError"]),
        ("{}", "retry: none", ["Exception"]),
    ],
)
def test_what_counts_as_a_failure(breaker: str, retry: str, failures: list[str]):
    fragment = (
        f"dependencies: {{stripe: {{breaker: {breaker}}}}}\n"
        f"tasks: {{shop.a: {{idempotent: true, calls: [stripe], {retry}}}}}"
    )
    assert after(shared_calls, fragment).decided["task:shop.a/guard_failures"][0] == {"stripe": failures}


def test_each_dependency_has_failures_of_its_own():
    fragment = (
        "dependencies: {x: {breaker: {on: [KeyError]}}, y: {breaker: {}}}\n"
        "tasks: {shop.a: {idempotent: true, calls: [x, y], retry: {on: [OSError]}}}"
    )
    found = after(shared_calls, fragment).decided["task:shop.a/guard_failures"]
    assert found[0] == {"x": ["KeyError"], "y": ["OSError"]}


def test_the_default_queue_is_not_paused():
    """Undeclared tasks, and those of Celery, are in it."""
    fragment = (
        "dependencies: {x: {breaker: {}}}\ntasks: {shop.a: {calls: [x]}, shop.b: {queue: q, calls: [x]}}"
    )
    assert after(shared_calls, fragment).decided["dependency:x/pauses"][0] == ["q"]


def test_a_worker_has_no_more_slots_than_find_a_turn():
    """10 calls a second, waits of at most 1 s and runs of 1 s: 20 slots."""
    fragment = CALLS.format(hold="1s", open="1m", other="p").replace("p99: 1s}", "p99: 1s}, rate: 100/s")
    found = after(concurrency, fragment).decided
    assert found["worker:q/sized_by"][0] == "rate"
    assert found["worker:q/concurrency"][0] == 20


@pytest.mark.parametrize("broker", ["", RABBITMQ])
def test_a_bound_changes_no_argument_of_the_queue(broker):
    """RabbitMQ would refuse the declaration of a queue that exists, and retries of running tasks."""
    found = after(refused_messages, f"{broker}queues: {{q: {{bound: 9}}}}").decided
    assert {address: value for address, (value, _) in found.items()} == {"queue:q/bound_messages": 9}


def test_a_misspelled_dependency_is_found_and_guards_nothing():
    fragment = "dependencies: {stripe: {rate: 1/s}}\ntasks: {shop.a: {calls: [strype]}}"
    found = after(dependencies, fragment).findings
    assert [(each.name, each.at, each.help) for each in found] == [
        ("dependency-unknown", "2:26", "did you mean `stripe`?"),
        ("dependency-unused", "1:16", "write `calls: [stripe]` in the tasks that call it, or remove it"),
    ]
    assert not after(retries, fragment).plan.find(Scope("task", "shop.a"), "calls")


def told(fragment: str) -> dict[str, str]:
    """The messages of all findings of a compile by name."""
    return {found.name: found.message for found in compiled(workload(fragment)).diagnostics}


KEPT = "tasks: {shop.a: {idempotency_key: {key: id, keep: %s}, runtime: 1s, idempotent: true%s}}"
VISIBLE = 'broker: {transport: redis, url: "${B}", visibility_timeout: 6h}\n'
RETRY = ", retry: {on: [OSError], max: 40, delay: 10m, max_delay: 1h}"


@pytest.mark.parametrize(
    ("head", "keep", "more", "why"),
    [
        ("", "119m", "", "after 2 h: the broker redelivers its message after 1 h, and once more"),
        ("", "2h", "", ""),
        (VISIBLE, "11h", "", "after 12 h: the broker redelivers its message after 6 h"),
        (VISIBLE, "12h", "", ""),
        ("", "1d", ", expires: 3d", "after 3 d: its message may start until it expires"),
        ("", "3d", ", expires: 3d", ""),
        # 10, 20 and 40 min, then 37 h; and 41 runs.
        ("", "38h", RETRY, "its 40 retries may take so long"),
        ("", "39h", RETRY, ""),
        (RABBITMQ, "1m", "", "RabbitMQ takes its message back from a worker after 30 min, and once more"),
        (RABBITMQ, "2h", ", max_countdown: 25m", ""),
    ],
)
def test_a_key_is_kept_until_its_message_cannot_come_again(head: str, keep: str, more: str, why: str):
    found = told(head + KEPT % (keep, more)).get("key-kept-short", "")
    assert bool(found) == bool(why)
    assert why in found


@pytest.mark.parametrize(
    ("duplicate", "more", "fires"),
    [
        ("ignore", ", canvas: [chord]", True),
        ("ignore", ", result: keep", True),
        ("ignore", ", result: ignore", False),
        ("result", ", canvas: [chord]", False),
    ],
)
def test_a_duplicate_that_is_ignored_answers_nobody(duplicate: str, more: str, fires: bool):  # noqa: FBT001
    head = 'results: {backend: redis, url: "${R}"}\n'
    fragment = f"{head}tasks: {{shop.a: {{idempotency_key: {{key: id, duplicate: {duplicate}}}{more}}}}}"
    assert ("duplicate-unanswered" in told(fragment)) is fires


@pytest.mark.parametrize(
    ("guard", "words"), [("idempotency_key: id", "lets one process run it"), ("calls: [s]", "multiply")]
)
def test_a_broadcast_is_not_guarded(guard: str, words: str):
    fragment = f"dependencies: {{s: {{rate: 1/s}}}}\ntasks: {{shop.a: {{queue: q, {guard}}}}}\n"
    assert words in told(fragment + "queues: {q: {broadcast: true}}")["broadcast-guarded"]
    assert "broadcast-guarded" not in told(fragment)


ENFORCED = "tasks: {shop.a: {payload: {max: 1KiB, enforce: true}%s}}\n%s"
YAML_SCHEDULE = "schedules: {s: {task: shop.a, every: 1h, options: {serializer: yaml}}}"


@pytest.mark.parametrize(
    "fragment",
    [
        ENFORCED % (", options: {serializer: pickle}", ""),
        ENFORCED % ("", "celery: {settings: {task_serializer: msgpack}}"),
        ENFORCED % ("", YAML_SCHEDULE),
    ],
)
def test_only_json_is_measured(fragment: str):
    assert "payload-unenforced" in told(fragment)
    assert "payload-unenforced" not in told(fragment.replace(", enforce: true", ""))


@pytest.mark.parametrize("serializer", ["", ", options: {serializer: json}"])
def test_json_is_measured(serializer: str):
    assert "payload-unenforced" not in told(ENFORCED % (serializer, ""))


@pytest.mark.parametrize(
    ("pins", "fires"),
    [
        ("x-max-length: 7", True),
        ("x-max-length: 9, x-overflow: drop-head", True),
        ("x-max-length: 10", False),
        ("x-max-length: 9, x-overflow: reject-publish", False),
        ("x-overflow: drop-head", False),
    ],
)
def test_a_queue_that_drops_messages_below_its_bound(pins: str, fires: bool):  # noqa: FBT001
    found = told(f"{RABBITMQ}queues: {{q: {{type: classic, bound: 9, arguments: {{{pins}}}}}}}")
    assert ("bound-drops" in found) is fires


@pytest.mark.parametrize(
    ("overflow", "retry", "fires"),
    [
        ("reject-publish", "{on: [OSError]}", True),
        ("reject-publish-dlx", "{on: [OSError]}", True),
        ("reject-publish", "none", False),
        ("drop-head", "{on: [OSError]}", False),
    ],
)
def test_a_queue_that_refuses_messages_refuses_retries(overflow: str, retry: str, fires: bool):  # noqa: FBT001
    tasks = f"tasks: {{shop.a: {{queue: q, idempotent: true, retry: {retry}}}}}\n"
    arguments = f"{{x-max-length: 9, x-overflow: {overflow}}}"
    found = told(f"{RABBITMQ}{tasks}queues: {{q: {{type: classic, arguments: {arguments}}}}}")
    assert ("retries-refused" in found) is fires


@pytest.mark.parametrize("head", ["", RABBITMQ])
def test_a_broadcast_has_no_bound(head: str):
    found = after(refused_messages, f"{head}queues: {{q: {{broadcast: true, bound: 9}}}}")
    assert [each.name for each in found.findings] == ["bound-without-effect"]
    assert not [address for address in found.decided if address.startswith("queue:q/")]


@pytest.mark.parametrize(
    ("store", "fires"), [("B", True), ("R", True), ("S", False), ("CELERY_GUARD_STORE_URL", False)]
)
def test_a_store_that_is_the_broker_or_the_results(store: str, fires: bool):  # noqa: FBT001
    head = 'broker: {transport: redis, url: "${B}"}\nresults: {backend: redis, url: "${R}"}\n'
    found = told(f'{head}store: {{url: "${{{store}}}"}}\n{KEPT % ("1d", "")}')
    assert ("store-not-own" in found) is fires


def test_a_worker_with_a_store_of_its_own():
    workers = 'workers: {q: {environment: {%s: "redis://other:6379/0"}}}'
    fragment = f"{CHARGE}, runtime: 1s}}}}\n"
    assert "store-split" in told(fragment + workers % "CELERY_GUARD_STORE_URL")
    assert "store-split" not in told(fragment + workers % "OTHER")
    assert "store-split" not in told("tasks: {shop.a: {queue: q}}\n" + workers % "CELERY_GUARD_STORE_URL")


@pytest.mark.parametrize(("limit", "fires"), [(11, True), (12, False)])
def test_a_limit_has_room_for_the_wait_and_the_run(limit: int, fires: bool):  # noqa: FBT001
    fragment = (
        "dependencies: {stripe: {rate: 1/s, hold: 2s}}\n"
        "tasks: {shop.a: {calls: [stripe], runtime: {p50: 1s, p99: 10s}, "
        f"options: {{soft_time_limit: {limit}, time_limit: 60}}}}}}"
    )
    found = told(fragment).get("limit-below-p99", "")
    assert ("after a wait of up to 2 s for its turn to call stripe" in found) is fires


def test_a_park_counts_as_a_countdown_of_a_guard():
    classic = f"{RABBITMQ}queues: {{q: {{type: classic}}}}\n"
    calls = CALLS.format(hold="1s", open="1h", other="p")
    assert "a guard may park shop.a for 1 h 30 min" in told(classic + calls)["unacked-over-consumer-timeout"]
    direct = f"{RABBITMQ}queues: {{q: {{type: quorum, exchange: x, exchange_type: direct}}}}\n"
    found = told(direct + CALLS.format(hold="1s", open="1m", other="p"))
    assert "a guard may park shop.a for 1 min 30 s" in found["quorum-direct"]
    assert "quorum-direct" not in told(direct + "tasks: {shop.a: {queue: q}}")
    pinned = 'broker: {transport: redis, url: "${B}", visibility_timeout: 5m}\n'
    found = told(pinned + CALLS.format(hold="1s", open="4m", other="p"))
    assert "a guard may park shop.a for 6 min" in found["eta-over-visibility"]


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("tasks: {shop.a: {queue: q, options: {rate_limit: 10/s}}}", True),
        ("tasks: {shop.a: {queue: q, options: {rate_limit: 60/m}}}", False),
        ("tasks: {shop.a: {queue: q}}\ncelery: {settings: {task_default_rate_limit: 10/s}}", True),
        (
            (
                "tasks: {shop.a: {queue: q, options: {rate_limit: 10/s}}}\n"
                "workers: {w: {queues: [q], concurrency: 1, options: {prefetch_multiplier: 1}}}"
            ),
            False,
        ),
        (
            (
                "tasks: {shop.a: {queue: q, options: {rate_limit: 10/s}}}\n"
                "workers: {w: {queues: [q], concurrency: 1, options: {prefetch_multiplier: 2}}}"
            ),
            True,
        ),
    ],
)
def test_a_limit_collapses_where_a_worker_holds_several_messages(text: str, fires: bool):  # noqa: FBT001
    assert ("rate-limit-collapses" in told(text)) is fires
