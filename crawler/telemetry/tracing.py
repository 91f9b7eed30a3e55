"""OpenTelemetry spans: one for the crawl and one per scope below it, sent after the end of the crawl.

Needs the extra `otel`, and either an exporter in the environment (`OTEL_TRACES_EXPORTER`, `OTEL_EXPORTER_OTLP_ENDPOINT`
…) or an existing tracer provider in the process. There are no spans of requests: a span takes about 22 µs, too much
for each request. Attributes are those of the ledger, which hold no secrets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crawler import __version__
from crawler.extras import how_to_install

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from crawler.snapshot.ledger import ScopeRow
    from crawler.telemetry.metrics import CrawlFigures

_NAME = "acs-inventory"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = {"otlp", "console"}
_BATCH_SPANS = 512
_FLUSH_EVERY = 1000  # an existing provider's queue holds 2,048 spans and drops further ones
_FLUSH_TIMEOUT_MS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND_NS = 1000
_NOT_TAKEN = "the collector didn't take them; check OTEL_EXPORTER_OTLP_ENDPOINT and the collector"


def chosen_exporter(environ: Mapping[str, str]) -> str:
    """Return the exporter that the environment names: `otlp`, `console` or another name; empty for none."""
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or named == "none":
        return ""
    return named or ("otlp" if any(environ.get(name) for name in _ENDPOINTS) else "")


def export_spans(figures: CrawlFigures, snapshot_id: str, environ: Mapping[str, str]) -> str:
    """Send the spans of a crawl if an exporter is configured. Return the reason of a failure. Blocks; never raises."""
    exporter = chosen_exporter(environ)
    try:
        from opentelemetry import trace

        existing = trace.get_tracer_provider()
        if not isinstance(existing, trace.ProxyTracerProvider):
            return _send(existing, figures, snapshot_id)
        if exporter in _EXPORTERS:
            own = _own_provider(exporter)
            try:
                return _send(own, figures, snapshot_id)
            finally:
                own.shutdown()
        if exporter:
            return f"unknown OTEL_TRACES_EXPORTER {exporter[:40]!a}; known: otlp, console, none"
    except ImportError:
        return how_to_install("otel") if exporter else ""
    except Exception as error:  # noqa: BLE001 - spans are optional, and the crawl is done
        return f"{type(error).__name__} while sending"
    return ""


def _own_provider(exporter: str) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from crawler.telemetry.metric_export import RESOURCE
    from crawler.telemetry.span_batches import SpanBatches

    provider = TracerProvider(resource=Resource.create(RESOURCE), shutdown_on_exit=False)
    provider.add_span_processor(SpanBatches(_span_exporter(exporter), _BATCH_SPANS))
    return provider


def _span_exporter(exporter: str) -> SpanExporter:
    if exporter == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr, formatter=_log_line)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _log_line(span: ReadableSpan) -> str:
    """Return a span as one line, as the log has it with `--log-format json`."""
    value = json.loads(span.to_json())
    return json.dumps({"event": "span", "level": "info", "timestamp": value["end_time"], "span": value}) + "\n"


def _send(provider: Any, figures: CrawlFigures, snapshot_id: str) -> str:
    """Send all spans; return why they weren't sent, as far as the provider says that."""
    from opentelemetry import trace

    tracer = provider.get_tracer(_NAME, __version__)
    start, end = _ns(figures.started_at), _ns(figures.ended_at)
    attributes = {"acs_inventory.snapshot_id": snapshot_id, "acs_inventory.exit_code": figures.exit_code}
    crawl = tracer.start_span("crawl", start_time=start, attributes=attributes)
    if figures.exit_code:
        crawl.set_status(trace.StatusCode.ERROR, f"exit code {figures.exit_code}")
    context = trace.set_span_in_context(crawl)
    flush = getattr(provider, "force_flush", lambda _: True)
    for number, row in enumerate(figures.ledger, 1):
        begun = _ns(row.started_at) if row.started_at else end
        scope = tracer.start_span(f"scope {row.table}", context=context, start_time=begun, attributes=_attributes(row))
        if str(row.status) in {"failed", "denied"}:
            scope.set_status(trace.StatusCode.ERROR, row.error_code)
        scope.end(_ns(row.finished_at) if row.finished_at else end)
        if number % _FLUSH_EVERY == 0 and not flush(_FLUSH_TIMEOUT_MS):
            return _NOT_TAKEN
    crawl.end(end)
    return "" if flush(_FLUSH_TIMEOUT_MS) else _NOT_TAKEN


def _attributes(row: ScopeRow) -> dict[str, str | int]:
    names = ("table", "account_id", "region_id", "status", "rows", "lists", "pages", "requests", "retries", "throttled")
    values: dict[str, str | int] = {}
    for name in (*names, "error_code", "request_id"):
        value = getattr(row, name)
        if value != "":
            values[f"acs_inventory.{name}"] = value if isinstance(value, int) else str(value)
    # The names of the semantic conventions, by which dashboards of any service find them.
    standard = {"cloud.account.id": row.account_id, "cloud.region": row.region_id, "error.type": row.error_code}
    values |= {"cloud.provider": "alibaba_cloud"} | {name: value for name, value in standard.items() if value}
    return values


def _ns(moment: datetime) -> int:
    """Nanoseconds since 1970, exactly."""
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * _MICROSECOND_NS
