"""What people hear of a fault: the right alert, at the right receiver, once, until it is repaired.

Real workers, beat, broker, exporter, Prometheus and Alertmanager with the compiled files. A minute of the
alerts lasts two seconds. Another service in the same Prometheus fails all the time, and nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from alerted import Stack
from processes import wait_until
from watched import RabbitShop, Shop, watched

from policycompiler.knowledge.signals import SIGNALS

pytestmark = pytest.mark.server

QUIET_SECONDS = 120


class Fault(NamedTuple):
    """What breaks, which alert reaches whom, what repairs it, and other pages that it may send."""

    what: str
    breaks: Callable[[Shop], object]
    alert: str
    receiver: str
    repairs: Callable[[Shop], object]
    also: frozenset[str] = frozenset()


KILLED = Fault(
    "a worker is killed",
    lambda shop: shop.kill("mail"),
    "CeleryQueueNoConsumer",
    "storefront",
    lambda shop: shop.start("mail"),
)
LATE = Fault(
    "many wait longer than promised",
    lambda shop: shop.let_many_wait(),
    "CeleryQueueWaitBudgetFast",
    "storefront",
    lambda shop: shop.drop("mail"),
    frozenset({"CeleryQueueDrainTimeCritical"}),
)
DEAD = Fault(
    "a run fails for good",
    lambda shop: shop.pay(1, fails=True),
    "CeleryDeadLetterGrowth",
    "payments",
    lambda shop: shop.drop("pay.dead"),
)
FAULTS = (
    KILLED,
    KILLED._replace(what="a worker is stopped", breaks=lambda shop: shop.stop("mail")),
    KILLED._replace(
        what="a queue has no consumer",
        breaks=lambda shop: shop.app.control.cancel_consumer("mail"),
        repairs=lambda shop: shop.restart("mail"),
    ),
    LATE,
    # Before those of many runs, whose window is longer.
    DEAD,
    Fault(
        "runs fail",
        lambda shop: shop.pay(120, fails=True),
        "CeleryTaskErrorBudgetFast",
        "payments",
        lambda shop: shop.drop("pay.dead"),
    ),
    Fault(
        "a dependency is down",
        lambda shop: shop.call(),
        "CeleryBreakerOpen",
        "payments",
        lambda shop: shop.close_breaker(),
    ),
    Fault(
        "the store of guards is down",
        lambda shop: shop.store.kill(),
        "CeleryGuardStoreDown",
        "pager",
        lambda shop: shop.store.start(),
    ),
    Fault(
        "beat is stopped",
        lambda shop: shop.stop("beat"),
        "CeleryBeatDown",
        "pager",
        lambda shop: shop.start("beat"),
    ),
    Fault(
        "a schedule is gone",
        lambda shop: shop.restart("beat", SCHEDULE_GONE="rarely"),
        "CeleryScheduleNotSent",
        "pager",
        lambda shop: shop.restart("beat"),
    ),
    Fault(
        "the memory is nearly full",
        lambda shop: shop.fill(),
        "RedisBrokerMemoryCritical",
        "pager",
        lambda shop: shop.limit(),
    ),
    Fault(
        "the broker is down",
        lambda shop: shop.broker.kill(),
        "CeleryBrokerDown",
        "pager",
        lambda shop: (shop.broker.start(), shop.limit()),
    ),
    Fault(
        "the exporter is down",
        lambda shop: shop.kill("exporter"),
        "CeleryExporterDown",
        "pager",
        lambda shop: shop.start("exporter"),
    ),
)
ON_RABBITMQ = (
    KILLED,
    DEAD,
    FAULTS[10]._replace(alert="RabbitMQMemoryAlarm"),
    FAULTS[11],
)


@pytest.fixture(scope="module")
def on_redis(tmp_path_factory) -> Iterator[tuple[Shop, Stack]]:
    with watched(Shop, tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(scope="module")
def on_rabbitmq(tmp_path_factory) -> Iterator[tuple[Shop, Stack]]:
    with watched(RabbitShop, tmp_path_factory.mktemp("rabbitmq")) as found:
        yield found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_reaches_the_right_people_once_and_ends_with_its_repair(on_redis, fault):
    heard_once(*on_redis, fault)


@pytest.mark.parametrize("fault", ON_RABBITMQ, ids=lambda fault: fault.what)
def test_so_it_does_on_rabbitmq(on_rabbitmq, fault):
    heard_once(*on_rabbitmq, fault)


def heard_once(shop: Shop, watching: Stack, fault: Fault) -> None:
    people = watching.people
    watching.wait_for_quiet(QUIET_SECONDS)
    before = len(people.told)
    fault.breaks(shop)
    for status, act in (("firing", fault.repairs), ("resolved", None)):
        wait_until(
            lambda s=status: any(each.alert == fault.alert for each in people.of(s, before)),
            f"people hear that {fault.alert} is {status}",
            seconds=QUIET_SECONDS,
        )
        if act is not None:
            act(shop)
    watching.wait_for_quiet(QUIET_SECONDS)
    heard = people.of("firing", before)
    ours = {(each.receiver, each.since) for each in heard if each.alert == fault.alert}
    assert [who for who, _ in ours] == [fault.receiver]
    pages = {each.alert for each in heard if each.labels["severity"] == "critical"}
    assert pages <= {fault.alert} | fault.also
    assert {each.labels["app"] for each in heard} == {"shop"}


def test_the_telemetry_has_each_metric_and_label_that_rules_read(on_redis):
    shop, watching = on_redis
    shop.app.send_task("shop.unknown", queue="ticks")
    shop.app.send_task("shop.pay", args=["x" * 2000])
    for shown, metric in SIGNALS["telemetry"].items():
        name = f"{metric.name}_bucket" if metric.buckets is None else metric.name
        wanted = {"service", *metric.labels, *(label for label in (metric.queue, metric.task) if label)}

        def is_there(name=name, wanted=wanted, metric=metric) -> bool:
            found = [each for each in watching.series(f"{name}{{service='shop'}}") if wanted <= set(each)]
            values = [all(each[label] in metric.labels[label] for label in metric.labels) for each in found]
            return any(values)

        wait_until(is_there, f"{shown}: {name} with {sorted(wanted)}", seconds=QUIET_SECONDS)
