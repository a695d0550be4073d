"""What is pinned under `celery.settings` is held against each version's own list."""

from __future__ import annotations

import pytest
from workloads import Found, after, compiled, workload

from policycompiler.diagnostics import Rename
from policycompiler.knowledge import celery_settings
from policycompiler.policies.written import pinned_settings

REFUSES = {
    "a misspelt setting": (
        "celery: {settings: {task_ack_late: true}}",
        [
            Found(
                "unknown-setting",
                "1:21",
                "`task_ack_late` is not a Celery setting: Celery silently ignores it",
                "did you mean `task_acks_late`?",
            ),
        ],
    ),
    "a setting that resembles none": (
        "celery: {settings: {zzzzzz: 1}}",
        [
            Found(
                "unknown-setting",
                "1:21",
                "`zzzzzz` is not a Celery setting: Celery silently ignores it",
                "Celery has no setting of a similar name",
            ),
        ],
    ),
    "text for a number": (
        "celery: {settings: {worker_prefetch_multiplier: '4'}}",
        [
            Found(
                "wrong-setting-type",
                "1:49",
                ("`worker_prefetch_multiplier` must be a whole number: Celery silently keeps a wrong type"),
                "write it without quotes",
            ),
        ],
    ),
    "text for a truth": (
        "celery: {settings: {task_acks_late: yes}}",
        [
            Found(
                "wrong-setting-type",
                "1:37",
                "`task_acks_late` must be true or false: Celery silently keeps a wrong type",
                "write true or false",
            ),
        ],
    ),
    "a number for a text": (
        "celery: {settings: {task_serializer: 3}}",
        [
            Found(
                "wrong-setting-type",
                "1:38",
                "`task_serializer` must be text: Celery silently keeps a wrong type",
                "write text",
            ),
        ],
    ),
    "one word for a list": (
        "celery: {settings: {accept_content: json}}",
        [
            Found(
                "wrong-setting-type",
                "1:37",
                "`accept_content` must be a list: Celery silently keeps a wrong type",
                "write a list",
            ),
        ],
    ),
    "a list for a mapping": (
        "celery: {settings: {result_backend_transport_options: [1]}}",
        [
            Found(
                "wrong-setting-type",
                "1:55",
                ("`result_backend_transport_options` must be a mapping: Celery silently keeps a wrong type"),
                "write a mapping",
            ),
        ],
    ),
    "nothing where Celery needs a word": (
        "celery: {settings: {task_serializer: null}}",
        [
            Found(
                "wrong-setting-type",
                "1:38",
                "`task_serializer` must be text: Celery silently keeps a wrong type",
                "write text",
            ),
        ],
    ),
    "nothing where Celery needs a truth": (
        "celery: {settings: {task_acks_late: null}}",
        [
            Found(
                "wrong-setting-type",
                "1:37",
                "`task_acks_late` must be true or false: Celery silently keeps a wrong type",
                "write true or false",
            ),
        ],
    ),
    "the default queue is no name": (
        "celery: {settings: {task_default_queue: 'a,b'}}",
        [
            Found(
                "wrong-setting-type",
                "1:41",
                "`task_default_queue` must be the name of a queue",
                "write a queue's name",
            ),
        ],
    ),
    "a setting of another section": (
        "celery: {settings: {task_routes: {}}}",
        [
            Found(
                "setting-has-a-section",
                "1:21",
                "`task_routes` cannot be pinned: `tasks.NAME.queue` decides it",
                "declare it in `tasks.NAME.queue`",
            ),
        ],
    ),
    "the broker": (
        "celery: {settings: {broker_url: 'redis://h/0'}}",
        [
            Found(
                "setting-has-a-section",
                "1:21",
                "`broker_url` cannot be pinned: `broker.url` decides it",
                "declare it in `broker.url`",
            ),
        ],
    ),
    "the schedule": (
        "celery: {settings: {beat_schedule: {}}}",
        [
            Found(
                "setting-has-a-section",
                "1:21",
                "`beat_schedule` cannot be pinned: `schedules:` decides it",
                "declare it in `schedules:`",
            ),
        ],
    ),
    "a setting with the prefix that Django settings have": (
        "celery: {settings: {CELERY_TASK_ACKS_LATE: true}}",
        [
            Found(
                "unknown-setting",
                "1:21",
                "`CELERY_TASK_ACKS_LATE` is not a Celery setting: Celery silently ignores it",
                "write `task_acks_late`, and declare a namespace in `celery.namespace`",
            ),
        ],
    ),
    "a name from before Celery 4": (
        "celery: {settings: {CELERYD_CONCURRENCY: 4}}",
        [
            Found(
                "mixed-setting-names",
                "1:21",
                (
                    "`CELERYD_CONCURRENCY` was the name of `worker_concurrency` before Celery 4: Celery "
                    "does not start if both old and new names are set"
                ),
                "write `worker_concurrency`",
            ),
        ],
    ),
    "one in small letters": (
        "celery: {settings: {celery_acks_late: true}}",
        [
            Found(
                "mixed-setting-names",
                "1:21",
                (
                    "`CELERY_ACKS_LATE` was the name of `task_acks_late` before Celery 4; Celery silently "
                    "ignores `celery_acks_late`"
                ),
                "write `task_acks_late`",
            ),
        ],
    ),
    "an old name of what has a section": (
        "celery: {settings: {CELERY_ROUTES: {}}}",
        [
            Found(
                "setting-has-a-section",
                "1:21",
                "`CELERY_ROUTES` cannot be pinned: `tasks.NAME.queue` decides it",
                "declare it in `tasks.NAME.queue`",
            ),
        ],
    ),
    "an old name that is still the name, in capitals": (
        "celery: {settings: {BROKER_URL: 'redis://h/0'}}",
        [
            Found(
                "setting-has-a-section",
                "1:21",
                "`BROKER_URL` cannot be pinned: `broker.url` decides it",
                "declare it in `broker.url`",
            ),
        ],
    ),
    "a setting that this Celery does not have yet": (
        "celery: {version: '5.5', settings: {worker_eta_task_limit: 100}}",
        [
            Found(
                "setting-newer-than-target",
                "1:37",
                "`worker_eta_task_limit` is new in Celery 5.6: Celery 5.5 silently ignores it",
                "remove `worker_eta_task_limit`, or run Celery 5.6 or newer",
            ),
        ],
    ),
    "one that is read but not listed": (
        "celery: {version: '5.5', settings: {redis_client_name: shop}}",
        [
            Found(
                "setting-newer-than-target",
                "1:37",
                "`redis_client_name` is new in Celery 5.6: Celery 5.5 silently ignores it",
                "remove `redis_client_name`, or run Celery 5.6 or newer",
            ),
        ],
    ),
    "a setting that is going": (
        "celery: {settings: {task_acks_on_failure_or_timeout: true}}",
        [
            Found(
                "setting-deprecated",
                "1:21",
                ("`task_acks_on_failure_or_timeout` is deprecated in Celery 5.7; Celery 7.0 removes it"),
                "use task_acks_on_failure and task_acks_on_timeout",
            ),
        ],
    ),
    "a misspelt word of a retry policy": (
        "celery: {settings: {task_publish_retry_policy: {max_retry: 3}}}",
        [
            Found(
                "unknown-setting",
                "1:49",
                "`max_retry` is not a key of a retry policy: every publish fails with a TypeError",
                "did you mean `max_retries`?",
            ),
        ],
    ),
    "a word of a retry policy that resembles none": (
        "celery: {settings: {task_publish_retry_policy: {zzzzzz: 3}}}",
        [
            Found(
                "unknown-setting",
                "1:49",
                "`zzzzzz` is not a key of a retry policy: every publish fails with a TypeError",
                (
                    "use one of the known keys: errback, interval_max, interval_start, interval_step, "
                    "max_retries, on_revive, retry_errors"
                ),
            ),
        ],
    ),
    "slots that Celery would count": (
        "celery: {settings: {worker_concurrency: auto}}",
        [
            Found(
                "wrong-setting-type",
                "1:41",
                "`worker_concurrency` must be a whole number: Celery silently keeps a wrong type",
                "write a whole number",
            ),
        ],
    ),
}
ACCEPTS = {
    "every setting is well spelt": (
        "celery: {settings: {task_acks_late: true, worker_concurrency: 4, task_serializer: json}}"
    ),
    "no limit is a number's null": (
        "celery: {settings: {broker_connection_max_retries: null, result_expires: null}}"
    ),
    "null is Celery's own default": ("celery: {settings: {timezone: null, task_default_exchange: null}}"),
    "a whole number for any number": "celery: {settings: {broker_connection_timeout: 4}}",
    "read but not listed": "celery: {settings: {result_backend_thread_safe: true, redis_client_name: shop}}",
    "as new as the Celery that runs": (
        "celery: {version: '5.5', settings: {worker_soft_shutdown_timeout: 10}}"
    ),
    "before it was deprecated": (
        "celery: {version: '5.6', settings: {task_acks_on_failure_or_timeout: true}}"
    ),
    "what another policy refuses": "celery: {settings: {task_acks_on_failure_or_timeout: false}}",
    "a retry policy": (
        "celery: {settings: {task_publish_retry_policy: {max_retries: 3, interval_start: 0, "
        "interval_step: 0.2, interval_max: 1}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(pinned_settings, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(pinned_settings, fragment).findings == []


def fixes(fragment: str) -> list[tuple]:
    return [each.fix for each in compiled(workload(fragment)).diagnostics]


def test_an_old_name_is_renamed_unless_todays_is_there_too():
    rename = Rename(("celery", "settings", "CELERYD_LOG_FORMAT"), "worker_log_format")
    assert fixes("celery: {settings: {CELERYD_LOG_FORMAT: x}}") == [(rename,)]
    assert fixes("celery: {settings: {CELERYD_LOG_FORMAT: x, worker_log_format: y}}") == [()]


def test_a_guess_is_no_fix():
    assert fixes("celery: {settings: {worker_proc_alive_timeouts: 20}}") == [()]


def test_a_setting_that_a_newer_celery_has_dropped_is_none(monkeypatch):
    monkeypatch.setattr(celery_settings, "versions_of", lambda *_: ["5.3", "5.4"])
    assert after(pinned_settings, "celery: {settings: {worker_proc_alive_timeout: 4}}").findings == [
        Found(
            "unknown-setting",
            "1:21",
            (
                "Celery 5.4 is the last version with `worker_proc_alive_timeout`: Celery 5.7 silently "
                "ignores it"
            ),
            "remove `worker_proc_alive_timeout`",
        )
    ]


def test_a_setting_that_an_extension_reads_is_left_alone():
    fragment = "celery: {settings: {redbeat_lock_timeout: 60, singleton_lock_expiry: 5}}"
    assert after(pinned_settings, fragment).findings == []
