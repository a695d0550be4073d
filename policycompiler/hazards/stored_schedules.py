"""Schedules and stores with which a scheduler with its own store fails or sends without a pause."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.knowledge.beat_schedulers import STORES
from policycompiler.knowledge.brokers import broker
from policycompiler.plan import APP, BEAT, Plan
from policycompiler.quantities import duration

_SCHEDULER = ((BEAT, "scheduler"), (BEAT, "store"))


def stored_schedules(plan: Plan) -> Iterator[Hazard]:
    """Entries that the store of beat cannot hold, and a store that beat cannot find."""
    found = str(plan.get(BEAT, "store"))
    if found not in STORES:
        return
    store, scheduler = STORES[found], plan.text(BEAT, "scheduler")
    transport = plan.text(APP, "broker_transport")
    if (
        store.server
        and broker(transport).server != store.server
        and plan.find(APP, "redbeat_redis_url") is None
    ):
        message = (
            f"{scheduler} expects its Redis at the broker's URL, but the broker is {transport}: "
            "beat does not start"
        )
        help_text = "pin `redbeat_redis_url` in `celery.settings`"
        path = place_of(plan, BEAT, "scheduler", "store")
        yield Hazard("redbeat-without-redis", _SCHEDULER, message, help_text, path)
    for scope in plan.scopes("schedule"):
        seconds = plan.number_if_any(scope, "every_seconds")
        if store.whole_seconds and seconds is not None and seconds % 1:
            then = duration(int(seconds))
            if seconds < 1:
                then = "0 s, so the schedule is always due and sends without a pause"
            message = f"{scheduler} keeps only whole seconds: {duration(seconds)} becomes {then}"
            settings = ((scope, "every_seconds"), *_SCHEDULER)
            path = place_of(plan, scope, "every_seconds")
            yield Hazard(
                "schedule-fraction-dropped",
                settings,
                message,
                "write a whole number of seconds",
                path,
            )
        if not store.solar and plan.find(scope, "solar"):
            message = f"{scheduler} cannot store a solar schedule: beat does not start"
            settings = ((scope, "solar"), *_SCHEDULER)
            help_text = "use a cron, or another scheduler"
            path = place_of(plan, scope, "solar")
            yield Hazard("schedule-solar-refused", settings, message, help_text, path)
