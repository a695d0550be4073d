"""Values that a client library refuses when it connects, and options that are set for one connection only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.knowledge.brokers import broker
from policycompiler.knowledge.clients import (
    ALIKE,
    NUMBERS,
    ONE_REDIS,
    ORDER,
    ORDERS,
    REDIS_RESULTS,
    TIMEOUTS,
    Tls,
)
from policycompiler.plan import APP, Plan, Value

BROKER_TLS, RESULTS_TLS = "broker_use_ssl", "redis_backend_use_ssl"
SENTINELS = "master_name"
_BROKER, _RESULTS = "broker_transport_options", "result_backend_transport_options"


def connections(plan: Plan) -> Iterator[Hazard]:
    """Check the connections to the broker and to the results, and the options that both need."""
    tls = plan.broker.tls
    if tls is not None and plan.get(APP, BROKER_TLS) is not None:
        yield from _tls(plan, BROKER_TLS, tls)
    if plan.get(APP, RESULTS_TLS) is not None:
        yield from _tls(plan, RESULTS_TLS, REDIS_RESULTS)
    yield from _address(plan)
    yield from _sentinels(plan)
    for key, path in (("broker_url", ("broker", "url")), ("result_backend", ("results", "url"))):
        yield from _url(plan, key, path)
    yield from _numbers(plan)
    if plan.broker.server == "redis" and _may_be_one(plan):
        yield from _one_sided(plan)


def _tls(plan: Plan, key: str, tls: Tls) -> Iterator[Hazard]:
    value, path = plan.get(APP, key), plan.written(APP, key) or ("celery", "settings", key)
    if value is True and tls.true:
        message = f"`{key}: true` is not enough: {tls.true}"
        yield _refused(key, message, f"write `{key}: {{{tls.certificate}: required}}`", path)
    if not isinstance(value, dict):
        return
    for option in sorted(value.keys() - tls.options):
        message = f"`{option}` is not a TLS option of this client: every connection fails"
        known = ", ".join(sorted(tls.options))
        yield _refused(key, message, f"remove `{option}`; known options: {known}", (*path, option))
    certificate = value.get(tls.certificate)
    if tls.certificate not in value and tls.needed:
        message = f"`{key}` has no `{tls.certificate}`: Celery refuses it"
        yield _refused(key, message, f"add `{tls.certificate}: required`", path)
    elif certificate is not None and not _is_known(certificate, tls):
        numbers = "2 (required), 1 (optional) or 0 (none)"
        known = ", ".join(f"`{word}`" for word in ("required", "optional", "none") if word in tls.words)
        message = f"the client refuses `{tls.certificate}: {certificate}` when it connects"
        yield _refused(key, message, f"write one of {known or numbers}", (*path, tls.certificate))


def _is_known(value: Value, tls: Tls) -> bool:
    return value in tls.words if isinstance(value, str) else value in NUMBERS


def _sentinels(plan: Plan) -> Iterator[Hazard]:
    """Connections through Sentinel that wait forever for a server that stopped."""
    options = _mapping(plan, _BROKER)
    url = plan.get(APP, "broker_url")
    through = SENTINELS in options or (isinstance(url, str) and url.startswith("sentinel://"))
    if not plan.broker.socket_timeout or not through:
        return
    own = options.get("sentinel_kwargs")
    settings = ((APP, _BROKER),)
    if options.get("socket_timeout") is None:
        message = (
            "without `socket_timeout` a publisher waits forever for a master that no longer answers, even if "
            "Sentinel has promoted another server"
        )
        path: SpecPath = ("broker", "options", "socket_timeout")
        help_text = "write `socket_timeout: 30` in `broker.options`"
        yield Hazard("sentinel-waits-forever", settings, message, help_text, path)
    elif isinstance(own, dict) and own.get("socket_timeout") is None:
        message = (
            "`sentinel_kwargs` replaces all options of connections to the Sentinels, so `socket_timeout` "
            "does not apply to them: a process waits forever for a Sentinel that no longer answers"
        )
        path = ("broker", "options", "sentinel_kwargs")
        help_text = "add `socket_timeout` to `sentinel_kwargs`, such as 5"
        yield Hazard("sentinel-waits-forever", settings, message, help_text, path)


def _address(plan: Plan) -> Iterator[Hazard]:
    """A literal URL of results over TLS."""
    url = plan.get(APP, "result_backend")
    if not isinstance(url, str) or not url.startswith("rediss://"):
        return
    given = parse_qs(urlsplit(url).query).get("ssl_cert_reqs", [])
    path: SpecPath = ("results", "url")
    tls = plan.get(APP, RESULTS_TLS)
    if given and given[0] not in REDIS_RESULTS.words:
        message = f"Celery refuses `ssl_cert_reqs={given[0]}` in the URL: use required, optional or none"
        yield _refused("result_backend", message, "write `?ssl_cert_reqs=required`", path)
    elif not given and not (isinstance(tls, dict) and REDIS_RESULTS.certificate in tls):
        message = (
            "a rediss:// URL of results must declare how certificates are verified: without `ssl_cert_reqs` "
            "Celery refuses the URL, and no process starts"
        )
        yield _refused("result_backend", message, "append `?ssl_cert_reqs=required` to the URL", path)


def _url(plan: Plan, key: str, path: SpecPath) -> Iterator[Hazard]:
    """A literal URL; the compiler cannot see a URL in a variable."""
    written, transport = plan.get(APP, key), plan.text(APP, "broker_transport")
    for url in written.split(";") if isinstance(written, str) else ():
        scheme = url.partition("://")[0].lower()
        if key == "broker_url" and scheme.partition("+")[0] not in broker(transport).schemes:
            known = ", ".join(f"`{each}://`" for each in sorted(broker(transport).schemes))
            message = f"the URL of the {transport} broker cannot begin with `{scheme}`"
            yield _refused(
                key, message, f"write a URL that begins with {known}, or correct the transport", path
            )
            continue
        if not _has_a_port(url):
            message = "the port in the URL is not a number from 0 to 65535: every connection fails"
            yield _refused(key, message, "correct the port", path)
            continue
        database = urlsplit(url).path.strip("/")
        if scheme in ONE_REDIS and "," not in url and database and not database.isdecimal():
            message = f"`{database}` in the URL is not a Redis database, which has a number: every send fails"
            yield _refused(key, message, "write the number of the database, such as `/0`", path)
        options = _mapping(plan, _BROKER if key == "broker_url" else _RESULTS)
        if scheme == "sentinel" and SENTINELS not in options:
            place = "broker.options" if key == "broker_url" else f"celery.settings.{_RESULTS}"
            message = f"a Sentinel URL needs the name of the master, but `{SENTINELS}` is not set"
            yield _refused(key, message, f"add `{SENTINELS}` to `{place}`", path)
            return


def _has_a_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 - it is read as it is asked for
    except ValueError:
        # The policy broker-addresses reports several hosts.
        return "," in url
    return True


def _numbers(plan: Plan) -> Iterator[Hazard]:
    """Socket timeouts with which no connection succeeds, and an unknown order of queues."""
    options = _mapping(plan, _BROKER)
    timeouts = {(_BROKER, key): (options.get(key), ("broker", "options", key)) for key in TIMEOUTS}
    for key in ("redis_socket_timeout", "redis_socket_connect_timeout", "broker_connection_timeout"):
        timeouts[key, ""] = (plan.get(APP, key), ("celery", "settings", key))
    for (setting, option), (value, path) in timeouts.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
            message = f"`{option or setting}: {value:g}` leaves no time to connect: every connection fails"
            help_text = "write a number of seconds above 0, or remove the line"
            yield _refused(setting, message, help_text, path)
    order = options.get(ORDER)
    if isinstance(order, str) and order not in ORDERS and "." not in order:
        message = f"`{order}` is not a known order of queues: every connection fails"
        help_text = f"write one of {', '.join(f'`{each}`' for each in ORDERS)}, or the path of a function"
        yield _refused(_BROKER, message, help_text, ("broker", "options", ORDER))


def _refused(key: str, message: str, help_text: str, path: SpecPath) -> Hazard:
    return Hazard("connection-value-refused", ((APP, key),), message, help_text, path)


def _may_be_one(plan: Plan) -> bool:
    """Whether broker and results may be the same Redis."""
    broker, results = plan.get(APP, "broker_url"), plan.get(APP, "result_backend")
    if not isinstance(results, str):
        return (
            plan.get(APP, "result_backend_kind") == "redis"
            and plan.get(APP, "result_backend_variable") is not None
        )
    if not results.startswith(("redis://", "rediss://", "sentinel://")):
        return False
    return not isinstance(broker, str) or urlsplit(broker).hostname == urlsplit(results).hostname


def _one_sided(plan: Plan) -> Iterator[Hazard]:
    options = {"broker": _mapping(plan, _BROKER), "results": _mapping(plan, _RESULTS)}
    places: dict[str, SpecPath] = {
        "broker": ("broker", "options"),
        "results": ("celery", "settings", _RESULTS),
    }
    keys = {"broker": _BROKER, "results": _RESULTS}
    for has, lacks in (("broker", "results"), ("results", "broker")):
        for option in ALIKE:
            if option == SENTINELS and str(plan.get(APP, "result_backend") or "").startswith("redis"):
                continue
            if option in options[has] and option not in options[lacks]:
                message = (
                    f"`{option}` is set for the {has} connection but not for the {lacks} connection: if both "
                    "use one Redis server, it needs both"
                )
                settings = ((APP, keys[has]), (APP, keys[lacks]))
                help_text = f"set `{option}` in `{'.'.join(map(str, places[lacks]))}` too"
                yield _uneven(message, help_text, settings[0][1], (*places[has], option))
    uses = {"broker": plan.get(APP, BROKER_TLS), "results": plan.get(APP, RESULTS_TLS)}
    tls = {"broker": BROKER_TLS, "results": RESULTS_TLS}
    urls = {"broker": plan.get(APP, "broker_url"), "results": plan.get(APP, "result_backend")}
    for has, lacks in (("broker", "results"), ("results", "broker")):
        if uses[has] and not uses[lacks] and not str(urls[lacks] or "").startswith("rediss://"):
            message = (
                f"the {has} connection uses TLS, but the {lacks} connection does not: if both use one "
                "Redis server, it needs TLS in both"
            )
            help_text = f"set `{tls[lacks]}` too"
            yield _uneven(message, help_text, tls[has], ("celery", "settings", tls[has]))


def _uneven(message: str, help_text: str, key: str, path: SpecPath) -> Hazard:
    return Hazard("connection-option-one-sided", ((APP, key),), message, help_text, path)


def _mapping(plan: Plan, key: str) -> Mapping[str, Value]:
    value = plan.get(APP, key)
    return value if isinstance(value, dict) else {}
