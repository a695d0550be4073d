"""Alerts on beat and on schedules."""

from __future__ import annotations

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_ONE_BEAT = Never("Do not start a second beat: each schedule would be sent twice.")
_BY_HAND = Never("Do not send the task by hand before you know that it did not run.")

BEAT_DOWN = Entry(
    means="Beat sends no scheduled task. Tasks that the application itself sends still run.",
    limit="no sign of beat for {silence}",
    looks=(Deed.BEAT_STATE, Deed.BEAT_LOGS, Deed.SENDS),
    causes=(
        Cause("Beat was stopped, or was not started after a deployment.", "Start it."),
        Cause(
            "Beat fails at the start: an import error, a missing variable, or a read-only schedule file.",
            "Read the last lines of its log.",
        ),
        Cause("The schedule file is damaged.", "Stop beat, move the file away, and start beat again."),
        Cause("Beat cannot reach the broker or the store of its schedules.", "See CeleryBrokerDown."),
        Cause("The clock of its host jumped.", "Correct the clock, then restart beat."),
    ),
    fixes=(Deed.BEAT_RESTART, Deed.SENDS),
    never=(
        _ONE_BEAT,
        Never("Do not run `celery worker --beat` instead: each such process sends every schedule."),
    ),
    resolves="Beat ticks again, or a scheduled task was sent.",
)
NOT_SENT = Entry(
    means="Beat runs, but has not sent this schedule for longer than its times allow.",
    limit="not sent for {window}",
    looks=(Deed.SENDS, Deed.SCHEDULES),
    causes=(
        Cause(
            "Beat still runs an older plan without the schedule, or with other times: "
            "its log has `Sending due task` for others only.",
            "Deploy the compiled files, and restart beat.",
        ),
        Cause(
            "A wrong plan was deployed. If `BUILD` is that plan, `verify` finds no difference.",
            "Compare it with the plan before: `policycompiler diff`. Deploy the right one, and restart beat.",
        ),
        Cause(
            "The application changes `beat_schedule` when it starts.",
            "Read its code. `verify` does not see it, because beat of this plan answers no question.",
            Fact.SILENT_BEAT,
        ),
        Cause("A row of the scheduler's store was disabled or deleted.", "Enable it in that store."),
        Cause("The send fails: the log of beat has the error.", "Fix what it names, often the broker."),
        Cause("Time zone or clock of the host is wrong.", "Correct it, then restart beat."),
    ),
    fixes=(Deed.DIFFERENCES, Deed.BEAT_RESTART, Deed.SENDS, Deed.SEND),
    never=(
        _ONE_BEAT,
        _BY_HAND,
        Never(
            "Do not trust the end of the alert after a restart of beat: look for the next send in its log."
        ),
    ),
    resolves="Beat sends the schedule. It does not make up for sends that it missed.",
)
MISSED = Entry(
    means="The task of the schedule has not started, although it was due.",
    limit="no start for {silence}",
    looks=(Deed.SENDS, Deed.STATUS, Deed.RUNS),
    causes=(
        Cause(
            "Beat did not send it: its log has no `Sending due task` for it.",
            "See CeleryBeatDown, then restart beat.",
        ),
        Cause("The task waits behind a backlog.", "See CeleryQueueBacklog."),
        Cause("No worker consumes its queue.", "See CeleryQueueNoConsumer."),
        Cause(
            "The message expired before it started: the worker logs `Discarding revoked task`.",
            "Fix the backlog. The next run comes with the next time of the schedule.",
        ),
        Cause("The worker does not know the task.", "See CeleryTaskUnregistered."),
    ),
    fixes=(Deed.BEAT_RESTART, Deed.START, Deed.SEND),
    never=(_ONE_BEAT, _BY_HAND),
    resolves="A run of the task starts.",
)
UNSUCCESSFUL = Entry(
    means="The task of the schedule starts, or is due, but no run has succeeded.",
    limit="no success for {silence}",
    looks=(Deed.SCHEDULES, Deed.FAILURES),
    causes=(
        Cause("Each run fails.", "Read the exception in the log, fix the code or the system that it names."),
        Cause("Each run is killed at its time limit.", "See CeleryTaskKilled."),
        Cause("The run hangs and holds its slot.", "Restart the worker, then set a timeout in the code."),
        Cause("It is retried again and again.", "See CeleryTaskRetryStorm."),
    ),
    fixes=(Deed.RUNS, Deed.RESTART),
    never=(_BY_HAND, Never("Do not shorten the schedule to get a success sooner: it adds load.")),
    resolves="A run of the task succeeds.",
)

ENTRIES = {
    "CeleryBeatDown": BEAT_DOWN,
    "CeleryScheduleNotSent": NOT_SENT,
    "CeleryScheduleMissed": MISSED,
    "CeleryScheduleUnsuccessful": UNSUCCESSFUL,
}
