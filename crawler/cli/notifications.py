"""Reports the end of a crawl to metrics, tracing and the ping URL."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.cli.options import Interrupted
from crawler.errors import CrawlError, ExitCode, OutputError

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.result import CrawlResult
    from crawler.telemetry.metrics import CrawlFigures


def crawl_and_notify(config: Config, crawl: Callable[[], CrawlResult]) -> CrawlResult:
    """Run `crawl` and return its result. Its end is reported even if it raises."""
    result: CrawlResult | None = None
    began_at, exit_code = datetime.now(UTC), int(ExitCode.FAILURE)
    try:
        result = crawl()
        exit_code = result.exit_code
    except CrawlError as error:
        exit_code = error.exit_code
        raise
    except Interrupted as stopped:
        exit_code = stopped.exit_code
        raise
    except KeyboardInterrupt:
        exit_code = ExitCode.INTERRUPTED
        raise
    finally:
        notify_result(config, result, exit_code, began_at)
    return result


def notify_result(config: Config, result: CrawlResult | None, exit_code: int, began_at: datetime) -> None:
    """Write the metrics, send the spans, ping the URL; log failures. `result` is None if the crawl raised an error."""
    import structlog

    from crawler.telemetry.metrics import CrawlFigures, write_textfile
    from crawler.telemetry.tracing import export_spans

    log = structlog.get_logger()
    manifest = result.manifest if result is not None else None
    is_narrowed = manifest is not None and manifest.selection is not None and not manifest.selection.published
    ledger = result.ledger if result is not None else ()
    figures = CrawlFigures(exit_code, began_at, datetime.now(UTC), ledger, is_narrowed)
    if config.metrics.textfile is not None:
        try:
            write_textfile(config.metrics.textfile, figures)
        except OutputError as error:
            log.warning("metrics_not_written", reason=str(error))
    reason = export_spans(figures, result.snapshot_id if result is not None else "", os.environ)
    if reason:
        log.warning("spans_not_sent", reason=reason)
    _ping(config, figures, result)


def _ping(config: Config, figures: CrawlFigures, result: CrawlResult | None) -> None:
    if config.ping.url is None:
        return
    from crawler.cli.signals import run_async
    from crawler.telemetry.ping import Event, ping

    event: Event = "fail" if figures.exit_code else "success"
    # Ctrl-C ends the ping only: the crawl has its result already.
    with suppress(KeyboardInterrupt):
        run_async(lambda: ping(config, event, _ping_text(figures, result)))


def _ping_text(figures: CrawlFigures, result: CrawlResult | None) -> str:
    """Return the text of the ping: figures without names of accounts."""
    lines = [f"exit_code={figures.exit_code}", f"seconds={(figures.ended_at - figures.started_at).total_seconds():.1f}"]
    if result is not None:
        status = result.manifest.status if result.manifest is not None else "none"
        lines += [f"snapshot_id={result.snapshot_id}", f"status={status}", f"rows={result.rows}"]
        lines += [f"scopes={len(result.ledger)}", f"requests={result.requests.requests}"]
    return " ".join(lines) + "\n"
