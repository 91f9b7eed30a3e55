"""`snapshots prune`: remove old snapshots by rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.cli.echo import print_json, report_error
from crawler.cli.inputs import locate_output, optional_config
from crawler.cli.options import CommonOptions, common_options, config_option, json_option, uri_option
from crawler.cli.streams import stdout_only_tells
from crawler.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from crawler.snapshot import SnapshotSummary
    from crawler.snapshot.prune_plan import PrunePlan

_Command = TypeVar("_Command", bound=Callable[..., Any])


_STOPPED = "Stopped; what was being removed is removed by the next `prune` or crawl."


def _count(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Parse a number of snapshots to keep: a whole number from 1, or `unlimited`."""
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
@_keep_option("last", "Keep the last N snapshots.")
@_keep_option("hourly", "Keep the newest of each of the last N hours with snapshots.")
@_keep_option("daily", "Keep the newest of each of the last N days with snapshots.")
@_keep_option("weekly", "Keep the newest of each of the last N weeks with snapshots; weeks begin on Monday.")
@_keep_option("monthly", "Keep the newest of each of the last N months with snapshots.")
@_keep_option("yearly", "Keep the newest of each of the last N years with snapshots.")
@click.option(
    "--keep-within",
    "within",
    metavar="DURATION",
    help="Keep all that began within this time before the newest, for example 2y5m7d3h.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def prune(
    common: CommonOptions,
    /,
    config_file: Path | None,
    uri: str | None,
    as_json: bool,
    dry_run: bool,
    within: str | None,
    **counts: float | None,
) -> int:
    """Remove snapshots that no rule keeps.

    Without a --keep-… option, the rules are those of [retention] in the configuration, which a crawl applies by itself
    after each complete snapshot.

    The rules are those of `restic forget`. A snapshot stays if at least one rule keeps it. Periods are in UTC. The
    rules hold for the snapshots of each selection (--account, --region, --table of `crawl`) by itself.

    If a catalog outside of the output has tables over its files, give --config, which names the catalog.

    Always kept: the newest complete snapshot of the whole configuration, the snapshot that LATEST names, snapshots
    whose files are the content of an Iceberg or Delta table, and those with an unreadable manifest. A snapshot leaves
    the Iceberg table before its files are removed. Leftovers of crawls killed more than 24 hours ago are removed; files
    of other origin never are.

    Exit codes: 0 done; 2 wrong usage; 4 the output can't be written, or an interrupted commit or removal can't be
    completed, after the others were removed; 11 a crawl holds the output.
    """
    from crawler.cli.retention import prune_location, rules_of
    from crawler.snapshot.retention import Duration, KeepRules

    given = {name: count for name, count in counts.items() if count is not None}
    rules = KeepRules(**given, within=Duration.parse(within) if within else None)
    location = locate_output(common, config_file, uri)
    config = optional_config(config_file, uri)
    if rules.is_empty and config is not None:
        rules = rules_of(config.retention)
    if rules.is_empty:
        raise ConfigError(
            "Give at least one --keep-… option, or [retention] in the configuration; without any, nearly all snapshots "
            "would be removed."
        )
    stdout_only_tells()
    common.exit_state.when_stopped = _STOPPED
    done = prune_location(location, config, rules, datetime.now(UTC), dry_run=dry_run)
    common.exit_state.code = code = ExitCode.OUTPUT if done.stuck else ExitCode.SUCCESS
    if as_json:
        print_json(_prune_value(done, dry_run=dry_run))
    else:
        _print_prune(done, dry_run=dry_run)
    for sentence in done.stuck:
        report_error(common, sentence)
    common.end_with(
        {
            "command": "prune",
            "level": "error" if code else "info",
            "exit_code": int(code),
            "dry_run": dry_run,
            "kept": len(done.kept),
            "removed": len(done.removed),
            "unfinished_removed": len(done.unfinished),
            "stuck": len(done.stuck),
        }
    )
    return code


def _prune_value(done: PrunePlan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "kept": [{**_summary(entry), "reasons": done.reasons[entry.snapshot_id]} for entry in done.kept],
        "removed": [_summary(entry) for entry in done.removed],
        "unfinished_removed": done.unfinished,
        "stuck": done.stuck,
    }


def _summary(entry: SnapshotSummary) -> dict[str, Any]:
    return {"snapshot_id": entry.snapshot_id, "status": entry.status, "rows": entry.rows, "bytes": entry.bytes}


def _print_prune(done: PrunePlan, *, dry_run: bool) -> None:
    """Print the kept snapshots with reasons, and the removed ones, as restic does."""
    from crawler.cli.render import console, print_aligned, safe, size_text, status_text

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
            print_aligned(
                out,
                columns,
                rows,
                title=f"{title}: {len(rows)}",
                numbers=("rows", "size"),
                folding=columns[-1:],
                expendable=("size", "rows"),
            )
    for snapshot_id in done.unfinished:
        out.print(safe(f"{'Would be removed' if dry_run else 'Removed'}: {snapshot_id}, an unfinished crawl."))
    if not done.removed and not done.unfinished:
        out.print("Nothing to remove.")
