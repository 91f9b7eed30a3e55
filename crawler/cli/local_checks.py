"""The checks of `doctor` on this machine, by the code with which a crawl tests it before its first request."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import anyio.to_thread

from crawler.cli.doctor_check import DoctorCheck
from crawler.cli.plan_values import unasked_text, unasked_values
from crawler.cli.render import size_text
from crawler.cli.retention import rules_of
from crawler.config import Config
from crawler.config.load import OpenSecretsError
from crawler.errors import CrawlError, OutputError, unwrap_group
from crawler.normalizer.fingerprint_key import load_key
from crawler.run.accepted import AcceptedRules
from crawler.run.engine.dask import check_engine
from crawler.run.output import lake_settings, open_bucket, open_location, try_output
from crawler.run.preparation import PreparedCrawl
from crawler.run.system import System
from crawler.snapshot import OutputLocation, list_snapshots, open_lake
from crawler.snapshot.lake.publish import require_extra
from crawler.snapshot.layout import STAGING

# A crawl stages its rows before it commits them, and a snapshot may grow.
_SPACE_FACTOR = 3


async def local_checks(
    config: Config, system: System, open_secrets: OpenSecretsError | None, *, is_offline: bool
) -> tuple[list[DoctorCheck], PreparedCrawl | None]:
    """Check the configuration, the extras, the output and the notices. Return the prepared crawl, None without one.

    Sends nothing to the cloud's APIs. `is_offline`: sends nothing to a bucket or a catalog either.
    """
    checks, prepared = _check_configuration(config, system)
    checks += [*_check_file(config, open_secrets), *_check_extras(config), *_check_accepted(config, system)]
    checks += await _check_output(config, system, prepared, is_offline=is_offline)
    checks += [_check_key(config, system), *_check_notices(config), _check_retention(config)]
    return checks, prepared


def configuration_checks(config: Config, system: System) -> list[DoctorCheck]:
    """Check what a crawl would refuse of the configuration alone: `config check`."""
    checks, _ = _check_configuration(config, system)
    return [*checks, *_check_extras(config), *_check_accepted(config, system)]


def _check_configuration(config: Config, system: System) -> tuple[list[DoctorCheck], PreparedCrawl | None]:
    """Prepare the crawl: tables, details, own schema files, limits and endpoints."""
    accounts = _counted(config.accounts, "account")
    try:
        prepared = PreparedCrawl.of(config, system)
    except CrawlError as error:
        return [DoctorCheck("configuration", str(error), "Correct the configuration; a crawl would refuse it.")], None
    resolved = prepared.resolved
    checks = [DoctorCheck("configuration", f"{accounts}, {_counted(resolved.tables, 'table')}")]
    if config.catalog.extra:
        checks.append(
            DoctorCheck("catalog", f"{_counted(config.catalog.extra, 'folder')} of [catalog] extra can be read")
        )
    checks += [DoctorCheck("catalog", warning) for warning in resolved.catalog.warnings]
    if unasked := unasked_text(unasked_values(resolved)):
        checks.append(DoctorCheck("products", unasked))
    return checks, prepared


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _check_file(config: Config, open_secrets: OpenSecretsError | None) -> Iterator[DoctorCheck]:
    if open_secrets:
        remedy = open_secrets.remedy
        yield DoctorCheck("configuration file", open_secrets.seen, f"{remedy[0].upper()}{remedy[1:]}.")
    if config.unused_proxy:
        seen = f'{config.unused_proxy} is set and isn\'t used; [network] proxy = "environment" would use it'
        yield DoctorCheck("proxy", seen)


def _check_extras(config: Config) -> Iterator[DoctorCheck]:
    """Check the libraries that the format and the engine need."""
    try:
        if config.output.format != "parquet":
            require_extra(config.output.format)
            yield DoctorCheck("format", f"{config.output.format} is installed")
    except CrawlError as error:
        yield DoctorCheck("format", str(error), f"Install the extra {config.output.format}, or choose another format.")
    try:
        check_engine(config)
        if config.engine is not None:
            yield DoctorCheck("engine", f"{config.engine.kind} can be used")
    except CrawlError as error:
        yield DoctorCheck("engine", str(error), "Correct [engine], or remove it.")


def _check_accepted(config: Config, system: System) -> list[DoctorCheck]:
    """Check the dates of `[[accepted]]`: an expired rule is a problem, one that expires soon is not yet."""
    if not config.accepted:
        return []
    day = system.clock.now().date()
    checks = [DoctorCheck("accepted gaps", _counted(config.accepted, "rule"))]
    for rule in config.accepted:
        for warning in AcceptedRules([rule], day).date_warnings():
            seen, _, remedy = warning.partition(": ")
            is_expired = rule.until < day
            checks.append(
                DoctorCheck("accepted gaps", seen, f"{remedy[0].upper()}{remedy[1:]}.")
                if is_expired
                else DoctorCheck("accepted gaps", warning)
            )
    return checks


async def _check_output(
    config: Config, system: System, prepared: PreparedCrawl | None, *, is_offline: bool
) -> list[DoctorCheck]:
    if is_offline and config.output.is_bucket:
        return [DoctorCheck("output", f"{config.output.uri} isn't tested offline"), *_check_scratch(0)]
    tables = prepared.schemas if prepared is not None else ()
    made = [] if config.output.is_bucket else _missing_folders(config.output.path)
    try:
        async with open_bucket(config, system) as bucket:
            await try_output(config, bucket, tables)
            checks = [DoctorCheck("output", f"{config.output.uri} can be written")]
            if not is_offline:
                settings = lake_settings(config, bucket.place if bucket is not None else config.output.path)
                if settings is not None and settings.catalog_uri:
                    await anyio.to_thread.run_sync(lambda: open_lake(settings, is_new=False))
                    checks.append(DoctorCheck("lake", "the catalog answers"))
        location = await open_location(config.output.uri, system, config)
        return checks + await anyio.to_thread.run_sync(_check_space, config, location)
    except BaseExceptionGroup as group:
        return [_unusable_output(config, str(unwrap_group(group)))]
    except CrawlError as error:
        return [_unusable_output(config, str(error))]
    finally:
        for folder in made:
            with suppress(OSError):  # not there, or no longer empty
                folder.rmdir()


def _missing_folders(output: Path) -> list[Path]:
    """Return the folders that trying the output makes, the deepest first.

    They are removed again: a folder that root's doctor makes couldn't be written by the user that crawls.
    """
    return [folder for folder in (output / STAGING, output, *output.parents) if not os.path.lexists(folder)]


def _unusable_output(config: Config, why: str) -> DoctorCheck:
    if config.output.is_bucket:
        return DoctorCheck("output", why, "Fix this error; docs/reading.md lists the requirements of a bucket.")
    return DoctorCheck("output", why, f"Make {config.output.uri} a folder that this user can write.")


def _check_space(config: Config, location: OutputLocation) -> list[DoctorCheck]:
    """Check the free space for another snapshot, by the size of the largest of the last ones. Raises OutputError."""
    sizes = [entry.bytes for entry in list_snapshots(location)[:5] if entry.selection is None]
    needed = _SPACE_FACTOR * max(sizes, default=0)
    if config.output.is_bucket:
        return _check_scratch(needed)
    return [_free_space("free space", config.output.path, needed)]


def _check_scratch(needed: int) -> list[DoctorCheck]:
    """Check the folder in which a crawl into a bucket keeps the rows that it hasn't sent yet."""
    try:
        return [_free_space("free space", Path(tempfile.gettempdir()), needed)]
    except OSError as error:
        return [
            DoctorCheck("free space", f"no folder for temporary files: {error}", "Set TMPDIR to a writable folder.")
        ]


def _free_space(subject: str, folder: Path, needed: int) -> DoctorCheck:
    free = shutil.disk_usage(folder).free
    seen = f"{size_text(free)} are free in {folder}"
    if not needed:
        return DoctorCheck(subject, f"{seen}; no snapshot says how much one needs")
    seen += f"; {_SPACE_FACTOR} times the last snapshots' size is {size_text(needed)}"
    if free >= needed:
        return DoctorCheck(subject, seen)
    return DoctorCheck(subject, seen, "Free space there, or prune old snapshots: the next crawl may not fit.")


def _check_key(config: Config, system: System) -> DoctorCheck:
    if config.output.secrets != "fingerprint":
        return DoctorCheck("secrets", f"secrets = {config.output.secrets!r}")
    configured = config.output.fingerprint_key
    try:
        key = load_key(configured.reveal() if configured else "", system.state_folder)
    except OutputError as error:
        return DoctorCheck("secrets", str(error), "Fix this error.")
    if key is None:
        remedy = "Make the folder writable, or set [output] fingerprint_key from the environment."
        return DoctorCheck("secrets", f"can't store the fingerprint key in {system.state_folder}", remedy)
    return DoctorCheck(
        "secrets", "fingerprinted with " + ("the configured key" if configured else "this machine's key")
    )


def _check_notices(config: Config) -> Iterator[DoctorCheck]:
    """Check where the end of a crawl is reported. Their URLs were checked with the configuration; none is called."""
    path = config.metrics.textfile
    if path is not None:
        # The file is replaced, which needs a writable folder.
        is_replaceable = path.is_file() or path.is_symlink() or not path.exists()
        if path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK) and is_replaceable:
            yield DoctorCheck("metrics", f"{path} can be written")
        else:
            remedy = f"Make {path.parent} a folder that this user can write."
            yield DoctorCheck("metrics", f"{path} can't be written", remedy)
    if config.metrics.push is not None:
        yield DoctorCheck("metrics push", f"sent to {_host(config.metrics.push.reveal())} after each crawl")
    if config.ping.url is not None:
        yield DoctorCheck("ping", f"sent to {_host(config.ping.url.reveal())} before and after each crawl")


def _host(url: str) -> str:
    """Return the host of a URL whose path may be a secret."""
    return urlsplit(url).hostname or "no host"


def _check_retention(config: Config) -> DoctorCheck:
    rules = rules_of(config.retention)
    if rules.is_empty:
        return DoctorCheck("retention", "crawls remove no snapshot; [retention] or `snapshots prune` would")
    given = {key: value for key in config.retention.__struct_fields__ if (value := getattr(config.retention, key))}
    return DoctorCheck("retention", ", ".join(f"{key} = {value}" for key, value in given.items()))
