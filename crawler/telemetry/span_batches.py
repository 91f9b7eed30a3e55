"""Sends spans to an exporter in batches, in the calling thread, until one isn't taken.

The SDK's own processor sends in a thread of its own, and its `force_flush` returns True although the exporter failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter


class SpanBatches(SpanProcessor):
    """Exports ended spans in batches of `size`. After the first batch that isn't taken, all others are dropped."""

    def __init__(self, exporter: SpanExporter, size: int) -> None:
        self._exporter = exporter
        self._size = size
        self._spans: list[ReadableSpan] = []
        self._is_broken = False

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span, and send a full batch."""
        self._spans.append(span)
        if len(self._spans) >= self._size:
            self._export()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the exporter has its own timeout
        """Send the rest. Return whether all spans so far were taken."""
        if self._spans:
            self._export()
        return not self._is_broken

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()

    def _export(self) -> None:
        spans, self._spans = self._spans, []
        if not self._is_broken:
            try:
                self._is_broken = self._exporter.export(spans) is not SpanExportResult.SUCCESS
            except Exception:  # noqa: BLE001 - exporters raise the errors of their HTTP libraries
                self._is_broken = True
