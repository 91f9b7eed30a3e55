"""The notes under a bucket's `_staging`: one per unfinished snapshot, from which the next crawl cleans up."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.latest import advance_latest
from crawler.snapshot.bucket.unfinished import abort_noted_upload, abort_uploads_before
from crawler.snapshot.layout import (
    SNAPSHOTS,
    STAGING,
    is_snapshot_id,
    is_table,
    manifest_path,
    parent,
    pruned_id,
    run_folder_of,
    staged,
    table_folder,
)
from crawler.snapshot.limits import TABLES, TEXT_CHARACTERS, decode_json
from crawler.snapshot.shards.cleaning import clean_up_runs

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.object_store import ObjectStore

_ABANDONED_AFTER = timedelta(days=1)


class _Note(msgspec.Struct, frozen=True):
    """The content of a note. `token` distinguishes two crawls with one ID."""

    tables: Annotated[list[str], msgspec.Meta(max_length=TABLES)]
    token: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]


async def put_note(bucket: ObjectStore, snapshot_id: str, tables: list[str]) -> None:
    """Put a snapshot's note. Raises OutputBusyError if another crawl has its ID, OutputError if it is committed."""
    note = msgspec.json.encode(_Note(tables, secrets.token_hex(16)))
    if await bucket.read(manifest_path(snapshot_id)) is not None:
        raise OutputError(f"the output has a snapshot {snapshot_id} already")
    if not await bucket.create(staged(snapshot_id), note):
        raise OutputBusyError(f"another crawl began in {bucket.place.uri} under the same ID, {snapshot_id}; try again")


async def clean_up_others(bucket: ObjectStore, now: datetime) -> list[str]:
    """Finish the snapshots that have a note, and return the IDs of those that were committed. Raises OutputError.

    LATEST moves to a committed one. Files and multipart uploads that were left a day ago or earlier without a commit
    are removed. Those of a run are left together, a day after its last one.
    """
    completed = []
    await abort_uploads_before(bucket, now - _ABANDONED_AFTER)
    staging = await bucket.list(STAGING)
    spared = await clean_up_runs(bucket, staging, now)
    for entry in staging:
        snapshot_id = entry.path.removeprefix(f"{STAGING}/")
        if pruned_id(snapshot_id) or run_folder_of(entry.path):
            continue
        if not is_snapshot_id(snapshot_id):
            if now - entry.modified_at > _ABANDONED_AFTER:
                await abort_noted_upload(bucket, entry.path)
                await bucket.delete([entry.path])
            continue
        found = await bucket.read(manifest_path(snapshot_id))
        if found is not None:
            try:
                manifest = manifests.decode_of(snapshot_id, found.data, manifest_path(snapshot_id))
            except OutputError:
                # `snapshots list` and `verify` show it; its note stays, as long as its status isn't known.
                continue
            await finish_commit(bucket, manifest)
            completed.append(snapshot_id)
        elif now - entry.modified_at > _ABANDONED_AFTER and snapshot_id not in spared:
            await _sweep(bucket, snapshot_id, entry.path)
            await bucket.delete([entry.path])
    return completed


async def finish_commit(bucket: ObjectStore, manifest: Manifest) -> None:
    """Move LATEST to a committed snapshot, if it may, and remove its note. Raises OutputError."""
    if manifest.can_be_latest:
        await advance_latest(bucket, manifest.snapshot_id, manifest.replaced_latest or "")
    await bucket.delete([staged(manifest.snapshot_id)])


async def _sweep(bucket: ObjectStore, snapshot_id: str, note_path: str) -> None:
    """Remove the files of a crawl that didn't commit."""
    note = await bucket.read(note_path)
    with suppress(ValueError):
        tables = decode_json(note.data, _Note).tables if note is not None else []
        for table in filter(is_table, tables):
            await bucket.delete([entry.path for entry in await bucket.list(table_folder(table, snapshot_id))])
    own = [entry.path for entry in await bucket.list(SNAPSHOTS) if parent(entry.path) == SNAPSHOTS]
    await bucket.delete([path for path in own if path.startswith(f"{SNAPSHOTS}/{snapshot_id}.")])
