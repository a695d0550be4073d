"""The class of each kind of change: what is safe and what is not, side by side."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, TODAY, at, plan_of, reviewed
from workloads import compiled, workload

from policycompiler.review import Class, Review, review

THEIRS = (
    "tasks: {shop.a: {queue: q}, their.b: {queue: theirs, external: true}}\n"
    "queues: {theirs: {external: true}}\n"
)
PLAIN = "tasks: {shop.a: {queue: q}}\n"
OF_SERVICE = (
    *("CeleryBrokerDown", "CeleryExporterDown:celery-exporter", "CeleryExporterDown:redis-exporter"),
    *("CeleryTaskUnregistered", "CeleryWorkerLost", "RedisBrokerEvicting", "RedisBrokerMemoryCritical"),
    *("RedisBrokerMemoryHigh", "RedisBrokerNoMaxmemory", "RedisBrokerUnsafePolicy"),
)
"""The alerts whose summary names the service."""


def redis(more: str) -> str:
    return f"broker: {{transport: redis, url: '${{CELERY_BROKER_URL}}', {more}}}\n"


def task(fields: str) -> str:
    return f"tasks: {{shop.a: {{queue: q, {fields}}}}}\n"


def options(pinned: str) -> str:
    return task(f"idempotent: true, options: {{{pinned}}}")


def schedule(fields: str) -> str:
    return f"{PLAIN}schedules: {{s: {{task: shop.a, {fields}}}}}\n"


def dead(pinned: str) -> str:
    return RABBITMQ + options(pinned) + "queues: {q: {dead_letter: true}}\n"


def undeclared(acknowledged: str) -> str:
    queue_of_others = "queues: {shop.standard.io: {dead_letter: true}}\n"
    settings = pins(f"task_acks_late: true, task_acks_on_failure: {acknowledged}")
    return RABBITMQ + settings + PLAIN + queue_of_others


CANCEL = "app/worker_cancel_long_running_tasks_on_connection_loss"


def queue(fields: str, broker: str = RABBITMQ) -> str:
    return f"{broker}{PLAIN}queues: {{q: {{{fields}}}}}\n"


def pins(settings: str) -> str:
    return f"celery: {{settings: {{{settings}}}}}\n"


def results(more: str = "") -> str:
    return f"results: {{backend: redis, url: '${{R}}'{more}}}\n"


def stored(setting: str = "") -> str:
    return results() + (pins(setting) if setting else "") + KEPT


KEPT = "tasks: {shop.a: {queue: q, result: keep, canvas: [chord]}}\n"


def nightly(setting: str = "") -> str:
    return (pins(setting) if setting else "") + schedule("cron: 0 3 * * *")


def worker(more: str) -> str:
    return f"{PLAIN}workers: {{w: {{queues: [q]{more}}}}}\n"


def told(found: Review) -> set[str]:
    """Class, kind and address of all but what is safe and follows from something else."""
    return {
        f"{change.risk} {change.kind} {change.address}"
        for change in found.changes
        if not change.follows or change.risk is not Class.SAFE
    }


CASES: dict[str, tuple[str, str, set[str]]] = {
    "late acknowledgment taken away": (
        options("acks_late: true"),
        options("acks_late: false"),
        {
            "lossy task-delivery task:shop.a/options.acks_late",
        },
    ),
    "late acknowledgment given": (
        options("acks_late: false"),
        options("acks_late: true"),
        {"safe task-delivery task:shop.a/options.acks_late"},
    ),
    "lost worker: no more retry": (
        options("acks_late: true, reject_on_worker_lost: false, retry_on_worker_lost: true"),
        options("acks_late: true, reject_on_worker_lost: false, retry_on_worker_lost: false"),
        {"lossy task-delivery task:shop.a/options.retry_on_worker_lost"},
    ),
    "transient": (
        options("delivery_mode: 2"),
        options("delivery_mode: 1"),
        {"lossy task-delivery task:shop.a/options.delivery_mode"},
    ),
    "persistent": (
        options("delivery_mode: 1"),
        options("delivery_mode: 2"),
        {"safe task-delivery task:shop.a/options.delivery_mode"},
    ),
    "expiry added": (PLAIN, task("expires: 1h"), {"lossy task-expiry task:shop.a/options.expires"}),
    "expiry shortened": (
        task("expires: 2h"),
        task("expires: 1h"),
        {"lossy task-expiry task:shop.a/options.expires"},
    ),
    "expiry lengthened": (
        task("expires: 1h"),
        task("expires: 2h"),
        {"safe task-expiry task:shop.a/options.expires"},
    ),
    "expiry dropped": (task("expires: 1h"), PLAIN, {"safe task-expiry task:shop.a/options.expires"}),
    "results ignored": (
        results() + task("result: keep"),
        results() + task("result: ignore"),
        {
            "manual task-results task:shop.a/options.ignore_result",
            "safe task-results task:shop.a/options.store_errors_even_if_ignored",
        },
    ),
    "results kept": (
        results() + task("result: ignore"),
        results() + task("result: keep"),
        {
            "safe task-results task:shop.a/options.ignore_result",
            "safe task-results task:shop.a/options.store_errors_even_if_ignored",
        },
    ),
    "limit lowered": (
        task("runtime: 4m"),
        task("runtime: 1m"),
        {
            "ordered worker-grace worker:q/stop_timeout_seconds",
            "safe task-facts task:shop.a/runtime_p99_seconds",
        },
    ),
    "priority": (
        options("priority: 3"),
        options("priority: 5"),
        {"safe task-priority task:shop.a/options.priority"},
    ),
    "retries": (
        options("max_retries: 3"),
        options("max_retries: 5"),
        {"safe task-retries task:shop.a/options.max_retries"},
    ),
    "compression gzip": (
        PLAIN,
        options("compression: gzip"),
        {"safe serialization task:shop.a/options.compression", "safe task-facts task:shop.a/idempotent"},
    ),
    "compression zstd": (
        PLAIN,
        options("compression: zstd"),
        {"manual serialization task:shop.a/options.compression", "safe task-facts task:shop.a/idempotent"},
    ),
    "compression dropped": (
        options("compression: zstd"),
        options(""),
        {"safe serialization task:shop.a/options.compression"},
    ),
    "serialiser": (
        PLAIN,
        pins("accept_content: [json, yaml], task_serializer: yaml") + PLAIN,
        {"safe serialization app/accept_content", "ordered serialization app/task_serializer"},
    ),
    "serialiser of one task": (
        pins("accept_content: [json]") + PLAIN,
        pins("accept_content: [json, yaml]") + options("serializer: yaml"),
        {
            "safe serialization app/accept_content",
            "ordered serialization task:shop.a/options.serializer",
            "safe task-facts task:shop.a/idempotent",
        },
    ),
    "accepts more": (
        PLAIN,
        pins("accept_content: [json, yaml]") + PLAIN,
        {"safe serialization app/accept_content"},
    ),
    "accepts less": (
        pins("accept_content: [json, yaml]") + PLAIN,
        PLAIN,
        {"safe serialization app/accept_content"},
    ),
    "serialiser, accepted before": (
        pins("accept_content: [json, yaml]") + PLAIN,
        pins("accept_content: [json, yaml], task_serializer: yaml") + PLAIN,
        {"safe serialization app/task_serializer"},
    ),
    "serialiser given up": (
        pins("accept_content: [json, yaml], task_serializer: yaml") + PLAIN,
        PLAIN,
        {"ordered serialization app/accept_content", "safe serialization app/task_serializer"},
    ),
    "result serialiser": (
        results() + PLAIN,
        results() + pins("accept_content: [json, yaml], result_serializer: yaml") + PLAIN,
        {"safe serialization app/accept_content", "ordered serialization app/result_serializer"},
    ),
    "content type for name": (
        pins("accept_content: [json]") + PLAIN,
        pins("accept_content: [application/json]") + PLAIN,
        {"safe serialization app/accept_content"},
    ),
    "quorum": (
        queue("type: classic"),
        queue("type: quorum"),
        {
            "ordered queue-arguments queue:q/arguments.x-queue-type",
            "safe queue-arguments queue:q/arguments.x-delivery-limit",
            "safe queue-arguments queue:q/exchange_type",
        },
    ),
    "max length": (
        queue("type: classic"),
        queue("type: classic, arguments: {x-max-length: 5}"),
        {"lossy queue-arguments queue:q/arguments.x-max-length"},
    ),
    "priorities rabbit": (
        queue("type: classic"),
        queue("type: classic, priorities: 5"),
        {"ordered queue-arguments queue:q/arguments.x-max-priority"},
    ),
    "arguments redis": (
        PLAIN,
        queue("arguments: {x-max-length: 5}", broker=""),
        {"safe queue-arguments queue:q/arguments.x-max-length"},
    ),
    "exchange": (
        queue("type: classic"),
        queue("type: classic, exchange: x"),
        {"safe queue-binding queue:q/exchange"},
    ),
    "routing key": (
        queue("type: classic"),
        queue("type: classic, routing_key: k"),
        {"safe queue-binding queue:q/routing_key"},
    ),
    "consumer arguments": (
        queue("type: classic"),
        queue("type: classic, consumer_arguments: {x-priority: 1}"),
        {"safe queue-options queue:q/consumer_arguments"},
    ),
    "external arguments": (
        RABBITMQ
        + "tasks: {shop.a: {queue: q, external: true}}\nqueues: {q: {external: true, type: classic}}",
        RABBITMQ + "tasks: {shop.a: {queue: q, external: true}}\nqueues: {q: {external: true, type: quorum}}",
        {
            "manual queue-arguments queue:q/arguments.x-queue-type",
            "manual queue-arguments queue:q/arguments.x-delivery-limit",
            "manual queue-arguments queue:q/exchange_type",
        },
    ),
    "external queue added": (
        PLAIN,
        PLAIN + "queues: {theirs: {external: true}}",
        {"manual queue-added queue:theirs"},
    ),
    "external task added": (
        PLAIN,
        THEIRS,
        {"manual queue-added queue:theirs", "safe task-added task:their.b"},
    ),
    "external task removed": (
        THEIRS,
        PLAIN,
        {"safe queue-removed queue:theirs", "safe task-removed task:their.b"},
    ),
    "external task moved": (
        "tasks: {shop.a: {queue: q}, their.b: {queue: x, external: true}}",
        "tasks: {shop.a: {queue: q}, their.b: {queue: theirs, external: true}}",
        {"manual queue-added queue:theirs", "manual task-moved task:their.b/queue"},
    ),
    "broadcast": (
        PLAIN,
        PLAIN + "queues: {q: {broadcast: true}}",
        {"manual queue-options queue:q/broadcast"},
    ),
    "broadcast no more": (
        PLAIN + "queues: {q: {broadcast: true}}",
        PLAIN,
        {"manual queue-options queue:q/broadcast"},
    ),
    "concurrency": (
        worker(", concurrency: 2"),
        worker(", concurrency: 3"),
        {"safe capacity worker:w/concurrency"},
    ),
    "replicas": (
        worker(", replicas: 1"),
        worker(", replicas: 2"),
        {"safe capacity worker:w/concurrency", "safe capacity worker:w/replicas"},
    ),
    "autoscale": (
        worker(", concurrency: 4"),
        worker(", concurrency: {min: 1, max: 8}"),
        {"safe capacity worker:w/autoscale", "safe capacity worker:w/concurrency"},
    ),
    "pool": (
        worker(", pool: prefork"),
        worker(", pool: threads"),
        {
            "safe worker-options worker:w/max_tasks_per_child",
            "manual worker-pool worker:w/pool",
            f"safe app-setting {CANCEL}",
        },
    ),
    "prefetch": (
        worker(", options: {prefetch_multiplier: 1}"),
        worker(", options: {prefetch_multiplier: 2}"),
        {"safe worker-prefetch worker:w/prefetch_multiplier"},
    ),
    "pool without a hard limit": (
        worker(", pool: gevent"),
        worker(", pool: threads"),
        {"manual worker-pool worker:w/pool", f"safe app-setting {CANCEL}"},
    ),
    "pool with no limit before": (
        worker(", pool: threads"),
        worker(", pool: solo"),
        {"safe worker-pool worker:w/pool", "safe capacity worker:w/concurrency"},
    ),
    "node name": (worker(""), worker(", node_name: x"), {"safe worker-options worker:w/node_name"}),
    "environment": (
        worker(""),
        worker(", environment: {PLAIN: b}"),
        {"manual worker-options worker:w/environment"},
    ),
    "loglevel": (
        worker(""),
        worker(", options: {loglevel: DEBUG}"),
        {"safe worker-options worker:w/log_level"},
    ),
    "visibility raised, needed": (
        redis("visibility_timeout: 2h") + task("max_countdown: 1h"),
        redis("visibility_timeout: 5h") + task("max_countdown: 3h"),
        {
            "ordered visibility-timeout app/visibility_timeout_seconds",
            "safe task-facts task:shop.a/max_countdown_seconds",
        },
    ),
    "visibility raised, harmless": (
        redis("visibility_timeout: 2h") + PLAIN,
        redis("visibility_timeout: 3h") + PLAIN,
        {"safe visibility-timeout app/visibility_timeout_seconds"},
    ),
    "visibility lowered, held": (
        redis("visibility_timeout: 5h") + task("max_countdown: 3h"),
        redis("visibility_timeout: 2h") + task("max_countdown: 1h"),
        {
            "ordered visibility-timeout app/visibility_timeout_seconds",
            "safe task-facts task:shop.a/max_countdown_seconds",
        },
    ),
    "visibility lowered, harmless": (
        redis("visibility_timeout: 3h") + PLAIN,
        redis("visibility_timeout: 2h") + PLAIN,
        {"safe visibility-timeout app/visibility_timeout_seconds"},
    ),
    "levels": (
        PLAIN,
        redis("options: {priority_steps: [0, 5]}") + PLAIN,
        {"ordered priorities app/broker_transport_options"},
    ),
    "levels spelt out": (
        PLAIN,
        redis("options: {priority_steps: [0, 3, 6, 9]}") + PLAIN,
        {"safe broker app/broker_transport_options"},
    ),
    "socket timeout": (
        PLAIN,
        redis("options: {socket_timeout: 5}") + PLAIN,
        {"safe broker app/broker_transport_options"},
    ),
    "key prefix": (
        PLAIN,
        redis("options: {global_keyprefix: x}") + PLAIN,
        {"manual broker app/broker_transport_options"},
    ),
    "broker url": (
        PLAIN,
        "broker: {transport: redis, url: '${OTHER}'}\n" + PLAIN,
        {"manual broker app/broker_url_variable"},
    ),
    "broker version": (
        redis('version: "7.0"') + PLAIN,
        redis('version: "7.2"') + PLAIN,
        {"safe broker app/broker_version"},
    ),
    "celery version": (
        'celery: {version: "5.6"}\n' + PLAIN,
        'celery: {version: "5.7"}\n' + PLAIN,
        {"manual broker app/celery_version"},
    ),
    "namespace": (PLAIN, "celery: {namespace: CELERY}\n" + PLAIN, {"manual installation app/namespace"}),
    "app": (PLAIN, "app: shop.other:app\n" + PLAIN, {"manual installation app/app"}),
    "service": (
        PLAIN,
        "service: store\n" + PLAIN,
        {
            "manual installation app/service",
            "ordered queue-removed queue:shop.standard.io",
            "ordered task-moved app/task_default_queue",
            *(f"safe alert-changed alert:{each}/summary" for each in OF_SERVICE),
        },
    ),
    "broker pin": (PLAIN, pins("broker_pool_limit: 5") + PLAIN, {"safe broker app/broker_pool_limit"}),
    "harmless setting": (
        PLAIN,
        pins("worker_proc_alive_timeout: 20") + PLAIN,
        {"safe app-setting app/worker_proc_alive_timeout"},
    ),
    "timezone": (PLAIN, pins("timezone: Europe/Paris") + PLAIN, {"safe app-setting app/timezone"}),
    "timezone of beat": (
        schedule("every: 1h"),
        pins("timezone: Europe/Paris") + schedule("every: 1h"),
        {"manual app-setting app/timezone"},
    ),
    "enable_utc of beat": (
        nightly(),
        nightly("enable_utc: false"),
        {"manual app-setting app/enable_utc"},
    ),
    "timezone of a scheduler of its own": (
        schedule("every: 1h") + 'beat: {scheduler: "shop.beat:Own"}\n',
        pins("timezone: Europe/Paris") + schedule("every: 1h") + 'beat: {scheduler: "shop.beat:Own"}\n',
        {"safe app-setting app/timezone"},
    ),
    "cron deadline": (
        nightly(),
        nightly("beat_cron_starting_deadline: 60"),
        {"lossy app-setting app/beat_cron_starting_deadline"},
    ),
    "cron deadline lowered": (
        nightly("beat_cron_starting_deadline: 60"),
        nightly("beat_cron_starting_deadline: 30"),
        {"lossy app-setting app/beat_cron_starting_deadline"},
    ),
    "cron deadline raised": (
        nightly("beat_cron_starting_deadline: 30"),
        nightly("beat_cron_starting_deadline: 60"),
        {"safe app-setting app/beat_cron_starting_deadline"},
    ),
    "cron deadline of intervals": (
        schedule("every: 1h"),
        pins("beat_cron_starting_deadline: 60") + schedule("every: 1h"),
        {"safe app-setting app/beat_cron_starting_deadline"},
    ),
    "deduplication given up": (
        pins("worker_deduplicate_successful_tasks: true") + PLAIN,
        PLAIN,
        {"lossy app-setting app/worker_deduplicate_successful_tasks"},
    ),
    "deduplication": (
        PLAIN,
        pins("worker_deduplicate_successful_tasks: true") + PLAIN,
        {"safe app-setting app/worker_deduplicate_successful_tasks"},
    ),
    "control exchange": (
        PLAIN,
        pins("control_exchange: c") + PLAIN,
        {"manual app-setting app/control_exchange"},
    ),
    "event exchange": (PLAIN, pins("event_exchange: e") + PLAIN, {"manual app-setting app/event_exchange"}),
    "unknown setting": (PLAIN, pins("task_protocol: 1") + PLAIN, {"manual app-setting app/task_protocol"}),
    "backend url": (
        results() + KEPT,
        results().replace("R}", "S}") + KEPT,
        {"lossy results app/result_backend_variable"},
    ),
    "backend url where no result is kept": (
        results() + task("result: ignore"),
        results().replace("R}", "S}") + task("result: ignore"),
        {"safe results app/result_backend_variable"},
    ),
    "order of chords where there are none": (
        stored().replace(", canvas: [chord]", ""),
        stored("result_backend_transport_options: {result_chord_ordered: false}").replace(
            ", canvas: [chord]", ""
        ),
        {"safe results app/result_backend_transport_options"},
    ),
    "defaults written down": (
        PLAIN,
        pins("control_exchange: celery, event_exchange: celeryev, task_always_eager: false") + PLAIN,
        {
            "safe app-setting app/control_exchange",
            "safe app-setting app/event_exchange",
            "safe app-setting app/task_always_eager",
        },
    ),
    "messages of undeclared tasks that a restart of the broker loses": (
        PLAIN,
        pins("task_default_delivery_mode: transient") + PLAIN,
        {"lossy task-delivery app/task_default_delivery_mode"},
    ),
    "prefix of results": (
        stored(),
        stored("result_backend_transport_options: {global_keyprefix: b}"),
        {"lossy results app/result_backend_transport_options"},
    ),
    "prefix of no results": (
        PLAIN,
        pins("result_backend_transport_options: {global_keyprefix: b}") + PLAIN,
        {"safe results app/result_backend_transport_options"},
    ),
    "order of chords": (
        stored(),
        stored("result_backend_transport_options: {result_chord_ordered: false}"),
        {"lossy results app/result_backend_transport_options"},
    ),
    "order of chords spelt out": (
        stored(),
        stored("result_backend_transport_options: {result_chord_ordered: true}"),
        {"safe results app/result_backend_transport_options"},
    ),
    "retries of results": (
        stored(),
        stored("result_backend_transport_options: {retry_policy: {timeout: 5.0}}"),
        {"safe results app/result_backend_transport_options"},
    ),
    "tables of results": (
        stored(),
        stored("database_table_names: {task: t}"),
        {"lossy results app/database_table_names"},
    ),
    "schemas of results": (
        stored(),
        stored("database_table_schemas: {task: t}"),
        {"lossy results app/database_table_schemas"},
    ),
    "failures acknowledged": (
        dead("acks_on_failure: false"),
        dead("acks_on_failure: true"),
        # A worker copies them.
        {"safe task-delivery task:shop.a/options.acks_on_failure"},
    ),
    "failures no longer acknowledged": (
        dead("acks_on_failure: true"),
        dead("acks_on_failure: false"),
        {"safe task-delivery task:shop.a/options.acks_on_failure"},
    ),
    "failures acknowledged, without dead letters": (
        options("acks_on_failure: false"),
        options("acks_on_failure: true"),
        {"safe task-delivery task:shop.a/options.acks_on_failure"},
    ),
    "failures of undeclared tasks acknowledged": (
        undeclared("false"),
        undeclared("true"),
        {"safe task-delivery app/task_acks_on_failure"},
    ),
    "dead letters on Redis": (
        PLAIN,
        PLAIN + "queues: {q: {dead_letter: true}}\n",
        {
            "safe queue-arguments queue:q/dead_letter_queue",
            "safe queue-options queue:q/dead_letter_copies",
            "safe queue-options queue:q/dead_letter_limit",
        },
    ),
    "no dead letters on Redis any more": (
        PLAIN + "queues: {q: {dead_letter: true}}\n",
        PLAIN,
        {
            "safe queue-arguments queue:q/dead_letter_queue",
            "lossy queue-options queue:q/dead_letter_copies",
            "safe queue-options queue:q/dead_letter_limit",
        },
    ),
    "failures of undeclared tasks acknowledged, without dead letters": (
        pins("task_acks_on_failure: false") + PLAIN,
        pins("task_acks_on_failure: true") + PLAIN,
        {"safe task-delivery app/task_acks_on_failure"},
    ),
    "keep": (
        results(", keep: 1h") + PLAIN,
        results(", keep: 2h") + PLAIN,
        {"safe results app/result_expires"},
    ),
    "schedule removed": (
        PLAIN + "schedules: {s: {task: shop.a, every: 1m}, t: {task: shop.a, every: 2m}}\n",
        schedule("every: 1m"),
        {"safe schedule-removed schedule:t"},
    ),
    "times shifted": (
        schedule("cron: 0 3 * * *"),
        schedule("cron: 0 4 * * *"),
        {"manual schedule-shifted schedule:s"},
    ),
    "times shifted, idempotent": (
        schedule("cron: 0 3 * * *").replace("q}", "q, idempotent: true}"),
        schedule("cron: 0 4 * * *").replace("q}", "q, idempotent: true}"),
        {"safe schedule-shifted schedule:s"},
    ),
    "zone": (
        schedule("cron: 0 3 * * *"),
        schedule("cron: 0 3 * * *, timezone: Europe/Paris"),
        {
            "manual schedule-shifted schedule:s",
            # A day has an hour more when the clocks go back.
            "safe alert-changed alert:CeleryBeatDown/for_seconds",
            "safe alert-changed alert:CeleryScheduleMissed:s/for_seconds",
            "safe alert-changed alert:CeleryScheduleUnsuccessful:s/for_seconds",
        },
    ),
    "interval for cron": (
        schedule("cron: 0 3 * * *"),
        schedule("every: 1d"),
        {"safe schedule-shifted schedule:s", "safe schedule-options schedule:s/options"},
    ),
    "arguments": (
        schedule("every: 1m, args: [1]"),
        schedule("every: 1m, args: [2]"),
        {"ordered schedule-options schedule:s/args"},
    ),
    "schedule expires": (
        schedule("every: 1m"),
        schedule("every: 1m, expires: 30s"),
        {"lossy schedule-options schedule:s/options"},
    ),
    "schedule other task": (
        "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\nschedules: {s: {task: shop.a, every: 1m}}",
        "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\nschedules: {s: {task: shop.b, every: 1m}}",
        {"safe schedule-options schedule:s/task"},
    ),
    "schedule new task": (
        "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 1m}}",
        "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\nschedules: {s: {task: shop.b, every: 1m}}",
        {"ordered task-added task:shop.b", "safe schedule-options schedule:s/task"},
    ),
    "schedule queue": (
        schedule("every: 1m"),
        schedule("every: 1m, options: {queue: z}") + "workers: {w: {queues: [z]}}",
        {"ordered schedule-options schedule:s/options", "safe worker-added worker:w"},
    ),
    "beat moved": (
        schedule("every: 1m") + "beat: {host: a}",
        schedule("every: 1m") + "beat: {host: b}",
        {"ordered beat-moved beat/host"},
    ),
    "scheduler": (
        schedule("every: 1m"),
        schedule("every: 1m") + 'beat: {scheduler: "shop.beat:Own"}',
        {"manual beat-options beat/scheduler"},
    ),
    "worker gone": (
        "tasks: {shop.a: {queue: q}, shop.b: {queue: p}}\nworkers: {w: {queues: [q]}, v: {queues: [p]}}",
        "tasks: {shop.a: {queue: q}, shop.b: {queue: p}}\nworkers: {w: {queues: [q, p]}}",
        {"safe worker-queues worker:w/queues", "safe worker-removed worker:v"},
    ),
    "worker split": (
        "tasks: {shop.a: {queue: q}, shop.b: {queue: p}}\nworkers: {w: {queues: [q, p]}}",
        "tasks: {shop.a: {queue: q}, shop.b: {queue: p}}\nworkers: {w: {queues: [q]}, v: {queues: [p]}}",
        {"safe worker-added worker:v", "safe worker-queues worker:w/queues"},
    ),
    "default queue": (
        "tasks: {shop.a: {}}",
        pins("task_default_queue: other") + "tasks: {shop.a: {}}",
        {"ordered task-moved app/task_default_queue"},
    ),
    "alias added late": (
        PLAIN,
        "tasks: {shop.a: {queue: q, renamed_from: [shop.never]}}",
        {"safe task-renamed task:shop.a/renamed_from"},
    ),
    "alias dropped": (
        "tasks: {shop.a: {queue: q, renamed_from: [shop.never]}}",
        PLAIN,
        {"ordered task-renamed task:shop.a/renamed_from"},
    ),
    "chord etc": (PLAIN, task("canvas: [chain]"), {"safe task-facts task:shop.a/canvas"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_has_its_class_and_its_kind(case):
    old, new, expected = CASES[case]
    assert told(reviewed(old, new)) == expected


@pytest.mark.parametrize("case", CASES)
def test_each_change_says_why_in_one_sentence(case):
    old, new, _ = CASES[case]
    for change in reviewed(old, new).changes:
        assert change.because
        assert "\n" not in change.because
        assert not change.because.endswith(".")


@pytest.mark.parametrize("case", CASES)
def test_the_riskiest_change_comes_first_and_gives_the_verdict(case):
    old, new, _ = CASES[case]
    found = reviewed(old, new)
    ranks = [change.risk.rank for change in found.changes]
    assert ranks == sorted(ranks, reverse=True)
    assert found.verdict is (found.changes[0].risk if found.changes else None)


@pytest.mark.parametrize("broker", ["", RABBITMQ], ids=["redis", "rabbitmq"])
def test_what_waits_for_one_worker_is_run_before_the_queue_is_a_broadcast(broker):
    change = at(
        reviewed(broker + PLAIN, broker + PLAIN + "queues: {q: {broadcast: true}}"), "queue:q/broadcast"
    )
    order = (
        "stop sending",
        "until it is empty",
        *(("delete queue q and exchange q",) if broker else ()),
        "deploy",
    )
    found = [change.because.find(each) for each in order]
    assert -1 not in found
    assert found == sorted(found)


@pytest.mark.parametrize("way", [1, -1])
def test_an_exchange_that_rabbitmq_refuses_is_not_safe(way):
    plans = [RABBITMQ + PLAIN, RABBITMQ + PLAIN + "queues: {q: {broadcast: true}}"][::way]
    found = reviewed(*plans)
    assert at(found, "queue:q/exchange_type").risk is Class.MANUAL
    assert "exchange q" in at(found, "queue:q/broadcast").because


@pytest.mark.parametrize(
    ("serializer", "because"), [("json", "no client can read them"), ("msgpack", "of the old content type")]
)
def test_results_that_are_read_no_more_are_told_from_those_that_are_not_read_at_all(serializer, because):
    accepted, sent = "accept_content: [{}]", f"task_serializer: msgpack, result_serializer: {serializer}"
    old = stored(accepted.format("json, msgpack") + ", task_serializer: msgpack")
    # A check refuses the one that reads no result at all.
    new = compiled(workload(stored(f"{accepted.format('msgpack')}, {sent}"))).plan
    change = at(review(plan_of(old), new, TODAY), "app/accept_content")
    assert change.risk is Class.LOSSY
    assert because in change.because


@pytest.mark.parametrize(
    ("slots", "told"),
    [
        (("4", "{min: 1, max: 8}"), "its slots go from 4 to 8"),
        (("{min: 4, max: 8}", "2"), "no work is lost; its slots go from 8 to 2, and queues may grow"),
        (("{min: 1, max: 8}", "{min: 1, max: 2}"), "no work is lost; its slots go from 8 to 2, and "),
    ],
)
def test_slots_are_those_that_a_worker_may_have_at_most(slots, told):
    found = reviewed(*(worker(f", concurrency: {each}") for each in slots))
    assert at(found, "worker:w/autoscale").because.startswith(told)


def test_nobody_meets_a_form_that_goes_to_another_broker():
    sends_yaml = pins("accept_content: [json, yaml], task_serializer: yaml") + PLAIN
    found = reviewed(PLAIN, "broker: {transport: redis, url: '${OTHER}'}\n" + sends_yaml)
    assert at(found, "app/task_serializer").because == "old and new workers cannot see each other's messages"
