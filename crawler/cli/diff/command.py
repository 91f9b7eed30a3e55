"""`diff`: compare two snapshots."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import fit_json
from crawler.cli.inputs import catalog_for, locate_output
from crawler.cli.options import CommandError, CommonOptions, common_options, config_option, no_verify_option, uri_option
from crawler.cli.signals import interruptible
from crawler.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.diff.comparison import TableChanges, TableDiff
    from crawler.audit.diff.json_output import DiffResult
    from crawler.snapshot import OutputLocation


@click.command()
@click.argument("older", required=False, metavar="[A]")
@click.argument("newer", required=False, metavar="[B]")
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@click.option(
    "--format",
    "style",
    default="table",
    show_default=True,
    type=click.Choice(["table", "json", "markdown"]),
    help="json has all differences, the others only the first ones.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--exit-code", "has_exit_code", is_flag=True, help="Exit with 1 if there are differences, 3 if this is unknown."
)
@no_verify_option
@config_option
@uri_option
@common_options
@click.pass_obj
def diff(
    common: CommonOptions,
    /,
    older: str | None,
    newer: str | None,
    patterns: tuple[str, ...],
    style: str,
    as_json: bool,
    has_exit_code: bool,
    has_no_hashes: bool,
    config_file: Path | None,
    uri: str | None,
) -> int:
    """Compare two snapshots.

    Prints the resources added, removed and changed from snapshot A to snapshot B, with the changed columns. A and B are
    IDs or the beginning of one, latest (the newest complete one), latest~N, newest, or UTC dates. Default: the newest
    two; A alone is compared with the newest. Where a scope is incomplete in either snapshot, additions and removals are
    unknown; these scopes are listed.

    Exit codes: 0 compared; with --exit-code 0 no differences, 1 differences, 3 no known differences, but some scopes
    are unknown; 2 wrong usage or an unknown snapshot; 4 a snapshot can't be read, or stdout can't be written; 129, 130
    and 143 stopped by a signal.
    """
    common.exit_state.one_is_an_answer = True
    from crawler.audit.database import open_snapshot
    from crawler.audit.diff.comparison import compare, table_keys

    def work() -> DiffResult:
        location, catalog = locate_output(common, config_file, uri), catalog_for(config_file, uri)
        chosen = _chosen_ids(location, older, newer)
        old, new = (open_snapshot(location, found, check_hashes=not has_no_hashes) for found in chosen)
        with compare(old, new, table_keys(catalog), _matching_tables(patterns, old, new)) as tables:
            short_lived = {op.table for op in catalog.operations.values() if op.short_lived} if not patterns else set()
            return _print_diff(old, new, tables, "json" if as_json else style, short_lived, is_quiet=common.is_quiet)

    try:
        result = interruptible(work)
    except CommandError as error:  # the output can't be opened
        raise OutputError(str(error)) from None
    return result.exit_code if has_exit_code else 0


def _chosen_ids(location: OutputLocation, older: str | None, newer: str | None) -> tuple[str, str]:
    """Return the IDs to compare. Raises UnknownSnapshotError, and OutputError if there are less than two."""
    from crawler.snapshot import resolve_snapshot, snapshot_ids
    from crawler.snapshot.layout import is_future

    ids = snapshot_ids(location)
    old, new = (name and resolve_snapshot(location, name, ids) for name in (older, newer))
    if old and new:
        return old, new
    # Those of a clock hours ahead were committed before those that the right clock has stamped since.
    now = datetime.now(UTC)
    ids.sort(key=lambda snapshot_id: is_future(snapshot_id, now))
    if len(ids) < 2:
        raise OutputError(f"diff needs two snapshots; {location} has {'only one' if ids else 'none'}.")
    if old == ids[0]:
        raise ConfigError(f"{older} is the newest snapshot; give an older one, or both.")
    return old or ids[1], ids[0]


def _matching_tables(patterns: Sequence[str], old: OpenSnapshot, new: OpenSnapshot) -> Collection[str] | None:
    """Return the tables of either snapshot that match. Raises ConfigError for a pattern without a match."""
    from crawler.audit.diff.scopes import kept_tables

    if not patterns:
        return None
    kept = kept_tables(old.ledger, new.ledger)
    for pattern in patterns:
        if not any(fnmatchcase(table, pattern) for table in kept):
            raise ConfigError(f"{pattern!r} matches no table of these snapshots; run `snapshots show` to see them.")
    return {table for table in kept if any(fnmatchcase(table, pattern) for pattern in patterns)}


def _print_diff(
    old: OpenSnapshot,
    new: OpenSnapshot,
    tables: Mapping[str, TableDiff],
    style: str,
    short_lived: Collection[str],
    *,
    is_quiet: bool,
) -> DiffResult:
    from crawler.audit.diff.json_output import DiffResult, write_json
    from crawler.cli.diff import markdown, text

    if style == "json":
        return write_json(old.manifest.snapshot_id, new.manifest.snapshot_id, tables, _print_json_part)
    most = text.MOST_READ if style == "table" else markdown.MOST_READ
    changes: list[TableChanges] = [table.read(most) for table in tables.values()]
    if style == "table" and not is_quiet:
        text.print_differences(old.manifest, new.manifest, changes, short_lived=short_lived)
    elif style == "markdown":
        sys.stdout.write(markdown.page(old.manifest, new.manifest, changes, short_lived))
    return DiffResult(any(table.total for table in changes), text.has_unknown(changes))


def _print_json_part(text: str) -> None:
    sys.stdout.write(fit_json(text, sys.stdout))
