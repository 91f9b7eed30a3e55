"""A crawl's result as plain values: what `--json` prints and what the summary for people is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.run.run import CrawlResult
    from crawler.run.targets import LeftOut
    from crawler.snapshot import DirectoryEntry, Manifest, ScopeRow

_REASON_FIELDS = ("account_id", "region_id", "table", "status", "error_code", "error_message", "request_id")


def iso(instant: datetime) -> str:
    """ISO 8601 with Z, to the second."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def summarize(result: CrawlResult, uri: str) -> dict[str, Any]:
    """The whole result as JSON values. `tables` is empty and `status` "none" where nothing was committed."""
    manifest = result.manifest
    return {
        "snapshot_id": result.snapshot_id,
        "status": manifest.status if manifest else "none",
        "exit_code": result.exit_code,
        "uri": uri,
        "started_at": iso(result.started_at),
        "finished_at": iso(result.finished_at),
        "seconds": round((result.finished_at - result.started_at).total_seconds(), 1),
        "rows": result.rows,
        "tables": table_entries(manifest, result.ledger) if manifest else {},
        "scopes": scope_counts(result.ledger),
        "resumed_scopes": result.resumed_scopes,
        "requests": result.requests.requests,
        "retries": result.requests.retries,
        "throttled": result.requests.throttled,
        "overhead": dict(result.overhead),
        "unknown_fields": {table: dict(names) for table, names in result.unknown_fields.items()},
        "warnings": list(result.warnings),
        "directory": directory_value(result.directory),
        "left_out": left_out_values(result.left_out),
    }


def directory_value(directory: DirectoryEntry | None) -> dict[str, Any] | None:
    """How the resource directory was listed, as in the manifest; None without [organization]."""
    import msgspec

    value: dict[str, Any] | None = msgspec.to_builtins(directory)
    return value


def left_out_values(left_out: Sequence[LeftOut]) -> list[dict[str, str]]:
    """The organization's members that aren't crawled, with why."""
    return [asdict(member) for member in left_out]


def table_entries(manifest: Manifest, ledger: Sequence[ScopeRow]) -> dict[str, dict[str, int]]:
    """Table → rows, bytes, files, scopes, and how many of those are whole."""
    from crawler.snapshot import is_whole

    entries = {
        table: {"rows": entry.rows, "bytes": entry.bytes, "files": len(entry.files), "scopes": 0, "scopes_complete": 0}
        for table, entry in manifest.tables.items()
    }
    for row in ledger:
        if row.table in entries:
            entries[row.table]["scopes"] += 1
            entries[row.table]["scopes_complete"] += is_whole(row.status)
    return entries


def scope_counts(ledger: Sequence[ScopeRow]) -> dict[str, Any]:
    """How many scopes ended how, and those that leave something unknown with their reason."""
    from crawler.snapshot.manifest import count_scopes

    counts = count_scopes(ledger)
    return {
        "total": counts.total,
        "by_status": {status: number for status, number in counts.by_status.items() if number},
        "not_complete": [reason(row) for row in counts.not_complete],
    }


def reason(row: ScopeRow) -> Mapping[str, str]:
    """Which scope, how it ended, and why."""
    return {name: str(getattr(row, name)) for name in _REASON_FIELDS}
