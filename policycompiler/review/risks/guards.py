"""How risky it is to add, change or remove what run-time code enforces."""

from __future__ import annotations

from policycompiler.quantities import size
from policycompiler.review.order import need
from policycompiler.review.order.need import told
from policycompiler.review.risks.verdicts import At, Judged, Rule, manual, safe

_START = "each process uses the new value when it starts; the state in the store stays"
_SIDE_BY_SIDE = (
    "each worker uses the new value when it starts: until the last old one has stopped, some calls follow "
    "the old value"
)


def _guard(at: At) -> Judged:
    return _BY_KEY.get(at.key, _other)(at)


def _key(at: At) -> Judged:
    forgotten = at.needs.find(need.FORGOTTEN, at.before.name)
    if forgotten is not None:
        return manual(forgotten.sentence)
    if at.now is None:
        return manual("a message that comes twice has its effect twice again: check what depends on the key")
    return manual(
        f"check that messages already sent have a value for `{at.now}`: without one they fail. Old workers "
        "leave no record, so until all workers are new a duplicate may pass"
    )


def _keep(at: At) -> Judged:
    del at
    return safe("records that exist keep their time; new ones get the new one")


def _lease(at: At) -> Judged:
    del at
    return safe(
        "a run has the lease that its worker gave it, and at least one for the hard limit of its message"
    )


def _store(at: At) -> Judged:
    if at.now is None:
        return safe(_START)
    first = f"set {at.now} for every worker before it starts: without it, a worker does not start"
    if at.was is None:
        return manual(first)
    forgotten = at.needs.find(need.FORGOTTEN)
    then = f"; if it is another server, {forgotten.sentence}" if forgotten else ""
    calls = "; old and new workers count rates and failures apart" if at.new.scopes("dependency") else ""
    return manual(f"{first}{then}{calls}")


def _calls(at: At) -> Judged:
    was, now = (set(map(str, each)) if isinstance(each, list) else set() for each in (at.was, at.now))
    gone = was - now
    if not gone:
        return safe(_SIDE_BY_SIDE)
    names = told(sorted(gone))
    if now - was:
        return manual(
            f"calls of {names} and {told(sorted(now - was))} are counted apart: while old and new workers "
            "run, the provider may get both rates, and a breaker that is open is closed under the new name"
        )
    return manual(
        f"calls of {names} are no longer limited, and no breaker stops them: check the quota of {names}"
    )


def _store_error(at: At) -> Judged:
    if at.now == "run":
        return manual("while the store is down, the guard lets everything run")
    return safe(_START)


def _refusal(at: At) -> Judged:
    if not at.now or (isinstance(at.was, int) and isinstance(at.now, int) and at.now >= at.was and at.was):
        return safe("publishers refuse no more than before")
    if at.key == "bound_messages":
        return manual(
            f"publishers get an error while queue {at.scope.name} has {at.now} messages: check that they "
            "handle it, and that it has fewer today (`policycompiler status`)"
        )
    most = size(int(str(at.now)))
    return manual(
        f"publishers get an error when a message of {at.scope.name} is above {most}: check that they handle "
        "it, and how large messages are today"
    )


def _rate(at: At) -> Judged:
    if at.now is None:
        return manual("nothing limits the calls of all workers together: check the quota of the dependency")
    return safe(_SIDE_BY_SIDE)


def _dependency(at: At) -> Judged:
    if at.key == "breaker" and at.now is None:
        return manual("no breaker stops the calls while the dependency is down: check what retries do to it")
    return safe(_SIDE_BY_SIDE)


def _other(at: At) -> Judged:
    del at
    return safe(_START)


_BY_KEY: dict[str, Rule] = {
    "idempotency_key": _key,
    "idempotency_keep_seconds": _keep,
    "idempotency_lease_seconds": _lease,
    "guard_store_variable": _store,
    "calls": _calls,
    "on_store_error": _store_error,
    "idempotency_on_store_error": _store_error,
    "bound_messages": _refusal,
    "payload_enforced_bytes": _refusal,
    "rate_per_second": _rate,
    **dict.fromkeys(("burst", "hold_seconds", "breaker"), _dependency),
}
RULES: dict[str, Rule] = {"guard": _guard}
