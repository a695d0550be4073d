"""Traces from publishers to workers, by the instrumentation package of OpenTelemetry.

Shipped by policycompiler beside celeryconfig.py. Do not edit.

The set-up runs when the configuration is loaded: in publishers, and in workers before
they start processes. Only the variables of OpenTelemetry (`OTEL_*`) say where traces
go. A provider that the application has set before stays in use.
"""

from __future__ import annotations

import sys
from importlib import import_module
from os import environ
from typing import Any

from celery import exceptions, signals

NAME = "service.name"
PACKAGES = (
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation-celery",
)
FLUSH_MILLISECONDS = 2000
"""How long a process of a pool waits for the collector when it ends."""


def trace(service: str) -> None:
    """Trace this process; the variables may give the service another name."""
    if not _patches():
        _set_up(service)
        return

    def later(**_: Any) -> None:
        _set_up(service)

    starts = signals.worker_init, signals.beat_init, signals.before_task_publish
    for start in starts:
        start.connect(later, weak=False, dispatch_uid="celeryconfig-traces-later")


def _patches() -> bool:
    """Whether gevent replaces modules just now: the SDK would wait for a thread.

    When it looks for locks, it touches proxies of Celery. They load celeryconfig.py.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("os"):
        return False
    return not monkey.is_module_patched("queue")


def _set_up(service: str) -> None:
    try:
        api = import_module("opentelemetry.trace")
        instrumentor = import_module(
            "opentelemetry.instrumentation.celery"
        ).CeleryInstrumentor()
        if isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
            api.set_tracer_provider(_provider(service))
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("opentelemetry"):
            raise
        message = (
            f"traces need packages in publishers and workers: {' '.join(PACKAGES)}"
        )
        raise exceptions.ImproperlyConfigured(message) from error
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
    signals.worker_process_shutdown.connect(
        _flush, weak=False, dispatch_uid="celeryconfig-traces"
    )


def _provider(service: str) -> Any:
    """A provider that exports in the background, also in later forked processes."""
    sdk = import_module("opentelemetry.sdk.trace")
    resources = import_module("opentelemetry.sdk.resources")
    told = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named = environ.get("OTEL_SERVICE_NAME") or f"{NAME}=" in told
    attributes = {} if named else {NAME: service}
    provider = sdk.TracerProvider(resource=resources.Resource.create(attributes))
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none":
        exporters = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
        exporter = import_module(exporters).OTLPSpanExporter()
        batches = import_module("opentelemetry.sdk.trace.export").BatchSpanProcessor
        provider.add_span_processor(batches(exporter))
    return provider


def _flush(**_: Any) -> None:
    """A process of a pool ends without the usual cleaning."""
    provider = import_module("opentelemetry.trace").get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush(FLUSH_MILLISECONDS)
