"""Pinned settings without effect for the workload's broker, result backend and pools.

Decides:
    Nothing.

Because:
    Each result backend reads only the settings with its own prefix. The settings for AMQP heartbeats and for
    quorum queues have no effect on a broker without AMQP. The settings for child processes, their start and
    their loss affect only the prefork pool. Celery silently ignores these settings elsewhere
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html).

Example:
    results: {backend: database, url: "${CELERY_RESULT_BACKEND}"}
    celery: {settings: {redis_max_connections: 20}}

    refuses setting-unused

Refuses:
    PC640 setting-unused: remove the setting.
        fires:
            results: {backend: database, url: "${R}"}
            celery: {settings: {redis_max_connections: 20}}
        silent:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {redis_max_connections: 20}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from policycompiler.diagnostics import Diagnostic, Related, Remove, SpecPath, warning
from policycompiler.knowledge.brokers import BROKERS, Broker, broker
from policycompiler.knowledge.pools import POOLS
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "inert-settings"

SETTING_UNUSED = warning("PC640", "setting-unused")

_OF_BACKENDS = {
    "cache_": "memcached",
    "database_": "database",
    "mongodb_": "mongodb",
    "redis_": "redis",
    "s3_": "s3",
}
_OF_BROKERS: Mapping[str, Callable[[Broker], bool]] = {
    "broker_heartbeat": lambda known: known.heartbeats,
    "broker_heartbeat_checkrate": lambda known: known.heartbeats,
    "broker_native_delayed_delivery_queue_type": lambda known: known.quorum_queues,
    "worker_detect_quorum_queues": lambda known: known.quorum_queues,
}
"""Settings that are read only if the broker has a feature, and that feature."""
_OF_PREFORK = frozenset(
    {"worker_lost_wait", "worker_pool_putlocks", "worker_pool_start_method", "worker_proc_alive_timeout"}
)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Report a setting only if nothing can read it; a class of the user's own may read any setting."""
    transport = plan.text(APP, "broker_transport")
    kinds = [plan.text(scope, "pool") for scope in plan.scopes("worker")]
    own_scheduler = spec.beat is not None and spec.beat.scheduler is not None
    for key in (spec.celery and spec.celery.settings) or {}:
        if plan.find(APP, key) is None:
            continue
        backend = next((kind for begin, kind in _OF_BACKENDS.items() if key.startswith(begin)), None)
        if backend is not None and not own_scheduler:
            yield from _of_backend(plan, key, backend)
        elif key in _OF_BROKERS and not _OF_BROKERS[key](broker(transport)):
            related = (Related(("broker", "transport"), "the broker"),)
            readers = " and ".join(known.label for known in BROKERS.values() if _OF_BROKERS[key](known))
            yield _unused(key, f"only {readers} reads it, and the broker is {transport}", related)
        elif key in _OF_PREFORK and kinds and not any(_may_have_processes(kind) for kind in kinds):
            yield _unused(key, "only the prefork pool reads it, and no worker uses prefork")


def _may_have_processes(kind: str) -> bool:
    """A class of the user's own may have processes like prefork."""
    return kind not in POOLS or POOLS[kind].processes


def _of_backend(plan: Plan, key: str, backend: str) -> Iterator[Diagnostic]:
    found = plan.get(APP, "result_backend_kind")
    if found is None:
        yield _unused(key, f"only the {backend} backend reads it, and the workload stores no results")
    elif found != backend:
        related = (Related(("results", "backend"), "the result backend"),)
        yield _unused(key, f"only the {backend} backend reads it, and results are stored in {found}", related)


def _unused(key: str, why: str, related: tuple[Related, ...] = ()) -> Diagnostic:
    path: SpecPath = ("celery", "settings", key)
    message = f"`{key}` has no effect: {why}"
    fix = (Remove(path),)
    help_text = f"remove `{key}`"
    return SETTING_UNUSED.at(path, message, help=help_text, related=related, at_key=True, fix=fix)
