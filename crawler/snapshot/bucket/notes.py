"""The notes under a bucket's `_staging`: one a snapshot that isn't settled, for the next crawl to set right."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.latest import advance_latest
from crawler.snapshot.layout import (
    SNAPSHOTS,
    STAGING,
    is_snapshot_id,
    manifest_path,
    parent,
    pruned_id,
    staged,
    table_folder,
)

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.snapshot.object_store import ObjectStore

_FORSAKEN_AFTER = timedelta(days=1)


class _Note(msgspec.Struct, frozen=True):
    """What a note says. `token` tells two crawls of one ID apart."""

    tables: list[str]
    token: str


async def announce(bucket: ObjectStore, snapshot_id: str, tables: list[str]) -> None:
    """Put the note of a snapshot that begins.

    Raises OutputBusyError where a crawl is at it under the same ID, OutputError where that one has committed.
    """
    note = msgspec.json.encode(_Note(tables, secrets.token_hex(16)))
    if await bucket.read(manifest_path(snapshot_id)) is not None:
        raise OutputError(f"the output has a snapshot {snapshot_id} already")
    if not await bucket.create(staged(snapshot_id), note):
        raise OutputBusyError(f"another crawl began in {bucket.place.uri} under the same ID, {snapshot_id}: try again")


async def settle_others(bucket: ObjectStore, now: datetime) -> list[str]:
    """Set right what the notes tell of: the IDs of the snapshots that were committed and are now settled.

    LATEST moves to a committed one; what was left a day ago or more without a commit is removed. Raises OutputError.
    """
    completed = []
    for entry in await bucket.list(STAGING):
        snapshot_id = entry.path.removeprefix(f"{STAGING}/")
        if pruned_id(snapshot_id):
            continue
        if not is_snapshot_id(snapshot_id):
            if now - entry.modified_at > _FORSAKEN_AFTER:
                await bucket.delete([entry.path])
            continue
        found = await bucket.read(manifest_path(snapshot_id))
        if found is not None:
            if manifests.decode(found.data, manifest_path(snapshot_id)).status == "complete":
                await advance_latest(bucket, snapshot_id)
            completed.append(snapshot_id)
        elif now - entry.modified_at > _FORSAKEN_AFTER:
            await _sweep(bucket, snapshot_id, entry.path)
        else:
            continue
        await bucket.delete([entry.path])
    return completed


async def _sweep(bucket: ObjectStore, snapshot_id: str, note_path: str) -> None:
    """Take away what a crawl left that didn't commit."""
    note = await bucket.read(note_path)
    with suppress(msgspec.MsgspecError):
        tables = msgspec.json.decode(note.data, type=_Note).tables if note is not None else []
        for table in tables:
            await bucket.delete([entry.path for entry in await bucket.list(table_folder(table, snapshot_id))])
    stray = [entry.path for entry in await bucket.list(SNAPSHOTS) if parent(entry.path) == SNAPSHOTS]
    await bucket.delete([path for path in stray if path.startswith(f"{SNAPSHOTS}/{snapshot_id}.")])
