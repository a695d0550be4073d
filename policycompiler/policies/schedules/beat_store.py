"""Where beat stores its schedule.

Decides:
    If the workload names a scheduler with a known store: `beat/store`, one of `file`, `database` and `redis`.
    `beat/expiry_option`, if the scheduler reads the expiry of a run from an option other than `expires`.

Because:
    Celery's default scheduler reads its whole schedule from the configuration. django-celery-beat copies
    the schedule into rows of a database. It still sends a schedule that was removed from the configuration,
    and silently drops options without a column. RedBeat copies the schedule into Redis. A custom class may
    do either (https://django-celery-beat.readthedocs.io, https://redbeat.readthedocs.io).

Example:
    tasks: {shop.reports.nightly: {latency: batch}}
    schedules: {nightly: {task: shop.reports.nightly, cron: "0 3 * * *"}}
    beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}

    beat/store = "database"
    beat/expiry_option = "expire_seconds"

Refuses:
    PC540 scheduler-without-module: write the class with its module, such as `shop.beat:Scheduler`.
        fires: beat: {scheduler: DatabaseScheduler}
        silent: beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}
    PC541 scheduler-store-unknown: declare `beat.store` in the workload.
        fires: beat: {scheduler: "shop.beat:Scheduler"}
        silent: beat: {scheduler: "shop.beat:Scheduler", store: database}
    PC542 scheduler-store-wrong: remove `beat.store`, or correct it.
        fires: beat: {scheduler: "redbeat.RedBeatScheduler", store: file}
        silent: beat: {scheduler: "redbeat.RedBeatScheduler"}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, Remove, error, warning
from policycompiler.knowledge import beat_schedulers
from policycompiler.model import Workload
from policycompiler.plan import BEAT, Decision, Derived, Plan, Written

NAME = "beat-store"

SCHEDULER_WITHOUT_MODULE = error("PC540", "scheduler-without-module")
SCHEDULER_STORE_UNKNOWN = warning("PC541", "scheduler-store-unknown", Profile.MINIMAL)
SCHEDULER_STORE_WRONG = error("PC542", "scheduler-store-wrong")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Decide the store of a scheduler that the workload names; Celery's default needs none."""
    del plan
    beat = spec.beat
    if beat is None or (beat.scheduler is None and beat.store is None):
        return
    scheduler = beat.scheduler or beat_schedulers.PERSISTENT
    if not beat_schedulers.is_importable(scheduler):
        yield _without_module(scheduler)
        return
    known = beat_schedulers.store_of(scheduler)
    store = known or beat.store
    if store is None:
        message = (
            f"it is unknown whether {scheduler} still sends schedules that were removed from the workload, "
            "and which options it drops"
        )
        help_text = (
            "add `store:` to `beat:`, with `file`, `database` (as in django-celery-beat) or "
            "`redis` (as in RedBeat)"
        )
        yield SCHEDULER_STORE_UNKNOWN.at(("beat", "scheduler"), message, help=help_text)
        return
    if known and beat.store not in (None, known):
        message = f"{scheduler} stores its entries in `{known}`, but `beat.store` is `{beat.store}`"
        path = ("beat", "store")
        yield SCHEDULER_STORE_WRONG.at(path, message, help="remove `beat.store`", fix=(Remove(path),))
    origin = Written(("beat", "scheduler" if known else "store"))
    yield Decision(BEAT, "store", store, f"{scheduler} stores its entries there", (origin,))
    option = beat_schedulers.STORES[store].expiry_option
    if option != "expires":
        because = "this scheduler reads the expiry of a run from this option"
        yield Decision(BEAT, "expiry_option", option, because, (Derived(BEAT, "store"),))


def _without_module(scheduler: str) -> Diagnostic:
    known = beat_schedulers.known_as(scheduler)
    message = f"beat cannot import a class named only `{scheduler}` and does not start"
    help_text = (
        f"write `{known[0]}`" if known else "write the class with its module, such as `shop.beat:Scheduler`"
    )
    return SCHEDULER_WITHOUT_MODULE.at(("beat", "scheduler"), message, help=help_text)
