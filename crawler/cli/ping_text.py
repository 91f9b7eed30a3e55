"""The text of a ping: how a crawl has ended, for the person who is paged."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from crawler.errors import ExitCode
from crawler.text import escape_control

if TYPE_CHECKING:
    from crawler.run.result import CrawlResult
    from crawler.snapshot.causes import Cause
    from crawler.telemetry.metrics import CrawlFigures

_MOST_CAUSES, _MOST_NAMES, _MOST_CHARACTERS = 10, 3, 300
_MEANINGS = {
    ExitCode.SUCCESS: "complete",
    ExitCode.FAILURE: "nothing was committed",
    ExitCode.USAGE: "the configuration or the command can't be used; nothing was sent",
    ExitCode.PARTIAL: "committed, but some scopes are not complete",
    ExitCode.OUTPUT: "the output can't be written; nothing was committed",
    ExitCode.OUTPUT_BUSY: "another crawl holds the output",
    ExitCode.CREDENTIALS: "no account's credentials work",
    ExitCode.UNREACHABLE: "the cloud can't be reached; try again",
    ExitCode.HANGUP: "stopped by SIGHUP",
    ExitCode.INTERRUPTED: "stopped by SIGINT",
    ExitCode.TERMINATED: "stopped by SIGTERM",
}


def ping_text(figures: CrawlFigures, result: CrawlResult | None, reason: str = "") -> str:
    """Return the text of a ping: a line of figures, the meaning of the exit code, and the reasons.

    `reason` is the sentence of the error that ended the crawl. The text has IDs of accounts, and no secret.
    """
    return "\n".join(_lines(figures, result, reason)) + "\n"


def _lines(figures: CrawlFigures, result: CrawlResult | None, reason: str) -> Iterator[str]:
    seconds = (figures.ended_at - figures.started_at).total_seconds()
    values = [f"exit_code={figures.exit_code}", f"seconds={seconds:.1f}"]
    if result is not None:
        status = result.manifest.status if result.manifest is not None else "none"
        values += [f"snapshot_id={result.snapshot_id}", f"status={status}", f"rows={result.rows}"]
        values += [f"scopes={len(result.ledger)}", f"requests={result.requests.requests}"]
    yield " ".join(values)
    if figures.exit_code in list(ExitCode):
        meaning = _MEANINGS.get(ExitCode(figures.exit_code), "")
        yield f"Exit code {figures.exit_code}: {meaning}." if meaning else f"Exit code {figures.exit_code}."
    if reason:
        yield escape_control(reason)
    if result is None:
        return
    if result.directory is not None and result.directory.error_message:
        yield escape_control(result.directory.error_message)
    causes = list(result.ledger.causes)
    for cause in causes[:_MOST_CAUSES]:
        yield escape_control(_sentence(cause))
    if others := causes[_MOST_CAUSES:]:
        yield f"{sum(cause.scopes for cause in others):,} more scopes for {len(others):,} other reasons"
    if result.manifest_sha256:
        yield f"manifest_sha256={result.manifest_sha256}"


def _sentence(cause: Cause) -> str:
    code = f"{cause.error_code}: " if cause.error_code else ""
    places = f"{_named(cause.labels, 'accounts')}, {_named(cause.regions, 'regions')}"
    tables = _named(cause.tables, "tables")
    status = str(cause.status).replace("_", " ")
    return f"{cause.scopes:,} {status}: {code}{cause.message[:_MOST_CHARACTERS]} ({places}, {tables})"


def _named(names: Collection[str], kind: str) -> str:
    """Return the names, or their number if they are many."""
    return ", ".join(sorted(names)) if len(names) <= _MOST_NAMES else f"{len(names):,} {kind}"
