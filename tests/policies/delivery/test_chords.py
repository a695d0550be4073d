"""The body of a chord runs."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import chords

STORE = "write `results: {backend: redis, url: ${CELERY_RESULT_BACKEND}}`, or use another store"
KEEP = "write `result: keep`, or keep results in Redis, which counts the parts instead"


def kept(backend: str, keep: str, task: str, version: str = "5.7") -> str:
    results = f"results: {{backend: {backend}, url: '${{R}}', keep: {keep}}}\n"
    return f"{results}tasks: {{shop.a: {{canvas: [chord], {task}}}}}\ncelery: {{version: '{version}'}}"


DECIDES = {
    "a wait and a run": (kept("redis", "5m", "latency: batch, runtime: {p50: 40s, p99: 10m}"), 900 + 3644),
    "with the retries": (
        kept(
            "memcached", "1s", "idempotent: true, runtime: 10s, retry: {on: [OSError], max: 2, max_delay: 1m}"
        ),
        3 * (30 + 21) + 2 * 60,
    ),
}
STAYS_SILENT = {
    "long enough": kept("redis", "1h", "runtime: 10s"),
    "no chord": "results: {backend: redis, url: '${R}', keep: 1s}\ntasks: {shop.a: {canvas: [group]}}",
    "for ever": (
        "results: {backend: redis, url: '${R}'}\ncelery: {settings: {result_expires: null}}\n"
        "tasks: {shop.a: {canvas: [chord]}}"
    ),
    "pinned": (
        "results: {backend: redis, url: '${R}', keep: 1s}\ncelery: {settings: {result_chord_expires: 600}}\n"
        "tasks: {shop.a: {canvas: [chord]}}"
    ),
    "another app's": (
        "results: {backend: redis, url: '${R}', keep: 1s}\n"
        "tasks: {shop.a: {canvas: [chord], external: true, queue: theirs}}"
    ),
    "a store that polls": kept("database", "1m", "runtime: 10s"),
}
REFUSES = {
    "nowhere to count": (
        "tasks: {shop.a: {canvas: [chord]}}",
        Found(
            "chord-backend",
            "1:26",
            (
                "shop.a takes part in a chord, but the workload declares no result backend: Celery "
                "refuses the call"
            ),
            STORE,
        ),
    ),
    "kept by none": (
        "results: {backend: none}\ntasks: {shop.a: {canvas: [chord]}}",
        Found(
            "chord-backend",
            "2:26",
            (
                "shop.a takes part in a chord, but the workload declares no result backend: Celery "
                "refuses the call"
            ),
            STORE,
        ),
    ),
    "rpc": (
        "results: {backend: rpc}\ntasks: {shop.a: {canvas: [group, chord]}}",
        Found(
            "chord-backend",
            "2:26",
            (
                "shop.a takes part in a chord, but the backend rpc cannot count its parts: Celery "
                "refuses the call"
            ),
            STORE,
        ),
    ),
    "polled for and ignored": (
        "results: {backend: database, url: '${R}'}\ntasks: {shop.a: {canvas: [chord], result: ignore}}",
        Found(
            "chord-ignore",
            "2:43",
            (
                "shop.a ignores its result, but on database a chord waits for the results of all its "
                "parts: its body never runs"
            ),
            KEEP,
        ),
    ),
    "polled for and ignored by an option": (
        (
            "results: {backend: s3, url: '${R}'}\n"
            "tasks: {shop.a: {canvas: [chord], options: {ignore_result: true}}}"
        ),
        Found(
            "chord-ignore",
            "2:60",
            (
                "shop.a ignores its result, but on s3 a chord waits for the results of all its parts: "
                "its body never runs"
            ),
            KEEP,
        ),
    ),
    "forgotten before the end": (
        kept("redis", "1m", "runtime: 100s", version="5.6"),
        Found(
            "chord-expiry",
            "1:46",
            (
                "results are kept for 1 min, but shop.a, a part of a chord, may run 3 min 9 s. The "
                "other parts expire before it ends, so the body never runs"
            ),
            "keep results for at least 3 min 39 s",
        ),
    ),
    "deleted before the end": (
        (
            "results: {backend: database, url: '${R}'}\ncelery: {settings: {result_expires: 60}}\n"
            "tasks: {shop.a: {canvas: [chord], runtime: 100s}}"
        ),
        Found(
            "chord-expiry",
            "2:37",
            (
                "results are kept for 1 min, but shop.a, a part of a chord, may run 3 min 9 s. The "
                "other parts expire before it ends, so the body never runs"
            ),
            "keep results for at least 3 min 39 s",
        ),
    ),
    "counted for too short a time": (
        (
            "results: {backend: redis, url: '${R}'}\ncelery: {settings: {result_chord_expires: 10}}\n"
            "tasks: {shop.a: {canvas: [chord], runtime: 100s}}"
        ),
        Found(
            "chord-expiry",
            "2:43",
            (
                "the count of a chord is kept for 10 s, but shop.a, a part of a chord, may run 3 min 9 "
                "s. The other parts expire before it ends, so the body never runs"
            ),
            "remove `result_chord_expires`, or write 219 or more",
        ),
    ),
}
ACCEPTS = {
    "counted on Redis": "results: {backend: redis, url: '${R}'}\ntasks: {shop.a: {canvas: [chord]}}",
    "counted although ignored": (
        "results: {backend: memcached, url: '${R}'}\ntasks: {shop.a: {canvas: [chord], result: ignore}}"
    ),
    "polled for and kept": "results: {backend: database, url: '${R}'}\ntasks: {shop.a: {canvas: [chord]}}",
    "a group needs nothing": "tasks: {shop.a: {canvas: [chain, group]}}",
}


@pytest.mark.parametrize(("fragment", "seconds"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, seconds):
    assert after(chords, fragment).decided["app/result_chord_expires"][0] == seconds


def test_it_says_why():
    decided = after(chords, kept("redis", "5m", "latency: batch, runtime: 10m"))
    assert decided.decided["app/result_chord_expires"][1] == (
        "shop.a, a part of a chord, may take 33 min 45 s with waits and retries, but results are kept "
        "for 5 min only"
    )
    assert decided.origins["app/result_chord_expires"] == [
        "queue:shop.batch.io/queue_wait_seconds",
        "task:shop.a/longest_run_seconds",
        "app/result_expires",
    ]


@pytest.mark.parametrize("fragment", STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment):
    outcome = after(chords, fragment)
    assert outcome.decided == {}
    assert outcome.findings == []


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    assert after(chords, fragment).findings == [finding]


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(chords, fragment).findings == []
