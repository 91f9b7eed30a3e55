"""The pointer `_snapshots/LATEST` in a bucket, which only moves forwards, even if several crawls move it at once.

S3 has a compare-and-swap for the move; OSS has none. There, crawls that end at the same time put one announcement each
and take turns. A crawl that has put its announcement and then finds no other one moves LATEST. An older crawl removes
its announcement while a newer crawl has one. An announcement that isn't renewed for minutes belongs to a dead crawl.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio

from crawler.errors import OutputError
from crawler.snapshot.layout import LATEST, STAGING, is_snapshot_id, manifest_path

if TYPE_CHECKING:
    from crawler.snapshot.object_store import Content, ObjectStore

_TURNS = f"{STAGING}/turns"
# Longer than the turn of a crawl can take: two small requests, each with its own limit.
_DEAD_AFTER = timedelta(minutes=3)
_ROUND_S = 0.2
_MOST_SWAPS = 50


async def advance_latest(bucket: ObjectStore, snapshot_id: str, replaced: str = "") -> None:
    """Make LATEST name this snapshot, unless it names a newer one other than `replaced`. Raises OutputError."""
    if bucket.can_swap:
        await _swap(bucket, snapshot_id, replaced)
    else:
        await _take_turn(bucket, snapshot_id, replaced)


async def latest_id(bucket: ObjectStore) -> str:
    """Return the ID in LATEST if that snapshot has a manifest, else "", which sorts before every ID."""
    return await _named(bucket, await bucket.read(LATEST))


async def _swap(bucket: ObjectStore, snapshot_id: str, replaced: str) -> None:
    for _ in range(_MOST_SWAPS):
        found = await bucket.read(LATEST)
        named = await _named(bucket, found)
        if named >= snapshot_id and named != replaced:
            return
        if await bucket.swap(LATEST, f"{snapshot_id}\n".encode(), found):
            return
    raise OutputError(f"{LATEST} in {bucket.place.uri} keeps changing; check which other program moves it")


async def _take_turn(bucket: ObjectStore, snapshot_id: str, replaced: str) -> None:
    own = f"{_TURNS}/{snapshot_id}"
    try:
        # Put again in each round: an announcement that isn't renewed counts as dead.
        await bucket.put(own, b"")
        while others := await _others(bucket, snapshot_id):
            if max(others) > snapshot_id:
                await bucket.delete([own])
            await anyio.sleep(_ROUND_S * (1 + random.random()))  # noqa: S311 - jitter, not a secret
            await bucket.put(own, b"")
        named = await latest_id(bucket)
        if named < snapshot_id or named == replaced:
            await bucket.put(LATEST, f"{snapshot_id}\n".encode())
    finally:
        with anyio.CancelScope(shield=True):
            await bucket.delete([own])


async def _others(bucket: ObjectStore, snapshot_id: str) -> list[str]:
    """Return the IDs of other crawls with an announcement; remove dead ones. The newest one gives the store's time."""
    found = await bucket.list(_TURNS)
    now = max((entry.modified_at for entry in found), default=None)
    dead = [entry.path for entry in found if now is not None and now - entry.modified_at > _DEAD_AFTER]
    await bucket.delete([path for path in dead if not path.endswith(snapshot_id)])
    names = [entry.path.rpartition("/")[2] for entry in found if entry.path not in dead]
    return [name for name in names if name != snapshot_id]


async def _named(bucket: ObjectStore, found: Content | None) -> str:
    """Return the ID in LATEST if that snapshot has a manifest, else "", which sorts before every ID."""
    text = found.data.decode("ascii", "replace").strip() if found is not None else ""
    return text if is_snapshot_id(text) and await bucket.read(manifest_path(text)) is not None else ""
