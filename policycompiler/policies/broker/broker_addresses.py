"""Where processes find the broker, and that all of them find the same one.

Decides:
    Nothing.

Because:
    Several URLs, separated by `;`, are tried one after the other when a connection fails, and a process stays
    with the one that answered. They share no load, and where they are not one broker, senders and workers
    part: what lies on the one is not seen from the other
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#broker-failover-strategy). kombu reads
    one host of a `redis://` URL and speaks no Redis Cluster (celery/celery#2852); several hosts are for
    Sentinel, `sentinel://one:26379;sentinel://two:26379` with the transport option `master_name`. Only a URL
    that stands in the workload can be looked at; one in an environment variable cannot.

    Celery reads `CELERY_BROKER_URL`, `CELERY_BROKER_READ_URL`, `CELERY_BROKER_WRITE_URL` and
    `CELERY_RESULT_BACKEND` itself, before any settings.

    Whether a Redis throws messages away is its own setting too: with a `maxmemory-policy` that evicts keys
    without an expiry, such as allkeys-lru, it drops whole queues without an error, and a second database
    number does not keep a cache apart. It must answer `noeviction` to
    `redis-cli CONFIG GET maxmemory-policy`, on an instance of its own.

Example:
    broker: {transport: redis, url: "redis://one:6379,two:6379/0"}

    refuses redis-cluster-url

Refuses:
    PC424 redis-cluster-url: write one host, or use Sentinel.
        fires: broker: {transport: redis, url: "redis://one:6379,two:6379/0"}
        silent:
            broker: {transport: redis, url: "sentinel://one;sentinel://two", options: {master_name: shop}}
    PC425 broker-list-as-balancer: write one URL, of a name that leads to the whole cluster.
        fires: broker: {transport: rabbitmq, url: "amqp://one;amqp://two"}
        silent: broker: {transport: rabbitmq, url: "amqp://rabbitmq.internal"}
    PC426 env-overrides-url: remove the variable from the worker, or declare it as the URL of all.
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
"""Environment variables that beat every setting, and which one (celery.app.base)."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Look at the URLs that are written, and at the environment of each worker."""
    addresses = [(spec.broker.url, ("broker", "url"))]
    if spec.results is not None and spec.results.url is not None:
        addresses.append((spec.results.url, ("results", "url")))
    for url, path in addresses:
        hosts = url.partition("://")[2].partition("/")[0]
        if url.startswith(ONE_HOST) and "," in hosts:
            message = f"`{hosts}` is no host: a redis:// URL has one, and Celery speaks no Redis Cluster"
            help_text = "write one host, or Sentinel: `sentinel://one:26379;sentinel://two:26379`"
            yield REDIS_CLUSTER_URL.at(path, message, help=help_text)
        elif ";" in url and path[0] == "broker" and not url.startswith(SENTINEL):
            message = (
                f"of {url.count(';') + 1} brokers a process uses the first that answers, and stays with it: "
                "they share no load, and senders and workers may be on different ones"
            )
            help_text = "write one URL, of a name or load balancer that leads to one broker or cluster"
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
                f"Celery reads `{variable}` before any settings, so worker {name} leaves what `url` says "
                f"of the {sections[setting]}, and all other processes stay there"
            )
            related = (Related((sections[setting], "url"), "what all others use"),)
            help_text = f"remove it, or write `url: ${{{variable}}}` and set it for all processes"
            path = ("workers", name, "environment", variable)
            yield ENV_OVERRIDES_URL.at(path, message, help=help_text, related=related, at_key=True)
