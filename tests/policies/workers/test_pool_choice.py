"""The cheapest pool that keeps what tasks rely on, as far as the policy file goes."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.workers import pool
from policycompiler.policies.workers.pool import Parameters

THREADS, GEVENT = Parameters(up_to="threads"), Parameters(up_to="gevent")
LOOSE = Parameters(up_to="threads", keep_limits="pinned")
IO = "tasks: {shop.a: {queue: q, work: io"
TIMED = f"{IO}, runtime: 1s"
RABBITMQ = "broker: {transport: rabbitmq}"


def chosen(fragment: str, tuned: Parameters) -> str:
    outcome = after(pool, fragment, {pool.NAME: tuned})
    assert outcome.findings == []
    return str(outcome.decided["worker:q/pool"][0])


@pytest.mark.parametrize(
    ("fragment", "tuned", "wanted"),
    [
        (f"{IO}}}}}", Parameters(), "prefork"),
        # Without limits, threads do what gevent does, and patch nothing.
        (f"{IO}}}}}", THREADS, "threads"),
        (f"{IO}}}}}", GEVENT, "threads"),
        # The run time sets limits: gevent keeps the hard one.
        (f"{TIMED}}}}}", THREADS, "prefork"),
        (f"{TIMED}}}}}", GEVENT, "gevent"),
        (f"{TIMED}}}}}", LOOSE, "threads"),
        (f"{TIMED}, options: {{time_limit: 9}}}}}}", LOOSE, "prefork"),
        (f"{TIMED}, options: {{time_limit: 9}}}}}}", GEVENT, "gevent"),
        (f"{TIMED}, options: {{soft_time_limit: 9}}}}}}", GEVENT, "prefork"),
        (f"{TIMED}, options: {{soft_time_limit: 9}}}}}}", LOOSE, "prefork"),
        (f"{IO}, needs: [soft_time_limit]}}}}", GEVENT, "prefork"),
        (f"{IO}, needs: [time_limit]}}}}", GEVENT, "gevent"),
        (f"{IO}, needs: [terminate]}}}}", THREADS, "prefork"),
        (f"{IO}, needs: [terminate]}}}}", GEVENT, "gevent"),
        (f"{IO}, needs: [recycling]}}}}", GEVENT, "prefork"),
        (f"{IO}, needs: [no_patching]}}}}", GEVENT, "threads"),
        (f"{TIMED}, needs: [no_patching]}}}}", GEVENT, "prefork"),
        (f"{IO}}}}}\nworkers: {{q: {{options: {{max_tasks_per_child: 9}}}}}}", GEVENT, "prefork"),
        (f"{IO}}}}}\nworkers: {{q: {{options: {{time_limit: 9}}}}}}", GEVENT, "gevent"),
        (f"{IO}}}}}\nworkers: {{q: {{concurrency: {{min: 1, max: 9}}}}}}", GEVENT, "prefork"),
        (f"{IO}}}}}\nworkers: {{q: {{concurrency: auto}}}}", GEVENT, "prefork"),
        (f"{IO}}}}}\nworkers: {{q: {{options: {{beat: true}}}}}}", THREADS, "prefork"),
        (f"{IO}}}}}\nworkers: {{q: {{concurrency: 50}}}}", THREADS, "threads"),
        (f"{IO}}}}}\ncelery: {{settings: {{task_time_limit: 9}}}}", GEVENT, "gevent"),
        # A task that declares nothing may compute.
        ("tasks: {shop.a: {queue: q}}", GEVENT, "prefork"),
        ("tasks: {shop.a: {queue: q, work: cpu}}", GEVENT, "prefork"),
        ("tasks: {shop.a: {queue: q, work: io}, shop.b: {queue: q}}", GEVENT, "prefork"),
        ("queues: {q: {}}\nworkers: {q: {}}", GEVENT, "prefork"),
        ("tasks: {shop.a: {queue: q, work: io, policies: as-is}}", GEVENT, "prefork"),
    ],
)
def test_it_is_the_cheapest_that_keeps_what_is_asked(fragment: str, tuned: Parameters, wanted: str):
    assert chosen(fragment, tuned) == wanted


@pytest.mark.parametrize(
    ("version", "settings", "wanted"),
    [
        ("5.7", "", "prefork"),
        ("5.6", "", "gevent"),
        ("5.7", ", settings: {broker_heartbeat: 0}", "gevent"),
    ],
)
def test_gevent_is_not_chosen_where_its_monitoring_would_go(version: str, settings: str, wanted: str):
    """Celery 5.7 on RabbitMQ: events limit a green pool to ten tasks a second, so they would be off."""
    fragment = f"{TIMED}}}}}\ncelery: {{version: '{version}'{settings}}}\n"
    fragment += "broker: {transport: rabbitmq, url: '${CELERY_BROKER_URL}'}"
    assert chosen(fragment, GEVENT) == wanted


def test_the_reason_says_what_it_saves_and_gives_up():
    because = after(pool, f"{TIMED}}}}}", {pool.NAME: GEVENT}).decided["worker:q/pool"][1]
    assert because == (
        "its tasks wait, and a slot of gevent takes 64 KiB instead of a child process; it gives up soft time "
        "limits, replaced child processes, the survival of other runs when one crashes its process and "
        "libraries that break when the standard library is patched, which no task declares to need"
    )


@pytest.mark.parametrize(
    ("needs", "kind", "unmet"),
    [
        ("[no_patching, soft_time_limit]", "gevent", ["1:36", "1:49"]),
        ("[terminate, time_limit]", "gevent", []),
        ("[terminate, recycling]", "threads", ["1:36", "1:47"]),
        ("[terminate, recycling, soft_time_limit]", "prefork", []),
        ("[terminate]", "shop.pools:Mine", []),
    ],
)
def test_a_pinned_pool_that_does_not_meet_a_need_is_told(needs: str, kind: str, unmet: list[str]):
    fragment = f"tasks: {{shop.a: {{queue: q, needs: {needs}}}}}\nworkers: {{q: {{pool: {kind}}}}}"
    found = [each for each in after(pool, fragment).findings if each.name == "pool-need-unmet"]
    assert [each.at for each in found] == unmet
