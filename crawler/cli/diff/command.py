"""`diff`: what was added, removed and changed between two snapshots."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.inputs import load, place_of
from crawler.cli.options import CommandError, OutputOptions, config_option, output_options, uri_option
from crawler.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.diff.comparison import TableChanges, TableDiff
    from crawler.audit.diff.json_output import DiffResult
    from crawler.catalog.model import Catalog
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
    help="json has every difference, the others the first of them.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--exit-code", "tells_by_code", is_flag=True, help="Exit with 1 where something differs, 3 where unknown."
)
@config_option
@uri_option
@output_options
@click.pass_obj
def diff(
    output: OutputOptions,
    /,
    older: str | None,
    newer: str | None,
    patterns: tuple[str, ...],
    style: str,
    as_json: bool,
    tells_by_code: bool,
    config_file: Path | None,
    uri: str | None,
) -> int:
    """Resources added, removed and changed from snapshot A to snapshot B, with the changed columns.

    A and B are IDs of `snapshots list`, or latest, the newest complete one. The newest two where none is named; with
    one, that against the newest. Nothing is said to have come or gone where a scope isn't complete in both: there it
    is unknown. Those scopes are listed.

    Exit codes: 0 compared; with --exit-code 0 the same, 1 different, 3 unknown: nothing known differs, and something
    isn't known; 2 usage; 4 a snapshot can't be read; 130 and 143 stopped by a signal.
    """
    from crawler.audit.database import open_snapshot
    from crawler.audit.diff.comparison import compare, keyings
    from crawler.cli.signals import stoppable

    def work() -> DiffResult:
        place, catalog = place_of(config_file, uri), _catalog(config_file, uri)
        old, new = (open_snapshot(place, snapshot_id) for snapshot_id in _chosen(place, older, newer))
        with compare(old, new, keyings(catalog), _matching(patterns, old, new)) as tables:
            return _show(old, new, tables, "json" if as_json else style, is_quiet=output.is_quiet)

    try:
        verdict = stoppable(work)
    except CommandError as error:  # the place itself can't be opened
        raise OutputError(str(error)) from None
    sys.stdout.flush()
    return verdict.exit_code if tells_by_code else 0


def _catalog(config_file: Path | None, uri: str | None) -> Catalog:
    """With the user's own tables, where there is a configuration that names them."""
    from crawler.catalog import load_catalog

    has_config = config_file is not None or uri is None
    return load_catalog(load(config_file).catalog.extra if has_config else ())


def _chosen(place: OutputLocation, older: str | None, newer: str | None) -> tuple[str, str]:
    """The IDs that are meant. Raises ConfigError for what is none, OutputError where there aren't two."""
    from crawler.snapshot import snapshot_ids
    from crawler.snapshot.layout import is_snapshot_id

    for name in (older, newer):
        if name is not None and name != "latest" and not is_snapshot_id(name):
            raise ConfigError(f"{name[:80]!r} is no snapshot's ID: `snapshots list` shows them.")
    if older is not None and newer is not None:
        return older, newer
    ids = snapshot_ids(place)
    if len(ids) < 2:
        raise OutputError(f"{place} has {'one snapshot' if ids else 'no snapshot'}, and a comparison takes two: crawl.")
    if older is not None and older == ids[0]:
        raise ConfigError(f"{older} is the newest snapshot itself: name the older one, or both.")
    return older or ids[1], ids[0]


def _matching(patterns: Sequence[str], old: OpenSnapshot, new: OpenSnapshot) -> Collection[str] | None:
    """The tables of either snapshot that the patterns mean. Raises ConfigError for one that means none."""
    if not patterns:
        return None
    kept = {row.table for snapshot in (old, new) for row in snapshot.ledger if row.written}
    for pattern in patterns:
        if not any(fnmatchcase(table, pattern) for table in kept):
            raise ConfigError(f"{pattern!r} matches no table of these snapshots: `snapshots show` lists them.")
    return {table for table in kept if any(fnmatchcase(table, pattern) for pattern in patterns)}


def _show(
    old: OpenSnapshot, new: OpenSnapshot, tables: Mapping[str, TableDiff], style: str, *, is_quiet: bool
) -> DiffResult:
    from crawler.audit.diff.json_output import DiffResult, write_json
    from crawler.cli.diff import markdown as differing_markdown
    from crawler.cli.diff import text as differing

    if style == "json":
        return write_json(old.manifest.snapshot_id, new.manifest.snapshot_id, tables, sys.stdout.write)
    most = differing.MOST_READ if style == "table" else differing_markdown.MOST_READ
    changes: list[TableChanges] = [table.read(most) for table in tables.values()]
    if style == "table" and not is_quiet:
        differing.print_differences(old.manifest, new.manifest, changes)
    elif style == "markdown":
        click.echo(differing_markdown.page(old.manifest, new.manifest, changes), nl=False)
    return DiffResult(any(table.total for table in changes), differing.has_unknown(changes))
