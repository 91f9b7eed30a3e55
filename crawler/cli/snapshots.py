"""`snapshots list` and `snapshots show`: the snapshots of an output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.echo import print_json
from crawler.cli.inputs import locate_output, reading
from crawler.cli.options import CommonOptions, common_options, config_option, json_option, uri_option

if TYPE_CHECKING:
    from crawler.snapshot import Manifest, SnapshotSummary
    from crawler.snapshot.causes import Cause


@click.group()
def snapshots() -> None:
    """List, inspect, verify and prune snapshots."""


@snapshots.command("list")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def list_command(common: CommonOptions, config_file: Path | None, uri: str | None, as_json: bool) -> None:
    """List all snapshots, newest first."""
    from crawler.snapshot import list_snapshots

    with reading():
        found = list_snapshots(locate_output(common, config_file, uri))
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(found))
    else:
        _print_list(found)


def _print_list(found: list[SnapshotSummary]) -> None:
    from crawler.cli.render import console, print_aligned, safe, size_text, status_text

    out = console()
    if not found:
        out.print("There are no snapshots yet.")
        return
    rows: list[tuple[object, ...]] = [
        (
            safe(entry.snapshot_id, "bold" if entry.is_latest else ""),
            status_text(entry.status) if not entry.error else safe("unreadable", "red"),
            f"{entry.rows:,}",
            size_text(entry.bytes),
            f"{entry.scopes - entry.not_complete:,}/{entry.scopes:,}",
            _remark(entry),
        )
        for entry in found
    ]
    print_aligned(
        out,
        ("snapshot", "status", "rows", "size", "scopes complete", ""),
        rows,
        numbers=("rows", "size", "scopes complete"),
        folding=("",),
        expendable=("size", "scopes complete"),
    )


def _remark(entry: SnapshotSummary) -> str:
    """Say whether LATEST names the snapshot, what narrowed its crawl, what is accepted, and why it can't be read."""
    only = f"only {entry.selection.options}" if entry.selection else ""
    accepted = f"{entry.accepted:,} scopes accepted" if entry.accepted else ""
    return ", ".join(filter(None, ("latest" if entry.is_latest else "", only, accepted, entry.error)))


@snapshots.command("show")
@click.argument("snapshot_id", required=False, metavar="[SNAPSHOT]")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def show_command(
    common: CommonOptions, snapshot_id: str | None, config_file: Path | None, uri: str | None, as_json: bool
) -> None:
    """Show a snapshot: tables and incomplete scopes.

    SNAPSHOT is an ID or the beginning of one, latest (the newest complete one), latest~N, newest, or a UTC date.
    Default: newest.
    """
    import msgspec

    from crawler.snapshot import read_ledger, read_manifest, resolve_snapshot

    causes: Sequence[Cause] = ()
    with reading():
        location = locate_output(common, config_file, uri)
        manifest = read_manifest(location, resolve_snapshot(location, snapshot_id or "newest"))
        if not as_json and manifest.scopes.missing > len(manifest.scopes.not_complete):
            causes = read_ledger(location, manifest).causes
    if as_json:
        print_json(msgspec.to_builtins(manifest))
    else:
        _print_manifest(manifest, causes)


def _print_manifest(manifest: Manifest, causes: Sequence[Cause]) -> None:
    """Print a manifest. `causes` are those of the ledger, if the manifest lists only the first scopes."""
    from crawler.cli.crawl_summary import (
        accepted_values,
        directory_value,
        print_numbers,
        print_skipped_members,
        reason_value,
        shards_text,
        skipped_member_values,
    )
    from crawler.cli.gap_text import accounts_text, print_accepted, print_gaps
    from crawler.cli.render import console, counted, safe, size_text, status_text
    from crawler.cli.summary_bounds import group_values
    from crawler.clock import iso_utc

    out = console()
    out.print(safe(manifest.snapshot_id, "bold"), status_text(manifest.status))
    out.print(
        safe(f"{iso_utc(manifest.started_at)} to {iso_utc(manifest.finished_at)}, by acs-inventory {manifest.version}")
    )
    out.print(safe(f"secrets: {manifest.secrets} · clock skew {manifest.clock_skew_s:.1f} s"))
    if manifest.selection is not None:
        out.print(safe(f"only {manifest.selection.options}{', published' if manifest.selection.published else ''}"))
    rows: list[Any] = [
        (table, f"{entry.rows:,}", f"{len(entry.files):,}", size_text(entry.bytes))
        for table, entry in sorted(manifest.tables.items())
    ]
    print_numbers(out, ("table", "rows", "files", "size"), rows)
    if names := manifest.account_names:
        out.print(safe(f"accounts: {accounts_text(list(names), names)}"), soft_wrap=True)
    print_gaps(
        out,
        [reason_value(row) for row in manifest.scopes.not_complete],
        group_values(causes),
        total=manifest.scopes.missing,
        accepted=manifest.scopes.accepted,
        known=manifest.tables,
        at=manifest.started_at,
    )
    print_accepted(out, accepted_values(manifest), "incomplete scopes")
    print_skipped_members(out, directory_value(manifest.directory), skipped_member_values(manifest.left_out))
    if manifest.shards:
        out.print(safe(shards_text(Counter(entry.status for entry in manifest.shards))))
    counts = ", ".join(f"{number:,} {status}" for status, number in manifest.scopes.by_status.items() if number)
    accepted = f" ({manifest.scopes.accepted} of them accepted)" if manifest.scopes.accepted else ""
    out.print(safe(f"{counted(manifest.scopes.total, 'scope')}: {counts}{accepted}"))
