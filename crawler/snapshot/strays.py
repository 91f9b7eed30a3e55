"""What lies in an output and is in no manifest: found by readers that go by a glob, and by nobody else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.layout import SNAPSHOTS, STAGING, is_snapshot_id, is_table, pruned_id, table_folder
from crawler.snapshot.storage import storage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.storage import Place

_OWN_NAME = re.compile(r"(.+?)\.(json|json\.sha256|scopes\.parquet)")
_TABLE_SNAPSHOT = "snapshot_date=*/snapshot=*"


def known_ids(root: Place) -> list[str]:
    """Of snapshots that have a file of their own beside the manifests, newest first; not of those on their way.

    One is on its way while a crawl puts it in place or a `prune` removes it, and after either has died doing so.
    Raises OutputError where the folders can't be listed.
    """
    found: dict[str, set[str]] = {}
    for name in storage_of(root).names(SNAPSHOTS):
        if match := _OWN_NAME.fullmatch(name):
            found.setdefault(match[1], set()).add(match[2])
    moving = on_their_way(root)
    ids = (name for name, kinds in found.items() if is_snapshot_id(name) and ("json" in kinds or name not in moving))
    return sorted(ids, reverse=True)


def on_their_way(root: Place) -> set[str]:
    """IDs that crawls are at, and those that a `prune` is removing. Raises OutputError."""
    names = storage_of(root).names(STAGING)
    return {name for name in names if is_snapshot_id(name)} | {pruned_id(name) for name in names} - {""}


def stray_files(root: Place, manifest: Manifest) -> Iterator[str]:
    """Files between the snapshot's that its manifest doesn't name. Readers pass over names with a dot or `_` first.

    Only in local folders: a bucket is written by whoever has its keys, and is read by the manifest.
    """
    if not isinstance(root, Path):
        return
    for table, entry in manifest.tables.items():
        known = {file.path for file in entry.files}
        for folder, _, names in os.walk(root / table_folder(table, manifest.snapshot_id)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - os.walk gives text
                if path not in known and not name.startswith((".", "_")):
                    yield path


def orphan_folders(root: Place) -> Iterator[str]:
    """Tables' folders of snapshots of which there is nothing else, in local folders. Raises OutputError."""
    if not isinstance(root, Path):
        return
    try:
        tables = sorted(path for path in root.iterdir() if is_table(path.name))
        folders = [folder for table in tables for folder in sorted(table.glob(_TABLE_SNAPSHOT))]
    except OSError as error:
        raise OutputError(f"can't list {root}: {os.strerror(error.errno or 0)}") from error
    theirs = on_their_way(root).union(known_ids(root))
    for folder in folders:
        snapshot_id = folder.name.removeprefix("snapshot=")
        if is_snapshot_id(snapshot_id) and snapshot_id not in theirs:
            yield str(folder.relative_to(root))
