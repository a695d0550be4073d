"""What people see before an alert fires, and the true causes of it in Celery."""

from __future__ import annotations

from policycompiler.knowledge.runbook.entry import Deed, Fact, Reason, Symptom
from policycompiler.knowledge.runbook.unsent import NEVER_RUNS, PUBLISHER, SCHEDULE

RUNS_TWICE = Symptom(
    "A task runs twice",
    (Deed.RUNS, Deed.DIFFERENCES),
    (
        Reason(
            "It ran, or waited in a worker, for longer than the visibility timeout of {visibility}",
            "the second start comes about that long after the first delivery",
            "Correct `runtime` or `max_countdown` in the workload, and deploy all workers.",
            Fact.REDELIVERY,
        ),
        Reason(
            "A worker runs with a shorter visibility timeout, and restores the messages of all",
            "the differences from the plan name it",
            "Restart it with the compiled settings.",
            Fact.REDELIVERY,
        ),
        Reason(
            "The broker closed the channel of a message that was held too long",
            "`PRECONDITION_FAILED` and `delivery acknowledgement` in the log of the worker",
            "Shorten the run or the countdown, or raise `consumer_timeout` of the queue.",
            Fact.CONSUMER_TIMEOUT,
        ),
        Reason(
            "Its worker was killed or lost the connection, and the task is acknowledged late",
            "the first run has no end in the log",
            "This is the promise of late acknowledgment: make the task idempotent.",
        ),
        Reason(
            "Two processes of beat run",
            "two logs with `Sending due task`, or a worker with `--beat`",
            "Stop one of them.",
            Fact.BEAT,
        ),
        Reason(
            "The application sent it twice",
            "two task ids",
            "Fix the caller: Celery does not compare messages.",
        ),
    ),
)
PENDING = Symptom(
    "A result stays PENDING",
    (Deed.STATUS, Deed.RUNS),
    (
        Reason(
            "PENDING only means that the backend has no result for this id",
            "the log shows that the task has ended",
            "Ask for its state only where results are stored: see `ignore_result`.",
        ),
        Reason("The task has not run", "it is in no log", 'See "A task never runs".'),
        Reason(
            "The result has expired",
            "it ended longer ago than `result_expires`",
            "Fetch it sooner.",
            Fact.RESULTS,
        ),
        Reason(
            "Publisher and worker use different result backends",
            "their variables differ",
            "Give both the same variables.",
        ),
        Reason(
            "A chord waits: a task of its header raised `Ignore`, or the backend lost a key",
            "all other tasks of the header have ended",
            "Send the body by hand. Do not raise `Ignore` in a header.",
            Fact.RESULTS,
        ),
        Reason(
            "Its child process was killed, and the message goes back to the queue",
            "`WorkerLostError` or signal 9 in the log",
            'See "A worker is out of memory".',
        ),
        Reason(
            "The whole worker or its host was killed: nobody stored a result",
            "the log has `received` for the id, then the start of a new process",
            "With late acknowledgment, it runs again. Without, it is lost: send it again.",
        ),
    ),
)
MEMORY = Symptom(
    "A worker is out of memory",
    (Deed.KILLS, Deed.PROCESSES, Deed.RUNS),
    (
        Reason(
            "Each slot is a process, and there are too many for the memory",
            "all children are large",
            "Lower `concurrency`, or declare `memory` of the tasks.",
            Fact.CHILDREN,
        ),
        Reason(
            "Children grow with each task",
            "old children are larger than new ones",
            "Set `max_memory_per_child` or `max_tasks_per_child`. Then fix the leak.",
            Fact.CHILDREN,
        ),
        Reason(
            "One task reads too much at once",
            "it runs in the child that was killed",
            "Read in parts, or give it a worker of its own.",
        ),
        Reason(
            "The main process holds many countdowns or prefetched messages",
            "the main process is the largest",
            "Use a shorter countdown, or a queue of their own.",
        ),
        Reason(
            "Several workers share the host", "the sum is too large", "Move one, or give each a memory limit."
        ),
    ),
)
LATE = Symptom(
    "A task starts late",
    (Deed.STATUS, Deed.RUNS, Deed.RESERVED),
    (
        Reason(
            "More tasks arrive than the slots can run",
            "a long queue, and all slots are busy",
            "See CeleryQueueBacklog.",
        ),
        Reason("Worker processes are missing", "fewer than in the table below", "Start them."),
        Reason(
            "It waits inside a worker, behind a long run",
            "it is in the list of reserved messages",
            "Use a prefetch multiplier of 1 with late acknowledgment, or a queue for long tasks.",
        ),
        Reason(
            "A rate limit of Celery holds it: with a backlog it may fall to about 1 task per second",
            "it is in the list of reserved messages, and slots are free",
            "Remove `rate_limit`, and limit the pace by slots.",
        ),
        Reason(
            "It is a retry with a long delay", "its log has earlier runs", "Fix the failure, not the delay."
        ),
        Reason(
            "Messages with a higher priority pass it", "younger tasks start first", "Use a queue of its own."
        ),
        Reason(
            "The schedule was sent late",
            "`Sending due task` in the log of beat",
            'See "A schedule did not run".',
            Fact.BEAT,
        ),
    ),
)
LIMIT = Symptom(
    "A limit is not kept",
    (Deed.DIFFERENCES, Deed.RUNS),
    (
        Reason(
            "The pool ignores time limits",
            "the pool in the table below: only prefork keeps both limits",
            "Use prefork, or timeouts in the code.",
            Fact.NO_LIMITS,
        ),
        Reason(
            "The message has a limit of its own: that of a publisher wins over that of the worker",
            "the publisher has other settings, or the call has a `time_limit`",
            "Give the publisher the compiled `celeryconfig.py`.",
        ),
        Reason(
            "The task catches the soft limit: `except Exception` takes `SoftTimeLimitExceeded`",
            "the run ends only at the hard limit",
            "Raise `SoftTimeLimitExceeded` again.",
        ),
        Reason(
            "`rate_limit` counts in each worker process, not in all of them",
            "the pace is the limit times the processes",
            "Use one process, or a limit in a shared store.",
        ),
        Reason(
            "Workers run an older plan",
            "the differences from the plan name it",
            "Restart them with the compiled files.",
        ),
        Reason(
            "A child is replaced only after its task ends, so one run may exceed `max_memory_per_child`",
            "the run goes on above the limit",
            "Limit the memory of the unit or the container.",
            Fact.CHILDREN,
        ),
    ),
)
FAILS = Symptom(
    "A task fails",
    (Deed.FAILURES, Deed.LETTERS, Deed.SHOW),
    (
        Reason(
            "The code or another system fails",
            "`raised unexpected` with the exception",
            "See CeleryTaskFailureRate.",
        ),
        Reason(
            "It reached its time limit",
            "`SoftTimeLimitExceeded` or `Hard time limit`",
            "See CeleryTaskKilled.",
        ),
        Reason("Its process was killed", "`WorkerLostError`", 'See "A worker is out of memory".'),
        Reason(
            "All retries are used up",
            "`MaxRetriesExceededError`, or the exception of the last retry",
            "Fix what the exception names. Then send it again.",
        ),
        Reason(
            "Its arguments do not fit the function",
            "`TypeError` with the name of the function",
            "Publisher and worker run different releases: deploy both.",
        ),
        Reason(
            "The worker refuses the format of the message",
            "`ContentDisallowed`",
            "Give publisher and worker the same compiled `celeryconfig.py`.",
        ),
        Reason(
            "Its key is missing, or an earlier message has the same key and other arguments",
            "`KeyMissing` or `OtherArguments`",
            "Correct the publisher: it gives each effect a key of its own.",
            Fact.KEYED,
        ),
        Reason(
            "Several of its runs ended without an outcome",
            "`Poisoned`",
            "See CeleryGuardPoisoned.",
            Fact.KEYED,
        ),
        Reason(
            "Its message is kept as a dead letter",
            "it is in the list",
            "See CeleryDeadLetterGrowth.",
            Fact.LETTERS,
        ),
    ),
)
SYMPTOMS = (PUBLISHER, NEVER_RUNS, FAILS, RUNS_TWICE, LATE, SCHEDULE, PENDING, MEMORY, LIMIT)
"""The triage table, in this order."""
