"""Outputs that aren't folders of this machine: a bucket opened for a crawl, and a place opened for reading.

S3 is signed for with the environment's keys, a profile's, or the machine's own role. OSS is with `OSS_ACCESS_KEY_ID`
and its like where they are set, else with what `default` credentials find: environment, OIDC, CLI profile, credentials
file, ECS role.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from crawler.catalog import load_catalog
from crawler.client.credentials import Provider
from crawler.config import Config
from crawler.config.load import output_folder
from crawler.config.sections import Iceberg
from crawler.errors import CredentialsError, OutputError
from crawler.run.session import Surroundings, open_session
from crawler.snapshot.lake.publish import LakeSettings
from crawler.snapshot.location import BucketPlace, Keys, bucket_place
from crawler.snapshot.object_store import Bucket
from crawler.snapshot.storage import BucketReader

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.snapshot.storage import Place


@asynccontextmanager
async def open_bucket(config: Config, surroundings: Surroundings) -> AsyncIterator[Bucket | None]:
    """The output's bucket for as long as the block; None where the output is a local folder.

    Raises ConfigError for a place that the environment doesn't tell fully. Nothing is asked of the bucket.
    """
    if not config.output.is_bucket:
        yield None
        return
    place = _place(config.output.uri, surroundings, config)
    if not _needs_provider(place):
        yield Bucket(place)
        return
    async with _provider(config, surroundings) as provider:

        async def keys() -> Keys:
            return await _keys(provider)

        yield Bucket(place, keys)


async def open_place(uri: str, surroundings: Surroundings, config: Config | None = None) -> Place:
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


def lake_settings(config: Config, root: Path | BucketPlace) -> LakeSettings | None:
    """The lake over an output that the configuration asks for; None for files alone."""
    output = config.output
    if output.format == "parquet":
        return None
    given = output.iceberg or Iceberg()
    uri = given.catalog_uri.reveal() if given.catalog_uri is not None else ""
    names = {"namespace": given.namespace} if given.namespace else {}
    return LakeSettings(output.format, root, uri, given.warehouse or "", **names)


def _place(uri: str, surroundings: Surroundings, config: Config) -> BucketPlace:
    place = bucket_place(uri, surroundings.environ, surroundings.home)
    return dataclasses.replace(place, proxy=config.network.proxy_url)


def _needs_provider(place: BucketPlace) -> bool:
    return place.kind == "oss" and place.keys is None


@asynccontextmanager
async def _provider(config: Config, surroundings: Surroundings) -> AsyncIterator[Provider]:
    """The default chain, which may have to ask STS or a metadata service: by a session of its own."""
    reaching = msgspec.structs.replace(config, accounts=(), organization=None)
    async with open_session(reaching, load_catalog(config.catalog.extra), surroundings) as session:
        yield session.default_provider(surroundings)


async def _keys(provider: Provider) -> Keys:
    found = await provider.get()
    return Keys(found.access_key_id, found.access_key_secret, found.security_token, found.expires_at)
