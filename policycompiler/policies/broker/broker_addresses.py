"""The addresses of the broker, and whether all processes use the same broker.

Decides:
    Nothing.

Because:
    A process tries several URLs, separated by `;`, one after another, and stays with the first that
    answers. The URLs share no load. If they are different brokers, publishers and workers may be on
    different ones: a worker cannot see messages on another broker
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#broker-failover-strategy).

    kombu reads one host of a `redis://` URL and does not support Redis Cluster (celery/celery#2852). For
    several hosts use Sentinel: `sentinel://one:26379;sentinel://two:26379` with the transport option
    `master_name`. The compiler checks only URLs in the workload, not URLs in environment variables.

    Celery itself reads `CELERY_BROKER_URL`, `CELERY_BROKER_READ_URL`, `CELERY_BROKER_WRITE_URL` and
    `CELERY_RESULT_BACKEND`, before any settings.

    Redis can also discard messages. If its `maxmemory-policy` evicts keys without an expiry, for instance
    allkeys-lru, it silently drops whole queues. A second database number does not separate a cache from the
    queues. Use a separate Redis instance on which `redis-cli CONFIG GET maxmemory-policy` answers
    `noeviction`.

Example:
    broker: {transport: redis, url: "redis://one:6379,two:6379/0"}

    refuses redis-cluster-url

Refuses:
    PC424 redis-cluster-url: write one host, or use Sentinel.
        fires: broker: {transport: redis, url: "redis://one:6379,two:6379/0"}
        silent:
            broker: {transport: redis, url: "sentinel://one;sentinel://two", options: {master_name: shop}}
    PC425 broker-list-as-balancer: write one URL with a name that resolves to the whole cluster.
        fires: broker: {transport: rabbitmq, url: "amqp://one;amqp://two"}
        silent: broker: {transport: rabbitmq, url: "amqp://rabbitmq.internal"}
    PC426 env-overrides-url: remove the variable from the worker, or declare it as the URL of all processes.
        fires:
            broker: {transport: redis, url: "${REDIS_URL}"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {environment: {CELERY_BROKER_URL: "redis://other:6379/0"}}}
        silent:
            broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
            tasks: {shop.a: {queue: q}}
            workers: {q: {environment: {CELERY_BROKER_URL: "redis://other:6379/0"}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, Related, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "broker-addresses"

REDIS_CLUSTER_URL = error("PC424", "redis-cluster-url")
BROKER_LIST_AS_BALANCER = warning("PC425", "broker-list-as-balancer")
ENV_OVERRIDES_URL = warning("PC426", "env-overrides-url", Profile.MINIMAL)

ONE_HOST = ("redis://", "rediss://")
SENTINEL = "sentinel://"
READ_BY_CELERY = {
    "CELERY_BROKER_URL": "broker_url",
    "CELERY_BROKER_READ_URL": "broker_url",
    "CELERY_BROKER_WRITE_URL": "broker_url",
    "CELERY_RESULT_BACKEND": "result_backend",
}
"""Environment variables that override a setting, and the setting (celery.app.base)."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the URLs in the workload, and the environment of each worker."""
    addresses = [(spec.broker.url, ("broker", "url"))]
    if spec.results is not None and spec.results.url is not None:
        addresses.append((spec.results.url, ("results", "url")))
    for url, path in addresses:
        hosts = url.partition("://")[2].partition("/")[0]
        if url.startswith(ONE_HOST) and "," in hosts:
            message = (
                f"`{hosts}` is not one host: a redis:// URL has one host, and Celery does not support "
                "Redis Cluster"
            )
            help_text = "write one host, or use Sentinel: `sentinel://one:26379;sentinel://two:26379`"
            yield REDIS_CLUSTER_URL.at(path, message, help=help_text)
        elif ";" in url and path[0] == "broker" and not url.startswith(SENTINEL):
            message = (
                f"each process uses the first of {url.count(';') + 1} brokers that answers: they share no "
                "load, and publishers and workers may use different brokers"
            )
            help_text = "write one URL with the name of one broker, of a cluster or of its load balancer"
            yield BROKER_LIST_AS_BALANCER.at(path, message, help=help_text)
    yield from _overridden(spec, plan)


def _overridden(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    sections = {"broker_url": "broker", "result_backend": "results"}
    for name, worker in spec.workers.items():
        for variable in worker.environment or {}:
            setting = READ_BY_CELERY.get(variable)
            if setting is None or plan.get(APP, f"{setting}_variable") == variable:
                continue
            message = (
                f"`{variable}` overrides `{sections[setting]}.url` for worker {name}, but all other "
                f"processes still use `{sections[setting]}.url`"
            )
            related = (Related((sections[setting], "url"), "used by all other processes"),)
            help_text = f"remove it, or write `url: ${{{variable}}}` and set it for all processes"
            path = ("workers", name, "environment", variable)
            yield ENV_OVERRIDES_URL.at(path, message, help=help_text, related=related, at_key=True)
