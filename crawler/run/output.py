"""The output of a crawl: opens it for writing and reading, tests it, begins snapshots, publishes lake tables.

Requests to S3 are signed with the keys of the environment or a profile, or the machine's role. Requests to OSS are
signed with `OSS_ACCESS_KEY_ID` and its related variables if they are set, else with `default` credentials: environment,
OIDC, CLI profile, credentials file, ECS role.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from crawler.client.client import RequestCounts
from crawler.client.credentials import DefaultSpec, Provider
from crawler.config import Config
from crawler.config.load import output_folder
from crawler.config.resolve import endpoint_map, limit_rules
from crawler.config.sections import Iceberg
from crawler.errors import CannotResumeError, ConfigError, CredentialsError, OutputError
from crawler.run.connection import open_connection
from crawler.run.discovery import StsCall
from crawler.run.progress import CrawlMonitor, LakeProgress
from crawler.run.result import CrawlResult
from crawler.run.system import System
from crawler.secret_text import EVERYONE
from crawler.snapshot import (
    BucketDestination,
    Destination,
    FolderDestination,
    Lake,
    SnapshotWriter,
    check_bucket,
    check_output,
    new_snapshot_id,
    publish_lake,
)
from crawler.snapshot.lake.base import DEFAULT_NAMESPACE, LakeSettings
from crawler.snapshot.lake.claim import check_lake, claim_lake
from crawler.snapshot.location import AccessKeys, BucketLocation, bucket_place
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.reader import BucketReader
from crawler.snapshot.shards.runs import raise_if_busy
from crawler.snapshot.shards.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.snapshot.reader import OutputLocation
    from crawler.snapshot.s3.client import KeySource


@asynccontextmanager
async def open_bucket(config: Config, system: System) -> AsyncIterator[ObjectStore | None]:
    """Open the output's bucket for the block; None for a local folder.

    Sends nothing to the bucket. Raises ConfigError if the environment lacks a part of the location.
    """
    if not config.output.is_bucket:
        yield None
        return
    location = _bucket_location(config.output.uri, system, config)
    if not _needs_provider(location):
        yield ObjectStore(location)
        return
    async with _provider(config, system) as provider:

        async def keys() -> AccessKeys:
            return await _keys(provider, system)

        yield ObjectStore(location, _from_other_loops(keys))


async def open_location(uri: str, system: System, config: Config | None = None) -> OutputLocation:
    """Return the location to read an output's snapshots from. `config`: how to reach the cloud, if it must give keys.

    Raises ConfigError for an invalid URI, OutputError if no keys are found.
    """
    if not uri.startswith(("s3://", "oss://")):
        return output_folder(uri)
    location = _bucket_location(uri, system, config or Config())
    if _needs_provider(location):
        async with _provider(config or Config(), system) as provider:
            try:
                keys = await _keys(provider, system)
            except CredentialsError as error:
                raise OutputError(f"{uri} can't be read: {error}") from None
        location = dataclasses.replace(location, keys=keys)
    return BucketReader(location)


def lake_settings(config: Config, root: Path | BucketLocation) -> LakeSettings | None:
    """Return the settings of the configured lake over an output; None for files alone."""
    settings = iceberg_settings(config, root)
    kind = config.output.format
    return dataclasses.replace(settings, format=kind) if kind != "parquet" else None


def iceberg_settings(config: Config, root: Path | BucketLocation) -> LakeSettings:
    """Return the settings of `[output.iceberg]`, whatever the configured format."""
    given = config.output.iceberg or Iceberg()
    uri = given.catalog_uri.reveal() if given.catalog_uri is not None else ""
    return LakeSettings(
        "iceberg",
        root,
        uri,
        given.warehouse or "",
        given.namespace or DEFAULT_NAMESPACE,
        umask=config.output.umask_bits,
        ca_file=config.tls.ca_file,
        mode=config.output.lake.mode,
    )


def _bucket_location(uri: str, system: System, config: Config) -> BucketLocation:
    location = bucket_place(uri, system.environ, system.home)
    if location.keys is not None:
        _register(location.keys, system)
    proxy = config.proxy.url_for(location.endpoint or "https://s3.amazonaws.com")
    return dataclasses.replace(location, proxy=proxy, ca_file=config.tls.ca_file)


def _needs_provider(location: BucketLocation) -> bool:
    return location.kind == "oss" and location.keys is None


@asynccontextmanager
async def _provider(config: Config, system: System) -> AsyncIterator[Provider]:
    """Open a connection of its own for the default chain, which may call STS or a metadata service.

    The crawl's own client isn't used: it counts these requests, and refuses them after `[crawl] deadline`.
    """
    async with open_connection(config, endpoint_map(config), limit_rules(config), system) as connection:
        call = StsCall(connection.client, "output", RequestCounts())
        yield connection.provider(DefaultSpec(), call)


def _from_other_loops(source: KeySource) -> KeySource:
    """Return a source that other threads can ask. The given one is of this event loop, and so are its requests."""
    own = asyncio.get_running_loop()

    async def keys() -> AccessKeys:
        if asyncio.get_running_loop() is own:
            return await source()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(source), own))

    return keys


async def _awaited(source: KeySource) -> AccessKeys:
    return await source()


async def _keys(provider: Provider, system: System) -> AccessKeys:
    found = await provider.get()
    keys = AccessKeys(found.access_key_id, found.access_key_secret, found.security_token, found.expires_at)
    _register(keys, system)
    return keys


def _register(keys: AccessKeys, system: System) -> None:
    """Add the keys to the literal secrets. Temporary ones are those of an owner, whose old ones are forgotten."""
    texts = (keys.access_key_id, keys.access_key_secret, keys.security_token)
    system.secrets.add_access_key(*texts, owner="output" if keys.security_token else EVERYONE)


async def begin_writer(
    config: Config,
    bucket: ObjectStore | None,
    system: System,
    schemas: Mapping[str, Any],
    keys: Mapping[str, Sequence[str]],
) -> SnapshotWriter:
    """Begin a new snapshot in the configured output. Raises OutputBusyError and OutputError."""
    return _writer(config, await begin_destination(config, bucket, system, schemas), schemas, keys)


async def begin_destination(
    config: Config, bucket: ObjectStore | None, system: System, tables: Collection[str], key: str = ""
) -> Destination:
    """Acquire the configured output for a new snapshot of these tables, of the run with this key if it has one.

    Raises OutputBusyError and OutputError.
    """
    started_at = system.clock.now()
    snapshot_id = new_snapshot_id(started_at, system.random.random)
    if bucket is not None:
        await raise_if_busy(bucket, key)
        return await BucketDestination.begin(bucket, snapshot_id, started_at, tables)
    folder, umask = config.output.path, config.output.umask_bits
    destination = await FolderDestination.begin(folder, snapshot_id, started_at, umask=umask)
    try:
        # The processes of a run that start by themselves don't hold the lock all the time.
        await raise_if_busy(FolderStore(folder, umask), key)
    except BaseException:
        await destination.abandon()
        raise
    return destination


async def join_destination(
    config: Config, bucket: ObjectStore | None, snapshot_id: str, started_at: datetime, tables: Collection[str]
) -> Destination:
    """Acquire the configured output to commit a snapshot whose shards have reported.

    Raises OutputBusyError, OutputError, and AlreadyCommittedError if another process has committed it.
    """
    if bucket is not None:
        return await BucketDestination.join(bucket, snapshot_id, started_at, tables)
    return await FolderDestination.join(config.output.path, snapshot_id, started_at, umask=config.output.umask_bits)


async def resume_writer(
    config: Config,
    bucket: ObjectStore | None,
    system: System,
    schemas: Mapping[str, Any],
    keys: Mapping[str, Sequence[str]],
) -> SnapshotWriter:
    """Resume the unfinished snapshot of a folder. Raises ConfigError if there is none or the output is a bucket."""
    if bucket is not None:
        raise CannotResumeError(
            f"--resume: {config.output.uri} has no unfinished run of several processes, and a bucket keeps nothing "
            "of a crawl by one; crawl without --resume to start a new one"
        )
    folder, umask = config.output.path, config.output.umask_bits
    destination = await FolderDestination.resume(folder, system.clock.now(), umask=umask)
    return _writer(config, destination, schemas, keys)


def _writer(
    config: Config, destination: Destination, schemas: Mapping[str, Any], keys: Mapping[str, Sequence[str]]
) -> SnapshotWriter:
    has_lake = config.output.format != "parquet"
    part_bytes = config.output.part_bytes
    return SnapshotWriter(destination, schemas, keys=keys, part_bytes=part_bytes, has_statistics=has_lake)


async def preflight(config: Config, bucket: ObjectStore | None, tables: Iterable[str]) -> None:
    """Test the output before the first request. Raises ConfigError, which names `[output] uri`."""
    try:
        await try_output(config, bucket, tables)
    except OutputError as error:
        raise ConfigError(f"[output] uri can't be used: {error}") from None


async def publish(
    lake: Lake | None,
    result: CrawlResult,
    schemas: Mapping[str, Any],
    keys: Mapping[str, Sequence[str]],
    statistics: Mapping[str, Any],
    monitor: CrawlMonitor,
) -> CrawlResult:
    """Publish a committed snapshot to the lake's tables, and return the result with what was done.

    `schemas` and `keys` are those of the tables, `statistics` those of the parts that this process wrote.
    """
    if lake is None or result.manifest is None:
        return result

    def on_step(done: int, total: int) -> None:
        monitor.lake = LakeProgress(done, total)

    found = await anyio.to_thread.run_sync(
        publish_lake, lake, result.manifest, schemas, result.ledger, keys, statistics, on_step
    )
    for problem in found.problems:
        structlog.get_logger().warning("warning", reason=problem)
    structlog.get_logger().info(
        "lake_moved", format=found.format, tables=found.tables_moved, seconds=round(found.seconds, 1)
    )
    return dataclasses.replace(result, lake=found, warnings=(*result.warnings, *found.problems))


async def open_configured_lake(config: Config, bucket: ObjectStore | None, tables: Collection[str]) -> Lake | None:
    """Open the lake tables of `[output] format`, and check that they belong to this output; None for files alone.

    Raises ConfigError before a table is touched: for another output's tables, or a catalog that can't be used.
    """
    settings = lake_settings(config, bucket.place if bucket is not None else config.output.path)
    if settings is None:
        return None
    if bucket is not None and bucket.keys is not None:
        settings = dataclasses.replace(settings, keys=bucket.keys)
    try:
        return await claim_lake(settings, bucket, tables)
    except OutputError as error:
        raise ConfigError(f"[output] uri can't be used: {error}") from None


async def try_output(config: Config, bucket: ObjectStore | None, tables: Iterable[str] = ()) -> None:
    """Test in the output what a commit does. `bucket` is None for a local folder.

    Raises OutputError, and ConfigError for an output that can't hold the tables of `[output] format`.
    """
    lake = lake_settings(config, bucket.place if bucket is not None else config.output.path)
    if lake is not None:
        await anyio.to_thread.run_sync(check_lake, lake)
    if bucket is not None:
        await check_bucket(bucket)
    else:
        check_output(config.output.path, tuple(tables), config.output.umask_bits)
