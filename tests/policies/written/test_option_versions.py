"""Options that are pinned for tasks and workers exist in the Celery that runs."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.knowledge.celery_settings import known
from policycompiler.model import WorkerOptions
from policycompiler.model.workload.tasks import TaskOptions
from policycompiler.policies.written import option_versions

REFUSES = {
    "a task's": (
        "celery: {version: '5.6'}\ntasks: {shop.a: {options: {retry_on_worker_lost: true}}}",
        [
            Found(
                "option-newer-than-target",
                "2:28",
                "`retry_on_worker_lost` is new in Celery 5.7: Celery 5.6 silently ignores it",
                "remove `retry_on_worker_lost`, or run Celery 5.7 or newer",
            ),
        ],
    ),
    "two of them": (
        (
            "celery: {version: '5.5'}\n"
            "tasks: {shop.a: {options: {acks_on_timeout: false, acks_on_failure: false}}}"
        ),
        [
            Found(
                "option-newer-than-target",
                "2:52",
                "`acks_on_failure` is new in Celery 5.7: Celery 5.5 silently ignores it",
                "remove `acks_on_failure`, or run Celery 5.7 or newer",
            ),
            Found(
                "option-newer-than-target",
                "2:28",
                "`acks_on_timeout` is new in Celery 5.7: Celery 5.5 silently ignores it",
                "remove `acks_on_timeout`, or run Celery 5.7 or newer",
            ),
        ],
    ),
    "a worker's": (
        "celery: {version: '5.5.3'}\nworkers: {w: {options: {disable_prefetch: true}}}",
        [
            Found(
                "option-newer-than-target",
                "2:25",
                "`disable_prefetch` is new in Celery 5.6: Celery 5.5.3 does not start a worker with it",
                "remove `disable_prefetch`, or run Celery 5.6 or newer",
            ),
        ],
    ),
    "older than all that are known": (
        "celery: {version: '4.4'}\nworkers: {w: {options: {disable_prefetch: true}}}",
        [
            Found(
                "option-newer-than-target",
                "2:25",
                "`disable_prefetch` is new in Celery 5.6: Celery 4.4 does not start a worker with it",
                "remove `disable_prefetch`, or run Celery 5.6 or newer",
            ),
        ],
    ),
    "a zone of its own": (
        (
            "celery: {version: '5.6'}\ntasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, cron: 0 3 * * *, timezone: Europe/Paris}}"
        ),
        [
            Found(
                "schedule-zone-newer-than-target",
                "3:58",
                ("Celery 5.6 reads every cron in the app's zone, UTC, but this cron is in Europe/Paris"),
                ("write the times in UTC, pin `celery.settings.timezone` for all, or run Celery 5.7"),
            ),
        ],
    ),
    "another zone for all": (
        (
            "celery: {version: '5.6', settings: {timezone: Europe/Paris}}\ntasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, cron: 0 3 * * *, timezone: UTC}}"
        ),
        [
            Found(
                "schedule-zone-newer-than-target",
                "3:58",
                ("Celery 5.6 reads every cron in the app's zone, Europe/Paris, but this cron is in UTC"),
                (
                    "write the times in Europe/Paris, pin `celery.settings.timezone` for all, or run "
                    "Celery 5.7"
                ),
            ),
        ],
    ),
}
ACCEPTS = {
    "the zone that is pinned for all": (
        "celery: {version: '5.6', settings: {timezone: Europe/Paris}}\ntasks: {shop.a: }\n"
        "schedules: {s: {task: shop.a, cron: 0 3 * * *, timezone: Europe/Paris}}"
    ),
    "a zone of its own in 5.7": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: 0 3 * * *, timezone: Europe/Paris}}"
    ),
    "no cron": "celery: {version: '5.6'}\ntasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1h}}",
    "a flag that is not given": (
        "celery: {version: '5.5'}\nworkers: {w: {options: {disable_prefetch: false}}}"
    ),
    "as new as the Celery that runs": (
        "celery: {version: '5.7'}\n"
        "tasks: {shop.a: {options: {retry_on_worker_lost: true}}}\n"
        "workers: {w: {options: {disable_prefetch: true}}}"
    ),
    "old ones": (
        "celery: {version: '5.3'}\n"
        "tasks: {shop.a: {options: {acks_late: true, time_limit: 5}}}\n"
        "workers: {w: {options: {loglevel: DEBUG, heartbeat_interval: 3, optimization: fair, beat: "
        "true}}}"
    ),
    "no option": "celery: {version: '5.3'}\ntasks: {shop.a: }\nworkers: {w: {queues: [q]}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(option_versions, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(option_versions, fragment).findings == []


def test_every_option_that_can_be_written_is_one_of_the_newest_celery():
    """So that none is passed over because it goes by another name there."""
    assert set(TaskOptions.model_fields) <= set(known("task_options"))
    flags = {f"--{name.replace('_', '-')}" for name in WorkerOptions.model_fields}
    assert flags <= set(known("flags:worker"))
