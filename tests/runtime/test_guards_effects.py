"""An effect happens once on real workers and brokers, whatever ends a run; written by hand, it does not."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest
from guarded import KEYED, children, deploy
from places import SUPPORT
from processes import wait_until
from servers import redis_server, start_rabbitmq

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_charges.py").read_text("utf-8")


@pytest.fixture
def redis_url(tmp_path):
    with redis_server(tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def site(request, tmp_path_factory):
    """Two workers that go on."""
    folder = tmp_path_factory.mktemp("site")
    tasks = {
        "shop.charge": KEYED | {"takeovers": 2},
        "shop.limited": KEYED,
        "shop.replaced": KEYED,
    }
    with ExitStack() as stack:
        url, broker = stack.enter_context(redis_server(folder)), ""
        if request.param == "rabbitmq":
            (folder / "rabbitmq").mkdir()
            broker = stack.enter_context(start_rabbitmq(folder / "rabbitmq")).url
        found = deploy(folder / "shop", url, APP, tasks, broker=broker)
        for name in ("one", "two"):
            stack.enter_context(found.worker(name))
        yield found


def test_of_messages_at_once_one_has_the_effect_and_all_have_its_result(site):
    """Those that come while it runs learn of the result long before its lease of 90 s is over."""
    results = [site.send("shop.charge", "twins", 0.5) for _ in range(8)]
    results += [site.send("shop.charge", "twins", 0.5) for _ in range(4)]
    [found] = {str(each) for each in site.succeeded(results)}
    assert "twins" in found
    assert (site.effect("twins"), site.runs("twins")) == (1, 1)


def test_by_hand_a_mark_that_is_set_afterwards_lets_duplicates_through(site):
    site.succeeded([site.send("shop.after", "after", 0.5) for _ in range(4)])
    assert site.effect("after") > 1


def test_a_run_whose_process_is_killed_comes_again_at_once(site):
    result = site.send("shop.charge", "killed", 0.2, "kill once")
    site.succeeded([result])
    assert (site.effect("killed"), site.runs("killed")) == (1, 2)


def test_by_hand_a_lock_loses_a_run_whose_process_is_killed(site):
    result = site.send("shop.nx", "lost", 30)
    wait_until(lambda: site.runs("lost") == 1, "it runs")
    for process in children(site):
        process.send_signal(signal.SIGKILL)
    assert site.succeeded([result]) == ["another one does it"]
    assert site.effect("lost") == 0


def test_a_retry_has_the_claim_of_its_first_run(site):
    result = site.send("shop.charge", "retried", 0, "retry")
    wait_until(lambda: result.state == "RETRY", "a retry")
    other = site.send("shop.charge", "retried", 0, "retry")
    site.succeeded([result, other])
    assert (site.effect("retried"), site.runs("retried")) == (1, 2)


def test_by_hand_a_lock_that_is_given_back_lets_a_duplicate_in_before_a_retry(site):
    result = site.send("shop.nx_freed", "freed")
    wait_until(lambda: result.state == "RETRY", "a retry")
    duplicate = site.send("shop.nx_freed", "freed")
    wait_until(lambda: duplicate.state == "RETRY", "a retry of the duplicate")
    assert site.succeeded([result, duplicate]) == ["done", "done"]
    assert site.effect("freed") == 2


def test_by_hand_a_duplicate_that_is_ignored_never_has_a_state(site):
    site.succeeded([site.send("shop.nx_ignored", "ignored")])
    duplicate = site.send("shop.nx_ignored", "ignored")
    wait_until(lambda: site.runs("ignored") == 2, "it has run")
    # Both workers have gone on.
    site.succeeded([site.send("shop.add", 1) for _ in range(8)])
    assert duplicate.state == "PENDING"


@pytest.mark.parametrize("how", ["replaced", "ignored"])
def test_a_run_that_ends_without_a_result_has_had_its_effect(how, site):
    """`Task.replace` raises `Ignore` too: another task goes on."""
    first = site.send("shop.replaced", f"{how} {site.broker}", how)
    key = f"{how} {site.broker}"
    wait_until(lambda: site.effect(key) == 1, "it has run")
    if how == "replaced":
        assert site.succeeded([first]) == [3]
    site.send("shop.replaced", key, how)
    # Both workers have met it before they run what follows.
    site.succeeded([site.send("shop.charge", f"after {key} {number}", 1.5) for number in range(4)])
    assert (site.effect(key), site.runs(key)) == (1, 1)


def test_a_run_that_fails_can_be_sent_again(site):
    result = site.send("shop.charge", "failed", 0, "fail")
    wait_until(lambda: result.state == "FAILURE", "a failure")
    site.succeeded([site.send("shop.charge", "failed", 0, "fail")])
    assert (site.effect("failed"), site.runs("failed")) == (1, 2)


@pytest.mark.parametrize(("how", "options"), [("fail", {}), ("ok", {"time_limit": 1})])
def test_by_hand_a_lock_that_is_kept_blocks_what_has_failed(how, options, site):
    key = f"kept {how}"
    result = site.send("shop.nx", key, 2 * bool(options), how, **options)
    wait_until(lambda: result.state == "FAILURE", "a failure")
    assert site.succeeded([site.send("shop.nx", key)]) == ["another one does it"]
    assert site.effect(key) == 0


def test_a_run_past_its_hard_limit_can_be_sent_again(site):
    result = site.send("shop.limited", "limited")
    wait_until(lambda: result.state == "FAILURE", "a failure")
    site.succeeded([site.send("shop.limited", "limited")])
    assert (site.effect("limited"), site.runs("limited")) == (1, 2)


def test_the_limit_of_a_message_beats_that_of_the_task_and_its_lease_is_longer(site):
    """Celery applies what the caller, or older settings, wrote into the message."""
    result = site.send("shop.limited", "patient", time_limit=3)
    wait_until(lambda: result.state == "FAILURE", "a failure")
    # The task has a limit of 1 s.
    assert (result.result["exc_type"], result.result["exc_message"]) == ("TimeLimitExceeded", [3])
    long = site.send("shop.charge", "long", 3, time_limit=3000)
    wait_until(lambda: site.runs("long") == 1, "it runs")
    now = site.store.time()[0]
    ends = [int(site.store.hget(key, "until") or 0) / 1000 - now for key in site.store.scan_iter("shop:*")]
    # Its own lease is 90 s.
    assert max(ends) > 2900
    site.succeeded([long])


def test_a_task_that_kills_its_processes_fails_in_the_end(site):
    result = site.send("shop.charge", "poison", 0, "kill")
    wait_until(lambda: result.state == "FAILURE", "a failure")
    assert "ended without an outcome" in str(result.result)
    assert (site.effect("poison"), site.runs("poison")) == (0, 3)


def test_a_key_is_not_used_with_other_arguments(site):
    site.succeeded([site.send("shop.charge", "same", 0)])
    other = site.send("shop.charge", "same", 0.1)
    wait_until(lambda: other.state == "FAILURE", "a failure")
    assert "other arguments" in str(other.result)
    assert site.effect("same") == 1


def test_a_process_that_dies_between_effect_and_record_repeats_the_effect(site):
    """The window that only the effect's own database can close; `current_key` is for that."""
    site.succeeded([site.send("shop.charge", "window", 0, "die after")])
    assert site.effect("window") == 2


@pytest.mark.parametrize("kind", ["redis", *(["rabbitmq"] if os.environ.get("GUARDS") == "long" else [])])
def test_a_message_that_comes_again_while_it_runs_waits_or_repeats(kind, redis_url, tmp_path):
    """With a lease that outlasts the run, or a heartbeat, once; the control has neither."""
    short = KEYED | {"lease": 3.0}
    tasks = {"shop.charge": KEYED, "shop.beating": short | {"heartbeat": True}, "shop.short": short}
    more = "".join(
        f'\n\n@app.task(name="shop.{name}", bind=True)\n'
        f"def {name}(self, payment_id, seconds):\n    return charge.run(payment_id, seconds)\n"
        for name in ("beating", "short")
    )
    # Redis gives out again what is not acknowledged within a second.
    transport = {"visibility_timeout": 1, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    pools, names = ("prefork", "threads", "gevent"), ("charge", "beating", "short")
    with ExitStack() as workers:
        broker = ""
        if kind == "rabbitmq":
            (tmp_path / "rabbitmq").mkdir()
            broker = workers.enter_context(start_rabbitmq(tmp_path / "rabbitmq")).url
        site = deploy(tmp_path / "shop", redis_url, APP + more, tasks, broker=broker, transport=transport)
        for pool in pools:
            workers.enter_context(site.worker(pool, pool=pool, slots=8, queue=pool))
        both = [(pool, name, f"{name} {pool}") for pool in pools for name in names]
        results = [site.send(f"shop.{name}", key, 8, queue=pool) for pool, name, key in both]
        wait_until(lambda: all(site.runs(key) for _, _, key in both), "all run")
        # The lease of the short ones is over, and no run is. A copy has the same id.
        wait_until(lambda: all(over(site, name) for name in site.store.keys("*:shop.short:*")), "time passes")
        for (pool, task, key), result in zip(both, results, strict=True):
            site.send(f"shop.{task}", key, 8, queue=pool, task_id=result.id)
        site.succeeded(results)
        wait_until(lambda: all(site.effect(f"short {pool}") > 1 for pool in pools), "the control repeats")
    once = [(site.effect(key), site.runs(key)) for _, _, key in both if not key.startswith("short")]
    assert once == [(1, 1)] * 6


def over(site, name: str) -> bool:
    """Whether the lease of a record is over."""
    seconds, micros = site.store.time()
    return float(site.store.hget(name, "until")) < 1000 * seconds + micros / 1000
