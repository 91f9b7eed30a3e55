"""Spans: one for the crawl, one per scope, only if the environment requests them, without secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from crawler.extras import how_to_install
from crawler.snapshot import Status
from crawler.telemetry import tracing
from crawler.telemetry.tracing import chosen_exporter, export_spans
from tests.support.collector import receiver
from tests.support.crawl_figures import END, SNAPSHOT, START, figures, row

ROOT = Path(__file__).parents[2]


def nanoseconds(moment):
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


@pytest.fixture
def spans(monkeypatch):
    """The exported spans, from a provider that keeps them."""
    exporter = InMemorySpanExporter()

    def provider(_):
        made = TracerProvider(shutdown_on_exit=False)
        made.add_span_processor(SimpleSpanProcessor(exporter))
        return made

    monkeypatch.setattr(tracing, "_own_provider", provider)
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


def test_a_span_a_scope_below_one_for_the_crawl(spans):
    denied = row("fc_layers", Status.DENIED, error_code="AccessDenied", error_message="never told", request_id="R-7")
    late = row("fc_triggers", Status.NOT_ATTEMPTED, started_at=None, finished_at=None)
    functions = row(rows=5, requests=2)
    assert export_spans(figures([functions, denied, late], 3), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "otlp"}) == ""
    found = spans()
    assert found.keys() == {"crawl", "scope fc_functions", "scope fc_layers", "scope fc_triggers"}
    crawl = found["crawl"]
    assert (crawl.start_time, crawl.end_time) == (nanoseconds(START), nanoseconds(END))
    assert crawl.attributes == {"acs_inventory.snapshot_id": SNAPSHOT, "acs_inventory.exit_code": 3}
    assert (crawl.status.status_code, crawl.status.description) == (StatusCode.ERROR, "exit code 3")
    first = found["scope fc_functions"]
    assert (first.start_time, first.end_time) == (nanoseconds(functions.started_at), nanoseconds(functions.finished_at))
    assert first.attributes["acs_inventory.rows"] == 5
    assert first.attributes["acs_inventory.status"] == "complete"
    assert first.status.status_code is StatusCode.UNSET
    second = found["scope fc_layers"]
    assert (second.status.status_code, second.status.description) == (StatusCode.ERROR, "AccessDenied")
    assert second.attributes["acs_inventory.request_id"] == "R-7"
    assert "never told" not in str([span.attributes for span in found.values()])
    third = found["scope fc_triggers"]
    assert third.start_time == third.end_time == nanoseconds(END)
    assert {span.context.trace_id for span in found.values()} == {crawl.context.trace_id}
    assert {span.parent.span_id for name, span in found.items() if name != "crawl"} == {crawl.context.span_id}


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, ""),
        ({"OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, ""),
        ({"OTEL_TRACES_EXPORTER": " Console "}, "console"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, ""),
    ],
)
def test_the_environment_says_whether_and_how(environ, exporter):
    assert chosen_exporter(environ) == exporter


def test_where_nobody_wants_spans_there_are_none(spans):
    assert export_spans(figures([row()]), SNAPSHOT, {}) == ""
    assert spans() == {}


def test_an_exporter_that_is_not_known_is_named():
    reason = export_spans(figures([row()]), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "jaeger"})
    assert "'jaeger'; known: otlp, console, none" in reason


def test_without_the_extra_it_is_named_and_only_where_spans_are_wanted(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert export_spans(figures([row()]), SNAPSHOT, {}) == ""
    reason = export_spans(figures([row()]), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "otlp"})
    assert reason == how_to_install("otel")


def test_what_goes_wrong_is_a_kind_and_no_text(monkeypatch):
    def broken(_):
        raise RuntimeError("canary")

    monkeypatch.setattr(tracing, "_own_provider", broken)
    assert export_spans(figures([row()]), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "otlp"}) == "RuntimeError while sending"


class PickyExporter(SpanExporter):
    """Takes this many batches, then fails: by its answer, or by raising."""

    def __init__(self, taken, error=None):
        self.taken, self.error, self.sizes = taken, error, []

    def export(self, spans):
        self.sizes.append(len(spans))
        if len(self.sizes) <= self.taken:
            return SpanExportResult.SUCCESS
        if self.error is not None:
            raise self.error
        return SpanExportResult.FAILURE


@pytest.mark.parametrize("error", [None, OSError("canary")])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_spans_that_are_not_taken_are_a_reason_and_no_more_are_sent(monkeypatch, taken, error):
    """F62: a collector that refuses isn't asked again and again, and its refusal isn't lost."""
    exporter = PickyExporter(taken, error)
    monkeypatch.setattr(tracing, "_span_exporter", lambda _: exporter)
    ledger = [row() for _ in range(5000)]
    reason = export_spans(figures(ledger), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "otlp"})
    assert reason.startswith("the collector didn't take them; check OTEL_EXPORTER_OTLP_ENDPOINT")
    assert "canary" not in reason
    assert len(exporter.sizes) == taken + 1


def test_all_spans_are_sent_in_batches(monkeypatch):
    exporter = PickyExporter(100)
    monkeypatch.setattr(tracing, "_span_exporter", lambda _: exporter)
    assert export_spans(figures([row() for _ in range(2000)]), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "otlp"}) == ""
    assert sum(exporter.sizes) == 2001
    assert max(exporter.sizes) <= 512


def test_a_span_on_the_console_is_one_line_of_json(monkeypatch, capsys):
    """F65."""
    assert export_spans(figures([row()]), SNAPSHOT, {"OTEL_TRACES_EXPORTER": "console"}) == ""
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert [(line["event"], line["level"], line["span"]["name"]) for line in lines] == [
        ("span", "info", "scope fc_functions"),
        ("span", "info", "crawl"),
    ]


SENDER = """
import os, sys
sys.path[:0] = [{root!r}]
from tests.telemetry.test_tracing import SNAPSHOT, figures, row
from crawler.telemetry.tracing import export_spans
print(export_spans(figures([row() for _ in range({number})]), SNAPSHOT, os.environ))
"""


def test_a_collector_gets_every_span_of_a_large_crawl(tmp_path):
    """More than the SDK's queue holds, in a process of its own: exporters read the environment and leave threads."""
    with receiver() as (url, calls):
        done = subprocess.run(
            [sys.executable, "-c", SENDER.format(root=str(ROOT), number=5000)],
            env={"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert done.stdout == "\n", done.stdout
    requests = [ExportTraceServiceRequest.FromString(body) for _, _, body in calls]
    found = [
        s for r in requests for resource in r.resource_spans for scope in resource.scope_spans for s in scope.spans
    ]
    assert len(found) == 5001
    assert len({span.span_id for span in found}) == 5001
    attributes = {a.key: a.value.string_value for a in requests[0].resource_spans[0].resource.attributes}
    assert attributes["service.name"] == "acs-inventory"
