"""What a policy file may set of the slots and processes of workers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from policycompiler.model import PolicyParameters
from policycompiler.plan import MOST_PROCESSES, Parameter
from policycompiler.policies.policy import parameter
from policycompiler.sizing import CAUTION

NAME = "concurrency"


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    busy_at_peak: Annotated[float, Field(ge=0.05, le=0.95)] = Field(
        0.7,
        description="share of the slots busy at peak; above it, waits grow faster than the load",
    )
    busy_at_peak_shared: Annotated[float, Field(ge=0.05, le=0.95)] = Field(
        0.35,
        description="the same in a pool whose slots share a process: a reserve for bursts costs little there",
    )
    wait_margin: Annotated[float, Field(ge=CAUTION, le=10)] = Field(
        1.1, description="factor on computed waits; 1.1 is their largest error compared with simulations"
    )
    wait_margin_without_peak: Annotated[float, Field(ge=CAUTION, le=10)] = Field(
        2.0, description="the same if a task declares no peak rate: real messages come in bursts"
    )
    fewest_slots: Annotated[int, Field(ge=1, le=1000)] = Field(
        2, description="fewest slots if rates are declared, because one slow run must not block a queue"
    )
    most_slots: Annotated[int, Field(ge=1, le=10000)] = Field(
        32, description="most slots of one worker process; a prefork slot is a child of 20 MB or more"
    )
    most_slots_shared: Annotated[int, Field(ge=1, le=10000)] = Field(
        200, description="the same in a pool whose slots share a process; a slot takes about 0.1 MB"
    )
    runs_per_second: Annotated[float, Field(gt=0, le=100_000)] = Field(
        300.0,
        description="most runs per second of a process whose slots share it; Celery needs 1 ms for each",
    )
    slots_io: Annotated[int, Field(ge=1, le=10000)] = Field(
        4, description="slots if not all rates are declared; tasks that wait can share a core"
    )
    slots_cpu: Annotated[int, Field(ge=1, le=10000)] = Field(
        2, description="slots if not all rates are declared; tasks that compute cannot share a core"
    )
    assumed_slots: Annotated[int, Field(ge=1, le=10000)] = Field(
        4, description="slots that policies assume if the machine or an environment variable decides them"
    )
    many_processes: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] = Field(
        100,
        description="a worker that needs more processes probably has a wrong declared number",
    )
    many_slots: Annotated[int, Field(ge=1, le=10000)] = Field(
        1000, description="with pinned replicas, more slots per process suggest a wrong declared number"
    )
    autoscale: bool = Field(
        default=False, description="start prefork workers with `--autoscale`, from the mean rate to the peak"
    )

    def origin(self, key: str) -> Parameter:
        """A parameter as an origin of a decision."""
        return parameter(NAME, key, getattr(self, key))
