"""A snapshot opened for a command that asks it: what is said of it first, and what becomes of what can't be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli.options import (
    CommandError,
    OutputOptions,
)
from crawler.cli.render import warn
from crawler.cli.signals import run_async
from crawler.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.sql_errors import TableNames
    from crawler.config import Config
    from crawler.snapshot import OutputLocation


@contextmanager
def opened_tables(
    output: OutputOptions, config_file: Path | None, uri: str | None, snapshot_id: str
) -> Iterator[TableNames]:
    """The tables of the snapshot that is meant, after a warning where it isn't whole or there is a newer one.

    What can't be read in the block is a CommandError; a file that can't be written stays an OutputError.
    """
    from crawler.audit.database import open_snapshot
    from crawler.audit.export.atomic_files import TargetError
    from crawler.audit.sql_errors import TableNames

    try:
        place = place_of(config_file, uri)
        snapshot = open_snapshot(place, snapshot_id)
        _warn_of_gaps(output, snapshot)
        if snapshot_id == "latest":
            _warn_of_newer(output, place, snapshot.manifest.snapshot_id)
        yield TableNames(snapshot, lambda: _catalog(config_file, uri))
    except TargetError:
        raise
    except OutputError as error:
        raise CommandError(str(error)) from None


def _catalog(config_file: Path | None, uri: str | None) -> list[str]:
    """All tables that can be crawled, those of the user's own schema files too."""
    from crawler.catalog import load_catalog

    has_config = config_file is not None or uri is None
    return list(load_catalog(load(config_file).catalog.extra if has_config else ()).operations)


def _warn_of_gaps(output: OutputOptions, snapshot: OpenSnapshot) -> None:
    if snapshot.is_complete:
        return
    manifest = snapshot.manifest
    number = len(manifest.scopes.not_complete)
    gaps = f"{number:,} of its {manifest.scopes.total:,} scopes aren't complete; _scopes has each with its reason"
    warn(
        output,
        f"snapshot {manifest.snapshot_id} is partial: {gaps if number else 'its list of accounts is not complete'}",
    )


def _warn_of_newer(output: OutputOptions, place: OutputLocation, snapshot_id: str) -> None:
    from crawler.snapshot import newest_snapshot_id

    newest = newest_snapshot_id(place)
    if newest > snapshot_id:
        warn(output, f"snapshot {snapshot_id} is the newest complete one; {newest} is newer, and partial")


def load(config_file: Path | None) -> Config:
    """The configuration of this process's environment, which may hold keys. Raises ConfigError."""
    import os

    from crawler.cli.process import keep_memory_private
    from crawler.config import load_config

    keep_memory_private()
    return load_config(config_file, os.environ, cwd=Path.cwd())


def place_of(config_file: Path | None, uri: str | None) -> OutputLocation:
    """Where the snapshots are: named, or the configuration's. A named place needs no configuration."""
    from crawler.config.load import output_folder

    config = load(config_file) if uri is None else None
    where = config.output.uri if config is not None else uri or ""
    if where.startswith(("s3://", "oss://")):
        return _bucket(where, config)
    folder = output_folder(where)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; --output names one that a crawl has written.")
    return folder


def _bucket(uri: str, config: Config | None) -> OutputLocation:
    from functools import partial

    from crawler.run.output import open_location
    from crawler.run.system import System

    try:
        return run_async(partial(open_location, uri, System(), config))
    except OutputError as error:
        raise CommandError(str(error)) from None
