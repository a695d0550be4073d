"""Alerts on queues whose tasks start late: they have the same causes."""

from __future__ import annotations

from dataclasses import replace

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_CAUSES = (
    Cause(
        "More tasks arrive than the slots can run.",
        "Raise `replicas` of the worker in the workload and deploy. Stop a publisher that sends by mistake: "
        "the header `origin` of a message is `genPID@HOST` of the process that sent it.",
    ),
    Cause("Worker processes are missing.", "See CeleryWorkersBelowMinimum, then start them."),
    Cause(
        "Runs take longer than before: a database or another system is slow.",
        "`time_start` in the list of running tasks is in seconds: compare it with `date +%s`. "
        "Fix the slow system. If it is well again, watch whether the queue gets shorter, and wait.",
    ),
    Cause(
        "Long tasks share the queue with short ones.",
        "Give the long tasks a queue and a worker of their own.",
    ),
    Cause(
        "A rate limit of Celery holds tasks back. With a backlog it may fall to about 1 task per second.",
        "Look for them in the list of reserved messages. Remove `rate_limit`, and limit the pace by slots.",
        Fact.CONTROL,
    ),
    Cause(
        "Most runs are retries of tasks that fail.",
        "See CeleryTaskRetryStorm and CeleryTaskFailureRate.",
    ),
    Cause("The platform has reached the upper bound of replicas.", "Raise the bound.", Fact.SCALED),
)
_NEVER = (
    Never("Do not purge the queue: its tasks would be lost."),
    Never(
        "Do not raise the prefetch multiplier: messages would only wait in a worker, "
        "where no other worker can take them."
    ),
    Never("Do not raise the slots without a look at memory: each slot of prefork is a process."),
    Never(
        "Do not start more than one process of a worker above the plan: the telemetry has a port for one "
        "more. Others work, but nobody counts what they start.",
        Fact.TELEMETRY_PORTS,
    ),
    Never(
        "Do not kill workers with SIGKILL: their messages return only after {visibility}.", Fact.REDELIVERY
    ),
)

BACKLOG = Entry(
    means="The queue holds more messages than its workers can start within its latency target.",
    limit="more than {threshold} messages",
    looks=(Deed.STATUS, Deed.RUNS, Deed.RESERVED),
    causes=_CAUSES,
    fixes=(Deed.PROCESSES, Deed.MORE),
    never=_NEVER,
    resolves="The queue is at its threshold or below.",
)
GROWING = replace(
    BACKLOG,
    means="The queue is not late yet, but it gets longer all the time.",
    limit="more than {threshold} messages, growing over {window}",
    resolves="The queue no longer grows, or is short.",
)
DRAIN = replace(
    BACKLOG,
    means="At the present rate of starts, the last waiting task starts much later than promised.",
    limit="more than {seconds} to start all messages, if it holds at least {minimum}",
    resolves="The workers need less time than the limit, or the queue is nearly empty.",
)
WAIT = replace(
    BACKLOG,
    means="Tasks start later than the latency target of their queue. The telemetry measured each wait.",
    limit="more than {share} of at least {minimum} runs wait longer than {bound} within {window}",
    looks=(Deed.STATUS, Deed.RUNS, Deed.RESERVED),
    resolves="The share of late starts in the window is below the limit.",
)
WAIT_BUDGET = replace(
    WAIT,
    means=(
        "The queue misses its objective: late starts use up the budget of 30 days too fast. "
        "The fast alert means hours, and the slow one means days."
    ),
    resolves="The shorter of its two windows has few late starts. It may take minutes after the fix.",
)

ENTRIES = {
    "CeleryQueueBacklog": BACKLOG,
    "CeleryQueueGrowing": GROWING,
    "CeleryQueueDrainTime": DRAIN,
    "CeleryQueueDrainTimeCritical": DRAIN,
    "CeleryQueueWaitHigh": WAIT,
    "CeleryQueueWaitBudgetFast": WAIT_BUDGET,
    "CeleryQueueWaitBudgetSlow": WAIT_BUDGET,
}
