"""Alerts on runs: failed, killed, retried too often, too slow, unknown, or too large."""

from __future__ import annotations

from dataclasses import replace

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_RELEASE = Cause(
    "A new release of the code fails.", "Compare the first failure with the last deployment, and roll back."
)
_DEPENDENCY = Cause(
    "A database or another system that the tasks call is down or slow.",
    "The exception in the log names it. Call its owner. Switch it off in the application if you can, "
    "and wait.",
)
_NO_RETRY_STORM = Never(
    "Do not raise the number of retries while the other system is down: that adds load and backlog."
)

FAILURE_RATE = Entry(
    means="Too large a share of the runs of the queue fails for good. Runs that are retried do not count.",
    limit="more than {share} of at least {minimum} runs fail within {window}",
    looks=(Deed.FAILURES, Deed.LETTERS, Deed.SHOW, Deed.STATUS),
    causes=(
        _RELEASE,
        _DEPENDENCY,
        Cause("Runs are killed at their time limit.", "See CeleryTaskKilled."),
        Cause("A publisher sends wrong arguments.", "Fix the publisher: the workers cannot."),
    ),
    fixes=(
        "# a restart alone heals nothing: first deploy the repaired code, or the release before",
        Deed.RESTART,
    ),
    never=(
        Never("Do not stop the workers only to stop the failures: the healthy tasks would be late."),
        Never("Do not replay dead letters before the cause is fixed.", Fact.LETTERS),
        Never("No queue keeps failed messages here: save what you need from the log.", Fact.NO_LETTERS),
        _NO_RETRY_STORM,
    ),
    resolves="The share of failures in the window is below the limit.",
)
ERROR_BUDGET = replace(
    FAILURE_RATE,
    means=(
        "The queue misses its objective: failures use up the budget of 30 days too fast. "
        "The fast alert means hours, and the slow one means days."
    ),
    resolves="The shorter of its two windows has few failures. It may take minutes after the fix.",
)
NEW_FAILURE = Entry(
    means="A run of a critical task failed for good. The workload says that each failure matters.",
    limit="one failure within {window}",
    looks=(Deed.FAILURES, Deed.LETTERS),
    causes=(
        _DEPENDENCY,
        _RELEASE,
        Cause(
            "The arguments of this one run are wrong.", "The log has the task id. Ask the owner of the data."
        ),
        Cause("The run was killed.", "See CeleryTaskKilled."),
    ),
    fixes=(Deed.SHOW, Deed.REPLAY),
    never=(
        Never("Do not run the task again before you know how far it came, unless it may run twice."),
        Never("Do not wait for a retry: there is none left."),
    ),
    resolves="No further failure was counted within the window. The failed run still needs a person.",
)
UNREGISTERED = Entry(
    means="A worker got a message with a task name that its code does not register, and discarded it.",
    limit="one message within {window}",
    looks=(Deed.REGISTERED, Deed.LOGS, Deed.DIFFERENCES),
    causes=(
        Cause(
            "Publishers are newer than the workers.", "Roll the publishers back, or deploy the workers now."
        ),
        Cause(
            "The module of the task is not imported by the worker.",
            "Add it to `imports` or `include` of the app, and deploy.",
        ),
        Cause(
            "A task was renamed or removed, and old messages remain.",
            "Declare `renamed_from` in the workload, or keep the old name until the queue is empty.",
        ),
        Cause(
            "Another application sends into a queue of this one.",
            "Find it by the task name, correct its queue.",
        ),
    ),
    fixes=(Deed.RESTART, Deed.LETTERS),
    never=(
        Never("Do not restart workers with the same code: they discard the next message, too."),
        Never("Do not purge the queue: it also contains tasks that the workers know."),
    ),
    resolves="No such message came within the window. Without a dead-letter queue, the messages are lost.",
)
KILLED = Entry(
    means="A run reached its hard time limit and was killed, or its process was lost.",
    limit="one killed run within {window}",
    looks=(Deed.LOGS, Deed.KILLS, Deed.PROCESSES),
    causes=(
        Cause(
            "The run hangs or is slow: the log has `Hard time limit`.",
            "Set timeouts in its calls. Correct `runtime` in the workload if the run needs the time.",
        ),
        Cause(
            "The process was killed for lack of memory: the log has `WorkerLostError` and signal 9.",
            "Lower the slots, or raise the memory. See the triage table.",
        ),
        Cause(
            "Somebody sent TERM to the whole process group: all running tasks have `WorkerLostError`.",
            "Stop only the main process, as the compiled units do.",
        ),
        Cause("A C extension crashed: the log has signal 11.", "Roll the library back."),
    ),
    fixes=(Deed.LETTERS,),
    never=(
        Never("Do not raise the limit without the reason: a hanging run would hold its slot for longer."),
        Never("Do not run the task again before you know how far it came, unless it may run twice."),
    ),
    resolves="No run was killed within the window.",
)
RETRY_STORM = Entry(
    means="Most runs are retries: tasks fail, wait and try again. They use slots and get later.",
    limit="more than {share} of at least {minimum} runs are retries within {window}",
    looks=(Deed.LOGS, Deed.SCHEDULED),
    causes=(
        _DEPENDENCY,
        _RELEASE,
        Cause(
            "Another system limits the rate of requests.",
            "Lower the slots of the worker until it accepts them.",
        ),
    ),
    fixes=(Deed.STATUS,),
    never=(
        _NO_RETRY_STORM,
        Never("Do not restart workers to end it: the retries return, and go on."),
    ),
    resolves="The share of retries in the window is below the limit.",
)
SLOW = Entry(
    means="Runs of a task take longer than the workload declares. Slots, limits and alerts follow from that.",
    limit="more than {share} of at least {minimum} runs take longer than {bound} within {window}",
    looks=(Deed.RUNS, Deed.STATUS),
    causes=(
        _DEPENDENCY,
        Cause("The data has grown.", "Measure the task, and correct `runtime` in the workload."),
        _RELEASE,
        Cause("Too many slots share the processors of the host.", "Lower the slots, or add a host."),
    ),
    fixes=(Deed.LOGS,),
    never=(Never("Do not raise only the time limit: the slots and the alerts follow from `runtime`."),),
    resolves="Few runs in the window take longer than declared.",
)
PAYLOAD = Entry(
    means="A message was larger than its task declares. The memory of the broker is planned for that size.",
    limit="one message within {window}",
    looks=(Deed.STATUS,),
    causes=(
        Cause("A publisher sends data instead of a reference.", "Store the data, and send its key."),
        Cause("The declaration is too small.", "Correct `payload` in the workload, and compile."),
    ),
    fixes=(),
    never=(Never("Do not compress all messages: that costs every worker time, and hides the cause."),),
    resolves="No larger message was sent within the window.",
)

ENTRIES = {
    "CeleryTaskFailureRate": FAILURE_RATE,
    "CeleryTaskErrorBudgetFast": ERROR_BUDGET,
    "CeleryTaskErrorBudgetSlow": ERROR_BUDGET,
    "CeleryTaskNewFailure": NEW_FAILURE,
    "CeleryTaskUnregistered": UNREGISTERED,
    "CeleryTaskKilled": KILLED,
    "CeleryTaskRetryStorm": RETRY_STORM,
    "CeleryTaskRuntimeHigh": SLOW,
    "CeleryPayloadTooLarge": PAYLOAD,
}
