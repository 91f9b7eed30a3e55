"""`snapshots list` and `snapshots show`: the history of an output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.inputs import place_of
from crawler.cli.options import CommandError, config_option, json_option, output_options, uri_option
from crawler.cli.render import show_json
from crawler.errors import OutputError

if TYPE_CHECKING:
    from crawler.snapshot import Manifest, SnapshotSummary


@click.group()
def snapshots() -> None:
    """What has been committed."""


@snapshots.command("list")
@config_option
@uri_option
@json_option
@output_options
def list_command(config_file: Path | None, uri: str | None, as_json: bool) -> None:
    """All snapshots, newest first."""
    from crawler.snapshot import list_snapshots

    try:
        found = list_snapshots(place_of(config_file, uri))
    except OutputError as error:
        raise CommandError(str(error)) from None
    if as_json:
        import msgspec

        show_json(msgspec.to_builtins(found))
    else:
        _print_list(found)


def _print_list(found: list[SnapshotSummary]) -> None:
    from crawler.cli.render import console, safe, size_text, status_text, table_of

    out = console()
    if not found:
        out.print("No snapshot has been committed here.")
        return
    rows = [
        (
            safe(entry.snapshot_id, "bold" if entry.is_latest else ""),
            status_text(entry.status) if not entry.error else safe(entry.error, "red"),
            f"{entry.rows:,}",
            size_text(entry.bytes),
            f"{entry.scopes - entry.not_complete}/{entry.scopes}",
            "latest" if entry.is_latest else "",
        )
        for entry in found
    ]
    columns = ("snapshot", "status", "rows", "size", "scopes complete", "")
    out.print(table_of(columns, rows, numbers=("rows", "size", "scopes complete")))


@snapshots.command("show")
@click.argument("snapshot_id", required=False)
@config_option
@uri_option
@json_option
@output_options
def show_command(snapshot_id: str | None, config_file: Path | None, uri: str | None, as_json: bool) -> None:
    """One snapshot: its tables, and which scopes aren't complete and why. The newest by default.

    SNAPSHOT_ID is one of `snapshots list`, or `latest`, the newest complete one.
    """
    import msgspec

    from crawler.snapshot import list_snapshots, read_manifest

    folder = place_of(config_file, uri)
    try:
        if snapshot_id is None:
            found = list_snapshots(folder)
            snapshot_id = found[0].snapshot_id if found else "latest"
        manifest = read_manifest(folder, snapshot_id)
    except OutputError as error:
        raise CommandError(str(error)) from None
    if as_json:
        show_json(msgspec.to_builtins(manifest))
    else:
        _print_manifest(manifest)


def _print_manifest(manifest: Manifest) -> None:
    from crawler.cli.crawl_summary import (
        directory_value,
        iso,
        left_out_values,
        print_left_out,
        print_numbers,
        print_scopes,
        reason,
    )
    from crawler.cli.render import console, safe, size_text, status_text

    out = console()
    out.print(safe(manifest.snapshot_id, "bold"), status_text(manifest.status))
    out.print(safe(f"{iso(manifest.started_at)} to {iso(manifest.finished_at)}, by acs-inventory {manifest.version}"))
    out.print(safe(f"secrets: {manifest.secrets} · clock skew {manifest.clock_skew_s:.1f} s"))
    rows: list[Any] = [
        (table, f"{entry.rows:,}", f"{len(entry.files):,}", size_text(entry.bytes))
        for table, entry in sorted(manifest.tables.items())
    ]
    print_numbers(out, ("table", "rows", "files", "size"), rows)
    print_scopes(out, [reason(row) for row in manifest.scopes.not_complete])
    print_left_out(out, directory_value(manifest.directory), left_out_values(manifest.left_out))
    counts = ", ".join(f"{number} {status}" for status, number in manifest.scopes.by_status.items() if number)
    out.print(safe(f"{manifest.scopes.total} scopes: {counts}"))
