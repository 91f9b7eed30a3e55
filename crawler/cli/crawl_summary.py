"""The result of a crawl, as JSON values and as text that lists everything incomplete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from crawler.cli.gap_text import print_gaps
from crawler.cli.render import console, counted, duration_text, print_aligned, safe, size_text, status_text
from crawler.cli.screen import Screen
from crawler.cli.summary_bounds import group_values
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
# Columns that a narrow terminal omits, in this order.
_EXPENDABLE = ("files", "size")
Cell = Text | str

_REASON_FIELDS = (
    "account_id",
    "account_name",
    "region_id",
    "table",
    "status",
    "error_code",
    "error_message",
    "request_id",
    "accepted_reason",
    "accepted_until",
)


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the tables, the incomplete scopes with their reasons, unknown fields, and one line of figures."""
    out = console()
    _print_tables(out, summary)
    scopes = summary["scopes"]
    print_gaps(
        out,
        scopes["not_complete"],
        scopes.get("groups", ()),
        total=scopes["not_complete_total"],
        accepted=scopes.get("accepted_total", 0),
        known=summary["tables"],
        at=datetime.fromisoformat(summary["started_at"]),
    )
    print_skipped_members(out, summary["directory"], summary["left_out"])
    print_not_offered(out, summary.get("not_offered", {}))
    _print_fields(out, "Fields that are not in the schemas (kept in _extra)", summary["unknown_fields"])
    _print_misfits(out, summary["misfit_fields"])
    for warning in summary["warnings"]:
        out.print(Text("warning ", "yellow") + safe(warning))
    _print_verdict(out, summary)


def _print_tables(out: Screen, summary: Mapping[str, Any]) -> None:
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
        out.print(
            f"… and {counted(len(ranked) - len(shown), 'more table')}, all complete; `snapshots show` lists them.\n"
        )


def print_numbers(out: Screen, columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "") -> None:
    """Print one row per name with its numbers."""
    print_aligned(out, columns, rows, title=title, numbers=columns[1:], expendable=_EXPENDABLE, names=columns[:1])


def _row(name: str, entry: Mapping[str, int]) -> tuple[Cell, ...]:
    share = f"{entry['scopes_complete']:,}/{entry['scopes']:,}"
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


def print_skipped_members(
    out: Screen, directory: Mapping[str, Any] | None, skipped: Sequence[Mapping[str, str]]
) -> None:
    """Print the skipped members with their reasons, and the error of the list of members."""
    if directory is not None and directory["error_message"]:
        reason = safe(f"{directory['error_code']}: {directory['error_message']}")
        out.print(status_text(directory["status"]), reason, soft_wrap=True)
    rows = [(member["account_id"], member["name"], member["reason"]) for member in skipped]
    if rows:
        columns, shown = ("account", "name", "reason"), rows[:_MAX_SHOWN]
        print_aligned(out, columns, shown, title="Skipped members", folding=("reason",), expendable=("name",))
    if len(rows) > _MAX_SHOWN:
        out.print(f"… and {len(rows) - _MAX_SHOWN} more; --json lists all.")


def print_not_offered(out: Screen, missing: Mapping[str, Sequence[str]]) -> None:
    """Print the regions that an account names and a product of the tables doesn't have: nothing is requested there."""
    for product, regions in missing.items():
        out.print(
            safe(f"{product} is not offered in {', '.join(regions)}: its tables are not requested there."),
            soft_wrap=True,
        )


def _print_fields(out: Screen, title: str, fields: Mapping[str, Mapping[str, int]]) -> None:
    rows = [(table, name, f"{count:,}") for table, names in sorted(fields.items()) for name, count in names.items()]
    if rows:
        print_aligned(out, ("table", "field", "records"), rows[:_MAX_SHOWN], title=title, numbers=("records",))
    if len(rows) > _MAX_SHOWN:
        out.print(f"… and {len(rows) - _MAX_SHOWN} more; --json lists all.")


def _print_misfits(out: Screen, fields: Mapping[str, Mapping[str, int]]) -> None:
    """Print the missing parts of keys one by one, and the other misfits as a sum: some come every night."""
    from crawler.normalizer.normalizer import MISSING_KEY

    missing = {
        table: {name: count for name, count in names.items() if name.endswith(MISSING_KEY)}
        for table, names in fields.items()
    }
    _print_fields(out, "Records without a part of their key (kept)", missing)
    others = sum(sum(names.values()) for names in fields.values()) - sum(sum(n.values()) for n in missing.values())
    if others:
        noun = "value doesn't" if others == 1 else "values don't"
        out.print(f"{others:,} {noun} fit the schemas (kept in _extra); --json lists their fields.")


def _print_verdict(out: Screen, summary: Mapping[str, Any]) -> None:
    by_status = ", ".join(f"{number:,} {status.replace('_', ' ')}" for status, number in _statuses(summary))
    if accepted := summary["scopes"].get("accepted_total"):
        by_status += f" ({accepted:,} of them accepted)"
    figures = (
        f"{counted(summary['rows'], 'row')} · {counted(summary['requests'], 'request')} · "
        f"{counted(summary['retries'], 'retry', 'retries')} · "
        f"{summary['throttled']:,} throttled · {duration_text(summary['seconds'])}"
    )
    status, scopes = summary["status"], counted(summary["scopes"]["total"], "scope")
    if status == "none":
        out.print(Text("Nothing was committed.", "bold red"), safe(f"{scopes}: {by_status}"))
    else:
        out.print(
            Text("snapshot ", "bold") + safe(summary["snapshot_id"], "bold") + " is " + status_text(status),
            safe(f"· {scopes}: {by_status}"),
        )
    out.print(safe(figures), soft_wrap=True)
    if lake := summary.get("lake"):
        text = f"{lake['tables_moved']} {lake['format'].capitalize()} tables moved in {duration_text(lake['seconds'])}"
        out.print(safe(text))
    if shards := summary.get("shards"):
        out.print(safe(shards_text(shards)))
    if status != "none":
        out.print(safe(f"in {summary['uri']}"), soft_wrap=True)
        out.print(safe(f"manifest SHA-256 {summary.get('manifest_sha256', '')}"), soft_wrap=True)
    if pruned := summary.get("pruned"):
        out.print(safe(f"[retention] removed {pruned} {'snapshot' if pruned == 1 else 'snapshots'}."))


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
        "manifest_sha256": result.manifest_sha256,
        "uri": uri,
        "started_at": iso_utc(result.started_at),
        "finished_at": iso_utc(result.finished_at),
        "seconds": round(result.seconds, 1),
        "lake": _lake_value(result.lake),
        "rows": result.rows,
        "tables": table_entries(manifest, result.ledger) if manifest else {},
        "scopes": scope_counts(result.ledger),
        "resumed_scopes": result.resumed_scopes,
        "pruned": result.pruned,
        "requests": result.requests.requests,
        "retries": result.requests.retries,
        "throttled": result.requests.throttled,
        "overhead": dict(result.overhead),
        "unknown_fields": {table: dict(names) for table, names in result.unknown_fields.items()},
        "misfit_fields": {table: dict(names) for table, names in result.misfit_fields.items()},
        "warnings": list(result.warnings),
        "selection": selection_value(manifest.selection if manifest else None),
        "not_offered": {product: list(regions) for product, regions in result.not_offered.items()},
        "accepted": accepted_values(manifest) if manifest else [],
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


def accepted_values(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the rules of `[[accepted]]` that held, as in the manifest."""
    import msgspec

    value: list[dict[str, Any]] = msgspec.to_builtins(manifest.accepted)
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
    """Return the number of scopes by status, the incomplete scopes as in a manifest, and their groups by reason."""
    from crawler.snapshot.manifest import count_scopes

    counts = count_scopes(ledger)
    return {
        "total": counts.total,
        "by_status": {status: number for status, number in counts.by_status.items() if number},
        "not_complete": [reason_value(row) for row in counts.not_complete],
        "not_complete_total": counts.missing,
        "accepted_total": counts.accepted,
        "groups": group_values(ledger.causes),
    }


def reason_value(row: ScopeRow) -> Mapping[str, str]:
    """Return a scope with its status and reason."""
    since = iso_utc(row.incomplete_since) if row.incomplete_since is not None else ""
    return {**{name: str(getattr(row, name)) for name in _REASON_FIELDS}, "incomplete_since": since}
