"""A process of a fleet that reserves calls as fast as it can; it imports little, because there are many."""

from __future__ import annotations

import os

import redis

from policycompiler.runtime.guards.rates import Rate
from policycompiler.runtime.guards.store import Store
from policycompiler.runtime.guards.told import Dependency

RATE, BURST = 100.0, 10


def reserve(url, number, found, ready):
    """Put the moment of each call, by the clock of the store; what a worker sleeps until."""
    os.environ["STORE_URL"] = url
    rate = Rate(Store("STORE_URL"), "shop:", Dependency("stripe", RATE, BURST, hold=60), 1)
    clock = redis.Redis.from_url(url)
    ready.wait(60)
    for _ in range(number):
        seconds, micros = clock.time()
        found.put(seconds + micros / 1e6 + rate.reserve())
