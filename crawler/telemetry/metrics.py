"""A crawl's figures as Prometheus text, for node_exporter's textfile collector.

The file is replaced whole, so that nobody reads half of it. It describes the last crawl, however that ended; the two
instants of earlier successes are carried over from the file before. Labels are bounded: tables are the catalog's,
statuses and exit codes few, and of accounts only those with something missing are named, the worst of them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from crawler import __version__
from crawler.errors import ExitCode, OutputError
from crawler.snapshot.ledger import ScopeRow
from crawler.snapshot.status import is_whole

MAX_ACCOUNTS = 50
_OTHERS = "other"
_LAST = re.compile(r"^(acs_inventory_last_\w+_timestamp_seconds) ([0-9.e+]+)$", re.MULTILINE)

# Name → what it says; all are gauges of the last crawl. docs/operations.md has this table.
METRICS: Mapping[str, str] = {
    "acs_inventory_info": "The version that crawled.",
    "acs_inventory_crawl_success": "1 where the last crawl committed a complete snapshot (exit code 0), else 0.",
    "acs_inventory_crawl_exit_code": "The last crawl's exit code.",
    "acs_inventory_crawl_start_timestamp_seconds": "When the last crawl began.",
    "acs_inventory_crawl_end_timestamp_seconds": "When the last crawl ended.",
    "acs_inventory_crawl_duration_seconds": "How long the last crawl took.",
    "acs_inventory_last_success_timestamp_seconds": "When a crawl last ended with exit code 0.",
    "acs_inventory_last_commit_timestamp_seconds": "When a crawl last committed a snapshot, complete or partial.",
    "acs_inventory_scopes": "Scopes of the last crawl by their status.",
    "acs_inventory_rows": "Rows of a table in the snapshot.",
    "acs_inventory_requests": "HTTP requests for a table, retries included.",
    "acs_inventory_retries": "Retries among the requests for a table.",
    "acs_inventory_throttled": "Requests for a table that the service refused for being too many.",
    "acs_inventory_table_scopes_not_complete": "Scopes of a table that are neither complete nor unsupported.",
    "acs_inventory_account_scopes_not_complete": "The same of an account, where there are any; beyond 50 accounts "
    'the rest together as "other".',
}


@dataclass(frozen=True, slots=True)
class CrawlFigures:
    """What is told of a crawl. `ledger` is empty where it ended before its lists."""

    exit_code: int
    started_at: datetime
    ended_at: datetime
    ledger: Sequence[ScopeRow] = ()

    @property
    def has_committed(self) -> bool:
        """Whether there is a new snapshot."""
        return self.exit_code in {ExitCode.SUCCESS, ExitCode.PARTIAL}


def render(figures: CrawlFigures, before: str = "") -> str:
    """The file's text; `before` is what the file has now."""
    samples: dict[str, list[tuple[str, float]]] = {name: [] for name in METRICS}
    for name, labels, value in _samples(figures, before):
        samples[name].append((labels, value))
    lines = []
    for name, found in samples.items():
        if found:
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge"]
            lines += [f"{name}{labels} {value:.16g}" for labels, value in found]
    return "\n".join(lines) + "\n"


def write_textfile(path: Path, figures: CrawlFigures) -> None:
    """Replace the file. Others may read it, as the collector runs under another user. Raises OutputError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        before = path.read_text("utf-8") if path.is_file() else ""
        with suppress(FileNotFoundError):
            partial.unlink()
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(render(figures, before))
        partial.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        with suppress(OSError):
            partial.unlink()
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it isn't text"
        raise OutputError(f"[metrics] textfile: can't write {path}: {reason}") from error


def _samples(figures: CrawlFigures, before: str) -> Iterator[tuple[str, str, float]]:
    start, end = figures.started_at.timestamp(), figures.ended_at.timestamp()
    yield "acs_inventory_info", _labels(version=__version__), 1
    yield "acs_inventory_crawl_success", "", figures.exit_code == 0
    yield "acs_inventory_crawl_exit_code", "", figures.exit_code
    yield "acs_inventory_crawl_start_timestamp_seconds", "", start
    yield "acs_inventory_crawl_end_timestamp_seconds", "", end
    yield "acs_inventory_crawl_duration_seconds", "", max(0.0, end - start)
    last = {name: float(value) for name, value in _LAST.findall(before)}
    for name, holds in (("success", figures.exit_code == 0), ("commit", figures.has_committed)):
        metric = f"acs_inventory_last_{name}_timestamp_seconds"
        if holds or metric in last:
            yield metric, "", end if holds else last[metric]
    statuses = Counter(str(row.status) for row in figures.ledger)
    yield from _each("acs_inventory_scopes", "status", statuses)
    yield from _of_tables(figures)
    accounts = Counter(row.account_id for row in figures.ledger if not is_whole(row.status))
    yield from _each("acs_inventory_account_scopes_not_complete", "account_id", _worst(accounts))


def _of_tables(figures: CrawlFigures) -> Iterator[tuple[str, str, float]]:
    names = ("rows", "requests", "retries", "throttled", "table_scopes_not_complete")
    rows, requests, retries, throttled, not_complete = sums = [Counter[str]() for _ in names]
    for row in figures.ledger:  # once: a ledger decodes its rows at each walk
        if row.written and figures.has_committed:
            rows[row.table] += row.rows
        requests[row.table] += row.requests
        retries[row.table] += row.retries
        throttled[row.table] += row.throttled
        not_complete[row.table] += not is_whole(row.status)
    for name, values in zip(names, sums, strict=True):
        yield from _each(f"acs_inventory_{name}", "table", values)


def _worst(accounts: Counter[str]) -> dict[str, int]:
    named = dict(accounts.most_common(MAX_ACCOUNTS))
    rest = accounts.total() - sum(named.values())
    return named | ({_OTHERS: rest} if rest else {})


def _each(name: str, label: str, values: Mapping[str, int]) -> Iterator[tuple[str, str, float]]:
    for key, value in sorted(values.items()):
        yield name, _labels(**{label: key}), value


def _labels(**labels: str) -> str:
    escaped = {key: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for key, text in labels.items()}
    return "{" + ",".join(f'{key}="{text}"' for key, text in escaped.items()) + "}"
