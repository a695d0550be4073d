"""How risky it is what changes about schedules and beat, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import Derived, Parameter, Scope, Setting, Value
from policycompiler.review.facts import fleet
from policycompiler.review.order import need, schedule_rows
from policycompiler.review.order.need import Need
from policycompiler.review.risks.tasks import compressed, expiring, limited, moved
from policycompiler.review.risks.verdicts import At, Judged, Rule, manual, ordered, safe


def _shifted(at: At) -> Judged:
    if at.new.get(at.scope, "every_seconds") is not None:
        return safe("beat reckons from the last run under this name: a whole interval lies in between")
    task = at.facts.after.entry(str(at.new.get(at.scope, "task")))
    if task is not None and at.new.get(task, "idempotent"):
        return safe("by the new times beat may send it once more, which does this task no harm")
    return manual(
        "beat reckons from the last run under this name, and may send it once more by the new times: rename "
        "the schedule in the workload, and deploy that while neither an old nor a new time is near"
    )


def _options(at: At) -> Judged:
    called = ordered(at.needs.find(need.NEW_ARGUMENTS, at.scope.name))
    if called is not None and at.key in {"args", "kwargs"}:
        return called
    if at.key != "options":
        return safe("beat goes by it from its start on")
    judged = _sent_otherwise(at)
    return max(judged, key=lambda each: each.risk.rank)


def _sent_otherwise(at: At) -> Iterator[Judged]:
    """What each option of a message means that beat sends with it."""
    before, after = (value if isinstance(value, dict) else {} for value in (at.was, at.now))
    yield safe("beat goes by it from its start on")
    if (refused := ordered(_new_form(at))) is not None:
        yield refused
    was, now = (str(options.get("queue") or "") for options in (before, after))
    if was != now and (at.needs.find(need.NEW_QUEUE, now) or at.needs.find(need.LEAVING, was)):
        yield moved(at, was, now)
    if _differs(before, after, "expires") and not _is_reckoned(at):
        yield expiring(before.get("expires"), after.get("expires"))
    for limit in ("soft_time_limit", "time_limit"):
        if _differs(before, after, limit):
            yield _limited(at, limit, before.get(limit), after.get(limit))
    if _differs(before, after, "compression"):
        yield compressed(after.get("compression"))


def _limited(at: At, limit: str, was: Value, now: Value) -> Judged:
    """What it means that runs of a schedule have another limit; without one they have that of their task."""
    key, name = f"options.{limit}", str(at.new.get(at.scope, "task"))
    before, task = at.facts.before.entry(name), at.facts.after.entry(name)
    if was is None and before is not None:
        was = at.old.get(before, key)
    if now is None and task is not None:
        now = at.new.get(task, key)
    p99 = None if task is None else at.new.number_if_any(task, "runtime_p99_seconds")
    return limited(key, was, now, p99)


def _differs(before: dict[str, Value], after: dict[str, Value], key: str) -> bool:
    """Whether an option says something else."""
    return not fleet.same(before.get(key), after.get(key))


def _is_reckoned(at: At) -> bool:
    """Whether the expiry is that of the task, which is told there, or comes of when the next run follows."""
    setting, before = at.new.find(at.scope, at.key), at.old.find(at.before, at.key)
    if setting is None:
        return False
    if any(isinstance(origin, Derived) and origin.key == "options.expires" for origin in setting.origins):
        return True
    shares = [_shares(each) for each in (before, setting) if each is not None]
    # A run that the next one replaces is no loss; one that expires sooner beside the same times is.
    return bool(shares[-1]) and all(each in ([], shares[-1]) for each in shares) and _is_retimed(at)


def _shares(setting: Setting) -> list[Value]:
    """What share of the time to the next run an expiry is; nothing of one that is declared."""
    return [
        origin.value
        for origin in setting.origins
        if isinstance(origin, Parameter) and origin.path[-1] == "expires_over_interval"
    ]


def _is_retimed(at: At) -> bool:
    """Whether the times of a schedule change."""
    times = ("cron", "every_seconds", "solar", "timezone")
    return any(not fleet.same(at.old.get(at.before, key), at.new.get(at.scope, key)) for key in times)


def _added(at: At) -> Judged:
    if gone := [f"`{scope.name}`" for scope in at.old.scopes("schedule") if _takes_over(at, scope)]:
        return manual(
            f"{' and '.join(gone)} of the same task {'goes' if len(gone) == 1 else 'go'}: deploy while "
            "neither an old nor a new time is near, or a run comes twice or is left out"
        )
    return ordered(_new_form(at)) or safe("nothing is sent before it is due")


def _removed(at: At) -> Judged:
    if (left := ordered(at.needs.find(need.LEFT_ROW, at.scope.name))) is not None:
        return left
    if at.new.keys(Scope("disabled_schedule", at.scope.name)):
        return safe("beat is told not to send it")
    if unknown := schedule_rows.unknown_scheduler(at.old, at.new):
        return manual(
            f"it is unknown whether {unknown} still sends a schedule that has left the workload: look, and "
            "declare `beat.store`"
        )
    return safe("beat no longer sends it")


def _takes_over(at: At, gone: Scope) -> bool:
    """Whether a new schedule may stand for one that goes: of the same task, and not both are intervals."""
    task = str(at.old.get(gone, "task"))
    same = at.facts.after.earlier.get(task, task) == at.new.get(at.scope, "task")
    times = (at.old.get(gone, "every_seconds"), at.new.get(at.scope, "every_seconds"))
    alike = all(fleet.same(at.old.get(gone, key), at.new.get(at.scope, key)) for key in ("args", "kwargs"))
    return same and alike and not at.new.keys(gone) and None in times


def _new_form(at: At) -> Need | None:
    """What it asks for that beat sends a schedule in a form that old workers cannot read."""
    options = at.new.get(at.scope, "options")
    serializer = options.get("serializer") if isinstance(options, dict) else None
    if serializer is None:
        return None
    return at.needs.find(need.NEW_FORM, fleet.content_type(str(serializer)))


def _beat_moved(at: At) -> Judged:
    return ordered(at.needs.find(need.BEAT_MOVED)) or safe("only one of the two hosts has a beat")


def _beat_options(at: At) -> Judged:
    if at.key == "scheduler":
        return manual("the new scheduler does not know when each entry ran last")
    return safe("beat goes by it from its start on")


RULES: dict[str, Rule] = {
    "schedule-added": _added,
    "schedule-removed": _removed,
    "schedule-shifted": _shifted,
    "schedule-options": _options,
    "beat-moved": _beat_moved,
    "beat-options": _beat_options,
}
"""How each kind is judged."""
