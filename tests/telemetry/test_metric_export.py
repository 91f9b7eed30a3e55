"""The gauges of a crawl by OTLP and to a Pushgateway: the same names and values as in the text file."""

from __future__ import annotations

import anyio
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from crawler.config import parse_config
from crawler.snapshot import Status
from crawler.telemetry.metric_export import export_metrics, is_wanted
from crawler.telemetry.metrics import render
from crawler.telemetry.push import push_metrics
from tests.support.collector import receiver
from tests.support.crawl_figures import figures, row


def crawl():
    denied = row("fc_layers", Status.DENIED, error_code="AccessDenied", request_id="R-7")
    return figures([row(rows=5, requests=2), denied], 3)


def in_text(text):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def in_request(body):
    [resource] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    found = {}
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.gauge.data_points:
                labels = [attribute.value.string_value for attribute in point.attributes]
                found[metric.name, *labels] = point.as_double
    return found, {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"])
def test_a_collector_gets_the_gauges_of_the_text_file(monkeypatch, variable):
    with receiver() as (url, calls):
        environ = {variable: url if variable.endswith("OTLP_ENDPOINT") else f"{url}/v1/metrics"}
        monkeypatch.setenv(variable, environ[variable])
        assert export_metrics(crawl(), environ) == ""
    [(path, kind, body)] = calls
    assert (path, kind) == ("/v1/metrics", "application/x-protobuf")
    found, resource = in_request(body)
    assert found == in_text(render(crawl()))
    assert resource["service.name"] == "acs-inventory"
    assert resource["cloud.provider"] == "alibaba_cloud"


def test_a_collector_that_refuses_them_is_a_reason(monkeypatch):
    with receiver(404) as (url, _):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        reason = export_metrics(crawl(), {"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert "the collector didn't take them" in reason


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_METRICS_EXPORTER": " None"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"}, False),
    ],
)
def test_the_environment_decides(environ, wanted):
    assert is_wanted(environ) is wanted


def pushed(url, status=200):
    account = '[[accounts]]\nid = "1000000000000001"\n'
    config = parse_config(f'[metrics]\npush = "{url}/metrics/job/acs-inventory"\n{account}', source="t", environ={})

    class Clock:
        async def sleep(self, seconds):
            pass

    return anyio.run(push_metrics, config, crawl(), Clock())


def test_a_pushgateway_gets_the_text_by_post():
    with receiver() as (url, calls):
        assert pushed(url) == ""
    [(path, kind, body)] = calls
    assert path == "/metrics/job/acs-inventory"
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert in_text(body.decode()) == in_text(render(crawl()))


@pytest.mark.parametrize(("status", "attempts"), [(302, 1), (400, 1), (503, 3)])
def test_a_redirect_isnt_followed_and_an_error_is_a_reason(status, attempts):
    with receiver(status) as (url, calls):
        assert pushed(url) == f"HTTP status {status}"
    assert [path for path, _, _ in calls] == ["/metrics/job/acs-inventory"] * attempts
