"""The check that a bucket can take a snapshot, before the first request to the cloud's APIs."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from crawler.errors import OutputError
from crawler.snapshot.layout import STAGING

if TYPE_CHECKING:
    from crawler.snapshot.object_store import ObjectStore


async def check_bucket(bucket: ObjectStore) -> None:
    """Try the steps of a commit in the bucket. Raises OutputError, also for a store that ignores conditions."""
    probe = f"{STAGING}/probe-{secrets.token_hex(8)}"
    try:
        await _try_steps(bucket, probe)
    except BaseException:
        # The first failure is the reason: the removal often fails for the same one.
        with anyio.CancelScope(shield=True), suppress(OutputError):
            await bucket.delete([probe])
        raise
    await bucket.delete([probe])


async def _try_steps(bucket: ObjectStore, probe: str) -> None:
    uri = bucket.place.uri
    if not await bucket.create(probe, b"first") or await bucket.create(probe, b"second"):
        raise OutputError(
            f"{uri} overwrites an object in spite of a condition; its server doesn't support "
            + ("If-None-Match" if bucket.can_swap else "x-oss-forbid-overwrite, or its bucket has versioning enabled")
        )
    found = await bucket.read(probe)
    listed = [entry.path for entry in await bucket.list(STAGING)]
    if found is None or found.data != b"first" or probe not in listed:
        raise OutputError(f"{uri} doesn't return an object that was just written")
    if bucket.can_swap and not (
        await bucket.swap(probe, b"third", found) and not await bucket.swap(probe, b"fourth", found)
    ):
        raise OutputError(f"{uri} ignores If-Match; its server can't swap an object safely")
    await _try_upload(bucket, f"{probe}-upload")


async def _try_upload(bucket: ObjectStore, path: str) -> None:
    """Try what ends the multipart upload of a large file if its crawl fails, before the upload is begun if possible."""
    if bucket.can_list_uploads:
        await bucket.unfinished_uploads()
    upload = await bucket.begin_upload(path)
    with anyio.CancelScope(shield=True):
        await bucket.abort_upload(path, upload.upload_id)
