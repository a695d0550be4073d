"""Findings about promises, bursts and crowded minutes say what is so, once, with a help that helps."""

from __future__ import annotations

import pytest
from workloads import Found, after, compiled, workload

from policycompiler.plan.lines import worker_lines
from policycompiler.policies.platform import hosts
from policycompiler.policies.schedules import schedule_bursts
from policycompiler.policies.workers import capacity, concurrency

PEAK = (
    "tasks: {{shop.a: {{queue: q, latency: interactive, idempotent: true, runtime: {{p50: 1s, p99: 1s}}, "
    "rate: {{mean: 2/s, peak: {peak}}}{fields}}}}}\n"
)


def found(fragment: str) -> list[Found]:
    return after(capacity, fragment).findings


def test_a_worker_without_processes_breaks_no_promise_because_it_has_another_finding():
    assert not found(PEAK.format(peak="6/s", fields="") + "workers: {q: {replicas: 0}}")


@pytest.mark.parametrize("slots", ["auto", "${SLOTS}"])
def test_assumed_slots_break_no_promise(slots: str):
    fragment = PEAK.format(peak="60/s", fields=", burst: 1000")
    assert not found(f'{fragment}workers: {{q: {{concurrency: "{slots}"}}}}')


@pytest.mark.parametrize(
    ("worker", "follow"),
    [
        ("pool: solo, replicas: 6", "pool: solo, replicas: 9"),
        ("concurrency: 2, replicas: 4", "concurrency: 3, replicas: 4"),
        ("concurrency: 7", "concurrency: 9"),
    ],
)
def test_the_help_for_a_broken_promise_mends_it(worker: str, follow: str):
    fragment = PEAK.format(peak="6/s", fields="")
    (told,) = [each for each in found(f"{fragment}workers: {{q: {{{worker}}}}}") if "promise" in each.name]
    pins = {
        "solo": "pin 9 processes or more (`replicas`)",
        "replicas: 4": "pin 3 slots or more in each process",
    }
    pin = next((text for key, text in pins.items() if key in worker), "pin 9 slots or more")
    assert str(told.help).startswith(f"{pin}, remove the pin, or ") or "solo" in worker
    assert str(told.help).startswith(pin)
    assert not [each for each in found(f"{fragment}workers: {{q: {{{follow}}}}}") if "promise" in each.name]


def test_workers_of_one_queue_are_told_once():
    fragment = PEAK.format(peak="6/s", fields=", burst: 100")
    pins = "workers: {one: {queues: [q], concurrency: 4}, two: {queues: [q], concurrency: 3}}"
    told = {each.name: each for each in found(fragment + pins)}
    assert sorted(each.name for each in found(fragment + pins)) == ["burst-not-drained", "promise-unkept"]
    assert "of workers one and two waits longer than" in told["promise-unkept"].message
    assert "on the 7 slots of workers one and two" in told["burst-not-drained"].message


def test_each_process_runs_a_burst_of_a_broadcast_queue():
    fragment = (
        "tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 1s, p99: 1s}, rate: 1/h, burst: 10}}\n"
        "queues: {q: {broadcast: true}}\nworkers: {q: {concurrency: 2, replicas: 20}}"
    )
    # Two slots start the last two of ten after four seconds, however many processes there are.
    (told,) = found(fragment)
    assert "starts after about 4 s on the 2 slots of each process of worker q" in told.message


@pytest.mark.parametrize(
    ("burst", "told"),
    # 21 of 32 slots are busy, so 39 of 50 messages wait, and those of 32 slots start 32 each 1.003 s.
    [(50, ["starts after about 1.2 s on the 32 slots of worker q (21 busy)"]), (40, [])],
)
def test_busy_slots_do_not_take_a_burst(burst: int, told: list[str]):
    fragment = (
        "tasks:\n"
        "  shop.a: {queue: q, latency: interactive, runtime: {p50: 1s, p99: 1s}, rate: 21/s}\n"
        "  shop.b: {queue: q, latency: interactive, runtime: {p50: 1s, p99: 1s}, rate: 1/h, "
        f"burst: {burst}}}\n"
        "workers: {q: {concurrency: 32}}"
    )
    messages = [each.message for each in found(fragment) if each.name == "burst-not-drained"]
    assert [text in message for text, message in zip(told, messages, strict=True)] == [True] * len(told)


def test_a_slot_takes_3_ms_between_the_runs_of_a_burst():
    fragment = (
        "tasks: {shop.a: {queue: q, latency: standard, runtime: {p50: 1ms, p99: 1ms}, rate: 1/h, "
        "burst: 20000}}\nworkers: {q: {concurrency: 1}}"
    )
    (told,) = found(fragment)
    # 19,999 x (1 + 3) ms.
    assert "starts after about 1 min 20 s on the 1 slot" in told.message
    assert str(told.help).startswith("3 slots")


def test_busy_slots_do_not_take_the_messages_of_schedules():
    entries = ", ".join(f's{each}: {{task: shop.a, args: [{each}], cron: "0 3 * * *"}}' for each in range(3))
    fragment = (
        "tasks:\n"
        "  shop.a: {queue: q, latency: interactive, runtime: {p50: 20s, p99: 20s}}\n"
        "  shop.b: {queue: q, latency: interactive, runtime: {p50: 1s, p99: 1s}, rate: RATE}\n"
        f"workers: {{q: {{concurrency: 4}}}}\nschedules: {{{entries}}}"
    )
    (told,) = after(schedule_bursts, fragment.replace("RATE", "2/s")).findings
    assert "on the 4 slots of worker q (2 busy)" in told.message
    assert not after(schedule_bursts, fragment.replace("RATE", "1/h")).findings


@pytest.mark.parametrize(
    ("replicas", "slots", "processes"),
    # 14 busy slots need 20 in each process that gets all messages.
    [("", 20, 1), ("workers: {q: {replicas: 3}}", 20, 3)],
)
def test_each_process_has_the_slots_for_all_messages_of_a_broadcast_queue(
    replicas: str, slots: int, processes: int
):
    fragment = (
        "tasks: {shop.a: {queue: q, latency: batch, runtime: {p50: 1s, p99: 1s}, rate: 14/s}}\n"
        f"queues: {{q: {{broadcast: true}}}}\n{replicas}"
    )
    decided = after(concurrency, fragment).decided
    assert decided["worker:q/concurrency"][0] == slots
    assert not found(fragment)
    plan = compiled(workload(fragment)).plan
    assert plan is not None
    assert next(each.processes for each in worker_lines(plan) if each.worker == "q") == processes


def test_more_processes_do_not_help_a_broadcast_queue():
    fragment = (
        "tasks: {shop.a: {queue: q, latency: batch, runtime: {p50: 1s, p99: 1s}, rate: 50/s}}\n"
        "queues: {q: {broadcast: true}}"
    )
    (told,) = found(fragment)
    # 50 busy slots are 95% of 53.
    assert told.help == "pin 53 slots or more"
    assert not [
        each for each in found(f"{fragment}\nworkers: {{q: {{concurrency: 53}}}}") if "promise" in each.name
    ]


def test_a_broadcast_beside_other_queues_leaves_their_worker_its_processes():
    fragment = (
        "tasks:\n"
        "  shop.a: {queue: q, latency: batch, runtime: {p50: 1s, p99: 1s}, rate: 60/s}\n"
        "  shop.b: {queue: b, latency: batch, runtime: {p50: 1s, p99: 1s}, rate: 1/m}\n"
        "queues: {b: {broadcast: true}}\nworkers: {q: {queues: [q, b]}}"
    )
    # 60 busy slots are 70% of 86, in processes of up to 32.
    assert after(concurrency, fragment).decided["worker:q/replicas"][0] == 3
    assert not [each for each in found(fragment) if each.name == "promise-unkept"]


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_more_processes_of_a_broadcast_keep_no_promise(replicas: int):
    fragment = (
        "tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 500ms, p99: 800ms}, rate: 8/s}}\n"
        f"queues: {{q: {{broadcast: true}}}}\nworkers: {{q: {{concurrency: 5, replicas: {replicas}}}}}"
    )
    (told,) = found(fragment)
    assert told.name == "promise-unkept"
    assert str(told.help).startswith("pin 6 slots or more" + " in each process" * (replicas > 1))
    assert not found(fragment.replace("concurrency: 5", "concurrency: 6"))


def test_the_fullest_worker_of_a_broadcast_is_told():
    fragment = (
        "tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 500ms, p99: 800ms}, rate: 8/s}}\n"
        "queues: {q: {broadcast: true}}\n"
        "workers: {one: {queues: [q], concurrency: 20}, two: {queues: [q], concurrency: 2}}"
    )
    (told,) = found(fragment)
    assert "worker two has 2, so the backlog grows" in told.message


@pytest.mark.parametrize("replicas", ["", ", replicas: 3"])
def test_sizes_of_a_broadcast_beside_a_busy_queue_keep_their_promise(replicas: str):
    fragment = (
        "tasks:\n"
        "  shop.a: {queue: a, latency: interactive, runtime: {p50: 500ms, p99: 500ms}, rate: 40/s}\n"
        "  shop.b: {queue: b, latency: interactive, runtime: {p50: 500ms, p99: 500ms}, rate: 200/s}\n"
        f"queues: {{a: {{broadcast: true}}}}\nworkers: {{w: {{queues: [a, b]{replicas}}}}}"
    )
    decided = after(concurrency, fragment).decided
    processes = 3 if replicas else int(str(decided["worker:w/replicas"][0]))
    slots = int(str(decided["worker:w/concurrency"][0]))
    # 20 busy slots in each process, and 100 in all of them.
    assert 20 + 100 / processes <= 0.7 * slots
    assert replicas or slots <= 32
    assert not found(fragment)


def test_a_queue_that_few_slots_can_take_is_told_though_others_are_free():
    fragment = (
        "tasks:\n"
        "  shop.a: {queue: a, latency: standard, runtime: {p50: 1s, p99: 1s}, rate: 1/s}\n"
        "  shop.b: {queue: b, latency: standard, runtime: {p50: 1s, p99: 1s}, rate: 10/s}\n"
        "workers: {big: {queues: [a], concurrency: 30}, small: {queues: [a, b], concurrency: 2}}"
    )
    (told,) = found(fragment)
    assert "worker small has 2 slots: 500% busy" in told.message
    assert not found(fragment.replace("concurrency: 2}", "concurrency: 15}"))


HOST = "workers: {{q: {{}}}}\nhosts: {{one: {{memory: {memory}, workers: {{q: 1}}}}}}"


def test_slots_within_the_memory_of_a_host_have_no_finding_about_pins():
    fragment = PEAK.format(peak="6/s", fields="") + HOST.format(memory="560MiB")
    assert after(concurrency, fragment).decided["worker:q/concurrency"][0] == 9
    assert not found(fragment)


def test_slots_that_the_load_needs_beyond_the_memory_of_a_host_are_told():
    # 6 busy slots need 7: a process takes 100 MiB and each slot 50 MiB.
    fragment = PEAK.format(peak="6/s", fields="") + HOST.format(memory="300MiB")
    told = [each.message for each in after(hosts, fragment).findings if each.name == "host-memory-short"]
    assert told == ["the workers of host one may take 450 MiB, but the host has 300 MiB of memory"]


TIMES = (
    "tasks:\n"
    "  shop.a: {{queue: x, latency: interactive, runtime: {{p50: 20s, p99: 20s}}}}\n"
    "workers: {{one: {{queues: [x], concurrency: 1}}, two: {{queues: [y], concurrency: {slots}}}}}\n"
    "queues: {{y: {{}}}}\n"
    "schedules: {{{entries}}}"
)


def crowded(time: str, slots: int, options: str) -> list[Found]:
    entries = ", ".join(f"s{each}: {{task: shop.a, args: [{each}], {time}{options}}}" for each in range(3))
    fragment = TIMES.format(slots=slots, entries=entries)
    return after(schedule_bursts, fragment).findings


def test_schedules_are_told_of_the_queue_that_they_send_to():
    (told,) = crowded('cron: "0 3 * * *"', 1, ", options: {queue: y}")
    assert "on the 1 slot of worker two, and y promises" in told.message
    assert str(told.help).startswith("spread the times of the schedules, give worker two 3 slots, or")
    assert not crowded('cron: "0 3 * * *"', 3, ", options: {queue: y}")


@pytest.mark.parametrize(
    ("one", "other", "when"),
    [
        ("0 9 1 1 *, UTC", "0 9 1 1 *, Africa/Abidjan", "at 09:00 UTC"),
        # London is one hour ahead of UTC in summer only, and Paris two hours.
        ("0 9 1 1 *, UTC", "0 9 1 1 *, Europe/London", "at 09:00 UTC"),
        ("0 9 1 7 *, UTC", "0 9 1 7 *, Europe/London", ""),
        ("0 7 1 7 *, UTC", "0 9 1 7 *, Europe/Paris", "at 07:00 UTC"),
        ("0 8 1 7 *, UTC", "0 9 1 7 *, Europe/Paris", ""),
        ("0 8 * * *, UTC", "0 9 * * *, Europe/Paris", "at 08:00 UTC"),
        ("0 9 1 7 *, Europe/Paris", "0 9 1 * *, Europe/Paris", "at 09:00 Europe/Paris"),
        # Tokyo is nine hours ahead, so its year begins on the day before.
        ("0 15 31 12 *, UTC", "0 0 1 1 *, Asia/Tokyo", "at 15:00 UTC"),
        ("0 15 1 1 *, UTC", "0 0 1 1 *, Asia/Tokyo", ""),
        ("0 9 1 1 *, UTC", "0 9 2 1 *, UTC", ""),
        ("0 3 * * 1, UTC", "0 3 13 * *, UTC", "at 03:00 UTC"),
    ],
)
def test_schedules_meet_at_one_moment_whatever_their_time_zones(one: str, other: str, when: str):
    entries = ", ".join(
        f's{place}: {{task: shop.a, args: [{place}], cron: "{cron}", timezone: "{zone}"}}'
        for place, (cron, zone) in enumerate(each.split(", ") for each in (one, other))
    )
    told = after(schedule_bursts, TIMES.format(slots=1, entries=entries)).findings
    assert [f"2 schedules send their messages {when}: " in each.message for each in told] == [True] * bool(
        when
    )


def test_intervals_cannot_be_spread():
    (told,) = crowded("every: 1h", 1, "")
    assert str(told.help).startswith("write `cron` with other times, give worker one 3 slots, or")


def test_the_missing_memory_is_that_of_all_processes():
    fragment = PEAK.format(peak="6/s", fields="") + "workers: {q: {replicas: 4}}\nbudget: {memory: 950MiB}"
    # The promise needs 9 slots, so 3 in each process; the default queue has one process with a slot.
    (told,) = [each for each in found(fragment) if each.name == "promise-unkept"]
    assert str(told.help).startswith("raise `budget.memory` to `1150MiB`, or ")
    assert not found(fragment.replace("950MiB", "1150MiB"))


@pytest.mark.parametrize(
    ("other", "each"), [("", 5), (", concurrency: 3", 9), (", pool: solo", 9), (", replicas: 0", 9)]
)
def test_workers_of_the_same_queues_share_the_slots(other: str, each: int):
    """As many as one worker would have, and at most one more for each of them."""
    fragment = PEAK.format(peak="6/s", fields="")
    alone = compiled(workload(fragment)).plan
    assert alone is not None
    pair = f"workers: {{one: {{queues: [q]}}, two: {{queues: [q]{other}}}}}"
    plan = compiled(workload(fragment + pair)).plan
    assert plan is not None
    slots = {line.worker: line.slots for line in worker_lines(plan)}
    assert slots["one"] == each
    [whole] = [line.slots for line in worker_lines(alone) if line.worker == "q"]
    assert each in (whole, -(-whole // 2))
    if not other:
        assert slots["two"] == each
    assert "promise-unkept" not in [found.name for found in after(capacity, fragment + pair).findings]
