"""Alerts on queues without workers, on queues that have stopped, and on messages that remain."""

from __future__ import annotations

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_PURGE = Never("Do not purge the queue: its tasks run as soon as a worker is back.")
_OTHER_QUEUE = Never(
    "Do not let another worker consume the queue by hand: its pool and its limits may not fit."
)
_GONE = (
    Cause("Somebody stopped the workers, or a deployment failed.", "Start them, and read why they stopped."),
    Cause(
        "They fail at the start: an import error, a missing variable, or a wrong broker URL.",
        "Read the last lines of the log. Roll the release back, or set the variable.",
    ),
    Cause(
        "The kernel killed them for lack of memory.",
        "Look for it in the kernel's log. Lower the slots, or give them more memory.",
        Fact.UNITS,
    ),
    Cause(
        "The platform killed them for lack of memory: the state says `OOMKilled` or exit code 137.",
        "Lower the slots, or raise the memory limit.",
        Fact.CONTAINERS,
    ),
    Cause("They cannot reach the broker, and others can.", "Check the network of their host."),
)

_CANCELED = Cause(
    "`cancel_consumer` was sent: the worker answers without the queue, and its log has `Canceling queue`.",
    "Restart it. Do not send `add_consumer` without `--destination`: all workers would consume the queue.",
    Fact.CONTROL,
)

NO_CONSUMER = Entry(
    means="No worker process consumes the queue. Its messages wait, and nothing starts.",
    limit="fewer than 1 worker process",
    looks=(Deed.STATUS, Deed.CONSUMED, Deed.PROCESSES),
    causes=(
        *_GONE,
        _CANCELED,
        Cause(
            "A worker runs, but its list of queues lacks this one.",
            "Compare its `--queues` with the plan, deploy the compiled files, and restart it. "
            "A start does nothing to a worker that runs.",
        ),
        Cause(
            "A solo worker runs a long task, and does not answer meanwhile.",
            "Wait for the end of the run, or give the long task a prefork worker.",
            Fact.SOLO,
        ),
    ),
    fixes=(Deed.LOGS, Deed.START, Deed.RESTART),
    never=(_PURGE, _OTHER_QUEUE),
    resolves="One worker process consumes the queue and has been seen by the source.",
)
STALLED = Entry(
    means="The queue holds messages, but no task starts, for longer than any run may take.",
    limit="messages wait and nothing starts for {window}",
    looks=(Deed.STATUS, Deed.ANSWERS, Deed.RUNS, Deed.CONSUMED),
    causes=(
        Cause(
            "All slots hang in a call without a timeout.",
            "The running tasks have old starts. Restart the workers, then set a timeout in the code.",
        ),
        Cause(
            "A worker no longer consumes after the broker came back, although it answers.",
            "Restart it.",
        ),
        _CANCELED,
        Cause(
            "Messages with a countdown fill the prefetched slots.",
            "Look for them in the list of countdowns. Send them to a queue of their own.",
            Fact.CONTROL,
        ),
        Cause(
            "Workers or publishers send no task events, so starts are not counted.",
            "Look for it in the differences from the plan, and deploy the compiled settings.",
            Fact.EVENTS,
        ),
    ),
    fixes=(Deed.SCHEDULED, Deed.DIFFERENCES, Deed.RESTART),
    never=(
        Never("Do not purge the queue: its tasks would be lost."),
        Never(
            "Do not kill workers with SIGKILL: their messages return only after {visibility}.",
            Fact.REDELIVERY,
        ),
        Never(
            "Do not restart workers again and again: tasks with late acknowledgment start from the beginning."
        ),
    ),
    resolves="A task of the queue starts, or the queue is empty.",
)
BELOW_MINIMUM = Entry(
    means="Fewer worker processes consume the queue than the plan has. The others still work.",
    limit="fewer than {minimum} worker processes",
    looks=(Deed.PROCESSES, Deed.ANSWERS),
    causes=_GONE,
    fixes=(Deed.LOGS, Deed.START),
    never=(
        Never("Do not lower `replicas` to end the alert: the thresholds of the other alerts follow from it."),
    ),
    resolves="All expected processes consume the queue.",
)
LOST = Entry(
    means="A worker process that answered within the last hour no longer does.",
    limit="a process is gone within {window}",
    looks=(Deed.PROCESSES, Deed.ANSWERS, Deed.KILLS),
    causes=(
        Cause("It was removed on purpose.", "Do nothing: the alert ends within an hour."),
        *_GONE,
        Cause("Its host is down.", "Start the host, or the processes on another one."),
    ),
    fixes=(Deed.LOGS, Deed.START),
    never=(
        Never("Do not start it a second time on another host before you know that the first one is dead."),
    ),
    resolves="The process answers again, or an hour has passed since its end.",
)
METRIC_MISSING = Entry(
    means="No source knows the queue, so no alert on its length can fire.",
    limit="no series of its length",
    looks=(Deed.STATUS,),
    causes=(
        Cause(
            "The source was started without this queue in its option.",
            "Start it with all queues of the plan: {counters}.",
            Fact.TOLD_QUEUES,
        ),
        Cause(
            "The queue does not exist in the broker.",
            "Start a worker of the queue: it declares the queue.",
            Fact.DECLARED,
        ),
        Cause(
            "The source looks at another server, database or virtual host than the workers.",
            "Compare its URL with that of the workers.",
        ),
        Cause(
            "The name of the queue changed in the workload.",
            "Deploy workers, rules and the source of metrics together.",
        ),
    ),
    fixes=(Deed.EXPORTER_STATE, Deed.EXPORTER_RESTART, Deed.DIFFERENCES, Deed.START),
    never=(Never("Do not read the missing metric as an empty queue."),),
    resolves="A source shows the length of the queue.",
)
UNACKED = Entry(
    means="Workers hold more messages of the queue than they may prefetch.",
    limit="more than {threshold} unacknowledged messages",
    looks=(Deed.STATUS, Deed.SCHEDULED, Deed.RESERVED),
    causes=(
        Cause(
            "Tasks with a countdown or an ETA wait inside the workers.",
            "Declare `max_countdown` in the workload, or give them a queue of their own.",
        ),
        Cause("Worker processes hang and keep their messages.", "Restart them: the messages return."),
        Cause(
            "A worker runs with another prefetch multiplier than the plan.",
            "Look for it in the differences from the plan, and restart the worker.",
        ),
    ),
    fixes=(Deed.DIFFERENCES, Deed.RESTART),
    never=(
        Never(
            "Do not wait for days: the broker closes a channel whose message is held for too long.",
            Fact.CONSUMER_TIMEOUT,
        ),
        Never("Do not delete the queue to free the messages: they would be lost."),
    ),
    resolves="Workers hold as many messages as they may prefetch.",
)
DEAD_LETTERS = Entry(
    means="Tasks failed for good, and their messages are kept. Nothing runs them again.",
    limit="more messages than {window} ago",
    looks=(Deed.LETTERS, Deed.SHOW, Deed.FAILURES),
    causes=(
        Cause(
            "The code fails for certain arguments.",
            "Other runs of the task succeed. Read the exceptions, fix and deploy the code. Then replay.",
        ),
        Cause("Another system was down for longer than all retries.", "Wait until it is back. Then replay."),
        Cause(
            "Runs reached their hard time limit: reason `time-limit`.",
            "See CeleryTaskKilled. Correct the limit, then replay.",
        ),
        Cause(
            "Messages expired in the queue: reason `expired`.",
            "They are too late to run. Drop them, and find why the queue was late.",
        ),
        Cause(
            "Workers did not know the task: reason `unknown-task`, or `rejected` on RabbitMQ.",
            "Deploy the workers, then replay.",
        ),
    ),
    fixes=(Deed.REPLAY, Deed.DROP),
    never=(
        Never("Do not replay before the cause is fixed: the letters come back."),
        Never("Do not replay tasks that may not run twice without a check of what they did."),
        Never("Do not move messages by hand: a killed command of policycompiler loses no letter."),
    ),
    resolves="No dead letter was added within the window. They remain until you replay or drop them.",
)

ENTRIES = {
    "CeleryQueueNoConsumer": NO_CONSUMER,
    "CeleryQueueStalled": STALLED,
    "CeleryQueueMetricMissing": METRIC_MISSING,
    "CeleryUnackedHigh": UNACKED,
    "CeleryDeadLetterGrowth": DEAD_LETTERS,
    "CeleryWorkersBelowMinimum": BELOW_MINIMUM,
    "CeleryWorkerLost": LOST,
}
