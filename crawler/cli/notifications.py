"""Who is told how a crawl went, besides those who read what it prints: metrics, a watchdog, traces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.cli.options import Interrupted
from crawler.errors import CrawlError, ExitCode, OutputError

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.result import CrawlResult
    from crawler.telemetry.metrics import CrawlFigures


@dataclass(slots=True)
class Told:
    """What is told at the end: the result, where the crawl comes to one."""

    result: CrawlResult | None = None


@contextmanager
def told(config: Config) -> Iterator[Told]:
    """Tell everybody when the block has ended, however it does. What goes wrong in telling is a line in the log."""
    telling, began_at, exit_code = Told(), datetime.now(UTC), int(ExitCode.FAILURE)
    try:
        yield telling
        exit_code = telling.result.exit_code if telling.result is not None else ExitCode.FAILURE
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
        _tell(config, telling.result, exit_code, began_at)


def _tell(config: Config, result: CrawlResult | None, exit_code: int, began_at: datetime) -> None:
    import structlog

    from crawler.telemetry.metrics import CrawlFigures, write_textfile
    from crawler.telemetry.tracing import export_spans

    log = structlog.get_logger()
    figures = CrawlFigures(exit_code, began_at, datetime.now(UTC), result.ledger if result is not None else ())
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
    # Whoever is tired of waiting stops the ping, and not what the crawl has come to.
    with suppress(KeyboardInterrupt):
        run_async(lambda: ping(config, event, _words(figures, result)))


def _words(figures: CrawlFigures, result: CrawlResult | None) -> str:
    """What the watchdog keeps beside the ping: figures, and nothing that names an account."""
    lines = [f"exit_code={figures.exit_code}", f"seconds={(figures.ended_at - figures.started_at).total_seconds():.1f}"]
    if result is not None:
        status = result.manifest.status if result.manifest is not None else "none"
        lines += [f"snapshot_id={result.snapshot_id}", f"status={status}", f"rows={result.rows}"]
        lines += [f"scopes={len(result.ledger)}", f"requests={result.requests.requests}"]
    return " ".join(lines) + "\n"
