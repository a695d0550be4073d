"""A simulator of workers by Celery's own rules, for what the formulas leave out, and to check them.

`simulate` runs a fleet: prefetching, late acknowledgement, queues, priorities, rate limits, autoscalers.
`ideal_waits` is the queue that the formulas describe. All random numbers come from a seed.
"""

from __future__ import annotations

from policycompiler.sizing.simulation.fleet import RABBITMQ, REDIS, Broker, Fleet, Worker
from policycompiler.sizing.simulation.ideal import ideal_waits
from policycompiler.sizing.simulation.run import Outcome, simulate
from policycompiler.sizing.simulation.traffic import (
    Arrivals,
    Burst,
    Constant,
    Exponential,
    Flow,
    LogNormal,
    Message,
    Poisson,
    Regular,
    RunTime,
    messages,
)
from policycompiler.sizing.simulation.waits import Waits, measured

__all__ = [
    "RABBITMQ",
    "REDIS",
    "Arrivals",
    "Broker",
    "Burst",
    "Constant",
    "Exponential",
    "Fleet",
    "Flow",
    "LogNormal",
    "Message",
    "Outcome",
    "Poisson",
    "Regular",
    "RunTime",
    "Waits",
    "Worker",
    "ideal_waits",
    "measured",
    "messages",
    "simulate",
]
