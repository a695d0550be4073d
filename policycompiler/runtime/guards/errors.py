"""What guards raise. All can be pickled: they go from a process to its parent."""

from __future__ import annotations

from kombu.exceptions import EncodeError, SerializerNotInstalled


class Parked(Exception):  # noqa: N818 - it is no error
    """Why a task waits: its message was sent again for later. No retry is used up."""


class KeyMissing(Exception):  # noqa: N818 - the contract's words
    """A task has no value for its idempotency key."""


class OtherArguments(Exception):  # noqa: N818 - the contract's words
    """The idempotency key has been used with other arguments."""


class Poisoned(Exception):  # noqa: N818 - the contract's words
    """The processes of a task were lost too often."""


class QueueFull(Exception):  # noqa: N818 - the contract's words
    """A queue has as many messages as it may have. Send the message later."""

    def __init__(self, queue: str, depth: int, bound: int) -> None:
        super().__init__(queue, depth, bound)
        self.queue, self.depth, self.bound = queue, depth, bound

    def __str__(self) -> str:
        full = f"queue {self.queue} has {self.depth} messages"
        return f"{full}; publishers may fill it up to {self.bound}"


class PayloadTooLarge(EncodeError, SerializerNotInstalled):  # noqa: N818
    """A message is larger than its task allows.

    kombu wraps each error of a serializer, except `SerializerNotInstalled`.
    """

    def __init__(self, task: str, size: int, bound: int) -> None:
        super().__init__(task, size, bound)
        self.task, self.size, self.bound = task, size, bound

    def __str__(self) -> str:
        return (
            f"the message of task {self.task} has {self.size} bytes; "
            f"{self.bound} are allowed: send a reference instead of the content"
        )


class Later(Exception):  # noqa: N818 - never leaves the package
    """A guard asks to run the task later."""

    def __init__(self, seconds: float, reason: str, says: str) -> None:
        super().__init__(seconds, reason, says)
        self.seconds, self.reason, self.says = seconds, reason, says


class StoreDownError(Exception):
    """The store does not answer, or refuses to write."""
