"""`snapshots verify` and `snapshots prune`: whether what was committed is still there, and how long it stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.cli.inputs import load, place_of
from crawler.cli.options import config_option, json_option, output_options, uri_option
from crawler.cli.render import show_json
from crawler.cli.signals import run_async
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.snapshot import Lake, OutputLocation, SnapshotSummary
    from crawler.snapshot.prune_plan import PrunePlan
    from crawler.snapshot.retention import KeepRules

_Command = TypeVar("_Command", bound=Callable[..., Any])


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
    from crawler.snapshot import ObjectStore
    from crawler.snapshot.bucket.prune import prune_bucket
    from crawler.snapshot.folder.prune import prune
    from crawler.snapshot.prune_plan import plan_prune

    place, now = place_of(config_file, uri), datetime.now(UTC)
    config = load(config_file) if uri is None else None
    lakes = _lakes(place, config)
    if dry_run:
        return plan_prune(place, rules, now, lakes)
    if not isinstance(place, Path):
        return run_async(lambda: prune_bucket(ObjectStore(place.place), place, rules, now, lakes))
    umask = config.output.umask_bits if config is not None else 0o077
    return prune(place, rules, now, umask, lakes=lakes)


def _lakes(place: OutputLocation, config: Config | None) -> list[Lake]:
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
