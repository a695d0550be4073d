"""Messages that are too large to be carried lightly.

Decides:
    `task:NAME/options.compression` where the largest message is large and nobody pins a compression.

Because:
    A broker keeps every waiting message in memory or writes it to disk, and copies it to a worker whole:
    a queue of ten thousand messages of 1 MiB is 10 GiB. What is large is better kept in a store, and its key
    sent. Until then gzip, which Python always has, shrinks JSON to a fraction, and the message says so
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#compression).

Example:
    tasks: {shop.import.rows: {payload: 100KiB}}

    task:shop.import.rows/options.compression = "gzip"
    refuses payload-large

Refuses:
    PC255 payload-large: send a reference to what is stored elsewhere.
        fires: tasks: {shop.a: {payload: 65KiB}}
        silent: tasks: {shop.a: {payload: 64KiB}}
    PC256 payload-too-large: send a reference to what is stored elsewhere.
        fires: tasks: {shop.a: {payload: 2MiB}}
        silent: tasks: {shop.a: {payload: 1MiB}}

Parameters:
    `large`: above this a message is compressed, and a warning; 64KiB.
    `largest`: above this a message is an error; 1MiB.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Finding, error, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Size
from policycompiler.plan import APP, Constant, Decision, Derived, Parameter, Plan, Scope

NAME = "message-size"

PAYLOAD_LARGE = warning("PC255", "payload-large")
PAYLOAD_TOO_LARGE = error("PC256", "payload-too-large")

COMPRESSION = "gzip"
"""In Python's own library, so every producer and worker has it."""
KIB = 1024


class Parameters(PolicyParameters):
    """What a policy file may set."""

    large: Size = Field(
        64 * KIB, description="above this a message is compressed, and a warning; brokers are made for less"
    )
    largest: Size = Field(
        1024 * KIB, description="above this a message is an error; SQS carries no more, and others slow down"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Compress what is large, and object to it."""
    key = "options.compression"
    for name, task in spec.tasks.items():
        scope, path = Scope("task", name), ("tasks", name, "payload")
        if task.payload is None or task.payload <= min(tuned.large, tuned.largest):
            continue
        too_large = task.payload > tuned.largest
        finding: Finding = PAYLOAD_TOO_LARGE if too_large else PAYLOAD_LARGE
        most = tuned.largest if too_large else tuned.large
        message = (
            f"a message of {name} may have {_kib(task.payload)}, more than {_kib(most)}: the broker holds "
            "each one that waits"
        )
        help_text = "store it elsewhere and send its key; if the bodies are small after all, declare that"
        yield finding.at(path, message, help=help_text)
        pinned = plan.find(scope, key) or plan.get(APP, "task_compression")
        if task.payload > tuned.large and not pinned and not plan.value(scope, "external"):
            parameter = Parameter(("parameters", NAME, "large"), tuned.large)
            origins = (Derived(scope, "payload_bytes"), parameter, Constant("COMPRESSION", COMPRESSION))
            because = f"messages of up to {_kib(task.payload)}, more than {_kib(tuned.large)}"
            yield Decision(scope, key, COMPRESSION, because, origins)


def _kib(size: int) -> str:
    return f"{size / KIB:g} KiB"
