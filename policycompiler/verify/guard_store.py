"""Whether the Redis that guards share can keep their records.

Because:
    A record that Redis evicts or loses is an effect that can happen twice. While the store does not answer or
    refuses to write, keys make tasks wait, and rates and breakers let calls through. With `appendfsync
    everysec` a crash of the server loses about one second of records; that is accepted. All times in the
    store are those of its own clock, so the clocks of workers do not matter.

Refuses:
    PC830 store-unreachable: start the Redis of the guards, or correct its address.
        when: the store does not answer within 4 s, or what answers is not Redis.
    PC831 store-refused: correct the user, the password, or the rights of the user.
        when: the store refuses the login, a database, or scripts with keys of the service.
    PC832 store-evicts: set `maxmemory-policy noeviction`, and use a Redis of its own for caches.
        when: the store has a memory limit, and a policy that evicts keys at this limit.
    PC833 store-not-persistent: turn on `appendonly`.
        when: a task has an idempotency key, and the store keeps nothing on disk.
    PC834 store-loses-records: turn on `appendonly` with `appendfsync everysec`.
        when: a task has an idempotency key, and a crash of the store loses more than a second of records.
    PC835 store-refuses-writes: free disk space, or correct the rights of its folder.
        when: the store could not write its files, so it refuses every write.
    PC836 store-is-replica: use the address of the server that it follows.
        when: the store is a replica of another server.
    PC837 store-clustered: use a Redis without a cluster.
        when: several servers of a cluster share the keys; guards ask one of them.
    PC838 store-memory-high: raise the limit, or keep keys for less time.
        when: the store uses more than 80 % of its memory limit.
    PC839 store-shared: give guards a Redis of their own.
        when: the database of the store also has queues, results, or keys of other programs.
    PC878 store-clock-off: synchronize the clock of the server.
        when: the clock of the store differs by more than 10 s from the clock of the computer that looks.
    PC879 breaker-open: find out why calls of the dependency fail.
        when: the breaker of a dependency is open. Workers may then pause queues, which is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, error, info, warning
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import duration, size
from policycompiler.reality.guard_store import VARIABLE, SeenStore
from policycompiler.reality.live import Failure, Problem
from policycompiler.verify import reach
from policycompiler.verify.servers import FULL
from policycompiler.verify.words import app_path, listed

STORE_UNREACHABLE = error("PC830", "store-unreachable")
STORE_REFUSED = error("PC831", "store-refused")
STORE_EVICTS = error("PC832", "store-evicts")
STORE_NOT_PERSISTENT = warning("PC833", "store-not-persistent")
STORE_LOSES_RECORDS = warning("PC834", "store-loses-records")
STORE_REFUSES_WRITES = error("PC835", "store-refuses-writes")
STORE_IS_REPLICA = error("PC836", "store-is-replica")
STORE_CLUSTERED = error("PC837", "store-clustered")
STORE_MEMORY_HIGH = warning("PC838", "store-memory-high")
STORE_SHARED = info("PC839", "store-shared")
STORE_CLOCK_OFF = warning("PC878", "store-clock-off")
BREAKER_OPEN = info("PC879", "breaker-open")

KEEPS_ALL = "noeviction"
CLOCK_SECONDS = 10.0
"""The default margin of a lease beyond the hard time limit."""
_KERNEL_SECONDS = 30
"""Linux writes to the disk after about this time, if Redis does not ask for it."""
_PROMPT = {"always", "everysec"}


def paused(plan: Plan, found: SeenStore | Problem | None) -> set[str]:
    """The queues that workers do not consume, because a breaker is open."""
    if not isinstance(found, SeenStore):
        return set()
    scopes = (Scope("dependency", name) for name in found.open_breakers)
    return {queue for scope in scopes if plan.find(scope, "pauses") for queue in plan.texts(scope, "pauses")}


def findings(plan: Plan, found: SeenStore | Problem | None) -> Iterator[Diagnostic]:
    """What is wrong with the store; only the reason if the look failed."""
    path = app_path(plan, VARIABLE, ("store",))
    if isinstance(found, Problem):
        yield _unseen(found, path)
    elif found is not None:
        for part in found.unread:
            message = f"a part of the store of guards cannot be read: {part}"
            yield reach.LOOK_INCOMPLETE.at(path, message, help="give the user the right to read it")
        yield from _writes(found, path)
        yield from _memory(found, path)
        if any(plan.find(task, "idempotency_key") for task in plan.scopes("task")):
            yield from _disk(found, path)
        yield from _beside(found, path)
        for name in found.open_breakers:
            queues = sorted(paused(plan, found._replace(open_breakers=(name,))))
            waiting = f"; workers pause {listed(queues)}" if queues else "; its tasks wait"
            message = f"the breaker of {name} is open, because its calls fail{waiting}"
            where: SpecPath = ("dependencies", name)
            help_text = f"ask the owner of {name}; do not restart workers"
            yield BREAKER_OPEN.at(where, message, help=help_text, at_key=True)


def _unseen(problem: Problem, path: SpecPath) -> Diagnostic:
    failure, message, extra = problem
    if failure is Failure.UNSUPPORTED:
        told = f"nobody looked at the store of guards: {message}"
        return reach.LOOK_INCOMPLETE.at(path, told, help="give its URL")
    if failure is Failure.LIBRARY:
        told = f"a library for the store of guards is missing: {message}"
        help_text = f"install it with `pip install 'policycompiler[{extra}]'`"
        return reach.CLIENT_LIBRARY_MISSING.at(path, told, help=help_text)
    if failure is Failure.REFUSED:
        told = f"the store of guards refuses the login or a command: {message}"
        return STORE_REFUSED.at(path, told, help="correct the user, the password or the user's rights")
    told = f"the store of guards cannot be reached: {message}"
    return STORE_UNREACHABLE.at(path, told, help="start it, or correct the address with `--store`")


def _writes(found: SeenStore, path: SpecPath) -> Iterator[Diagnostic]:
    """Whether the server takes what guards write, and keeps it."""
    if found.replica:
        then = "its next synchronization discards what guards write" if found.writable else "it is read-only"
        message = f"the store of guards is a replica of another server: {then}"
        yield STORE_IS_REPLICA.at(path, message, help="use the address of the server that it follows")
    if found.masters > 1:
        message = (
            f"the store of guards is a cluster of {found.masters} servers; guards ask one of them, which "
            "refuses the keys of the others"
        )
        yield STORE_CLUSTERED.at(path, message, help="use a Redis without a cluster")
    if found.refuses:
        message = f"the store of guards refuses writes: {found.refuses}"
        help_text = "read its log; free disk space, or correct the rights of its folder"
        yield STORE_REFUSES_WRITES.at(path, message, help=help_text)


def _memory(found: SeenStore, path: SpecPath) -> Iterator[Diagnostic]:
    limit, used = found.limit_bytes or 0, found.used_bytes or 0
    if limit and found.eviction not in (None, KEEPS_ALL):
        message = (
            f"the store of guards evicts records at {size(limit)}: `maxmemory-policy` is "
            f"`{found.eviction}`; allowed: `{KEEPS_ALL}`"
        )
        help_text = f"set `maxmemory-policy {KEEPS_ALL}`, and use a Redis of its own for caches"
        yield STORE_EVICTS.at(path, message, help=help_text)
    if limit and used > FULL * limit:
        message = f"the store of guards uses {size(used)} of {size(limit)} memory; allowed: {FULL:.0%}"
        yield STORE_MEMORY_HIGH.at(path, message, help="raise the limit, or keep keys for less time")


def _disk(found: SeenStore, path: SpecPath) -> Iterator[Diagnostic]:
    """Which records a crash of the server loses; a second of them is accepted."""
    if found.appends in _PROMPT or found.appends is None or found.snapshot_seconds is None:
        return
    help_text = "turn on `appendonly` with `appendfsync everysec`, which loses about 1 s"
    if not found.appends and not found.snapshot_seconds:
        message = "the store of guards keeps nothing on disk: after a restart every effect can happen again"
        yield STORE_NOT_PERSISTENT.at(path, message, help=help_text)
        return
    lost, why = found.snapshot_seconds, "it only takes snapshots"
    if found.appends:
        lost, why = _KERNEL_SECONDS, f"`appendfsync` is `{found.appends}`"
    message = f"a crash of the store of guards loses the records of up to {duration(lost)}, because {why}"
    yield STORE_LOSES_RECORDS.at(path, message, help=help_text)


def _beside(found: SeenStore, path: SpecPath) -> Iterator[Diagnostic]:
    if found.others:
        message = (
            f"the database of the store of guards also has {' and '.join(found.others)}: what fills this "
            "Redis stops the guards too, and what empties it deletes their records"
        )
        yield STORE_SHARED.at(path, message, help="give guards a Redis of their own")
    if abs(found.ahead_seconds) > CLOCK_SECONDS:
        word = "ahead of" if found.ahead_seconds > 0 else "behind"
        message = (
            f"the clock of the store of guards is {duration(round(abs(found.ahead_seconds)))} {word} the "
            "clock here: when it is corrected, or another server takes over, leases end too early or too late"
        )
        yield STORE_CLOCK_OFF.at(path, message, help="synchronize the clock of the server")
