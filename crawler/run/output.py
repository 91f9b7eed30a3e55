"""Outputs that aren't folders of this machine: a bucket opened for a crawl, and a place opened for reading.

S3 is signed for with the environment's keys, a profile's, or the machine's own role. OSS is with `OSS_ACCESS_KEY_ID`
and its like where they are set, else with what `default` credentials find: environment, OIDC, CLI profile, credentials
file, ECS role.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec

from crawler.catalog import load_catalog
from crawler.client.credentials import Provider
from crawler.config import Config
from crawler.config.load import output_folder
from crawler.config.sections import Iceberg
from crawler.errors import ConfigError, CredentialsError, OutputError
from crawler.run.result import CrawlResult
from crawler.run.session import open_session
from crawler.run.system import System, open_share
from crawler.snapshot import (
    BucketDestination,
    Destination,
    FolderDestination,
    Lake,
    SnapshotWriter,
    check_bucket,
    check_output,
    new_snapshot_id,
    open_lake,
    publish_lake,
)
from crawler.snapshot.lake.base import LakeSettings
from crawler.snapshot.location import AccessKeys, BucketLocation, bucket_place
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.reader import BucketReader
from crawler.snapshot.writer import MAX_OPEN_PARTS

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.snapshot.reader import OutputLocation


@asynccontextmanager
async def open_bucket(config: Config, surroundings: System) -> AsyncIterator[ObjectStore | None]:
    """The output's bucket for as long as the block; None where the output is a local folder.

    Raises ConfigError for a place that the environment doesn't tell fully. Nothing is asked of the bucket.
    """
    if not config.output.is_bucket:
        yield None
        return
    place = _place(config.output.uri, surroundings, config)
    if not _needs_provider(place):
        yield ObjectStore(place)
        return
    async with _provider(config, surroundings) as provider:

        async def keys() -> AccessKeys:
            return await _keys(provider)

        yield ObjectStore(place, keys)


async def open_place(uri: str, surroundings: System, config: Config | None = None) -> OutputLocation:
    """Where an output's snapshots are read from. `config` says how the cloud is reached, where keys must be asked for.

    Raises ConfigError for a URI that names no place, OutputError where no keys are found.
    """
    if not uri.startswith(("s3://", "oss://")):
        return output_folder(uri)
    place = _place(uri, surroundings, config or Config())
    if _needs_provider(place):
        async with _provider(config or Config(), surroundings) as provider:
            try:
                keys = await _keys(provider)
            except CredentialsError as error:
                raise OutputError(f"{uri} can't be read: {error}") from None
        place = dataclasses.replace(place, keys=keys)
    return BucketReader(place)


def lake_settings(config: Config, root: Path | BucketLocation) -> LakeSettings | None:
    """The lake over an output that the configuration asks for; None for files alone."""
    output = config.output
    if output.format == "parquet":
        return None
    given = output.iceberg or Iceberg()
    uri = given.catalog_uri.reveal() if given.catalog_uri is not None else ""
    names = {"namespace": given.namespace} if given.namespace else {}
    return LakeSettings(output.format, root, uri, given.warehouse or "", **names)


def _place(uri: str, surroundings: System, config: Config) -> BucketLocation:
    place = bucket_place(uri, surroundings.environ, surroundings.home)
    return dataclasses.replace(place, proxy=config.network.proxy_url)


def _needs_provider(place: BucketLocation) -> bool:
    return place.kind == "oss" and place.keys is None


@asynccontextmanager
async def _provider(config: Config, surroundings: System) -> AsyncIterator[Provider]:
    """The default chain, which may have to ask STS or a metadata service: by a session of its own."""
    reaching = msgspec.structs.replace(config, accounts=(), organization=None)
    async with open_session(reaching, load_catalog(config.catalog.extra), surroundings) as session:
        yield session.default_provider(surroundings)


async def _keys(provider: Provider) -> AccessKeys:
    found = await provider.get()
    return AccessKeys(found.access_key_id, found.access_key_secret, found.security_token, found.expires_at)


async def begin_writer(
    config: Config, bucket: ObjectStore | None, surroundings: System, schemas: Mapping[str, Any]
) -> SnapshotWriter:
    """Begin a new snapshot in the configured output. Raises OutputBusyError and OutputError."""
    started_at = surroundings.clock.now()
    snapshot_id = new_snapshot_id(started_at, surroundings.random.random)
    destination: Destination
    if bucket is not None:
        destination = await BucketDestination.begin(bucket, snapshot_id, started_at, schemas)
    else:
        folder, umask = config.output.path, config.output.umask_bits
        destination = await FolderDestination.begin(folder, snapshot_id, started_at, umask=umask)
    return SnapshotWriter(destination, schemas, max_open_parts=_max_open_parts())


async def resume_writer(
    config: Config, bucket: ObjectStore | None, surroundings: System, schemas: Mapping[str, Any]
) -> SnapshotWriter:
    """Resume the unfinished snapshot of a folder. Raises ConfigError where there is none or the output is a bucket."""
    if bucket is not None:
        raise ConfigError(f"--resume: {config.output.uri} is a bucket, where no unfinished crawl is kept; leave it out")
    folder, umask = config.output.path, config.output.umask_bits
    destination = await FolderDestination.resume(folder, surroundings.clock.now(), umask=umask)
    return SnapshotWriter(destination, schemas, max_open_parts=_max_open_parts())


def _max_open_parts() -> int:
    """How many parts the crawl may hold open, within the process's limit of open files."""
    return min(MAX_OPEN_PARTS, open_share())


async def preflight(config: Config, bucket: ObjectStore | None, tables: Iterable[str]) -> None:
    """Try the output before anything is asked. Raises ConfigError, which names `[output] uri`."""
    try:
        await try_output(config, bucket, tables)
    except OutputError as error:
        raise ConfigError(f"[output] uri can't be used: {error}") from None


async def publish(lake: Lake | None, result: CrawlResult, schemas: Mapping[str, Any]) -> CrawlResult:
    """The result, once the lake's tables have what was committed."""
    if lake is not None and result.manifest is not None:
        await anyio.to_thread.run_sync(publish_lake, lake, result.manifest, schemas, result.ledger)
    return result


def open_configured_lake(config: Config, bucket: ObjectStore | None) -> Lake | None:
    """The lake tables that `[output] format` asks for besides the files. Raises ConfigError."""
    settings = lake_settings(config, bucket.place if bucket is not None else config.output.path)
    return open_lake(settings) if settings is not None else None


async def try_output(config: Config, bucket: ObjectStore | None, tables: Iterable[str] = ()) -> None:
    """Try in the output what a commit does; `bucket` is None for a local folder. Raises OutputError."""
    if bucket is not None:
        await check_bucket(bucket)
    else:
        check_output(config.output.path, tuple(tables), config.output.umask_bits)
