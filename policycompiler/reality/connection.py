"""Connections to the broker of a plan: bounded in time, and without secrets in what they say.

A look connects as the processes of the plan do: with the transport options, the TLS and the login of the
plan, and the URL from the same environment variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import KombuError, OperationalError
from kombu.utils.url import maybe_sanitize_url

from policycompiler.knowledge import brokers
from policycompiler.plan import APP, Plan

CONNECT_SECONDS = 4
"""The patience with a broker that does not answer; a look takes less than 10 s in all."""
_SHARED = (
    *("broker_use_ssl", "broker_login_method", "accept_content", "control_exchange", "event_exchange"),
    *("control_queue_durable", "control_queue_exclusive", "control_queue_expires", "control_queue_ttl"),
)
"""Settings of the plan with which a client meets the broker and the workers."""


class UnreachableError(Exception):
    """The broker cannot be reached; the text says why, without credentials."""


def broker_url(plan: Plan, given: str | None, environment: Mapping[str, str]) -> str:
    """The URL of the broker: `given`, else that of the plan or of the variable that it names.

    Raises `UnreachableError` if there is none, or if it is no URL of this kind of broker.
    """
    if given:
        return _checked(plan, given, "--broker")
    variable = plan.get(APP, "broker_url_variable")
    url = environment.get(str(variable)) if variable else plan.get(APP, "broker_url")
    if url:
        return _checked(plan, str(url), str(variable or "broker_url"))
    where = f"the environment variable {variable} is not set" if variable else "the plan has no broker URL"
    message = f"{where}; set it, or name the broker with --broker"
    raise UnreachableError(message)


def _checked(plan: Plan, urls: str, source: str) -> str:
    """The URL or URLs, each of which a client can parse."""
    schemes = plan.broker.schemes
    for url in urls.split(";"):
        try:
            parts = urlsplit(url)
            known = parts.scheme.partition("+")[0] in schemes and (parts.port is None or parts.port > 0)
        except ValueError:
            known = False
        if not known:
            message = f"{source} is not a URL of {plan.broker.label}; it begins with "
            message += " or ".join(f"{scheme}://" for scheme in sorted(schemes))
            raise UnreachableError(message)
    return urls


class Client(Celery):  # type: ignore[misc]
    """An app that asks the broker at `url`, whatever `CELERY_BROKER_URL` says; Celery would prefer that."""

    url: str

    patience_seconds: float = 3
    """How long to wait for the answers of workers."""

    def connection_for_read(self, url: str | None = None, **options: object) -> Connection:
        """A connection to the broker."""
        return cast("Connection", super().connection_for_read(url or self.url, **options))

    def connection_for_write(self, url: str | None = None, **options: object) -> Connection:
        """A connection to the broker."""
        return cast("Connection", super().connection_for_write(url or self.url, **options))


def client(plan: Plan, url: str) -> Client:
    """A Celery app that only asks: it has the broker and the remote control of the plan, and no tasks."""
    app = Client("policycompiler", broker=url, backend="disabled://", set_as_current=False)
    app.url = url
    app.conf.update({key: plan.value(APP, key) for key in _SHARED if plan.find(APP, key)})
    options = plan.get(APP, "broker_transport_options", {})
    assert isinstance(options, dict)
    app.conf.broker_transport_options = {
        **options,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": CONNECT_SECONDS,
        "read_timeout": CONNECT_SECONDS,
        "write_timeout": CONNECT_SECONDS,
        "max_retries": 1,
        "client_properties": {"connection_name": f"policycompiler {uuid4()}"},
    }
    app.conf.broker_connection_timeout = CONNECT_SECONDS
    return app


def name_of(app: Client) -> str:
    """The unique name by which RabbitMQ lists the connections of a client."""
    return str(app.conf.broker_transport_options["client_properties"]["connection_name"])


@contextmanager
def connected(app: Client) -> Iterator[Connection]:
    """A connection of the app. Raises `UnreachableError` for a broker that does not answer or refuses."""
    with reaching(app.url), app.connection_for_read() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
            yield connection
        except (*connection.connection_errors, *connection.channel_errors) as problem:
            # Of client libraries that raise their own.
            silent = "it does not answer" if isinstance(problem, TimeoutError) else type(problem).__name__
            raise OperationalError(str(problem) or silent) from problem


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn what a client library raises for a broker into `UnreachableError`."""
    try:
        yield
    except ImportError as problem:
        extra = urlsplit(url).scheme.partition("+")[0]
        message = f"{problem}; install it: `pip install 'policycompiler[{_EXTRAS.get(extra, extra)}]'`"
        raise UnreachableError(message) from None
    except (KombuError, OperationalError, OSError, ValueError) as problem:
        shown = ";".join(str(maybe_sanitize_url(each)) for each in url.split(";"))
        message = f"{shown}: {_said(problem, url)}"
        raise UnreachableError(message) from None


_EXTRAS = {scheme: name for name, record in brokers.BROKERS.items() for scheme in record.schemes}


def _said(problem: BaseException, url: str) -> str:
    """What an exception says, without the passwords of the URLs."""
    told = str(problem).strip() or type(problem).__name__
    for each in url.split(";"):
        if password := urlsplit(each).password:
            told = told.replace(password, "**").replace(unquote(password), "**")
    return told
