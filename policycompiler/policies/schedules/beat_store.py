"""Where beat keeps the entries of its schedule.

Decides:
    Where the workload names a scheduler whose store is known: `beat/store`, one of `file`, `database` and
    `redis`; `beat/expiry_option`, where it reads the expiry of a run from another option than `expires`.

Because:
    Celery's own scheduler reads its whole schedule from the configuration. django-celery-beat copies it into
    rows of a database: a schedule that leaves the configuration is still sent from its row, and options that
    have no column are dropped without a word. RedBeat copies it into Redis. A class of your own may do either
    (https://django-celery-beat.readthedocs.io, https://redbeat.readthedocs.io).

Example:
    tasks: {shop.reports.nightly: {latency: batch}}
    schedules: {nightly: {task: shop.reports.nightly, cron: "0 3 * * *"}}
    beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}

    beat/store = "database"
    beat/expiry_option = "expire_seconds"

Refuses:
    PC540 scheduler-without-module: write the module too, such as `shop.beat:Scheduler`.
        fires: beat: {scheduler: DatabaseScheduler}
        silent: beat: {scheduler: "django_celery_beat.schedulers:DatabaseScheduler"}
    PC541 scheduler-store-unknown: declare `beat.store`.
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
    """The store of a scheduler that the workload names; Celery's own needs no word."""
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
            f"it is unknown whether {scheduler} still sends a schedule that has left the workload, and which "
            "options it drops"
        )
        help_text = (
            "add to `beat:` `store: file`, `database` (like django-celery-beat) or `redis` (like RedBeat)"
        )
        yield SCHEDULER_STORE_UNKNOWN.at(("beat", "scheduler"), message, help=help_text)
        return
    if known and beat.store not in (None, known):
        message = f"{scheduler} keeps its entries in a store of kind `{known}`, not `{beat.store}`"
        path = ("beat", "store")
        yield SCHEDULER_STORE_WRONG.at(path, message, help="remove it", fix=(Remove(path),))
    origin = Written(("beat", "scheduler" if known else "store"))
    yield Decision(BEAT, "store", store, f"{scheduler} keeps its entries there", (origin,))
    option = beat_schedulers.STORES[store].expiry_option
    if option != "expires":
        because = "the option in which this scheduler looks for the expiry of a run"
        yield Decision(BEAT, "expiry_option", option, because, (Derived(BEAT, "store"),))


def _without_module(scheduler: str) -> Diagnostic:
    known = beat_schedulers.known_as(scheduler)
    message = f"beat cannot find a class by the name `{scheduler}` alone: it does not start"
    help_text = f"write `{known[0]}`" if known else "write the module too, such as `shop.beat:Scheduler`"
    return SCHEDULER_WITHOUT_MODULE.at(("beat", "scheduler"), message, help=help_text)
