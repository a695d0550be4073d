"""Connections to the broker of a plan: bounded in time, and without secrets in what they say.

A look connects as the processes of the plan do: with the transport options, the TLS and the login of the
plan, and the URL from the same environment variable.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from policycompiler.plan import APP, Plan
from policycompiler.reality.live import Failure

Connected: TypeAlias = Any
"""A connection of kombu, which has no types."""

CONNECT_SECONDS = 4
"""The patience with a broker that does not answer."""
LOOK_SECONDS = 30.0
"""The longest look in all, with the answers of workers."""
_SHARED = (
    *("broker_use_ssl", "broker_login_method", "accept_content", "control_exchange", "event_exchange"),
    *("control_queue_durable", "control_queue_exclusive", "control_queue_expires", "control_queue_ttl"),
)
"""Settings of the plan with which a client meets the broker and the workers."""


_CLIENTS = {"redis": "redis", "sqs": "boto3"}
"""The client library for each kind of server; the extra that installs it has the name of the server."""
_SERVERS = frozenset({"redis", "rabbitmq"})
"""The kinds of servers whose URL has a host, or a socket."""


class UnreachableError(Exception):
    """The broker cannot be looked at; the text says why, without credentials."""

    failure = Failure.UNREACHABLE
    extra = ""
    """The extra of this package with a missing library."""


class RefusedError(UnreachableError):
    """The broker answers, and refuses the user, the password, or a right of the user."""

    failure = Failure.REFUSED


class MissingLibraryError(UnreachableError):
    """A library for this kind of broker is not installed."""

    failure = Failure.LIBRARY

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


def broker_url(plan: Plan, given: str | None, environment: Mapping[str, str]) -> str:
    """The URL of the broker: `given`, else that of the plan or of the variable that it names.

    Raises `UnreachableError` if there is none, or if it is no URL of this kind of broker.
    """
    if given:
        return _checked(plan, given, "--broker", given=True)
    variable = plan.get(APP, "broker_url_variable")
    url = environment.get(str(variable)) if variable else plan.get(APP, "broker_url")
    if url:
        return _checked(plan, str(url), str(variable or "broker_url"))
    where = f"the environment variable {variable} is not set" if variable else "the plan has no broker URL"
    message = f"{where}; set it, or name the broker with --broker"
    raise UnreachableError(message)


def _checked(plan: Plan, urls: str, source: str, *, given: bool = False) -> str:
    """The URL or URLs, each of which a client can parse; the reason why not may contain a password."""
    schemes = plan.broker.schemes
    for url in urls.split(";"):
        scheme, found, _ = url.partition("://")
        if not found or scheme.lower().partition("+")[0] not in schemes:
            allowed = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
            message = f"{source} is not a URL of {plan.broker.label}; it begins with {allowed}"
            raise UnreachableError(message)
        if not _has_place(url):
            message = f"{source} has a wrong host or port; a port is a number from 1 to 65535"
            raise UnreachableError(message)
        if given and plan.broker.server in _SERVERS and not urlsplit(url).hostname and "+" not in scheme:
            # A client would take localhost.
            message = f"{source} has no host; write it, such as {scheme}://HOST"
            raise UnreachableError(message)
    return urls


def _has_place(url: str) -> bool:
    """Whether the host and the port of a URL, if it has them, can be read."""
    with suppress(ValueError):
        return urlsplit(url).port != 0
    return False


class Client(Celery):  # type: ignore[misc]
    """An app that asks the broker at `url`, whatever `CELERY_BROKER_URL` says; Celery would prefer that."""

    url: str

    patience_seconds: float = 3
    """How long to wait for the answers of workers."""

    def connection_for_read(self, url: str | None = None, **options: object) -> Connected:
        """A connection to the broker."""
        return super().connection_for_read(url or self.url, **options)

    def connection_for_write(self, url: str | None = None, **options: object) -> Connected:
        """A connection to the broker."""
        return super().connection_for_write(url or self.url, **options)


def client(plan: Plan, url: str) -> Client:
    """A Celery app that only asks: it has the broker and the remote control of the plan, and no tasks.

    Raises `MissingLibraryError` if the library for this kind of broker is not installed.
    """
    if library := _CLIENTS.get(plan.broker.server):
        try:
            import_module(library)
        except ImportError as problem:
            # kombu would raise something else, by the library.
            raise MissingLibraryError(str(problem), plan.broker.server) from None
    app = Client("policycompiler", broker=url, backend="disabled://", set_as_current=False)
    app.url = url
    app.conf.update({key: plan.value(APP, key) for key in _SHARED if plan.find(APP, key)})
    options = plan.get(APP, "broker_transport_options", {})
    assert isinstance(options, dict)
    # Each transport reads its own options.
    app.conf.broker_transport_options = {
        **options,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": CONNECT_SECONDS,
        "read_timeout": CONNECT_SECONDS,
        "write_timeout": CONNECT_SECONDS,
        "client-config": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": CONNECT_SECONDS,
            "retries": {"total_max_attempts": 1},
        },
        "max_retries": 1,
        "client_properties": {"connection_name": f"policycompiler {uuid4()}"},
    }
    app.conf.broker_connection_timeout = CONNECT_SECONDS
    return app


def name_of(app: Client) -> str:
    """The unique name by which RabbitMQ lists the connections of a client."""
    return str(app.conf.broker_transport_options["client_properties"]["connection_name"])


@contextmanager
def connected(app: Client) -> Iterator[Connected]:
    """A connection of the app. Raises `UnreachableError` for a broker that does not answer or refuses."""
    with reaching(app.url), app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
        yield connection


class _OverError(BaseException):
    """The time is over. No client library takes it for a failed connection, which it would try again."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Let a look last so long, also at a broker that answers a byte at a time: it meets all other limits.

    Then it raises `UnreachableError`. Only the main thread can be interrupted; others have no limit.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def over(*_: object) -> None:
        raise _OverError

    before = signal.signal(signal.SIGALRM, over)
    try:
        # Again and again: an exception in a destructor is lost.
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        yield
    except _OverError:
        message = f"the answer was not complete within {seconds:.0f} s"
        raise UnreachableError(message) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn what a client library raises for a broker into `UnreachableError`."""
    try:
        yield
    except Exception as problem:
        if not isinstance(problem, _client_errors()):
            raise
        refused = any(type(each).__name__ in _REFUSALS for each in _chain(problem))
        kind = RefusedError if refused else UnreachableError
        message = f"{_address(url)}: {_said(problem, url)}"
        raise kind(message) from None


_REFUSALS = frozenset(
    {
        *("AccessRefused", "NotAllowed"),
        *("AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError"),
        *("NoCredentialsError", "PartialCredentialsError"),
    }
)
"""The names of exceptions of client libraries; the libraries themselves may be missing."""
_LIBRARIES = (
    *(("amqp.exceptions", "AMQPError"), ("redis.exceptions", "RedisError")),
    *(("botocore.exceptions", "BotoCoreError"), ("botocore.exceptions", "ClientError")),
)


def _client_errors() -> tuple[type[BaseException], ...]:
    """What clients of brokers raise for a broker that does not answer, or answers with an error."""
    modules = ((sys.modules.get(module), name) for module, name in _LIBRARIES)
    found = tuple(getattr(module, name) for module, name in modules if module is not None)
    return (KombuError, OperationalError, OSError, ValueError, *found)


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes."""
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def _address(url: str) -> str:
    """The address of a broker, without the user, the password and the path, which may have more addresses."""
    parts = urlsplit(url.partition(";")[0])
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def _said(problem: BaseException, url: str) -> str:
    """What an exception says, without the passwords of the URL."""
    told = " ".join(str(problem).split()) or type(problem).__name__
    for each in url.split(";"):
        password = urlsplit(each).password
        for secret in {password, unquote(password)} if password else ():
            told = told.replace(secret, "**")
    return told
