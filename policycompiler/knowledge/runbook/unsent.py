"""What people see of a send that fails, and of a task or a schedule that never runs."""

from __future__ import annotations

from policycompiler.knowledge.runbook.entry import Deed, Fact, Reason, Symptom

PUBLISHER = Symptom(
    "A publisher gets an error",
    (Deed.BROKER, Deed.STATUS),
    (
        Reason(
            "The broker is down, or the host of the publisher cannot reach it",
            "`OperationalError` or `ConnectionRefusedError`",
            "Run the first command on that host. See CeleryBrokerDown.",
        ),
        Reason(
            "The memory of the broker is full",
            "`command not allowed when used memory`",
            "See RedisBrokerMemoryCritical.",
            Fact.IN_MEMORY,
        ),
        Reason(
            "The broker blocks publishers: a send hangs",
            "an alarm of memory or disk",
            "See RabbitMQMemoryAlarm.",
            Fact.BLOCKS,
        ),
        Reason(
            "A wrong password, user or virtual host",
            "`NOAUTH`, `WRONGPASS`, `ACCESS_REFUSED` or `NOT_ALLOWED`",
            "Give the publisher the URL of the workers.",
        ),
        Reason(
            "The queue exists with other arguments",
            "`PreconditionFailed` and `inequivalent arg`",
            "Give the publisher the compiled `celeryconfig.py`. Do not delete a queue that holds messages.",
            Fact.DECLARED,
        ),
        Reason(
            "Its message is too large, or its queue is full",
            "`PayloadTooLarge` or `QueueFull`",
            "Send a key instead of the data, or send later. Raise a bound only if workers keep up.",
            Fact.REFUSES,
        ),
        Reason(
            "An argument cannot be serialized",
            "`EncodeError` or `not JSON serializable`",
            "Send plain data, such as a key instead of an object.",
        ),
        Reason(
            "It asks for a result, and has no result backend",
            "`No result backend` or `DisabledBackend`",
            "Do not ask, or give the publisher the compiled `celeryconfig.py`.",
        ),
    ),
)
NEVER_RUNS = Symptom(
    "A task never runs",
    (Deed.STATUS, Deed.CONSUMED, Deed.SCHEDULED),
    (
        Reason(
            "No worker consumes its queue",
            "a queue without workers in `status`",
            "See CeleryQueueNoConsumer.",
        ),
        Reason(
            "It was sent to another queue: a `queue` in the call or the decorator wins over the routes",
            "messages in a queue that is not in the plan",
            "Remove that `queue`, or declare the queue in the workload.",
        ),
        Reason(
            "The publisher uses another broker, database or key prefix",
            "no message anywhere after a send",
            "Give the publisher the same variables and the compiled `celeryconfig.py`.",
        ),
        Reason(
            "The worker does not know the task, and discards it",
            "`Received unregistered task` in the log",
            "See CeleryTaskUnregistered.",
        ),
        Reason(
            "It expired or was revoked before its start",
            "`Discarding revoked task` in the log",
            "Fix the backlog, or send with a longer `expires`.",
        ),
        Reason(
            "It has a countdown or an ETA", "it is in the list of countdowns", "Wait, or send it without one."
        ),
        Reason(
            "A schedule should have sent it", "it has a schedule", 'See "A schedule did not run".', Fact.BEAT
        ),
        Reason(
            "The breaker of what it calls is open, so it waits",
            "`guards: pause queue` or `calls of` in the log",
            "See CeleryBreakerOpen.",
            Fact.BREAKERS,
        ),
        Reason(
            "A killed worker held it",
            "it was prefetched, and its worker is gone",
            "Wait {visibility}: then another worker gets it.",
            Fact.REDELIVERY,
        ),
    ),
)
SCHEDULE = Symptom(
    "A schedule did not run",
    (Deed.BEAT_STATE, Deed.SENDS, Deed.SCHEDULES, Deed.SEND),
    (
        Reason("Beat does not run", "its state", "See CeleryBeatDown.", Fact.BEAT),
        Reason(
            "Beat did not send it",
            "`Sending due task` with other names only",
            "See CeleryScheduleNotSent.",
            Fact.BEAT,
        ),
        Reason(
            "The send failed",
            "`Couldn't apply scheduled task`",
            "Fix what it names, often the broker.",
            Fact.BEAT,
        ),
        Reason(
            "Beat was down at that time, and does not send each missed run later",
            "a gap in its log",
            "Send it once by hand.",
            Fact.BEAT,
        ),
        Reason(
            "It was sent, and has not started",
            "`Sending due task`, and no `received` with its name",
            'See "A task never runs".',
            Fact.BEAT,
        ),
        Reason("It was started, and failed", "an exception in the log", 'See "A task fails".', Fact.BEAT),
        Reason(
            "Its time is in another time zone",
            "it ran some hours earlier or later",
            "Correct `timezone` in the workload.",
            Fact.BEAT,
        ),
    ),
)
