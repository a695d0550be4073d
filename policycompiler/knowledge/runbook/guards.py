"""Alerts on guards: breakers, parks, claims, lost runs, and the store."""

from __future__ import annotations

from policycompiler.knowledge.runbook.entry import Cause, Deed, Entry, Fact, Never

_NEVER_FLUSH = Never(
    "Do not delete keys of the store, and do not run FLUSHDB or FLUSHALL: the next message of each effect "
    "would have it again."
)

BREAKER_OPEN = Entry(
    means=(
        "Calls of the dependency fail, and so do the calls that test it. Workers do not call it meanwhile. "
        "Its tasks are parked, or stay in queues that workers do not consume. Waiting uses no retry, and no "
        "task is lost."
    ),
    limit="the calls that test it fail",
    looks=(
        Deed.FAILURES,
        Deed.STATUS,
        Deed.BREAKERS,
    ),
    causes=(
        Cause(
            "The dependency is down or slow.",
            "The exceptions in the log name it. Call its owner. The breaker closes by itself.",
        ),
        Cause(
            "Its address, password or certificate changed, or a firewall stops it.",
            "Try one call from the host of a worker, correct the settings, and restart the workers.",
        ),
        Cause(
            "A new release makes calls that it rejects.",
            "Roll the release back. List only failures of the dependency in `breaker.on`.",
        ),
    ),
    fixes=("# none: the next call that succeeds closes the breaker",),
    never=(
        Never("Do not restart workers to close it: its state is in the store, and all workers share it."),
        Never("Do not delete the key of the breaker: all waiting tasks would call the dependency at once."),
        Never("Do not purge the queue: its messages are the work that waits."),
    ),
    resolves="A probe has succeeded, and the breaker is closed for some minutes.",
)
STORE_DOWN = Entry(
    means=(
        "Workers do not reach the Redis of guards, or it takes no writes. Tasks with a key are parked, "
        "unless they declare `on_store_error: run`. No breaker stops a call, and each process "
        "limits its own rate."
    ),
    limit="at least one process does not reach it",
    looks=(
        "timeout 5 redis-cli -u {store} PING",
        "timeout 5 redis-cli -u {store} INFO memory",
        "timeout 5 redis-cli -u {store} INFO replication",
        "timeout 5 redis-cli -u {store} INFO persistence",
        Deed.LOGS,
    ),
    causes=(
        Cause("Its process has ended or hangs.", "Read its log, and start it. Workers go on by themselves."),
        Cause(
            "Its memory is full: `used_memory` is at `maxmemory`, and writes fail with `OOM`.",
            "Raise `maxmemory`. Keep `maxmemory-policy noeviction`.",
        ),
        Cause(
            "It became a replica after a failover: `role:slave`.",
            "Correct the URL that workers have, and restart them.",
        ),
        Cause(
            "It cannot save: `rdb_last_bgsave_status:err`, and writes fail with `MISCONF`.",
            "Make room on its disk.",
        ),
        Cause(
            "Only some processes miss it: a firewall, a DNS name or a password.",
            "The alert says how many. Compare their environment with that of the others.",
        ),
    ),
    fixes=("# none here: start or repair the store, and the workers go on",),
    never=(
        _NEVER_FLUSH,
        Never("Do not point the workers to an empty Redis: effects of the last days could happen again."),
        Never("Do not set `maxmemory-policy` to an evicting one: it deletes records of effects."),
    ),
    resolves="All processes reach it, and it takes writes. Parked tasks come back within a minute.",
)
PARK_RATE = Entry(
    means=(
        "Most runs of the queue find that they must wait, and send their message again. Messages pass "
        "through the workers again and again. The wait of a parked task does not count as a "
        "wait in the queue."
    ),
    limit="more than {share} of at least {minimum} runs are parked within {window}",
    looks=(
        "# in Prometheus: which task, and `rate` or `busy`",
        "# sum by (task, reason) (rate(policycompiler_guard_parked_total[10m]))",
        Deed.STATUS,
        Deed.SCHEDULED,
    ),
    causes=(
        Cause(
            "`rate`: more tasks arrive than the dependency allows.",
            "Ask its owner for a higher rate, or send fewer tasks. Correct `rate` in the workload.",
        ),
        Cause(
            "`rate`: the workers have more slots than calls fit into `hold`.",
            "Lower the slots, or declare a longer `hold`: a run that waits in its slot is not parked.",
        ),
        Cause(
            "`busy`: many messages have the same key.",
            "Find the publisher by the arguments in the log. It may send a task again and again.",
        ),
        Cause(
            "`busy`: runs were killed, and their keys are taken until the lease is over.",
            "See CeleryTaskKilled.",
        ),
    ),
    fixes=(Deed.LOGS,),
    never=(
        Never("Do not add workers: they park more, and the rate stays the same."),
        Never("Do not use Celery's `rate_limit` instead: with a backlog it falls to one task a second."),
    ),
    resolves="The share of parks in the window is below the limit.",
)
CLAIM_LOST = Entry(
    means=(
        "A run ended, and another run had taken over its key meanwhile. Both may have had the effect, such "
        "as a payment."
    ),
    limit="one lost claim within {window}",
    looks=(Deed.LOGS, Deed.RUNS),
    causes=(
        Cause(
            "A run took longer than its lease: no hard limit ends it, and its heartbeat could not renew it.",
            "A call that holds Python's global lock stops the heartbeat. Move it into a process, or use the "
            "prefork pool with a time limit.",
        ),
        Cause(
            "The host was paused for longer than the lease, such as a virtual machine.",
            "Find the pause in the log of the host.",
        ),
        Cause(
            "The store lost its last writes, at a failover or a restart.",
            "Switch on persistence (`appendonly yes`) and look at its log.",
        ),
        Cause("Somebody deleted keys of the store.", "Ask who did, and why."),
    ),
    fixes=("# compare the effects of that time, and undo the second one in the system that has it",),
    never=(
        _NEVER_FLUSH,
        Never("Do not send the task again: its effect exists at least once."),
    ),
    resolves="No further claim was lost within the window. A second effect still needs a person.",
)
POISONED = Entry(
    means=(
        "Several runs of one task ended without an outcome, as when their process is killed. The task has "
        "failed as `Poisoned`, so that it kills no further process."
    ),
    limit="one task within {window}",
    looks=(Deed.FAILURES, Deed.KILLS, Deed.LETTERS),
    causes=(
        Cause(
            "The task kills its process: too much memory, or a crash in a C library.", "See CeleryTaskKilled."
        ),
        Cause(
            "Workers were killed several times while it ran, such as in a rollout.",
            "Give them their whole stop timeout.",
        ),
    ),
    fixes=(Deed.SHOW, Deed.REPLAY),
    never=(
        Never("Do not send the task again before you know how far it came: its effect may exist."),
        Never("No queue keeps failed messages here: save what you need from the log.", Fact.NO_LETTERS),
    ),
    resolves="No further task failed so within the window. The failed one still needs a person.",
)

ENTRIES = {
    "CeleryBreakerOpen": BREAKER_OPEN,
    "CeleryGuardStoreDown": STORE_DOWN,
    "CeleryGuardParkRateHigh": PARK_RATE,
    "CeleryGuardClaimLost": CLAIM_LOST,
    "CeleryGuardPoisoned": POISONED,
}
