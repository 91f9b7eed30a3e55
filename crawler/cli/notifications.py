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
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli.exit_state import ExitState
from crawler.cli.retention import prune_after_crawl
from crawler.cli.signals import CrawlSignals
from crawler.errors import CrawlError, OutputError

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
    config: Config,
    state: ExitState,
    signals: CrawlSignals,
    crawl: Callable[[], CrawlResult],
    hide: Callable[[str], str] = str,
) -> CrawlResult:
    """Run `crawl` and return its result. Its end is reported even if it raises. `hide` removes secrets from a text."""
    began_at = datetime.now(UTC)
    try:
        result = crawl()
    except BaseException as error:
        signals.decide(state.code_of(error))
        notify_result(config, None, state, signals, began_at, hide(state.sentence_of(error)))
        raise
    signals.decide(result.exit_code)
    result = prune_after_crawl(config, result, state, signals)
    notify_result(config, result, state, signals, began_at, hide=hide)
    return result


def notify_unloaded(
    config_file: Path | None, error: CrawlError, state: ExitState, signals: CrawlSignals, hide: Callable[[str], str]
) -> None:
    """Report a crawl whose configuration can't be loaded, by those notices of its file that can be understood."""
    from crawler.cli import process
    from crawler.config.notices import load_notices

    config = load_notices(config_file, {**os.environ, **process.set_aside}, cwd=Path.cwd())
    if config is not None:
        signals.decide(state.code_of(error))
        notify_result(config, None, state, signals, datetime.now(UTC), hide(state.sentence_of(error)))


def notify_result(
    config: Config,
    result: CrawlResult | None,
    state: ExitState,
    signals: CrawlSignals,
    began_at: datetime,
    reason: str = "",
    hide: Callable[[str], str] = str,
) -> None:
    """Write the metrics, send the spans, ping the URL; log failures.

    `result` is None if the crawl raised an error, whose sentence is the `reason`.
    """
    import structlog

    from crawler.cli.ping_text import ping_text
    from crawler.snapshot import Ledger
    from crawler.snapshot.manifest import is_unpublished_part
    from crawler.telemetry.metrics import CrawlFigures

    manifest = result.manifest if result is not None else None
    is_narrowed = manifest is not None and is_unpublished_part(manifest.selection)
    ledger = result.ledger if result is not None else Ledger()
    code = result.exit_code if result is not None else state.code or 0
    shards = Counter(entry.status for entry in manifest.shards) if manifest is not None else {}
    figures = CrawlFigures(code, began_at, datetime.now(UTC), ledger, is_narrowed, shards)
    text = hide(ping_text(figures, result, reason)) if config.ping.url is not None else ""
    snapshot_id = result.snapshot_id if result is not None else ""
    for notice in _notices(config, figures, snapshot_id, text):
        failure = send_bounded(notice, state, signals)
        if failure:
            structlog.get_logger().warning(notice.event, **dict(notice.fields), reason=failure)


def _notices(config: Config, figures: CrawlFigures, snapshot_id: str, text: str) -> list[Notice]:
    from crawler.telemetry.metric_export import export_metrics, is_wanted
    from crawler.telemetry.tracing import export_spans

    notices = []
    if config.metrics.textfile is not None:
        notices.append(Notice("metrics_not_written", lambda: _write_metrics(config, figures), _METRICS_S))
    if config.metrics.push is not None:
        notices.append(Notice("metrics_not_pushed", lambda: _push_metrics(config, figures), _PING_S))
    if is_wanted(os.environ):
        notices.append(Notice("metrics_not_sent", lambda: export_metrics(figures, os.environ), _SPANS_S))
    notices.append(Notice("spans_not_sent", lambda: export_spans(figures, snapshot_id, os.environ), _SPANS_S))
    if config.ping.url is not None:
        event = "fail" if figures.exit_code else "success"
        fields = (("ping", event),)
        notices.append(Notice("ping_failed", lambda: _ping(config, figures, text), _PING_S, fields))
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


def _push_metrics(config: Config, figures: CrawlFigures) -> str:
    from crawler.cli.signals import run_async
    from crawler.telemetry.push import push_metrics

    return run_async(lambda: push_metrics(config, figures))


def _ping(config: Config, figures: CrawlFigures, text: str) -> str:
    from crawler.cli.signals import run_async
    from crawler.telemetry.ping import Event, send_ping

    event: Event = "fail" if figures.exit_code else "success"
    return run_async(lambda: send_ping(config, event, text))
