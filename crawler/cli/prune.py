"""`snapshots verify` and `snapshots prune`: whether what was committed is still there, and how long it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.cli.crawl import config_option, json_option, load, run_async
from crawler.cli.options import EXIT_NOTHING, CommandError, output_options
from crawler.cli.snapshots import place_of, uri_option
from crawler.cli.tables.command import show_json
from crawler.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.snapshot import Lake, Place, SnapshotSummary
    from crawler.snapshot.folder.prune import PrunePlan
    from crawler.snapshot.retention import KeepRules
    from crawler.snapshot.verify import BadFile, Verdict

_Command = TypeVar("_Command", bound=Callable[..., Any])


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
    return EXIT_NOTHING if loose or any(verdict.bad_files for verdict in verdicts) else 0


def _verified(place: Place, snapshot_ids: Sequence[str]) -> tuple[list[Verdict], list[BadFile]]:
    from crawler.snapshot import read_manifest
    from crawler.snapshot.verify import verify_all, verify_snapshot

    if snapshot_ids:
        ids = [read_manifest(place, name).snapshot_id if name == "latest" else name for name in snapshot_ids]
        return [verify_snapshot(place, snapshot_id) for snapshot_id in dict.fromkeys(ids)], []
    verdicts, loose = verify_all(place)
    if not verdicts and not loose:
        raise OutputError(f"{place} has no snapshot to verify")
    return verdicts, loose


def _value(verdicts: Sequence[Verdict], loose: Sequence[BadFile]) -> dict[str, Any]:
    import msgspec

    snapshots = [{"is_whole": verdict.is_whole, **msgspec.to_builtins(verdict)} for verdict in verdicts]
    is_whole = not loose and all(verdict.is_whole for verdict in verdicts)
    return {"is_whole": is_whole, "snapshots": snapshots, "bad_files": msgspec.to_builtins(list(loose))}


def _print(verdicts: Sequence[Verdict], loose: Sequence[BadFile]) -> None:
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


def _count(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """How many to keep: a whole number from 1, or `unlimited`."""
    if value is None:
        return None
    if value == "unlimited":
        return inf
    try:
        return int(click.IntRange(1)(value, parameter, context))
    except click.BadParameter:
        raise click.BadParameter(f"{value!r} is neither a whole number from 1 nor `unlimited`.") from None


def _keep_option(name: str, text: str) -> Callable[[_Command], _Command]:
    return click.option(f"--keep-{name}", name, metavar="N", callback=_count, help=text)


@click.command("prune")
@_keep_option("last", "The last N snapshots.")
@_keep_option("hourly", "The newest of each of the last N hours that have any.")
@_keep_option("daily", "The newest of each of the last N days that have any.")
@_keep_option("weekly", "The newest of each of the last N weeks that have any; a week begins on Monday.")
@_keep_option("monthly", "The newest of each of the last N months that have any.")
@_keep_option("yearly", "The newest of each of the last N years that have any.")
@click.option(
    "--keep-within",
    "within",
    metavar="DURATION",
    help="All that began within this time before the newest, such as 2y5m7d3h.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@config_option
@uri_option
@json_option
@output_options
def prune(
    config_file: Path | None, uri: str | None, as_json: bool, dry_run: bool, within: str | None, **counts: float | None
) -> None:
    """Remove snapshots that no rule keeps. The rules are those of `restic forget`, and add up; periods are in UTC.

    Always kept: the newest complete snapshot, the one that LATEST names, one whose files are the content of an Iceberg
    or Delta table, and any whose manifest can't be read. An Iceberg table forgets a snapshot before its files go. What
    a crawl left that was killed more than 24 hours ago is removed; stray files never are.
    """
    from crawler.snapshot.retention import Duration, KeepRules

    given = {name: count for name, count in counts.items() if count is not None}
    rules = KeepRules(**given, within=Duration.parse(within) if within else None)
    if rules.is_empty:
        raise ConfigError("Give at least one --keep-… option: without any, nearly all snapshots would go.")
    done = _pruned(config_file, uri, rules, dry_run=dry_run)
    if as_json:
        show_json(_prune_value(done, dry_run=dry_run))
    else:
        _print_prune(done, dry_run=dry_run)


def _pruned(config_file: Path | None, uri: str | None, rules: KeepRules, *, dry_run: bool) -> PrunePlan:
    from crawler.snapshot import Bucket
    from crawler.snapshot.bucket.prune import prune_bucket
    from crawler.snapshot.folder.prune import plan_prune, prune

    place, now = place_of(config_file, uri), datetime.now(UTC)
    config = load(config_file) if uri is None else None
    lakes = _lakes(place, config)
    if dry_run:
        return plan_prune(place, rules, now, lakes)
    if not isinstance(place, Path):
        return run_async(lambda: prune_bucket(Bucket(place.place), place, rules, now, lakes))
    umask = config.output.umask_bits if config is not None else 0o077
    return prune(place, rules, now, umask, lakes=lakes)


def _lakes(place: Place, config: Config | None) -> list[Lake]:
    """The lakes over an output: the one that the configuration says, and those whose catalogs lie in it."""
    from crawler.run.output import lake_settings
    from crawler.snapshot import open_lake
    from crawler.snapshot.lake.publish import lakes_beside

    root = place if isinstance(place, Path) else place.place
    found = lakes_beside(root) if isinstance(root, Path) else []
    configured = lake_settings(config, root) if config is not None else None
    if configured is not None and configured not in found:
        found.append(configured)
    return [open_lake(settings) for settings in found]


def _prune_value(done: PrunePlan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "kept": [{**_summary(entry), "reasons": done.reasons[entry.snapshot_id]} for entry in done.kept],
        "removed": [_summary(entry) for entry in done.removed],
        "unfinished_removed": done.unfinished,
    }


def _summary(entry: SnapshotSummary) -> dict[str, Any]:
    return {"snapshot_id": entry.snapshot_id, "status": entry.status, "rows": entry.rows, "bytes": entry.bytes}


def _print_prune(done: PrunePlan, *, dry_run: bool) -> None:
    """What is kept and why, what is removed, as restic shows it."""
    from crawler.cli.render import console, safe, size_text, status_text, table_of

    out = console()
    for title, entries in (("Kept", done.kept), ("Would be removed" if dry_run else "Removed", done.removed)):
        rows = [
            (
                safe(entry.snapshot_id),
                status_text(entry.status or "unreadable"),
                f"{entry.rows:,}",
                size_text(entry.bytes),
                ", ".join(done.reasons.get(entry.snapshot_id, ())),
            )
            for entry in entries
        ]
        if rows:
            columns = ("snapshot", "status", "rows", "size", "reasons" if entries is done.kept else "")
            out.print(table_of(columns, rows, title=f"{title}: {len(rows)}", numbers=("rows", "size")))
    for snapshot_id in done.unfinished:
        out.print(safe(f"{'Would be removed' if dry_run else 'Removed'}: {snapshot_id}, which its crawl never ended."))
    if not done.removed and not done.unfinished:
        out.print("Nothing to remove.")


SNAPSHOT_COMMANDS = (verify, prune)
