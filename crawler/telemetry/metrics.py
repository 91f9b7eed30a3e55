"""The figures of a crawl as Prometheus text, for node_exporter's textfile collector.

The file is replaced atomically. It describes the last crawl, even a failed one; the times of the last success and
commit are carried over from the previous file. Labels are bounded: the tables of the catalog, a few statuses and exit
codes, and the accounts with the most incomplete scopes.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from crawler import __version__
from crawler.errors import ExitCode, OutputError
from crawler.snapshot.ledger import Ledger, LedgerView

MAX_ACCOUNTS = 50
_OTHERS = "other"
_LAST = re.compile(r"^(acs_inventory_last_\w+_timestamp_seconds) ([0-9.e+]+)$", re.MULTILINE)

# Name → help text; all are gauges of the last crawl. docs/operations.md has the same table.
METRICS: Mapping[str, str] = {
    "acs_inventory_info": "Version of the crawler.",
    "acs_inventory_crawl_success": "1 if the last crawl committed a complete snapshot (exit code 0), else 0.",
    "acs_inventory_crawl_exit_code": "Exit code of the last crawl.",
    "acs_inventory_crawl_start_timestamp_seconds": "Start time of the last crawl.",
    "acs_inventory_crawl_end_timestamp_seconds": "End time of the last crawl.",
    "acs_inventory_crawl_duration_seconds": "Duration of the last crawl.",
    "acs_inventory_last_success_timestamp_seconds": "End time of the last crawl with exit code 0 that LATEST names.",
    "acs_inventory_last_commit_timestamp_seconds": "End time of the last crawl with a commit, complete or partial.",
    "acs_inventory_scopes": "Scopes of the last crawl by status.",
    "acs_inventory_scopes_accepted": "Scopes of the last crawl that are incomplete and accepted by [[accepted]].",
    "acs_inventory_rows": "Rows of a table in the snapshot.",
    "acs_inventory_requests": "HTTP requests for a table, including retries.",
    "acs_inventory_retries": "Retries of requests for a table.",
    "acs_inventory_throttled": "Requests for a table that the service throttled.",
    "acs_inventory_table_scopes_not_complete": "Scopes of a table that are neither complete nor unsupported.",
    "acs_inventory_account_scopes_not_complete": "The same for an account, if there are any; at most 50 accounts, "
    'the sum of all others as "other".',
    "acs_inventory_shards": "Shards of the last crawl by status, if several processes shared it.",
}


@dataclass(frozen=True, slots=True)
class CrawlFigures:
    """The figures of a crawl. `ledger` is empty if the crawl ended before its first list.

    `is_narrowed`: its snapshot is a part of the inventory, which LATEST doesn't name. `shards` counts those of several
    processes by status.
    """

    exit_code: int
    started_at: datetime
    ended_at: datetime
    ledger: LedgerView = field(default_factory=Ledger)
    is_narrowed: bool = False
    shards: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_committed(self) -> bool:
        """Whether the crawl committed a snapshot."""
        return self.exit_code in {ExitCode.SUCCESS, ExitCode.PARTIAL}


class Sample(NamedTuple):
    """One value of a gauge with its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def render(figures: CrawlFigures, previous: str = "") -> str:
    """Return the text of the file. `previous` is its current text."""
    by_name: dict[str, list[Sample]] = {name: [] for name in METRICS}
    for sample in samples(figures, previous):
        by_name[sample.name].append(sample)
    lines = []
    for name, found in by_name.items():
        if found:
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels(sample.labels)} {sample.value:.16g}" for sample in found]
    return "\n".join(lines) + "\n"


def write_textfile(path: Path, figures: CrawlFigures) -> None:
    """Replace the file. All users may read it, because the collector runs as another user. Raises OutputError."""
    try:
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        _refuse_special(path)
        previous = path.read_text("utf-8") if path.is_file() else ""
        with suppress(FileNotFoundError):
            partial.unlink()
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(render(figures, previous))
            partial.replace(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
    except (OSError, ValueError) as error:
        raise OutputError(f"[metrics] textfile: can't write {path}: {_reason(error)}") from error


def _refuse_special(path: Path) -> None:
    """Raise OSError for a pipe or a device, which the replacement would destroy. A link is replaced."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "it is not a regular file")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "the existing file isn't text" if isinstance(error, UnicodeDecodeError) else "no file can have this name"


def samples(figures: CrawlFigures, previous: str = "") -> Iterator[Sample]:
    """Yield the values of all gauges. `previous` is the text of the last crawl, which has the times that stay."""
    start, end = figures.started_at.timestamp(), figures.ended_at.timestamp()
    yield Sample("acs_inventory_info", {"version": __version__}, 1)
    yield Sample("acs_inventory_crawl_success", {}, figures.exit_code == 0)
    yield Sample("acs_inventory_crawl_exit_code", {}, figures.exit_code)
    yield Sample("acs_inventory_crawl_start_timestamp_seconds", {}, start)
    yield Sample("acs_inventory_crawl_end_timestamp_seconds", {}, end)
    yield Sample("acs_inventory_crawl_duration_seconds", {}, max(0.0, end - start))
    last = {name: float(value) for name, value in _LAST.findall(previous)}
    is_success = figures.exit_code == 0 and not figures.is_narrowed
    for name, holds in (("success", is_success), ("commit", figures.has_committed)):
        metric = f"acs_inventory_last_{name}_timestamp_seconds"
        if holds or metric in last:
            yield Sample(metric, {}, end if holds else last[metric])
    statuses = {str(status): number for status, number in figures.ledger.by_status.items()}
    yield from _by_label("acs_inventory_scopes", "status", statuses)
    yield Sample("acs_inventory_scopes_accepted", {}, figures.ledger.accepted.total())
    yield from _table_samples(figures)
    worst = _worst(figures.ledger.open_by_account)
    yield from _by_label("acs_inventory_account_scopes_not_complete", "account_id", worst)
    yield from _by_label("acs_inventory_shards", "status", figures.shards)


def _table_samples(figures: CrawlFigures) -> Iterator[Sample]:
    tables = figures.ledger.by_table
    if figures.has_committed:
        rows = {table: found.rows for table, found in tables.items() if found.written}
        yield from _by_label("acs_inventory_rows", "table", rows)
    for name, attribute in (
        ("requests", "requests"),
        ("retries", "retries"),
        ("throttled", "throttled"),
        ("table_scopes_not_complete", "not_whole"),
    ):
        values = {table: getattr(found, attribute) for table, found in tables.items()}
        yield from _by_label(f"acs_inventory_{name}", "table", values)


def _worst(accounts: Counter[str]) -> dict[str, int]:
    named = dict(accounts.most_common(MAX_ACCOUNTS))
    rest = accounts.total() - sum(named.values())
    return named | ({_OTHERS: rest} if rest else {})


def _by_label(name: str, label: str, values: Mapping[str, int]) -> Iterator[Sample]:
    for key, value in sorted(values.items()):
        yield Sample(name, {label: key}, value)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    escaped = {key: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for key, text in labels.items()}
    return "{" + ",".join(f'{key}="{text}"' for key, text in escaped.items()) + "}"
