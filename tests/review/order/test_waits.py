"""How long the steps of a rollout wait, and for what."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, reviewed

from policycompiler.review import Review
from policycompiler.review.conditions import ContentGone, Drained, Pause, WorkersAnswer

RETRIED = "runtime: 1s, retry: {on: [OSError], max: 8, delay: 1m, max_delay: 10m}"
# 1, 2, 4, 8 and then four times 10 minutes, and nine runs of a little more than a second.
ALL_WAITS = 60 + 120 + 240 + 480 + 4 * 600
RUNS = 9


def pauses(found: Review) -> list[int]:
    waits = [wait for step in found.steps for wait in step.wait_for]
    return [wait.seconds for wait in waits if isinstance(wait, Pause)]


def tasks(queue: str, *others: str) -> str:
    return f"tasks: {{{', '.join([f't.a: {{queue: {queue}, {RETRIED}}}', *others])}}}\n"


REMOVED = "tasks: {t.b: {queue: q, runtime: 1s}}\n"
CASES = {
    "a queue that goes, with delays in the broker": (RABBITMQ + tasks("q"), RABBITMQ + tasks("p")),
    "a task that goes from a queue that stays": (
        RABBITMQ + tasks("q", "t.b: {queue: q, runtime: 1s}"),
        RABBITMQ + REMOVED,
    ),
    "a pattern that goes, on Redis": (
        tasks("q", "t.b: {queue: q, runtime: 1s}").replace("t.a", "t.x.*"),
        REMOVED,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_drain_waits_as_long_as_all_retries_may_take(case):
    (pause,) = pauses(reviewed(*CASES[case]))
    assert ALL_WAITS + RUNS <= pause <= ALL_WAITS + RUNS * 10


def test_nothing_is_waited_for_twice_where_no_message_is_delayed_in_the_broker():
    plain = RABBITMQ + "tasks: {t.a: {queue: %s, runtime: 1s, retry: none}}\n"
    assert pauses(reviewed(plain % "q", plain % "p")) == []


def test_who_goes_back_waits_for_longer_runs_first():
    limited = "tasks: {t.a: {queue: q, runtime: %s}}\n"
    expand, switch, *_ = reviewed(RABBITMQ + limited % "1m", RABBITMQ + limited % "9m").steps
    for step in (expand, switch):
        assert "no long run is left in `q`" in step.undo


MOVED = "tasks: {t.a: {queue: %s, runtime: 1s, retry: none}}\n"


@pytest.mark.parametrize("broker", ["", RABBITMQ])
def test_who_goes_back_takes_what_lies_in_a_new_queue_before_its_worker_stops(broker):
    expand, *_ = reviewed(broker + MOVED % "mail", broker + MOVED % "letters").steps
    assert expand.undo == (
        "roll the workers back to the previous output and code; wait until no message is left in `letters`; "
        "stop `letters`"
    )
    answer, empty = expand.undo_wait_for
    assert isinstance(answer, WorkersAnswer)
    # Workers are back on the old file, which an earlier version may have compiled without a fingerprint.
    back = {each.name: (bool(each.fingerprint), each.or_none) for each in answer.workers}
    assert back == dict.fromkeys(["mail", "shop.standard.io"], (True, True))
    assert empty == Drained(plan="rollout/1-overlap", queues=("letters",))


def test_what_workers_sent_in_the_old_form_to_a_new_queue_is_waited_for():
    yaml = "celery: {settings: {task_serializer: yaml, accept_content: [yaml]}}\n"
    found = reviewed(MOVED % "mail", yaml + MOVED % "letters")
    (drain,) = (step for step in found.steps if step.phase == "drain")
    assert drain.wait_for[0] == Drained(plan="rollout/previous", queues=("mail",))
    assert drain.wait_for[-1] == ContentGone(
        plan="rollout/previous",
        queues=("letters", "shop.standard.io"),
        content_types=("application/json",),
    )


def test_a_step_for_several_processes_of_a_worker_says_how_many_answer():
    several = MOVED + "workers: {w: {queues: [%s], replicas: 3}, rest: {queues: ['*']}}\n"
    expand, *_ = reviewed(several % ("mail", "mail"), several % ("letters", "letters")).steps
    assert "`worker@w.*` 3 times with `letters`, `mail`" in expand.wait_for[0].says


def test_on_another_broker_no_worker_is_started_that_is_not_to_run():
    idle = "workers: {w: {queues: [mail], replicas: 0}, v: {queues: [mail]}, rest: {queues: ['*']}}\n"
    elsewhere = "broker: {transport: redis, url: '${OTHER}'}\n"
    _, expand, *_ = reviewed(MOVED % "mail" + idle, elsewhere + MOVED % "mail" + idle).steps
    assert expand.start == ("worker:rest", "worker:v")
    assert "the new address; run the command with that address" in expand.action


def test_under_other_keys_of_the_same_broker_no_step_speaks_of_an_address():
    prefixed = "broker: {transport: redis, url: '${B}', options: {global_keyprefix: x}}\n"
    plain = "broker: {transport: redis, url: '${B}'}\n"
    found = reviewed(plain + MOVED % "mail", prefixed + MOVED % "mail")
    assert not [step.action for step in found.steps if "address" in step.action + step.undo]
