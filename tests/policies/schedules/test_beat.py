"""One beat, where anything is scheduled."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.schedules import beat

DECIDES = {
    "anything is scheduled": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}",
        {
            "beat/scheduler": (
                "celery.beat:PersistentScheduler",
                "this scheduler keeps its state in one file and needs nothing else",
            ),
            "beat/max_interval_seconds": (
                30,
                ("with this interval a monitor can distinguish a slow beat from a dead one"),
            ),
            "beat/stop_timeout_seconds": (10, "at a stop, beat only writes its state file"),
            "beat/log_level": ("INFO", "INFO logs one line for each sent task"),
        },
    ),
    "pinned": (
        (
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, every: 1m}}\n"
            "beat: {scheduler: 'shop.beat:Scheduler', host: worker-1}"
        ),
        {
            "beat/scheduler": ("shop.beat:Scheduler", "the workload pins it"),
            "beat/host": ("worker-1", "the workload declares `beat.host`"),
        },
    ),
}
STAYS_SILENT = {
    "nothing is scheduled": ("tasks: {shop.a: }", ["beat/scheduler", "beat/host"]),
    "nothing is enabled": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m, enabled: false}}",
        ["beat/scheduler"],
    ),
    "no host is declared": ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}", ["beat/host"]),
}
LEADS_TO = {
    "the pin": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}\nbeat: {host: worker-1}"),
        "beat/host",
        ["3:14"],
    ),
    "the policy": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}",
        "beat/max_interval_seconds",
        ["MAX_INTERVAL_SECONDS"],
    ),
}
OWN_PROCESS = "remove `beat: true`; beat has its own process"
HOURLY = "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 1h}}\n"
REFUSES = {
    "a worker with a beat": (
        HOURLY + "workers: {q: {options: {beat: true}}}",
        [
            Found(
                "beat-in-worker",
                "3:31",
                (
                    "worker q runs beat: beat stops with each restart of the worker, and a second worker "
                    "process would send every task twice"
                ),
                OWN_PROCESS,
            ),
        ],
    ),
    "a worker with the only beat": (
        "queues: {q: {}}\nworkers: {q: {options: {beat: true}}}",
        [
            Found(
                "beat-in-worker",
                "2:31",
                (
                    "worker q runs beat: beat stops with each restart of the worker, and a second worker "
                    "process would send every task twice"
                ),
                "remove `beat: true`, and add the section `beat: {}`; beat has its own process",
            ),
        ],
    ),
    "two processes with a beat": (
        HOURLY + "workers: {q: {replicas: 2, options: {beat: true}}}",
        [
            Found(
                "beat-multiple",
                "3:44",
                "worker q has `beat: true` and `replicas: 2`: each process runs a beat, so each scheduled task is sent 2 times",
                OWN_PROCESS,
            ),
        ],
    ),
    "two workers with a beat": (
        HOURLY + "workers: {q: {options: {beat: true}}, r: {queues: [q], options: {beat: true}}}",
        [
            Found(
                "beat-multiple",
                "3:31",
                "worker q runs a second beat, so each scheduled task is sent more than once",
                OWN_PROCESS,
            ),
            Found(
                "beat-multiple",
                "3:72",
                "worker r runs a second beat, so each scheduled task is sent more than once",
                OWN_PROCESS,
            ),
        ],
    ),
    "a pool that refuses it": (
        HOURLY + "workers: {q: {pool: gevent, options: {beat: true}}}",
        [
            Found(
                "beat-embedded-green",
                "3:45",
                "worker q runs beat, but a worker with pool gevent and beat does not start",
                OWN_PROCESS,
            ),
        ],
    ),
    "a file that nobody reads": (
        "celery: {settings: {beat_schedule_filename: /tmp/s}}\n" + HOURLY,
        [
            Found(
                "beat-schedule-path",
                "1:21",
                (
                    "`beat_schedule_filename` has no effect: the command of beat names its file, on a "
                    "persistent disk"
                ),
                "remove `beat_schedule_filename`",
            ),
        ],
    ),
}
ACCEPTS = {
    "a worker without": "queues: {q: {}}\nworkers: {q: {options: {beat: false}}}",
    "a file of no beat": "celery: {settings: {beat_schedule_filename: /tmp/s}}",
}
BEATS = {
    "a worker asks for it": "queues: {q: {}}\nworkers: {q: {options: {beat: true}}}",
    "a database of results": "results: {backend: database, url: '${R}'}",
    "results in MongoDB": "results: {backend: mongodb, url: '${R}'}",
}
NO_BEAT = {
    "results in Redis": "results: {backend: redis, url: '${R}'}",
    "results in S3, which beat cannot clean": "results: {backend: s3, url: '${R}'}",
    "results that stay": (
        "results: {backend: database, url: '${R}'}\ncelery: {settings: {result_expires: null}}"
    ),
}


@pytest.mark.parametrize("fragment", BEATS.values(), ids=BEATS)
def test_there_is_a_beat_where(fragment):
    assert "beat/scheduler" in after(beat, fragment).decided


@pytest.mark.parametrize("fragment", NO_BEAT.values(), ids=NO_BEAT)
def test_there_is_no_beat_for(fragment):
    assert after(beat, fragment).decided == {}


def test_a_beat_that_cleans_says_so():
    outcome = after(beat, "results: {backend: database, url: '${R}'}")
    assert outcome.origins["beat/scheduler"] == ["SCHEDULER", "app/result_expires"]


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(beat, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(beat, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(beat, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(beat, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(beat, fragment).findings == []
