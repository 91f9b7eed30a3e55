"""The result of a crawl, as JSON values and as text that lists everything incomplete."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawler.cli.render import console, duration_text, safe, size_text, status_text, table_of
from crawler.clock import iso_utc

if TYPE_CHECKING:
    from crawler.run.result import CrawlResult
    from crawler.snapshot import DirectoryEntry, LakeResult, LedgerView, Manifest, ScopeRow
    from crawler.snapshot.manifest import CrawlSelection, SkippedMember

# More tables than `_MAX_TABLES` are summed by product, and only incomplete and large tables are listed.
_MAX_TABLES = 20
_LEAST_SHOWN = 8
_MAX_SHOWN = 40
_COLUMNS = ("table", "rows", "files", "size", "scopes complete")
# Columns that a narrow terminal omits, in this order; then the width of a table's frame.
_EXPENDABLE = ("files", "size")
_GAP, _EDGES = 3, 2
_PARENT = re.compile(r"Its parent \w+ is \w+: ")
Cell = Text | str

# The accounts, regions and tables that share a cause, and the cause: one status and one reason.
Cause = tuple[tuple[str, ...], ...]
_ACCOUNTS, _REGIONS, _TABLES = range(3)
_REASON_FIELDS = ("account_id", "region_id", "table", "status", "error_code", "error_message", "request_id")


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the tables, the incomplete scopes with their reasons, unknown fields, and one line of figures."""
    out = console()
    _print_tables(out, summary)
    print_scopes(out, summary["scopes"]["not_complete"], total=summary["scopes"]["not_complete_total"])
    print_skipped_members(out, summary["directory"], summary["left_out"])
    print_not_offered(out, summary.get("not_offered", {}))
    _print_fields(out, "Fields that are not in the schemas (kept in _extra)", summary["unknown_fields"])
    _print_misfits(out, summary["misfit_fields"])
    for warning in summary["warnings"]:
        out.print(Text("warning ", "yellow") + safe(warning))
    _print_verdict(out, summary)


def _print_tables(out: Console, summary: Mapping[str, Any]) -> None:
    """Print all tables; if they are many, the sums by product, the incomplete tables and the largest."""
    entries = summary["tables"]
    if len(entries) <= _MAX_TABLES:
        print_numbers(out, _COLUMNS, [_row(table, entry) for table, entry in sorted(entries.items())])
        return
    print_numbers(out, ("tables", "", *_COLUMNS[1:]), _sums(entries))
    incomplete = {table for table, entry in entries.items() if not _is_complete(entry)}
    ranked = sorted(entries, key=lambda table: (table not in incomplete, -entries[table]["rows"], table))
    shown = ranked[: max(len(incomplete), _LEAST_SHOWN)]
    title = "Incomplete and largest tables" if incomplete else "Largest tables"
    print_numbers(out, _COLUMNS, [_row(table, entries[table]) for table in shown], title)
    if len(shown) < len(ranked):
        out.print(f"… and {len(ranked) - len(shown)} more tables, all complete; `snapshots show` lists them.\n")


def print_numbers(out: Console, columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "") -> None:
    """Print one row per name with its numbers. A narrow terminal omits the columns of `_EXPENDABLE`."""
    if not rows:
        return
    for number in range(len(_EXPENDABLE) + 1):
        kept = [index for index, column in enumerate(columns) if column not in _EXPENDABLE[:number]]
        widths = [max(len(columns[index]), *(len(row[index]) for row in rows)) for index in kept]
        if sum(widths) + _GAP * (len(kept) - 1) + _EDGES <= out.width:
            break
    names = [columns[index] for index in kept]
    cells = [[row[index] for index in kept] for row in rows]
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
    """Return one row per product, named by the glob of its tables, and one row for all."""
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


def print_scopes(
    out: Console, reasons: Sequence[Mapping[str, str]], title: str = "Not complete", total: int = 0
) -> None:
    """Print incomplete scopes with their reasons. Scopes with the same reason are grouped.

    `total` is larger than the number of reasons if these are only the first.
    """
    if not reasons:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for accounts, regions, tables, (status,), (why,) in causes(reasons):
        grid.add_row(status_text(status), safe(why))
        grid.add_row("", safe(f"{', '.join(accounts)} in {', '.join(regions)}"))
        grid.add_row("", safe(", ".join(tables), "bold"))
    number = max(total, len(reasons))
    out.print(safe(f"{title}: {number:,} scopes" if number > 1 else f"{title}: 1 scope", "bold"))
    out.print(grid)
    if number > len(reasons):
        out.print(f"… and {number - len(reasons):,} more; the ledger has all: `query` shows it as _scopes.")
    out.print()


def causes(reasons: Iterable[Mapping[str, str]]) -> list[Cause]:
    """Group incomplete scopes by cause: one cause often affects many tables, regions and accounts."""
    ordered = sorted(reasons, key=lambda row: (row["account_id"], row["region_id"]))
    causes: list[Cause] = [
        ((row["account_id"],), (row["region_id"],), (row["table"],), (row["status"],), (_why(row),)) for row in ordered
    ]
    for index in (_TABLES, _REGIONS, _ACCOUNTS):
        causes = _merged(causes, index)
    return causes


def _merged(causes: Iterable[Cause], index: int) -> list[Cause]:
    """Merge causes that differ at this index only."""
    found: dict[tuple[Cause, Cause], list[str]] = {}
    for cause in causes:
        found.setdefault((cause[:index], cause[index + 1 :]), []).extend(cause[index])
    return [(*before, tuple(values), *after) for (before, after), values in found.items()]


def _why(row: Mapping[str, str]) -> str:
    """Return the reason without its account and region, which are printed next to it, and without the parent's name."""
    message = _PARENT.sub("", row["error_message"], count=1)
    for key, name in (("account_id", "<account>"), ("region_id", "<region>")):
        message = re.sub(rf"(?<![\w-]){re.escape(row[key])}(?![\w-])", name, message)
    return f"{row['error_code']}: {message}" if row["error_code"] else message


def print_skipped_members(
    out: Console, directory: Mapping[str, Any] | None, skipped: Sequence[Mapping[str, str]]
) -> None:
    """Print the skipped members with their reasons, and the error of the list of members."""
    if directory is not None and directory["error_message"]:
        reason = safe(f"{directory['error_code']}: {directory['error_message']}")
        out.print(status_text(directory["status"]), reason, soft_wrap=True)
    rows = [(member["account_id"], member["name"], member["reason"]) for member in skipped]
    if rows:
        out.print(table_of(("account", "name", "reason"), rows[:_MAX_SHOWN], title="Skipped members"))
    if len(rows) > _MAX_SHOWN:
        out.print(f"… and {len(rows) - _MAX_SHOWN} more; --json lists all.")


def print_not_offered(out: Console, missing: Mapping[str, Sequence[str]]) -> None:
    """Print the regions that an account names and a product of the tables doesn't have: nothing is requested there."""
    for product, regions in missing.items():
        out.print(
            safe(f"{product} is not offered in {', '.join(regions)}: its tables are not requested there."),
            soft_wrap=True,
        )


def _print_fields(out: Console, title: str, fields: Mapping[str, Mapping[str, int]]) -> None:
    rows = [(table, name, f"{count:,}") for table, names in sorted(fields.items()) for name, count in names.items()]
    if rows:
        out.print(table_of(("table", "field", "records"), rows[:_MAX_SHOWN], title=title, numbers=("records",)))
    if len(rows) > _MAX_SHOWN:
        out.print(f"… and {len(rows) - _MAX_SHOWN} more; --json lists all.")


def _print_misfits(out: Console, fields: Mapping[str, Mapping[str, int]]) -> None:
    """Print the missing parts of keys one by one, and the other misfits as a sum: some come every night."""
    from crawler.normalizer.normalizer import MISSING_KEY

    missing = {
        table: {name: count for name, count in names.items() if name.endswith(MISSING_KEY)}
        for table, names in fields.items()
    }
    _print_fields(out, "Records without a part of their key (kept)", missing)
    others = sum(sum(names.values()) for names in fields.values()) - sum(sum(n.values()) for n in missing.values())
    if others:
        out.print(f"{others:,} values do not fit the schemas (kept in _extra); --json lists their fields.")


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
    if lake := summary.get("lake"):
        text = f"{lake['tables_moved']} {lake['format'].capitalize()} tables moved in {duration_text(lake['seconds'])}"
        out.print(safe(text))
    if shards := summary.get("shards"):
        out.print(safe(shards_text(shards)))
    if status != "none":
        out.print(safe(f"in {summary['uri']}"), soft_wrap=True)


def shards_text(shards: Mapping[str, int]) -> str:
    """Return how many shards the crawl had, and how many of them were lost."""
    total, lost = sum(shards.values()), shards.get("lost", 0)
    return f"{total} shard{'' if total == 1 else 's'}{f', {lost} of them lost' if lost else ''}"


def _statuses(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    found: Mapping[str, int] = summary["scopes"]["by_status"]
    return sorted(found.items(), key=lambda item: -item[1])


def _lake_value(lake: LakeResult | None) -> dict[str, Any] | None:
    if lake is None:
        return None
    return {"format": lake.format, "tables_moved": lake.tables_moved, "seconds": round(lake.seconds, 1)}


def summarize(result: CrawlResult, uri: str) -> dict[str, Any]:
    """Return the result as JSON values. If nothing was committed, `tables` is empty and `status` is "none"."""
    manifest = result.manifest
    return {
        "snapshot_id": result.snapshot_id,
        "status": manifest.status if manifest else "none",
        "exit_code": result.exit_code,
        "uri": uri,
        "started_at": iso_utc(result.started_at),
        "finished_at": iso_utc(result.finished_at),
        "seconds": round(result.seconds, 1),
        "lake": _lake_value(result.lake),
        "rows": result.rows,
        "tables": table_entries(manifest, result.ledger) if manifest else {},
        "scopes": scope_counts(result.ledger),
        "resumed_scopes": result.resumed_scopes,
        "requests": result.requests.requests,
        "retries": result.requests.retries,
        "throttled": result.requests.throttled,
        "overhead": dict(result.overhead),
        "unknown_fields": {table: dict(names) for table, names in result.unknown_fields.items()},
        "misfit_fields": {table: dict(names) for table, names in result.misfit_fields.items()},
        "warnings": list(result.warnings),
        "selection": selection_value(manifest.selection if manifest else None),
        "not_offered": {product: list(regions) for product, regions in result.not_offered.items()},
        "shards": dict(Counter(entry.status for entry in manifest.shards)) if manifest else {},
        "directory": directory_value(result.directory),
        "left_out": skipped_member_values(result.left_out),
    }


def directory_value(directory: DirectoryEntry | None) -> dict[str, Any] | None:
    """Return the list of the resource directory as in the manifest; None without [organization]."""
    import msgspec

    value: dict[str, Any] | None = msgspec.to_builtins(directory)
    return value


def selection_value(selection: CrawlSelection | None) -> dict[str, Any] | None:
    """Return the options that narrowed the crawl, as in the manifest; None for a crawl of the whole configuration."""
    import msgspec

    value: dict[str, Any] | None = msgspec.to_builtins(selection)
    return value


def skipped_member_values(skipped: Sequence[SkippedMember]) -> list[dict[str, str]]:
    """Return the skipped members with their reasons."""
    return [asdict(member) for member in skipped]


def table_entries(manifest: Manifest, ledger: LedgerView) -> dict[str, dict[str, int]]:
    """Return rows, bytes, files, scopes and complete scopes by table."""
    from crawler.snapshot import TableFigures

    entries = {}
    for table, entry in manifest.tables.items():
        found = ledger.by_table.get(table, TableFigures())
        scopes = found.by_status.total()
        entries[table] = {
            "rows": entry.rows,
            "bytes": entry.bytes,
            "files": len(entry.files),
            "scopes": scopes,
            "scopes_complete": scopes - found.not_whole,
        }
    return entries


def scope_counts(ledger: LedgerView) -> dict[str, Any]:
    """Return the number of scopes by status, and the incomplete scopes with their reasons, as in a manifest."""
    from crawler.snapshot.manifest import count_scopes

    counts = count_scopes(ledger)
    return {
        "total": counts.total,
        "by_status": {status: number for status, number in counts.by_status.items() if number},
        "not_complete": [reason_value(row) for row in counts.not_complete],
        "not_complete_total": counts.missing,
    }


def reason_value(row: ScopeRow) -> Mapping[str, str]:
    """Return a scope with its status and reason."""
    return {name: str(getattr(row, name)) for name in _REASON_FIELDS}
