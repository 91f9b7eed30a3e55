"""How a crawl came out, for people: what is complete in a few lines, and all that isn't."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawler.cli.render import console, duration_text, safe, size_text, status_text, table_of

if TYPE_CHECKING:
    from crawler.run.result import CrawlResult
    from crawler.snapshot import DirectoryEntry, Manifest, ScopeRow
    from crawler.snapshot.manifest import SkippedMember

# More tables than these are summed up; then at least so many of them are shown, those that aren't complete first.
_MAX_TABLES = 20
_LEAST_SHOWN = 8
_MAX_SHOWN = 40
_COLUMNS = ("table", "rows", "files", "size", "scopes complete")


# What a narrow terminal does without, in that order; and what a table takes beside its cells.
_EXPENDABLE = ("files", "size")
_GAP, _EDGES = 3, 2
_PARENT = re.compile(r"Its parent \w+ is \w+: ")
Cell = Text | str


# What shares a cause: accounts, regions, tables; and the cause: status and reason, one of each.
Cause = tuple[tuple[str, ...], ...]
_ACCOUNTS, _REGIONS, _TABLES = range(3)
_REASON_FIELDS = ("account_id", "region_id", "table", "status", "error_code", "error_message", "request_id")


def print_summary(summary: Mapping[str, Any]) -> None:
    """How a crawl came out: tables, what isn't complete and why, unknown fields, and one line of figures."""
    out = console()
    _print_tables(out, summary)
    print_scopes(out, summary["scopes"]["not_complete"])
    print_left_out(out, summary["directory"], summary["left_out"])
    _print_unknown(out, summary["unknown_fields"])
    for warning in summary["warnings"]:
        out.print(Text("warning ", "yellow") + safe(warning))
    _print_verdict(out, summary)


def _print_tables(out: Console, summary: Mapping[str, Any]) -> None:
    """Every table; of many, the sums by product, all that aren't complete, and the largest."""
    entries = summary["tables"]
    if len(entries) <= _MAX_TABLES:
        print_numbers(out, _COLUMNS, [_row(table, entry) for table, entry in sorted(entries.items())])
        return
    print_numbers(out, ("tables", "", *_COLUMNS[1:]), _sums(entries))
    odd = {table for table, entry in entries.items() if not _is_complete(entry)}
    ranked = sorted(entries, key=lambda table: (table not in odd, -entries[table]["rows"], table))
    shown = ranked[: max(len(odd), _LEAST_SHOWN)]
    title = "Those that aren't complete, and the largest" if odd else "The largest"
    print_numbers(out, _COLUMNS, [_row(table, entries[table]) for table in shown], title)
    if len(shown) < len(ranked):
        out.print(f"… and {len(ranked) - len(shown)} more tables, all complete; `snapshots show` has every one.\n")


def print_numbers(out: Console, columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "") -> None:
    """A name and its numbers, a row each; where a terminal is narrow, some columns are left out."""
    if not rows:
        return
    for number in range(len(_EXPENDABLE) + 1):
        kept = [place for place, column in enumerate(columns) if column not in _EXPENDABLE[:number]]
        widths = [max(len(columns[place]), *(len(row[place]) for row in rows)) for place in kept]
        if sum(widths) + _GAP * (len(kept) - 1) + _EDGES <= out.width:
            break
    names = [columns[place] for place in kept]
    cells = [[row[place] for place in kept] for row in rows]
    out.print(table_of(names, cells, title=title, numbers=names[1:]))


def _row(name: str, entry: Mapping[str, int]) -> tuple[Cell, ...]:
    share = f"{entry['scopes_complete']}/{entry['scopes']}"
    return (
        name,
        f"{entry['rows']:,}",
        f"{entry['files']:,}",
        size_text(entry["bytes"]),
        safe(share, "green" if _is_complete(entry) else "yellow"),
    )


def _sums(entries: Mapping[str, Mapping[str, int]]) -> list[tuple[Cell, ...]]:
    """A row for the tables of each product, under the pattern that chooses them, and one for all."""
    groups: dict[str, list[Mapping[str, int]]] = {}
    for table, entry in sorted(entries.items()):
        groups.setdefault(f"{table.partition('_')[0]}_*", []).append(entry)
    groups["all"] = list(entries.values())
    return [_sum_row(name, group) for name, group in groups.items()]


def _sum_row(name: str, group: Sequence[Mapping[str, int]]) -> tuple[Cell, ...]:
    total = {key: sum(entry[key] for entry in group) for key in group[0]}
    first, *rest = _row(name, total)
    return (first, f"{len(group)}", *rest)


def _is_complete(entry: Mapping[str, int]) -> bool:
    return entry["scopes_complete"] == entry["scopes"]


def print_scopes(out: Console, reasons: Sequence[Mapping[str, str]], title: str = "Not complete") -> None:
    """All scopes that aren't complete, and why; those that have the reason in common stand together."""
    if not reasons:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for accounts, regions, tables, (status,), (why,) in causes(reasons):
        grid.add_row(status_text(status), safe(why))
        grid.add_row("", safe(f"{', '.join(accounts)} in {', '.join(regions)}"))
        grid.add_row("", safe(", ".join(tables), "bold"))
    out.print(safe(f"{title}: {len(reasons):,} scopes" if len(reasons) > 1 else f"{title}: 1 scope", "bold"))
    out.print(grid)
    out.print()


def causes(reasons: Iterable[Mapping[str, str]]) -> list[Cause]:
    """One cause often takes several tables of a target along, and is the same elsewhere."""
    ordered = sorted(reasons, key=lambda row: (row["account_id"], row["region_id"]))
    causes: list[Cause] = [
        ((row["account_id"],), (row["region_id"],), (row["table"],), (row["status"],), (_why(row),)) for row in ordered
    ]
    for place in (_TABLES, _REGIONS, _ACCOUNTS):
        causes = _joined(causes, place)
    return causes


def _joined(causes: Iterable[Cause], place: int) -> list[Cause]:
    """Those that differ in this place only become one."""
    found: dict[tuple[Cause, Cause], list[str]] = {}
    for cause in causes:
        found.setdefault((cause[:place], cause[place + 1 :]), []).extend(cause[place])
    return [(*before, tuple(values), *after) for (before, after), values in found.items()]


def _why(row: Mapping[str, str]) -> str:
    """The reason without what a child's scope puts before its parent's, and without the place, which stands beside."""
    message = _PARENT.sub("", row["error_message"], count=1)
    for key, name in (("account_id", "<account>"), ("region_id", "<region>")):
        message = re.sub(rf"(?<![\w-]){re.escape(row[key])}(?![\w-])", name, message)
    return f"{row['error_code']}: {message}" if row["error_code"] else message


def print_left_out(out: Console, directory: Mapping[str, Any] | None, left_out: Sequence[Mapping[str, str]]) -> None:
    """The organization's members that aren't crawled, and why, or why there is no list of them."""
    if directory is not None and directory["error_message"]:
        reason = safe(f"{directory['error_code']}: {directory['error_message']}")
        out.print(status_text(directory["status"]), reason, soft_wrap=True)
    rows = [(member["account_id"], member["name"], member["reason"]) for member in left_out]
    if rows:
        out.print(table_of(("account", "name", "why"), rows[:_MAX_SHOWN], title="Members left out"))
    if len(rows) > _MAX_SHOWN:
        out.print(f"… and {len(rows) - _MAX_SHOWN} more; --json has them all.")


def _print_unknown(out: Console, unknown: Mapping[str, Mapping[str, int]]) -> None:
    rows = [(table, name, f"{count:,}") for table, names in sorted(unknown.items()) for name, count in names.items()]
    if rows:
        title = "Fields that the schemas don't know (kept in _extra)"
        out.print(table_of(("table", "field", "records"), rows[:_MAX_SHOWN], title=title, numbers=("records",)))
    if len(rows) > _MAX_SHOWN:
        out.print(f"… and {len(rows) - _MAX_SHOWN} more; --json has them all.")


def _print_verdict(out: Console, summary: Mapping[str, Any]) -> None:
    by_status = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in _statuses(summary))
    figures = (
        f"{summary['rows']:,} rows · {summary['requests']:,} requests · {summary['retries']:,} retries · "
        f"{summary['throttled']:,} throttled · {duration_text(summary['seconds'])}"
    )
    status = summary["status"]
    if status == "none":
        out.print(Text("Nothing was committed.", "bold red"), safe(f"{summary['scopes']['total']} scopes: {by_status}"))
    else:
        out.print(
            Text("snapshot ", "bold") + safe(summary["snapshot_id"], "bold") + " is " + status_text(status),
            safe(f"· {summary['scopes']['total']} scopes: {by_status}"),
        )
    out.print(safe(figures), soft_wrap=True)
    if status != "none":
        out.print(safe(f"in {summary['uri']}"), soft_wrap=True)


def _statuses(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    found: Mapping[str, int] = summary["scopes"]["by_status"]
    return sorted(found.items(), key=lambda item: -item[1])


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


def left_out_values(left_out: Sequence[SkippedMember]) -> list[dict[str, str]]:
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
