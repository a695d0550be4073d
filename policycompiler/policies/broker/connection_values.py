"""Connection values that a client library refuses, and options that only one of two connections has.

Decides:
    Nothing.

Because:
    redis-py and py-amqp receive connection options unchanged and check them when a process connects. A
    wrong value is no error when the configuration loads, but every process that connects fails. For
    `ssl_cert_reqs`, redis-py accepts `required`, `optional` and `none`. py-amqp accepts the numbers of
    Python's `ssl` module. Celery's Redis backend also accepts the names of its constants. `broker_use_ssl:
    true` is enough for RabbitMQ, but kombu ignores it for Redis. A `rediss://` URL of the result backend
    must contain `ssl_cert_reqs`; a `rediss://` URL of the broker need not
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#redis-backend-settings).

    With a bare `rediss://` URL of the broker, kombu accepts any certificate. Any server on the way can then
    read messages and send others. In contrast, py-amqp verifies by default, with the authorities of the
    system. It checks the name of the server only with `server_hostname`.

    A connection through Sentinel asks the Sentinels for the master, and then connects to it. Without
    `socket_timeout` it waits forever for a master that no longer answers. The compiler sets `socket_timeout`,
    and redis-py uses it for the Sentinels too, unless `sentinel_kwargs` is set.

    If broker and result backend are the same Redis server, both connections need the same TLS, key prefix and
    Sentinel master. The compiler cannot see whether two URLs in variables point to the same server.

Example:
    celery: {settings: {broker_use_ssl: {ssl_cert_reqs: CERT_REQUIRED}}}
    tasks: {shop.a: {}}

    refuses connection-value-refused

Refuses:
    PC477 connection-option-one-sided: set the option for both connections.
        fires:
            broker: {transport: redis, url: "${B}", options: {global_keyprefix: "shop:"}}
            results: {backend: redis, url: "${R}"}
        silent:
            broker: {transport: redis, url: "${B}", options: {global_keyprefix: "shop:"}}
            results: {backend: redis, url: "${R}"}
            celery: {settings: {result_backend_transport_options: {global_keyprefix: "shop:"}}}
    PC478 connection-value-refused: write a value that the client library accepts.
        fires: celery: {settings: {broker_use_ssl: {ssl_cert_reqs: CERT_REQUIRED}}}
        silent: celery: {settings: {broker_use_ssl: {ssl_cert_reqs: required}}}
    PC928 tls-unverified: append `?ssl_cert_reqs=required` to the URL, or require it in the mapping.
        fires:
            broker: {transport: redis, url: "rediss://redis/0"}
            tasks: {shop.a: {}}
        silent:
            broker: {transport: redis, url: "rediss://redis/0?ssl_cert_reqs=required"}
            tasks: {shop.a: {}}
    PC929 sentinel-waits-forever: write `socket_timeout`, also in `sentinel_kwargs`.
        fires:
            broker:
              transport: redis
              url: "${B}"
              options: {master_name: shop, sentinel_kwargs: {username: sentinel}}
        silent:
            broker:
              transport: redis
              url: "${B}"
              options: {master_name: shop, sentinel_kwargs: {username: sentinel, socket_timeout: 5}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from policycompiler.diagnostics import Diagnostic, SpecPath, error, warning
from policycompiler.hazards.connections import connections
from policycompiler.hazards.hazard import as_findings
from policycompiler.knowledge.clients import REDIS_RESULTS, REDIS_TLS, UNVERIFIED, Tls
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "connection-values"

CONNECTION_OPTION_ONE_SIDED = warning("PC477", "connection-option-one-sided")
CONNECTION_VALUE_REFUSED = error("PC478", "connection-value-refused")
TLS_UNVERIFIED = warning("PC928", "tls-unverified")
SENTINEL_WAITS_FOREVER = warning("PC929", "sentinel-waits-forever")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check both connections."""
    del spec
    yield from as_findings(
        connections(plan), CONNECTION_OPTION_ONE_SIDED, CONNECTION_VALUE_REFUSED, SENTINEL_WAITS_FOREVER
    )
    for key, tls in (("broker_use_ssl", plan.broker.tls), ("redis_backend_use_ssl", REDIS_RESULTS)):
        if tls is not None:
            yield from _mapping(plan, key, tls)
    yield from _url(plan, "broker_url", ("broker", "url"))
    yield from _url(plan, "result_backend", ("results", "url"))


def _mapping(plan: Plan, key: str, tls: Tls) -> Iterator[Diagnostic]:
    """A mapping that says that any certificate is good."""
    value, path = plan.get(APP, key), plan.written(APP, key) or ("celery", "settings", key)
    given = value.get(tls.certificate) if isinstance(value, dict) else None
    if not isinstance(given, bool) and given in UNVERIFIED:
        message = f"`{tls.certificate}: {given}` accepts any certificate: any server on the way can answer"
        help_text = f"write `{tls.certificate}: {'required' if tls.words else 2}`"
        yield TLS_UNVERIFIED.at((*path, tls.certificate), message, help=help_text)


def _url(plan: Plan, key: str, path: SpecPath) -> Iterator[Diagnostic]:
    """A URL that says so, or a bare one of the broker; the compiler cannot see a URL in a variable."""
    url = str(plan.get(APP, key, "")).partition(";")[0]
    if url.partition("://")[0].lower() not in REDIS_TLS.schemes:
        return
    query = parse_qs(urlsplit(url).query)
    given = query.get(REDIS_TLS.certificate, [""])[0]
    # Any other TLS option makes redis-py use its own default, which is to verify.
    said = any(each.startswith("ssl_") for each in query) or isinstance(plan.get(APP, "broker_use_ssl"), dict)
    if given in UNVERIFIED or (key == "broker_url" and not said):
        what = f"with `ssl_cert_reqs={given}`" if given else "with this bare URL kombu"
        message = (
            f"{what}{' the client' * bool(given)} accepts any certificate: any server on the way can answer"
        )
        help_text = "append `?ssl_cert_reqs=required`, and for a private authority `&ssl_ca_certs=PATH`"
        yield TLS_UNVERIFIED.at(path, message, help=help_text)
