"""`snapshots verify`: compare every file of an output with the manifests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.inputs import place_of
from crawler.cli.options import CommandError, config_option, json_option, output_options, uri_option
from crawler.cli.render import show_json
from crawler.errors import ExitCode, OutputError

if TYPE_CHECKING:
    from crawler.snapshot import OutputLocation
    from crawler.snapshot.verify import BadFile, VerifyResult


@click.command("verify")
@click.argument("snapshot_ids", nargs=-1, metavar="[SNAPSHOT_ID]...")
@click.option("--all", "is_all", is_flag=True, help="Every snapshot, LATEST, and files that belong to none.")
@config_option
@uri_option
@json_option
@output_options
def verify(
    snapshot_ids: tuple[str, ...], is_all: bool, config_file: Path | None, uri: str | None, as_json: bool
) -> int:
    """Re-read every file of snapshots against their manifests: existence, size, SHA-256, rows, schema, ledger.

    SNAPSHOT_ID is one of `snapshots list`, or `latest`, the newest complete one. Without any it is as with --all.
    Exit codes: 0 everything is what was committed; 1 something isn't, or there is nothing to verify.
    """
    if is_all and snapshot_ids:
        raise click.UsageError("Give either snapshots' IDs or --all.")
    place = place_of(config_file, uri)
    try:
        verdicts, loose = _verified(place, snapshot_ids)
    except OutputError as error:
        raise CommandError(str(error)) from None
    if as_json:
        show_json(_value(verdicts, loose))
    else:
        _print(verdicts, loose)
    is_bad = bool(loose) or any(verdict.bad_files for verdict in verdicts)
    return ExitCode.FAILURE if is_bad else ExitCode.SUCCESS


def _verified(place: OutputLocation, snapshot_ids: Sequence[str]) -> tuple[list[VerifyResult], list[BadFile]]:
    from crawler.snapshot import read_manifest
    from crawler.snapshot.verify import verify_all, verify_snapshot

    if snapshot_ids:
        ids = [read_manifest(place, name).snapshot_id if name == "latest" else name for name in snapshot_ids]
        return [verify_snapshot(place, snapshot_id) for snapshot_id in dict.fromkeys(ids)], []
    verdicts, loose = verify_all(place)
    if not verdicts and not loose:
        raise OutputError(f"{place} has no snapshot to verify")
    return verdicts, loose


def _value(verdicts: Sequence[VerifyResult], loose: Sequence[BadFile]) -> dict[str, Any]:
    import msgspec

    snapshots = [{"is_whole": verdict.is_whole, **msgspec.to_builtins(verdict)} for verdict in verdicts]
    is_whole = not loose and all(verdict.is_whole for verdict in verdicts)
    return {"is_whole": is_whole, "snapshots": snapshots, "bad_files": msgspec.to_builtins(list(loose))}


def _print(verdicts: Sequence[VerifyResult], loose: Sequence[BadFile]) -> None:
    """A line a snapshot, a line a bad file under its snapshot, and a verdict."""
    from rich.text import Text

    from crawler.cli.render import console, safe, size_text, status_text

    out = console()
    for verdict in verdicts:
        mark = Text("✓ ", "green") if verdict.is_whole else Text("✗ ", "red")
        figures = f"{verdict.files:,} files · {verdict.rows:,} rows · {size_text(verdict.bytes)}"
        head = mark + safe(verdict.snapshot_id, "bold") + "  " + status_text(verdict.status or "unreadable")
        out.print(head + safe(f"  {figures}"), soft_wrap=True)
        if verdict.manifest_sha256:
            out.print(safe(f"  manifest SHA-256 {verdict.manifest_sha256}", "dim"), soft_wrap=True)
        _print_bad(verdict.bad_files)
    _print_bad(loose)
    bad = sum(len(verdict.bad_files) for verdict in verdicts) + len(loose)
    what = "1 file isn't" if bad == 1 else f"{bad:,} files aren't"
    good = "Every file is what was committed."
    out.print(Text(good, "green") if not bad else Text(f"{what} what was committed.", "red"))


def _print_bad(files: Iterable[BadFile]) -> None:
    from crawler.cli.render import console, safe

    for file in files:
        console().print(safe(f"  {file.path}", "red") + safe(f" {file.reason}"), soft_wrap=True)
