"""A snapshot opened for a command that asks it: what is said of it first, and what becomes of what can't be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.crawl import load
from crawler.cli.options import CommandError, Output
from crawler.cli.snapshots import place_of
from crawler.errors import OutputError

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.sql_errors import Tables
    from crawler.snapshot import Place

snapshot_option = click.option(
    "--snapshot",
    "snapshot_id",
    default="latest",
    metavar="ID",
    help="One of `snapshots list`, or newest; else the newest complete one.",
)
overwrite_option = click.option("--overwrite", "may_replace", is_flag=True, help="Replace what is there.")
raw_option = click.option(
    "--raw-csv", "is_raw", is_flag=True, help="csv: no apostrophe before texts that a spreadsheet would run."
)


@contextmanager
def opened_tables(output: Output, config_file: Path | None, uri: str | None, snapshot_id: str) -> Iterator[Tables]:
    """The tables of the snapshot that is meant, after a warning where it isn't whole or there is a newer one.

    What can't be read in the block is a CommandError; a file that can't be written stays an OutputError.
    """
    from crawler.audit.database import open_snapshot
    from crawler.audit.export.atomic_files import TargetError
    from crawler.audit.sql_errors import Tables

    try:
        place = place_of(config_file, uri)
        snapshot = open_snapshot(place, snapshot_id)
        _warn_of_gaps(output, snapshot)
        if snapshot_id == "latest":
            _warn_of_newer(output, place, snapshot.manifest.snapshot_id)
        yield Tables(snapshot, lambda: _catalog(config_file, uri))
    except TargetError:
        raise
    except OutputError as error:
        raise CommandError(str(error)) from None


def _catalog(config_file: Path | None, uri: str | None) -> list[str]:
    """All tables that can be crawled, those of the user's own schema files too."""
    from crawler.catalog import load_catalog

    has_config = config_file is not None or uri is None
    return list(load_catalog(load(config_file).catalog.extra if has_config else ()).operations)


def _warn_of_gaps(output: Output, snapshot: OpenSnapshot) -> None:
    if snapshot.is_complete:
        return
    manifest = snapshot.manifest
    number = len(manifest.scopes.not_complete)
    gaps = f"{number:,} of its {manifest.scopes.total:,} scopes aren't complete; _scopes has each with its reason"
    warn(
        output,
        f"snapshot {manifest.snapshot_id} is partial: {gaps if number else 'its list of accounts is not complete'}",
    )


def _warn_of_newer(output: Output, place: Place, snapshot_id: str) -> None:
    from crawler.snapshot import newest_snapshot_id

    newest = newest_snapshot_id(place)
    if newest > snapshot_id:
        warn(output, f"snapshot {snapshot_id} is the newest complete one; {newest} is newer, and partial")


def warn_of_guarded(output: Output, name: str, cells: int) -> None:
    """Say how many texts aren't as they were."""
    if cells:
        what = "1 text begins" if cells == 1 else f"{cells:,} texts begin"
        warn(output, f"{name}: {what} like a formula, and got an apostrophe; --raw-csv leaves it out")


def warn(output: Output, sentence: str) -> None:
    """A line on stderr, for people or for programs."""
    import orjson

    from crawler.telemetry.logs import printable

    if output.log_format == "json":
        click.echo(orjson.dumps({"event": "warning", "level": "warning", "message": sentence}).decode(), err=True)
    elif not output.is_quiet:
        click.echo(f"acs-inventory: warning: {printable(sentence)}", err=True)
