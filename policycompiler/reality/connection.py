"""Connections to the broker of a plan: bounded in time, and without secrets in what they say.

A look connects as the processes of the plan do: with the transport options, the TLS and the login of the
plan, and the URL from the same environment variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

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

    Raises `UnreachableError` if there is none.
    """
    if given:
        return given
    variable = plan.get(APP, "broker_url_variable")
    url = environment.get(str(variable)) if variable else plan.get(APP, "broker_url")
    if url:
        return str(url)
    where = f"the environment variable {variable} is not set" if variable else "the plan has no broker URL"
    message = f"{where}; set it, or name the broker with --broker"
    raise UnreachableError(message)


def client(plan: Plan, url: str) -> Celery:
    """A Celery app that only asks: it has the broker and the remote control of the plan, and no tasks."""
    app = Celery("policycompiler", broker=url, backend="disabled://", set_as_current=False)
    app.conf.update({key: plan.value(APP, key) for key in _SHARED if plan.find(APP, key)})
    options = plan.get(APP, "broker_transport_options", {})
    assert isinstance(options, dict)
    app.conf.broker_transport_options = {
        **options,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": CONNECT_SECONDS,
        "max_retries": 1,
    }
    app.conf.broker_connection_timeout = CONNECT_SECONDS
    return app


@contextmanager
def connected(app: Celery) -> Iterator[Connection]:
    """A connection of the app. Raises `UnreachableError` for a broker that does not answer or refuses."""
    with reaching(app.conf.broker_url), app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
        yield connection


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
        message = f"{maybe_sanitize_url(url)}: {_said(problem, url)}"
        raise UnreachableError(message) from None


_EXTRAS = {scheme: name for name, record in brokers.BROKERS.items() for scheme in record.schemes}


def _said(problem: BaseException, url: str) -> str:
    """What an exception says, without the password of the URL."""
    password = urlsplit(url).password
    told = str(problem).strip() or type(problem).__name__
    return told.replace(password, "**") if password else told
