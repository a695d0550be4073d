"""The record of an effect: what its scripts do on a real Redis is what a model in plain Python says."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import pytest
import redis
from celery import Celery
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from servers import redis_server

from policycompiler.policies.workers.guard_store import Parameters
from policycompiler.runtime.guards import counts
from policycompiler.runtime.guards import effects as module
from policycompiler.runtime.guards.effects import Claim, Effects
from policycompiler.runtime.guards.errors import KeyMissing, Later, OtherArguments, Poisoned
from policycompiler.runtime.guards.store import Store
from policycompiler.runtime.guards.told import OfTask

pytestmark = pytest.mark.server
IDS, ARGUMENTS = ("first", "second"), ("a", "b")
MOST = 2
RECORD_SIZE = Parameters().record_size
RECORD = "shop:shop.charge:key"
APP = Celery("worker", broker="memory://", set_as_current=False)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def client(url):
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def effects(url, client, monkeypatch):
    client.ping()
    monkeypatch.setenv("STORE_URL", url)
    store = Store("STORE_URL")
    yield Effects(store, "shop:", "shop.charge", OfTask(key="payment_id", keep=100, takeovers=MOST))
    if store._client:
        store._client.close()


def request(task_id="first", hostname="w@host", **more):
    return SimpleNamespace(id=task_id, hostname=hostname, ignore_result=False, **more)


TASK = SimpleNamespace(app=APP, ignore_result=False)


class Records(RuleBasedStateMachine):
    """One record. `over` is whether its lease is over, or its promised message late."""

    effects: Effects
    client: redis.Redis

    def __init__(self):
        super().__init__()
        self.client.delete(RECORD)
        self.state = self.holder = self.owner = self.arguments = self.result = None
        self.over, self.takeovers = False, 0
        self.claims: list[Claim] = []

    def holds(self, claim):
        return self.state == "running" and self.holder == claim.token

    @rule(task_id=st.sampled_from(IDS), given=st.sampled_from(ARGUMENTS))
    def claim(self, task_id, given):
        try:
            found = self.effects.claim([RECORD], given, request(task_id))
        except OtherArguments:
            assert self.state
            assert self.arguments != given
            # A retry may have other arguments than its first message.
            assert self.owner != task_id
            return
        except Poisoned:
            assert (self.state, self.over, self.takeovers) == ("running", True, MOST)
            self.state, self.takeovers = None, 0
            return
        except Later:
            assert self.state in ("running", "waiting")
            assert not self.over
            assert self.state == "running" or self.owner != task_id
            return
        assert self.state is None or self.arguments == given or self.owner == task_id
        if not isinstance(found, Claim):
            assert self.state == "done"
            assert self.effects.restored(found) == self.result
            return
        assert self.state is None or self.over or (self.state == "waiting" and self.owner == task_id)
        self.takeovers = 0 if self.state is None else self.takeovers + (self.state == "running")
        self.arguments = given if self.state is None else self.arguments
        self.state, self.holder, self.owner, self.over = "running", found.token, task_id, False
        self.claims.append(found)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), then=st.sampled_from(("done", "delete", "wait", "free", "renew")))
    def end(self, data, then):
        """A run that may have lost its claim long ago."""
        claim = data.draw(st.sampled_from(self.claims))
        held = self.holds(claim)
        if then == "done":
            before = sum(each.value for each in counts.read() if each.name == "lost_claims_total")
            claim.done(TASK, request(), claim.token)
            after = sum(each.value for each in counts.read() if each.name == "lost_claims_total")
            assert (after > before) is (self.holder != claim.token or self.state is None)
            if self.state is None:
                self.arguments, self.owner = claim.given, None
            if self.state != "done":
                self.state, self.result = "done", claim.token
                self.holder, self.over = claim.token, False
            return
        {"wait": lambda: claim.wait(100)}.get(then, getattr(claim, then))()
        if held:
            self.state = {"delete": None, "wait": "waiting"}.get(then, "running")
            self.over = then == "free"
            self.takeovers = 0 if then == "delete" else self.takeovers

    @rule(task_id=st.sampled_from(IDS), hostname=st.sampled_from(("w@host", "x@host")))
    def lose(self, task_id, hostname):
        """The main process of a worker sees that a process is gone."""
        self.effects.free([RECORD], request(task_id, hostname))
        if self.state == "running" and (task_id, hostname) == (self.owner, "w@host"):
            self.over = True

    @precondition(lambda self: self.state in ("running", "waiting"))
    @rule()
    def pass_time(self):
        self.client.hset(RECORD, "until", 1)
        self.over = True

    @rule()
    def look(self):
        assert self.client.hget(RECORD, "state") == self.state
        assert self.state is None or 0 < self.client.pttl(RECORD) <= 100_000 + 160_000


def run_machine(effects, client, **options):
    machine = type("Machine", (Records,), {"effects": effects, "client": client})
    found = settings(max_examples=200, stateful_step_count=25, deadline=None, database=None, **options)
    run_state_machine_as_test(
        machine, settings=settings(found, suppress_health_check=list(HealthCheck), print_blob=True)
    )


def test_a_record_moves_as_its_model(effects, client):
    run_machine(effects, client)


def test_the_model_is_refuted_if_a_copy_of_a_live_run_takes_over(effects, client, monkeypatch):
    """The control: a rule of the record that other libraries have."""
    wrong = module.CLAIM.replace("(state == 'running' or found[2] ~= owner)", "found[2] ~= owner")
    monkeypatch.setattr(module, "CLAIM", wrong)
    with pytest.raises(AssertionError):
        run_machine(effects, client, derandomize=True, report_multiple_bugs=False, phases=[Phase.generate])


def test_a_lease_is_over_by_the_clock_of_the_store(effects, client):
    told = OfTask(key="payment_id", lease=0.05)
    short = Effects(effects.store, "shop:", "shop.charge", told)
    first = short.claim([RECORD], "a", request())
    with pytest.raises(Later) as later:
        short.claim([RECORD], "a", request())
    assert later.value.seconds <= 0.05
    # It answers after 60 ms, because it has no replica.
    client.wait(1, 60)
    second = short.claim([RECORD], "a", request("second"))
    assert second.token != first.token
    assert not first.renew()
    assert second.renew()


@pytest.mark.parametrize(
    ("names", "task", "key", "found"),
    [
        ("shop:", "shop.charge", "payment_id", True),
        ("store:", "shop.charge", "payment_id", False),
        ("shop:", "shop.pay", "payment_id", False),
        ("shop:", "shop.charge", "order.id", False),
        ("shop:", "shop.charge", "order", False),
    ],
)
def test_a_record_is_found_under_the_same_service_task_and_key_only(effects, names, task, key, found):
    """What `diff` says of changes of these."""
    given = {"payment_id": "p", "order": {"id": "o"}}

    def claimed(names, task, key):
        guard = Effects(effects.store, names, task, OfTask(key=key))
        return guard.claim(*guard.named(SimpleNamespace(run=charge), (), given), request())

    claimed("shop:", "shop.charge", "payment_id").done(TASK, request(), 1)
    assert hasattr(claimed(names, task, key), "result") is found


@pytest.mark.parametrize(
    ("limits", "least", "most"),
    [([300, 280], 300, 310), ([3, None], 59, 60), ([None, None], 59, 60), (None, 59, 60)],
)
def test_a_lease_outlasts_the_hard_limit_of_its_message(effects, client, limits, least, most):
    """A caller, or settings before a change, may have given it a longer limit than the task has here."""
    told = OfTask(key="payment_id", lease=60)
    guard = Effects(effects.store, "shop:", "shop.charge", told)
    guard.claim([RECORD], "a", request(timelimit=limits))
    lease = (int(client.hget(RECORD, "until")) - milliseconds(client)) / 1000
    assert least < lease <= most


@pytest.mark.parametrize(
    ("lasted", "left", "seconds"), [(0, 90, 1), (3, 90, 3), (40, 50, 40), (80, 10, 10), (0, 0.5, 0.5)]
)
def test_a_duplicate_looks_again_after_as_long_as_the_run_has_lasted(lasted, left, seconds, effects, client):
    """So it looks a few times at most, and learns of the end at most twice as late as it came."""
    effects.claim([RECORD], "a", request())
    now = milliseconds(client)
    client.hset(RECORD, mapping={"since": now - 1000 * lasted, "until": int(now + 1000 * left)})
    with pytest.raises(Later) as later:
        effects.claim([RECORD], "a", request("second"))
    passed = (milliseconds(client) - now) / 1000
    assert abs(later.value.seconds - seconds) < passed + 0.001


def test_a_duplicate_of_a_task_that_waits_comes_after_it(effects, client):
    effects.claim([RECORD], "a", request()).wait(20)
    with pytest.raises(Later) as later:
        effects.claim([RECORD], "a", request("second"))
    assert 20 < later.value.seconds <= 21
    # It is late.
    client.hset(RECORD, mapping={"since": milliseconds(client) - 5000})
    with pytest.raises(Later) as later:
        effects.claim([RECORD], "a", request("second"))
    assert 5 <= later.value.seconds <= 6


def test_a_claim_that_the_store_sees_too_late_takes_nothing(effects, client):
    """As if it had hung: whoever asked has parked its task."""
    effects.claim([RECORD], "a", request()).delete()
    asked = effects.store.latest()
    assert abs(asked - milliseconds(client)) <= 5000
    values = "first", "w@host", "token", "a", 1000, 3, 1000
    assert client.eval(module.CLAIM, 1, RECORD, *values, milliseconds(client) - 1)[0] == "late"
    assert not client.exists(RECORD)


def test_a_clock_that_stood_still_is_set_again(effects, client):
    effects.claim([RECORD], "a", request()).delete()
    effects.store.set_clock(milliseconds(client) - 60_000)
    assert isinstance(effects.claim([RECORD], "a", request()), Claim)
    assert abs(effects.store.latest() - milliseconds(client)) <= 5000


def milliseconds(client):
    seconds, micros = client.time()
    return 1000 * seconds + micros // 1000


def charge(payment_id=None, order=None, **more):
    """A task with a key."""


def keyed(effects, key, *args, **kwargs):
    told = OfTask(key=key)
    task = SimpleNamespace(run=charge)
    [name], given = Effects(effects.store, "shop:", "shop.charge", told).named(task, args, kwargs)
    return name, given


def test_a_key_is_the_same_however_the_argument_is_passed(effects):
    by_place = keyed(effects, "payment_id", "p")
    assert by_place == keyed(effects, "payment_id", payment_id="p")
    assert by_place[0].startswith("shop:shop.charge:")
    assert len(by_place[0]) == len("shop:shop.charge:") + 64
    others = [
        keyed(effects, "order.payment_id", order={"payment_id": "p"}),
        keyed(effects, "order.payment_id", order=SimpleNamespace(payment_id="p")),
        keyed(effects, "extra", extra="p"),
        keyed(effects, "extra.inside", extra={"inside": "p"}),
    ]
    assert {name for name, _ in others} == {by_place[0]}
    assert len({given for _, given in [by_place, *others]}) == 5


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (True, "true"), ([1], "[1]"), (1, 1.0), (1, True)])
def test_a_value_and_its_text_are_two_keys(effects, one, other):
    assert keyed(effects, "payment_id", one)[0] != keyed(effects, "payment_id", other)[0]


@pytest.mark.parametrize(
    ("key", "args"), [("payment_id", ()), ("payment_id", ("",)), ("order.id", (1, {})), ("more.x", ())]
)
def test_a_missing_key_fails_the_task(effects, key, args):
    with pytest.raises(KeyMissing, match=f"its key {key}"):
        keyed(effects, key, *args)


def test_a_renamed_task_finds_the_records_of_its_earlier_names(effects):
    """Workers of both names share them while a rollout goes on."""
    task, old_name, new_name = SimpleNamespace(run=charge), "shop.charge", "shop.pay"
    told = OfTask(key="payment_id")
    old = Effects(effects.store, "shop:", old_name, told)
    new = Effects(effects.store, "shop:", new_name, told._replace(records=(new_name, old_name)))

    def claimed(guard, key, task_id="first"):
        return guard.claim(*guard.named(task, (key,), {}), request(task_id))

    claimed(old, "done").done(TASK, request(), "charged")
    assert new.restored(claimed(new, "done")) == "charged"
    first = claimed(old, "retried")
    with pytest.raises(Later):
        claimed(new, "retried", "second")
    first.wait(10)
    again = claimed(new, "retried")
    assert again.key == first.key
    again.done(TASK, request(), "at last")
    assert old.restored(claimed(old, "retried", "second")) == "at last"
    claimed(old, "lost")
    new.free(new.named(task, ("lost",), {})[0], request())
    assert isinstance(claimed(new, "lost", "second"), Claim)
    assert claimed(new, "fresh").key.startswith("shop:shop.pay:")


def test_objects_of_pickle_have_the_same_hash_in_each_process(effects):
    class Plain:
        pass

    one, other = keyed(effects, "payment_id", 1, Plain()), keyed(effects, "payment_id", 1, Plain())
    assert one == other
    assert keyed(effects, "payment_id", 1, {"b", "a"}) == keyed(effects, "payment_id", 1, {"a", "b"})


@pytest.mark.parametrize(("result", "most"), [("x", 640), ("x" * 200, RECORD_SIZE)])
def test_a_record_takes_no_more_memory_than_is_computed(effects, client, result, most):
    count = 2000
    before = client.info("memory")["used_memory"]
    for number in range(count):
        names, given = effects.named(SimpleNamespace(run=charge), (number,), {})
        effects.claim(names, given, request(str(uuid4()))).done(TASK, request(), result)
    each = (client.info("memory")["used_memory"] - before) / count
    assert most / 2 < each < most


def test_a_result_that_cannot_be_stored_fails_but_the_effect_is_kept(effects):
    claim = effects.claim([RECORD], "a", request())
    with pytest.raises(TypeError, match="result serializer"):
        claim.done(TASK, request(), object())
    stored = effects.claim([RECORD], "a", request())
    with pytest.raises(TypeError, match="was not stored"):
        effects.restored(stored)


@pytest.mark.parametrize(("task", "message"), [(False, True), (True, False)])
def test_a_result_that_is_ignored_may_be_anything(effects, task, message):
    """A message of an app that does not know the task does not say that its result is ignored."""
    claim = effects.claim([RECORD], "a", request())
    given = SimpleNamespace(ignore_result=message)
    claim.done(SimpleNamespace(app=APP, ignore_result=task), given, object())
    assert effects.restored(effects.claim([RECORD], "a", request())) is None


def test_no_claim_is_made_while_the_store_is_away_but_a_task_may_run(monkeypatch):
    monkeypatch.setenv("STORE_URL", "redis://:pa55word@127.0.0.1:1/0")
    told = OfTask(key="payment_id", on_store_error="run")
    claim = Effects(Store("STORE_URL"), "shop:", "shop.charge", told).claim([RECORD], "a", request())
    assert claim.token == ""
    claim.done(TASK, request(), 1)
    claim.delete()
