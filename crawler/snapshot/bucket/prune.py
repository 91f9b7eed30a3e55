"""The removal of old snapshots from a bucket, which has no rename and no lock.

First a note lists the files to remove, then the manifest is removed, then its files. Readers start from manifests, and
crawls never touch each other's files. The next crawl or `prune` completes an interrupted removal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.notes import clean_up_others
from crawler.snapshot.bucket.unfinished import is_written_path
from crawler.snapshot.layout import STAGING, checksum_path, manifest_path, pruned, pruned_id, table_folder
from crawler.snapshot.prune_plan import expire_from, plan_prune

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crawler.snapshot.lake.base import Lake
    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.prune_plan import PrunePlan
    from crawler.snapshot.reader import BucketReader
    from crawler.snapshot.retention import KeepRules


async def prune_bucket(
    bucket: ObjectStore, reader: BucketReader, rules: KeepRules, now: datetime, lakes: Sequence[Lake] = ()
) -> PrunePlan:
    """Complete interrupted commits and removals, then remove the snapshots that no rule keeps. Return the plan.

    Files of crawls killed a day ago or earlier are removed, too; the plan doesn't list them. Raises OutputError.
    """
    stuck = await finish_removals(bucket)
    await clean_up_others(bucket, now)
    plan = replace(await anyio.to_thread.run_sync(plan_prune, reader, rules, now, lakes), stuck=stuck)
    await anyio.to_thread.run_sync(expire_from, lakes, reader, plan)
    for entry in reversed(plan.removed):
        found = await bucket.read(manifest_path(entry.snapshot_id))
        if found is not None:
            manifest = manifests.decode_of(entry.snapshot_id, found.data, manifest_path(entry.snapshot_id))
            await bucket.put(pruned(entry.snapshot_id), found.data)
            await _finish(bucket, manifest)
    return plan


async def finish_removals(bucket: ObjectStore) -> list[str]:
    """Continue the interrupted removals. Return a sentence for each whose files aren't known. Raises OutputError."""
    stuck = []
    for entry in await bucket.list(STAGING):
        snapshot_id = pruned_id(entry.path.removeprefix(f"{STAGING}/"))
        found = await bucket.read(entry.path) if snapshot_id else None
        if found is None:
            continue
        try:
            manifest = manifests.decode_of(snapshot_id, found.data, entry.path)
        except OutputError as error:
            stuck.append(f"the removal of {snapshot_id} can't be completed: {error}; remove {entry.path}")
        else:
            await _finish(bucket, manifest)
    return stuck


async def _finish(bucket: ObjectStore, manifest: Manifest) -> None:
    """Do each step after the note. Each may be repeated."""
    snapshot_id = manifest.snapshot_id
    await bucket.delete([manifest_path(snapshot_id)])
    await bucket.delete([file.path for entry in manifest.tables.values() for file in entry.files])
    # A crawl that was given up may have left parts beside them: a request that it had sent was carried out late.
    folders = [table_folder(table, snapshot_id) for table in manifest.tables]
    await bucket.delete([entry.path for entry in await bucket.list_each(folders) if is_written_path(entry.path)])
    await bucket.delete([manifest.ledger.path, checksum_path(snapshot_id)])
    await bucket.delete([pruned(snapshot_id)])
