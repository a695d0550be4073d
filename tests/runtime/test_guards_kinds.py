"""Guards around each kind of task that people write, in each pool, also beside Sentry and OpenTelemetry."""

from __future__ import annotations

import pytest
from guarded import KEYED, deploy, take
from places import SUPPORT
from processes import wait_until
from servers import redis_server

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_kinds.py").read_text("utf-8")
OWN = {"own_call": "own", "decorated_call": "decorated"}
"""Kinds with a `__call__` of their own, and what it adds."""
PLAIN = ("plain", "shared", "bound", "shared_bound", "autoretry", "autoretry_plain", "written", "own_start")
KINDS = (*PLAIN, *OWN, "pydantic")
POOLS = ("prefork", "threads", "gevent", "solo")
TRIP = {"failures": 10, "within": 10.0, "open_for": 1.0, "probes": 1}
STRIPE = {"breaker": TRIP, "rate": 1000.0, "burst": 1000, "hold": 2.0}
GUARDS = KEYED | {"calls": ["stripe"], "failures": {"stripe": ["OSError"]}}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "with Sentry and OpenTelemetry"])
@pytest.mark.parametrize("pool", POOLS)
def test_each_kind_of_task_runs_once_in_each_pool(pool, watched, redis_url, tmp_path):
    """And what the application has of its own is still called."""
    site = deploy(
        tmp_path / "shop",
        redis_url,
        "import shop_watchers\n" * watched + APP.partition("annotations\n")[2],
        {"kinds.pydantic": GUARDS | {"key": "order.payment_id"}},
        patterns={"kinds.*": GUARDS},
        dependencies={"stripe": STRIPE},
    )
    site.add("shop_watchers")

    def send(kind):
        return site.send(f"kinds.{kind}", {"payment_id": kind} if kind == "pydantic" else kind)

    # With gevent, kombu looks for a message once a second if all slots are taken.
    with site.worker("w", pool=pool, slots=2 if pool == "prefork" else 2 * len(KINDS)):
        first = {kind: send(kind) for kind in KINDS}
        found = dict(zip(first, site.succeeded(list(first.values())), strict=True))
        again = site.succeeded([send(kind) for kind in KINDS])
        seen = [f"otel run/kinds.{kind}" for kind in KINDS] + [f"sentry transaction kinds.{x}" for x in KINDS]
        take(site, "kinds.plain", "held", 0.5)
        site.succeeded([site.send("kinds.plain", "held")])
        if watched:
            wait_until(lambda: set(seen) <= set(site.effects.lrange("seen", 0, -1)), "both have seen all")
    assert again == list(found.values())
    for kind, result in found.items():
        own = [OWN[kind]] if kind in OWN else []
        assert result == [*own, kind, first[kind].id, int(kind == "autoretry_plain"), True]
    assert [site.effect(kind) for kind in KINDS] == [1] * len(KINDS)
    assert (site.effects.get("before start"), site.effects.get("accepted")) == ("2", "2")
    # To wait is no error. (The instrumentation itself has one, on a retry in a thread.)
    events = [each for each in site.effects.lrange("seen", 0, -1) if each.startswith("sentry event")]
    assert not [each for each in events if "Retry" in each or "Parked" in each]
    assert "another run of task kinds.plain" in (site.folder / "w.log").read_text()
