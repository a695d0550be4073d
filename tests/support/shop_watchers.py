"""Sentry and OpenTelemetry in the processes of `guarded`; what they see goes to the list `seen` of the effects."""

from __future__ import annotations

import os

import redis
import sentry_sdk
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.transport import Transport

seen = redis.Redis.from_url(os.environ["EFFECTS_URL"])


class ToSentry(Transport):
    """What Sentry would get: `transaction` for a run, `event` for an error."""

    def capture_envelope(self, envelope):
        for item in envelope.items:
            told = item.payload.json or {}
            errors = [each["type"] for each in (told.get("exception") or {}).get("values", [])]
            seen.rpush("seen", " ".join(["sentry", item.type, told.get("transaction") or "", *errors]))


class ToCollector(SpanExporter):
    """What a collector would get."""

    def export(self, spans):
        seen.rpush("seen", *(f"otel {span.name}" for span in spans))
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ToCollector()))
trace.set_tracer_provider(provider)
CeleryInstrumentor().instrument()
sentry_sdk.init(
    dsn="http://key@127.0.0.1:1/1",
    transport=ToSentry(),
    integrations=[CeleryIntegration()],
    traces_sample_rate=1.0,
)
