"""A plan with workers and beat, and what the targets that start processes are asked of it."""

from __future__ import annotations

from collections.abc import Mapping

from plans import plan_of

from policycompiler.plan import Plan, Value

APP: dict[str, Value] = {
    "service": "shop",
    "app": "shop.celery_app:app",
    "broker_transport": "redis",
    "broker_url_variable": "CELERY_BROKER_URL",
    "result_backend_variable": "CELERY_RESULT_BACKEND",
    "executable": "/srv/shop/venv/bin/celery",
    "working_directory": "/srv/shop",
    "environment_file": "/etc/shop/celery.env",
    "user": "shop",
    "state_directory": "shop-beat",
}

WORKER: dict[str, Value] = {
    "queues": ["shop.batch.cpu"],
    "pool": "prefork",
    "concurrency": 4,
    "prefetch_multiplier": 1,
    "max_tasks_per_child": 1000,
    "max_memory_per_child": 900000,
    "replicas": 1,
    "node_name": "worker@shop.batch.cpu",
    "stop_timeout_seconds": 8670,
    "without_gossip": True,
    "without_mingle": True,
    "without_heartbeat": False,
    "task_events": True,
    "memory_bytes": 4 * 1024**3,
    "environment": {},
    "command_prefix": [],
    "log_level": "INFO",
    "description": "batch tasks that compute (3 tasks)",
}

BEAT: dict[str, Value] = {
    "scheduler": "celery.beat:PersistentScheduler",
    "host": None,
    "stop_timeout_seconds": 10,
    "max_interval_seconds": 300,
    "log_level": "INFO",
}

THREADS: dict[str, Value] = {
    "queues": ["shop.interactive.io", "shop.standard.io"],
    "node_name": "worker@shop.interactive.io",
    "pool": "threads",
    "max_tasks_per_child": None,
    "max_memory_per_child": None,
    "memory_bytes": None,
    "without_gossip": False,
    "without_mingle": False,
    "task_events": False,
    "replicas": 2,
}

HOSTILE = [
    "plain",
    "two words ",
    "",
    "'single' \"double\"",
    "$HOME ${HOME} $$ $(id) `id`",
    "%h %% %(here)s %(process_num)d 100%",
    "{{ 7 * 7 }} {% raw %}",
    "back\\slash \\n \\",
    "a;b ;c ; d",
    "# a #b",
    "Größe \N{GRINNING FACE} \N{NO-BREAK SPACE};x",
    "~ * ? [a] | & < > ! ^ =",
    "@-:+!",
]

HOSTILE_ENVIRONMENT: dict[str, str] = {f"VALUE_{number:02}": text for number, text in enumerate(HOSTILE)}


def fleet(
    worker: Mapping[str, Value] | None = None,
    *,
    app: Mapping[str, Value] | None = None,
    beat: Mapping[str, Value] | None = None,
    more: Mapping[str, Mapping[str, Value]] | None = None,
) -> Plan:
    """The plan of one worker, `shop.batch.cpu`, with these changes; with beat when `beat` is given."""
    scopes: dict[str, Mapping[str, Value]] = {
        "app": APP | dict(app or {}),
        "worker:shop.batch.cpu": WORKER | dict(worker or {}),
    }
    if beat is not None:
        scopes["beat"] = BEAT | dict(beat)
    for name, changes in (more or {}).items():
        scopes[f"worker:{name}"] = WORKER | dict(changes)
    return plan_of(scopes)


def hostile_fleet() -> Plan:
    """A worker whose environment and command prefix hold every text that a format could trip over."""
    environment: dict[str, Value] = dict(HOSTILE_ENVIRONMENT)
    return fleet({"environment": environment, "command_prefix": ["celery", *HOSTILE]})
