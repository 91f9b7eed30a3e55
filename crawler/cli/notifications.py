"""Reports the end of a crawl to metrics, tracing and the ping URL. None of them can change the crawl's exit code.

Each notice has a thread of its own and a bound in time: a disk, a collector or a name server that doesn't answer is
given up. A signal shortens the bound.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crawler.cli.exit_state import ExitState
from crawler.cli.retention import prune_after_crawl
from crawler.cli.signals import CrawlSignals
from crawler.errors import OutputError

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.result import CrawlResult
    from crawler.telemetry.metrics import CrawlFigures

_METRICS_S = 10.0
_SPANS_S = 15.0
_PING_S = 25.0


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice: the event of its failure in the log, `send`, which returns the reason of a failure, and its bound."""

    event: str
    send: Callable[[], str]
    bound_s: float
    fields: tuple[tuple[str, str], ...] = ()


def crawl_and_notify(
    config: Config, state: ExitState, signals: CrawlSignals, crawl: Callable[[], CrawlResult]
) -> CrawlResult:
    """Run `crawl` and return its result. Its end is reported even if it raises."""
    began_at = datetime.now(UTC)
    try:
        result = crawl()
    except BaseException as error:
        signals.decide(state.code_of(error))
        notify_result(config, None, state, signals, began_at)
        raise
    signals.decide(result.exit_code)
    result = prune_after_crawl(config, result, state, signals)
    notify_result(config, result, state, signals, began_at)
    return result


def notify_result(
    config: Config, result: CrawlResult | None, state: ExitState, signals: CrawlSignals, began_at: datetime
) -> None:
    """Write the metrics, send the spans, ping the URL; log failures. `result` is None if the crawl raised an error."""
    import structlog

    from crawler.snapshot import Ledger
    from crawler.snapshot.manifest import is_unpublished_part
    from crawler.telemetry.metrics import CrawlFigures

    manifest = result.manifest if result is not None else None
    is_narrowed = manifest is not None and is_unpublished_part(manifest.selection)
    ledger = result.ledger if result is not None else Ledger()
    code = result.exit_code if result is not None else state.code or 0
    shards = Counter(entry.status for entry in manifest.shards) if manifest is not None else {}
    figures = CrawlFigures(code, began_at, datetime.now(UTC), ledger, is_narrowed, shards)
    for notice in _notices(config, figures, result):
        reason = send_bounded(notice, state, signals)
        if reason:
            structlog.get_logger().warning(notice.event, **dict(notice.fields), reason=reason)


def _notices(config: Config, figures: CrawlFigures, result: CrawlResult | None) -> list[Notice]:
    from crawler.telemetry.tracing import export_spans

    notices = []
    if config.metrics.textfile is not None:
        notices.append(Notice("metrics_not_written", lambda: _write_metrics(config, figures), _METRICS_S))
    snapshot_id = result.snapshot_id if result is not None else ""
    notices.append(Notice("spans_not_sent", lambda: export_spans(figures, snapshot_id, os.environ), _SPANS_S))
    if config.ping.url is not None:
        event = "fail" if figures.exit_code else "success"
        fields = (("ping", event),)
        notices.append(Notice("ping_failed", lambda: _ping(config, figures, result), _PING_S, fields))
    return notices


def send_bounded(notice: Notice, state: ExitState, signals: CrawlSignals) -> str:
    """Send a notice within its bound. Return the reason of a failure."""
    reasons: list[str] = []

    def send() -> None:
        try:
            reasons.append(notice.send())
        except BaseException as error:  # noqa: BLE001 - a notice must not end the command
            reasons.append(type(error).__name__)

    thread = threading.Thread(target=send, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the limit of threads
        return "the system refuses another thread"

    def is_done(timeout_s: float) -> bool:
        thread.join(timeout_s)
        return not thread.is_alive()

    if signals.wait(is_done, notice.bound_s):
        return reasons[0]
    state.left_running = True
    return "given up because of a signal" if signals.received else f"not done after {notice.bound_s:g} s"


def _write_metrics(config: Config, figures: CrawlFigures) -> str:
    from crawler.telemetry.metrics import write_textfile

    if config.metrics.textfile is None:
        return ""
    try:
        write_textfile(config.metrics.textfile, figures)
    except OutputError as error:
        return str(error)
    return ""


def _ping(config: Config, figures: CrawlFigures, result: CrawlResult | None) -> str:
    from crawler.cli.signals import run_async
    from crawler.telemetry.ping import Event, send_ping

    event: Event = "fail" if figures.exit_code else "success"
    return run_async(lambda: send_ping(config, event, _ping_text(figures, result)))


def _ping_text(figures: CrawlFigures, result: CrawlResult | None) -> str:
    """Return the text of the ping: figures without names of accounts."""
    lines = [f"exit_code={figures.exit_code}", f"seconds={(figures.ended_at - figures.started_at).total_seconds():.1f}"]
    if result is not None:
        status = result.manifest.status if result.manifest is not None else "none"
        lines += [f"snapshot_id={result.snapshot_id}", f"status={status}", f"rows={result.rows}"]
        lines += [f"scopes={len(result.ledger)}", f"requests={result.requests.requests}"]
    return " ".join(lines) + "\n"
