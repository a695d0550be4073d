"""How risky changes of schedules and beat are, and why."""

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
        return safe("beat counts from the last run of this schedule, so a whole interval passes first")
    task = at.facts.after.entry(str(at.new.get(at.scope, "task")))
    if task is not None and at.new.get(task, "idempotent"):
        return safe("beat may send the schedule once more at the new time, and its task is safe to run twice")
    return manual(
        "beat counts from the last run of this schedule and may send it once more at the new time; rename "
        "the schedule in the workload, and deploy when neither an old nor a new time is near"
    )


def _options(at: At) -> Judged:
    called = ordered(at.needs.find(need.NEW_ARGUMENTS, at.scope.name))
    if called is not None and at.key in {"args", "kwargs"}:
        return called
    if at.key != "options":
        return safe("beat uses the new value when it starts")
    judged = _sent_otherwise(at)
    return max(judged, key=lambda each: each.risk.rank)


def _sent_otherwise(at: At) -> Iterator[Judged]:
    """Judge each differing option of a message that beat sends."""
    before, after = (value if isinstance(value, dict) else {} for value in (at.was, at.now))
    yield safe("beat uses the new value when it starts")
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
    """Judge another limit for runs of a schedule; the default is the limit of the task."""
    key, name = f"options.{limit}", str(at.new.get(at.scope, "task"))
    before, task = at.facts.before.entry(name), at.facts.after.entry(name)
    if was is None and before is not None:
        was = at.old.get(before, key)
    if now is None and task is not None:
        now = at.new.get(task, key)
    p99 = None if task is None else at.new.number_if_any(task, "runtime_p99_seconds")
    return limited(key, was, now, p99)


def _differs(before: dict[str, Value], after: dict[str, Value], key: str) -> bool:
    """Whether an option differs."""
    return not fleet.same(before.get(key), after.get(key))


def _is_reckoned(at: At) -> bool:
    """Whether the expiry comes from the task, or from the time of the next run."""
    setting, before = at.new.find(at.scope, at.key), at.old.find(at.before, at.key)
    if setting is None:
        return False
    if any(isinstance(origin, Derived) and origin.key == "options.expires" for origin in setting.origins):
        return True
    shares = [_shares(each) for each in (before, setting) if each is not None]
    # A run that the next run replaces is no loss; a shorter expiry with unchanged times is.
    return bool(shares[-1]) and all(each in ([], shares[-1]) for each in shares) and _is_retimed(at)


def _shares(setting: Setting) -> list[Value]:
    """The share of the time to the next run that an expiry is; empty for a declared expiry."""
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
            f"{' and '.join(gone)} of the same task {'is' if len(gone) == 1 else 'are'} removed; deploy "
            "when neither an old nor a new time is near, or a run may be repeated or skipped"
        )
    return ordered(_new_form(at)) or safe("beat sends nothing before the schedule is due")


def _removed(at: At) -> Judged:
    if (left := ordered(at.needs.find(need.LEFT_ROW, at.scope.name))) is not None:
        return left
    if at.new.keys(Scope("disabled_schedule", at.scope.name)):
        return safe("beat does not send a disabled schedule")
    if unknown := schedule_rows.unknown_scheduler(at.old, at.new):
        return manual(
            f"it is unknown whether {unknown} still sends a removed schedule: check, and declare `beat.store`"
        )
    return safe("beat no longer sends the schedule")


def _takes_over(at: At, gone: Scope) -> bool:
    """Whether a new schedule may replace a removed one: same task, and not both intervals."""
    task = str(at.old.get(gone, "task"))
    same = at.facts.after.earlier.get(task, task) == at.new.get(at.scope, "task")
    times = (at.old.get(gone, "every_seconds"), at.new.get(at.scope, "every_seconds"))
    alike = all(fleet.same(at.old.get(gone, key), at.new.get(at.scope, key)) for key in ("args", "kwargs"))
    return same and alike and not at.new.keys(gone) and None in times


def _new_form(at: At) -> Need | None:
    """The need of a schedule with a content type that old workers reject."""
    options = at.new.get(at.scope, "options")
    serializer = options.get("serializer") if isinstance(options, dict) else None
    if serializer is None:
        return None
    return at.needs.find(need.NEW_FORM, fleet.content_type(str(serializer)))


def _beat_moved(at: At) -> Judged:
    return ordered(at.needs.find(need.BEAT_MOVED)) or safe("only one of the two hosts has a beat")


def _beat_options(at: At) -> Judged:
    if at.key == "scheduler":
        return manual("the new scheduler does not know when each entry last ran")
    return safe("beat uses the new value when it starts")


RULES: dict[str, Rule] = {
    "schedule-added": _added,
    "schedule-removed": _removed,
    "schedule-shifted": _shifted,
    "schedule-options": _options,
    "beat-moved": _beat_moved,
    "beat-options": _beat_options,
}
"""The rule of each kind."""
