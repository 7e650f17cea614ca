"""An app with Sentry and OpenTelemetry, and what these tell of a few calls: a line each, in the file $OUT."""

import contextlib
import json
import os
from typing import Any

import sentry_sdk
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from sentry_sdk.transport import Transport

from workrow.celery import Celery
from workrow.celery.contrib.opentelemetry import instrument
from workrow.celery.contrib.sentry import CeleryIntegration
from workrow.celery.contrib.testing.worker import start_worker


def tell(**what: Any) -> None:
    with open(os.environ["OUT"], "a") as file:
        file.write(json.dumps(what) + "\n")


class Sink(Transport):
    """What Sentry would get."""

    def capture_envelope(self, envelope: Any) -> None:
        for item in envelope.items:
            told = item.payload.json
            trace = told and told.get("contexts", {}).get("trace")
            if item.type == "event":
                errors = [f"{each['type']}: {each['value']}" for each in told.get("exception", {}).get("values", [])]
                tell(event=errors, tags=told.get("tags"), job=told["extra"].get("celery-job"), trace=trace["trace_id"])
            elif item.type == "transaction":
                spans = {each["span_id"]: f"{each['op']} {each['description']}" for each in told["spans"]}
                name = f"{trace['op']} {told['transaction']}"
                tell(
                    run=name,
                    status=trace.get("status"),
                    of=trace.get("parent_span_id"),
                    spans=spans,
                    trace=trace["trace_id"],
                )


class Exporter(SpanExporter):
    """What OpenTelemetry would export."""

    def export(self, spans: Any) -> SpanExportResult:
        for span in spans:
            parent = span.parent and span.parent.span_id
            errors = [each.attributes["exception.type"] for each in span.events]
            tell(span=span.name, id=span.context.span_id, of=parent, status=span.status.status_code.name, errors=errors)
        return SpanExportResult.SUCCESS


sentry_sdk.init(
    dsn="http://key@127.0.0.1:9/1", transport=Sink, traces_sample_rate=1.0, integrations=[CeleryIntegration()]
)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Exporter()))
instrument(tracer_provider=provider)
instrument(tracer_provider=provider)

app = Celery("traced")


class Expected(Exception):
    pass


@app.task(name="inner")
def inner() -> int:
    return 1


@app.task(name="outer")
def outer() -> None:
    inner.delay()


@app.task(name="fails")
def fails(secret: str) -> None:
    raise ValueError("boom")


@app.task(name="expected", throws=(Expected,))
def expected() -> None:
    raise Expected("known")


@app.task(name="again", bind=True)
def again(self: Any) -> None:
    if not self.request.retries:
        raise self.retry(countdown=0)


@app.task(name="dies")
def dies() -> None:
    os._exit(3)


def main() -> None:
    """Send them from within a request, and wait for their ends."""
    with start_worker(app, pool="prefork", perform_ping_check=False):
        request = provider.get_tracer("tests").start_as_current_span("request")
        with sentry_sdk.start_transaction(op="http.server", name="GET /"), request:
            sent = [outer.delay(), fails.delay("s3cret"), expected.delay(), again.delay(), dies.delay()]
            quiet = inner.apply_async(headers={"sentry-propagate-traces": False})
        for each in (*sent, quiet):
            with contextlib.suppress(Exception):
                each.get(timeout=60)
        sent[0].children[0].get(timeout=60)
