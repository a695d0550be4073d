"""Compiled, started by the launch scripts, and sent every declared task: what the workers then run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import witness
from compiled import configured_app
from deployment import EXTRA, TRANSPORTS, Deployment, deployed
from processes import wait_until

from policycompiler.plan import APP, Scope

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", params=TRANSPORTS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Every worker, and beat."""
    folder = tmp_path_factory.mktemp(request.param)
    with deployed(request.param, folder, more=EXTRA) as shop:
        scripts = sorted(script.stem for script in (shop.build / "launch").iterdir())
        assert scripts == sorted(["beat", *(worker.name for worker in shop.plan.scopes("worker"))])
        with shop.started(scripts):
            yield shop


def by_task(runs: list[dict]) -> list[dict]:
    return sorted(runs, key=lambda run: run["task"])


def test_every_declared_task_runs_once_where_and_how_the_plan_says(shop):
    names = shop.declared
    assert {"shop.payments.charge_card", "shop.reports.daily_sales", "shop.reports.headstrong"} <= set(names)
    ids = shop.send(*names)
    shop.wait_for_ends(ids)
    assert by_task(shop.runs(ids)) == by_task([shop.expected(name) for name in names])
    assert shop.outcomes(ids) == ["SUCCESS"] * len(names)


def test_the_limits_travel_with_the_message(shop):
    ids = shop.send("shop.payments.refund", "shop.reports.stock_value")
    shop.wait_for_ends(ids)
    seen = {run["task"]: run["timelimit"] for run in witness.starts(shop.witness) if run["id"] in ids}
    assert seen == {
        run["task"]: [run["time_limit"], run["soft_time_limit"]]
        for run in map(shop.expected, ["shop.payments.refund", "shop.reports.stock_value"])
    }


def test_a_producer_that_knows_no_task_routes_by_name(shop):
    ids = shop.send_by_name(*shop.declared)
    shop.wait_for_ends(ids)
    assert by_task(shop.runs(ids)) == by_task([shop.expected(name) for name in shop.declared])


@pytest.mark.parametrize("send", [Deployment.send, Deployment.send_by_name])
def test_an_undeclared_task_joins_the_default_queue_under_no_limit_of_the_compiler(shop, send):
    queue = shop.plan.value(APP, "task_default_queue")
    (worker,) = shop.routing["queues"][queue]["workers"]
    ids = send(shop, "stray.wander")
    shop.wait_for_ends(ids)
    assert shop.runs(ids) == [
        {
            "task": "stray.wander",
            "worker": worker,
            "routing_key": queue,
            "time_limit": None,
            "soft_time_limit": None,
            "acks_late": False,
        }
    ]


def test_the_pools_have_no_limits_that_nobody_pinned(shop):
    app = configured_app(shop.build, shop.urls)
    workers = shop.plan.scopes("worker")
    with app.connection_for_write() as connection:
        found: dict[str, dict] = {}

        def all_answered() -> bool:
            found.update(app.control.inspect(timeout=1, connection=connection).stats() or {})
            return len(found) == len(workers)

        wait_until(all_answered, "each worker has answered", seconds=60, log=shop.log)
    assert [stats["pool"]["timeouts"] for stats in found.values()] == [[0, 0]] * len(workers)


def test_a_run_past_its_soft_limit_is_interrupted(shop):
    limit = shop.plan.number(Scope("task", "shop.search.index_product"), "options.soft_time_limit")
    ids = shop.send("shop.search.index_product", seconds=limit + 3)
    shop.wait_for_ends(ids)
    assert shop.outcomes(ids) == ["FAILURE"]


def test_beat_goes_on_sending_what_is_due(shop):
    def runs() -> list[dict]:
        return [run for run in shop.uninvited() if run["task"] == "shop.inventory.sync_stock"]

    wait_until(lambda: len(runs()) >= 2, "beat has sent twice", seconds=60, log=shop.log)
    assert all(run == shop.expected("shop.inventory.sync_stock") for run in runs())


def test_nothing_runs_but_what_the_test_or_beat_has_sent(shop):
    ids = shop.send(*shop.declared)
    shop.wait_for_ends(ids)
    scheduled = {shop.plan.value(schedule, "task") for schedule in shop.plan.scopes("schedule")}
    assert {run["task"] for run in shop.uninvited()} <= scheduled
    starts = [start["id"] for start in witness.starts(shop.witness)]
    assert len(starts) == len(set(starts))


@pytest.fixture(scope="module")
def quorum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The most mixed of the workers, where the platform asks for quorum queues."""
    folder = tmp_path_factory.mktemp("quorum")
    policy = "version: 1\nparameters: {queue-declarations: {queue_type: quorum}}\n"
    with (
        deployed("rabbitmq", folder, more=EXTRA, policy=policy) as shop,
        shop.started(["shop.standard.io"]),
    ):
        yield shop


def test_where_they_are_asked_for_queues_are_quorum_queues_on_topic_exchanges(quorum):
    queues = quorum.plan.scopes("queue")
    kinds = {
        (quorum.plan.value(queue, "exchange_type"), quorum.plan.value(queue, "type")) for queue in queues
    }
    assert kinds == {("topic", "quorum")}


def test_quorum_queues_run_every_kind_of_task_once(quorum):
    names = [name for name in quorum.declared if quorum.expected(name)["worker"] == "shop.standard.io"]
    assert {quorum.expected(name)["acks_late"] for name in names} == {True, False}
    ids = quorum.send(*names, "stray.wander")
    # The exchanges of a delay are declared by the first worker there ever is; until then it cannot be sent.
    quorum.wait_for_ends(ids)
    delayed = quorum.send("shop.payments.refund", "shop.mail.send_newsletter", countdown=2)
    quorum.wait_for_ends(delayed)
    assert len(quorum.runs(ids)) == len(ids)
    assert len(quorum.runs(delayed)) == len(delayed)
    assert quorum.outcomes([*ids, *delayed]) == ["SUCCESS"] * (len(ids) + len(delayed))
    assert quorum.uninvited() == []
