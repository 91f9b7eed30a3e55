"""Sends the metrics of a crawl to an OpenTelemetry collector, as gauges with the names of the Prometheus text.

Needs the extra `otel`, and an endpoint in the environment: `OTEL_EXPORTER_OTLP_ENDPOINT` or
`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`. `OTEL_METRICS_EXPORTER=none` turns it off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crawler import __version__
from crawler.extras import how_to_install
from crawler.telemetry.metrics import METRICS, samples

if TYPE_CHECKING:
    from crawler.telemetry.metrics import CrawlFigures

_NAME = "acs-inventory"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_NOT_TAKEN = "the collector didn't take them; check the endpoint and the collector, or set OTEL_METRICS_EXPORTER=none"
# Attributes that the resource of metrics and spans always has; the environment adds others.
RESOURCE = {"service.name": _NAME, "service.version": __version__, "cloud.provider": "alibaba_cloud"}


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for metrics by OTLP."""
    named = environ.get("OTEL_METRICS_EXPORTER", "").strip().lower()
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not is_disabled and named in ("", "otlp") and any(environ.get(name) for name in _ENDPOINTS)


def export_metrics(figures: CrawlFigures, environ: Mapping[str, str]) -> str:
    """Send the figures if the environment asks for it. Return the reason of a failure. Blocks; never raises."""
    if not is_wanted(environ):
        return ""
    try:
        return _send(figures)
    except ImportError:
        return how_to_install("otel")
    except Exception as error:  # noqa: BLE001 - metrics are optional, and the crawl is done
        return f"{type(error).__name__} while sending"


def _send(figures: CrawlFigures) -> str:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
    from opentelemetry.sdk.resources import Resource

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], Resource.create(RESOURCE), shutdown_on_exit=False)
    exporter = OTLPMetricExporter()
    try:
        _set_gauges(provider.get_meter(_NAME, __version__), figures)
        data = reader.get_metrics_data()
        if data is None:
            return ""
        return "" if exporter.export(data) is MetricExportResult.SUCCESS else _NOT_TAKEN
    finally:
        exporter.shutdown()
        provider.shutdown()


def _set_gauges(meter: Any, figures: CrawlFigures) -> None:
    gauges: dict[str, Any] = {}
    for sample in samples(figures):
        if sample.name not in gauges:
            gauges[sample.name] = meter.create_gauge(sample.name, description=METRICS[sample.name])
        gauges[sample.name].set(float(sample.value), dict(sample.labels))
