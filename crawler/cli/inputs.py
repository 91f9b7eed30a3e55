"""Inputs that commands share: the configuration, the catalog, the output's location and a snapshot's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import warn
from crawler.cli.options import CommandError, CommonOptions
from crawler.cli.signals import run_async
from crawler.errors import ConfigError, ExitCode, OutputError

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.sql_errors import TableNames
    from crawler.catalog import Catalog
    from crawler.config import Config
    from crawler.snapshot import OutputLocation


def load(config_file: Path | None, uri: str | None = None) -> Config:
    """Load the configuration with this process's environment, and use its proxy. Raises ConfigError.

    `uri` is the output of the command line. The file's own output must not depend on the working folder without it.
    """
    import os

    from crawler.cli import process
    from crawler.config import load_config
    from crawler.text import ends_with_line_break

    config = load_config(config_file, {**os.environ, **process.set_aside}, cwd=Path.cwd(), output=uri or "")
    process.use_proxy(config.proxy)
    for name in ends_with_line_break(os.environ, config.references):
        common = click.get_current_context().find_object(CommonOptions)
        warn(common or CommonOptions(), f"the environment variable {name} ends with a line break, which is left out")
    return config


def catalog_for(config_file: Path | None, uri: str | None) -> Catalog:
    """Return a command's catalog. It has the user's own tables, except for `--output` without `--config`."""
    from crawler.catalog import load_catalog

    config = optional_config(config_file, uri)
    return load_catalog(config.catalog.extra if config is not None else ())


def optional_config(config_file: Path | None, uri: str | None) -> Config | None:
    """Return the configuration of a command that reads an output; None if it doesn't need any.

    `--output` without `--config` needs none. If $ACS_INVENTORY_OUTPUT names the output, a configuration that exists is
    read: it has the user's own tables, and says how to reach a bucket.
    """
    if config_file is None and uri is not None and not (_is_from_environment() and _has_config()):
        return None
    return load(config_file, uri)


def _is_from_environment() -> bool:
    context = click.get_current_context(silent=True)
    source = context.get_parameter_source("uri") if context is not None else None
    return source is click.core.ParameterSource.ENVIRONMENT


def _has_config() -> bool:
    import os

    from crawler.config.discovery import find_config

    try:
        find_config(None, os.environ, Path.cwd())
    except ConfigError:
        return bool(os.environ.get("ACS_INVENTORY_CONFIG"))
    return True


def locate_output(common: CommonOptions, config_file: Path | None, uri: str | None) -> OutputLocation:
    """Return the location of the snapshots: `uri`, which needs no configuration, or else the configuration's.

    With `uri`, a configuration that is named says how a bucket is reached: its proxy and its authorities.

    Raises ConfigError if a folder doesn't exist, CommandError if a bucket can't be read.
    """
    from crawler.config.load import output_folder

    config = optional_config(config_file, uri)
    location = uri if uri is not None else config.output.uri if config is not None else ""
    if location.startswith(("s3://", "oss://")):
        return _locate_bucket(location, config, common)
    folder = output_folder(location)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; --output must be the output of a crawl.")
    return folder


def _locate_bucket(uri: str, config: Config | None, common: CommonOptions) -> OutputLocation:
    from functools import partial

    from crawler.run.output import open_location
    from crawler.run.system import System

    system = System()
    common.secrets = system.secrets  # a store may repeat a key in an error
    try:
        return run_async(partial(open_location, uri, system, config))
    except OutputError as error:
        raise CommandError(str(error)) from None


@contextmanager
def reading() -> Iterator[None]:
    """Raise CommandError for an OutputError in the block, unless a file can't be written or a name is unknown."""
    from crawler.audit.export.atomic_files import TargetError

    try:
        yield
    except TargetError:
        raise
    except OutputError as error:
        if error.exit_code == ExitCode.USAGE:
            raise
        raise CommandError(str(error)) from None


@contextmanager
def open_tables(
    common: CommonOptions, config_file: Path | None, uri: str | None, snapshot_id: str
) -> Iterator[TableNames]:
    """Open a snapshot for the block and yield its tables. Warns if it is partial or if a newer one exists.

    Errors of the block are those of `reading`.
    """
    from crawler.audit.database import open_snapshot
    from crawler.audit.sql_errors import TableNames

    with reading():
        location = locate_output(common, config_file, uri)
        snapshot = open_snapshot(location, snapshot_id)
        _warn_of_gaps(common, snapshot)
        _warn_of_selection(common, snapshot)
        if snapshot_id == "latest":
            _warn_of_newer(common, location, snapshot.manifest.snapshot_id)
        yield TableNames(snapshot, lambda: list(catalog_for(config_file, uri).operations))


def _warn_of_gaps(common: CommonOptions, snapshot: OpenSnapshot) -> None:
    if snapshot.is_complete:
        return
    manifest = snapshot.manifest
    number = manifest.scopes.missing
    gaps = f"{number:,} of its {manifest.scopes.total:,} scopes aren't complete; see _scopes for the reasons"
    warn(
        common,
        f"snapshot {manifest.snapshot_id} is partial: {gaps if number else 'its list of accounts is not complete'}",
    )


def _warn_of_selection(common: CommonOptions, snapshot: OpenSnapshot) -> None:
    selection = snapshot.manifest.selection
    if selection is not None:
        warn(
            common,
            f"snapshot {snapshot.manifest.snapshot_id} is a part of the inventory: its crawl was narrowed by "
            f"{selection.options}",
        )


def _warn_of_newer(common: CommonOptions, location: OutputLocation, snapshot_id: str) -> None:
    from crawler.snapshot import newest_snapshot_id, read_manifest

    newest = newest_snapshot_id(location)
    if newest <= snapshot_id:
        return
    try:
        selection = read_manifest(location, newest).selection
    except OutputError:
        selection = None
    reason = f"was narrowed by {selection.options}" if selection is not None else "is partial"
    warn(common, f"snapshot {snapshot_id} is the newest complete one; {newest} is newer, but {reason}")
