"""`snapshots verify`: compare the files of snapshots with their manifests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.echo import print_json, warn
from crawler.cli.inputs import locate_output
from crawler.cli.options import CommandError, CommonOptions, common_options, config_option, json_option, uri_option
from crawler.errors import ExitCode, OutputError

if TYPE_CHECKING:
    from crawler.snapshot import OutputLocation
    from crawler.snapshot.orphans import BadFile
    from crawler.snapshot.verify import VerifyResult


@click.command("verify")
@click.argument("snapshot_ids", nargs=-1, metavar="[SNAPSHOT]...")
@click.option("--all", "is_all", is_flag=True, help="Verify all snapshots and LATEST, and find orphaned files.")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def verify(
    common: CommonOptions,
    /,
    snapshot_ids: tuple[str, ...],
    is_all: bool,
    config_file: Path | None,
    uri: str | None,
    as_json: bool,
) -> int:
    """Compare the files of snapshots with their manifests.

    Reads every file and checks existence, size, SHA-256, rows, schema and ledger. With all snapshots, the files that
    Iceberg and Delta tables in a local output name are looked for, too. SNAPSHOT is an ID or the beginning of one,
    latest, latest~N, newest, or a UTC date. Default: --all.

    Exit codes: 0 all files are as committed; 1 at least one isn't; 2 wrong usage, an unknown snapshot, or no snapshot
    to verify; 4 the output can't be read, or stdout can't be written.
    """
    common.exit_state.one_is_an_answer = True
    if is_all and snapshot_ids:
        raise click.UsageError("Give either snapshot IDs or --all.")
    try:
        results, orphans, unchecked = _verify(locate_output(common, config_file, uri), snapshot_ids)
    except CommandError as error:  # the output can't be opened
        raise OutputError(str(error)) from None
    for reason in unchecked:
        warn(common, reason)
    if as_json:
        print_json(_value(results, orphans))
    else:
        _print(results, orphans)
    return ExitCode.FAILURE if orphans or any(result.bad_files for result in results) else 0


def _verify(
    location: OutputLocation, snapshot_ids: Sequence[str]
) -> tuple[list[VerifyResult], list[BadFile], list[str]]:
    """Return the results, the files that no snapshot has, and why lake tables can't be checked."""
    from crawler.snapshot import UnknownSnapshotError, resolve_snapshot
    from crawler.snapshot.lake.verify import verify_lakes
    from crawler.snapshot.verify import known_ids, verify_all, verify_snapshot

    if snapshot_ids:
        known = known_ids(location)
        ids = [resolve_snapshot(location, name, known) for name in snapshot_ids]
        return [verify_snapshot(location, snapshot_id) for snapshot_id in dict.fromkeys(ids)], [], []
    results, orphans = verify_all(location)
    if not results and not orphans:
        raise UnknownSnapshotError(f"{location} has no snapshot to verify")
    missing, unchecked = verify_lakes(location)
    return results, [*orphans, *missing], unchecked


def _value(results: Sequence[VerifyResult], orphans: Sequence[BadFile]) -> dict[str, Any]:
    import msgspec

    snapshots = [{"is_whole": result.is_whole, **msgspec.to_builtins(result)} for result in results]
    is_whole = not orphans and all(result.is_whole for result in results)
    return {"is_whole": is_whole, "snapshots": snapshots, "bad_files": msgspec.to_builtins(list(orphans))}


def _print(results: Sequence[VerifyResult], orphans: Sequence[BadFile]) -> None:
    """Print one line per snapshot, one line per bad file below it, and the overall result."""
    from rich.text import Text

    from crawler.cli.render import console, counted, safe, size_text, status_text

    out = console()
    for result in results:
        mark = Text("✓ ", "green") if result.is_whole else Text("✗ ", "red")
        figures = f"{counted(result.files, 'file')} · {counted(result.rows, 'row')} · {size_text(result.bytes)}"
        head = mark + safe(result.snapshot_id, "bold") + "  " + status_text(result.status or "unreadable")
        out.print(head + safe(f"  {figures}"), soft_wrap=True)
        if result.manifest_sha256:
            out.print(safe(f"  manifest SHA-256 {result.manifest_sha256}", "dim"), soft_wrap=True)
        _print_bad(result.bad_files)
    _print_bad(orphans)
    bad = sum(len(result.bad_files) for result in results) + len(orphans)
    if bad:
        out.print(Text("1 file isn't as committed." if bad == 1 else f"{bad:,} files aren't as committed.", "red"))
    else:
        out.print(Text("All files are as committed.", "green"))


def _print_bad(files: Iterable[BadFile]) -> None:
    from crawler.cli.render import console, safe

    for file in files:
        console().print(safe(f"  {file.path}", "red") + safe(f" {file.reason}"), soft_wrap=True)
