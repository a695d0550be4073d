"""Messages that are too large.

Decides:
    `task:NAME/options.compression` if the largest message is large and no compression is pinned.

Because:
    A broker keeps every waiting message in memory or on disk and copies the whole message to a worker. A
    queue of ten thousand messages of 1 MiB takes about 10 GiB. Keep large data in a store and send its key.
    Until then gzip, which Python always has, shrinks JSON to a fraction. Each message names its compression
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#compression).

Example:
    tasks: {shop.import.rows: {payload: 100KiB}}

    task:shop.import.rows/options.compression = "gzip"
    refuses payload-large

Refuses:
    PC255 payload-large: store the data elsewhere and send its key.
        fires: tasks: {shop.a: {payload: 65KiB}}
        silent: tasks: {shop.a: {payload: 64KiB}}
    PC256 payload-too-large: store the data elsewhere and send its key.
        fires: tasks: {shop.a: {payload: 2MiB}}
        silent: tasks: {shop.a: {payload: 1MiB}}

Parameters:
    `large`: larger messages are compressed and give a warning; 64KiB.
    `largest`: larger messages give an error; 1MiB.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Finding, error, warning
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Size
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope
from policycompiler.policies.policy import parameter

NAME = "message-size"

PAYLOAD_LARGE = warning("PC255", "payload-large")
PAYLOAD_TOO_LARGE = error("PC256", "payload-too-large")

COMPRESSION = "gzip"
"""In Python's standard library, so every publisher and worker has it."""
KIB = 1024
MIB = 2**20


class Parameters(PolicyParameters):
    """What a policy file may set."""

    large: Size = Field(
        64 * KIB,
        description="larger messages are compressed and give a warning; brokers expect smaller messages",
    )
    largest: Size = Field(
        1024 * KIB,
        description="larger messages give an error; SQS refuses them, and other brokers slow down",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Compress large messages, and report them."""
    key = "options.compression"
    for name, task in spec.tasks.items():
        scope, path = Scope("task", name), ("tasks", name, "payload")
        if task.payload is None or task.payload.max <= min(tuned.large, tuned.largest):
            continue
        too_large = task.payload.max > tuned.largest
        finding: Finding = PAYLOAD_TOO_LARGE if too_large else PAYLOAD_LARGE
        most = tuned.largest if too_large else tuned.large
        message = (
            f"a message of {name} may have {_exact(task.payload.max)}, more than {_exact(most)}: the broker "
            "keeps every waiting message"
        )
        help_text = "store the data elsewhere and send its key, or correct `payload` if it is smaller"
        yield finding.at(path, message, help=help_text)
        pinned = plan.find(scope, key) or plan.get(APP, "task_compression")
        free = not pinned and not plan.value(scope, "external") and not plan.as_is(scope)
        if task.payload.max > tuned.large and free:
            large = parameter(NAME, "large", tuned.large)
            origins = (Derived(scope, "payload_bytes"), large, Constant("COMPRESSION", COMPRESSION))
            because = f"its messages have up to {_exact(task.payload.max)}, more than {_exact(tuned.large)}"
            yield Decision(scope, key, COMPRESSION, because, origins)


def _exact(size: int) -> str:
    """A size without rounding, so that two that differ never read alike."""
    return f"{size // MIB} MiB" if size % MIB == 0 else f"{size / KIB:g} KiB"
