"""Multipart uploads are completed or aborted, and those of killed crawls are found again.

S3 lists the uploads that haven't ended. OSS doesn't by the S3 protocol, so that there a note under `_staging` has the
ID of each upload until it ends. Uploads of other programs are left alone.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import anyio
import msgspec

from crawler.errors import OutputError
from crawler.snapshot.layout import (
    SNAPSHOTS,
    STAGING,
    is_part_path,
    is_scope_part_path,
    is_snapshot_id,
    is_table,
    snapshot_in_path,
)
from crawler.snapshot.limits import TEXT_CHARACTERS, decode_json
from crawler.snapshot.s3.listing import checked_upload_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import datetime

    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.s3.multipart import MultipartUpload

_NOTES = f"{STAGING}/uploads"
# A crawl that is stopped has ended within ten seconds, and the removal of its objects follows.
_ABORT_S = 2.0


class _UploadNote(msgspec.Struct, frozen=True):
    """The content of a note: the path of the object, and the upload's ID."""

    path: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]
    upload_id: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]


@asynccontextmanager
async def begun_upload(bucket: ObjectStore, path: str) -> AsyncIterator[MultipartUpload]:
    """Begin an upload, which the block completes; abort it if the block fails or is cancelled. Raises OutputError."""
    upload, note = await bucket.begin_upload(path), ""
    try:
        if not bucket.can_list_uploads:
            note = f"{_NOTES}/{secrets.token_hex(8)}"
            await bucket.put(note, msgspec.json.encode(_UploadNote(path, upload.upload_id)))
        yield upload
    except BaseException:
        with anyio.move_on_after(_ABORT_S, shield=True), suppress(OutputError):
            await upload.abort()
            await bucket.delete([note] if note else [])
        raise
    with suppress(OutputError):  # a note that stays is removed a day later
        await bucket.delete([note] if note else [])


async def abort_uploads_of(bucket: ObjectStore, paths: Collection[str]) -> None:
    """Abort what is listed of these objects: after a lost answer an upload is there whose ID the crawl doesn't know.

    Raises OutputError.
    """
    for entry in await bucket.unfinished_uploads() if bucket.can_list_uploads else ():
        if entry.path in paths:
            await bucket.abort_upload(entry.path, entry.upload_id)


async def abort_uploads_before(bucket: ObjectStore, moment: datetime) -> None:
    """Abort the uploads of crawls that a store lists and that were begun before the moment. Raises OutputError."""
    for entry in await bucket.unfinished_uploads() if bucket.can_list_uploads else ():
        if entry.begun_at < moment and is_written_path(entry.path):
            await bucket.abort_upload(entry.path, entry.upload_id)


async def abort_noted_upload(bucket: ObjectStore, note_path: str) -> None:
    """Abort the upload that a file under `_staging` notes, if it is such a note. Raises OutputError."""
    found = await bucket.read(note_path) if note_path.startswith(f"{_NOTES}/") else None
    if found is None:
        return
    try:
        note = decode_json(found.data, _UploadNote)
        checked_upload_id(note.upload_id)
    except ValueError:
        return
    if is_written_path(note.path):
        await bucket.abort_upload(note.path, note.upload_id)


def is_written_path(path: str) -> bool:
    """Return whether a crawl writes files of this path: those of other programs are never touched."""
    table, snapshot_id = path.partition("/")[0], snapshot_in_path(path)
    if table in {STAGING, SNAPSHOTS}:
        return True
    if not is_table(table) or not is_snapshot_id(snapshot_id):
        return False
    return is_part_path(path, table, snapshot_id) or is_scope_part_path(path, table, snapshot_id)
