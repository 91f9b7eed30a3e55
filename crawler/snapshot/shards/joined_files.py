"""The files of all shards of a run, as the joiner takes them: ledgers to read, parts to put into the snapshot."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot.bucket.destination import BucketDestination
from crawler.snapshot.bucket.downloads import download
from crawler.snapshot.bucket.scratch import Scratch
from crawler.snapshot.disk import Disk, make_folders, sha256_of
from crawler.snapshot.layout import parent, staged, table_folder
from crawler.snapshot.ledger_file import StoredLedger
from crawler.snapshot.ledger_merge import merge_ledgers, revised
from crawler.snapshot.shards.attempts import Attempt, delivered_path
from crawler.snapshot.staging import write_ledger

_MERGED = "merged.parquet"

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from crawler.snapshot.destination import Destination
    from crawler.snapshot.ledger import Ledger, ScopeRow
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.output_steps import OutputSteps
    from crawler.snapshot.shards.documents import RunPlan, ShardReport


class JoinedFiles:
    """The files of the shards of one run. Methods raise OutputError.

    `ledgers` has the local file of each shard's ledger. Without a bucket, `root` is the output's folder.
    """

    def __init__(
        self,
        root: Path | None,
        umask: int,
        plan: RunPlan,
        folder: str,
        reports: Mapping[int, ShardReport],
        ledgers: Mapping[int, Path],
        temporary: Path,
    ) -> None:
        self._root = root
        self._umask = umask
        self._plan = plan
        self._folder = folder
        self._reports = reports
        self._ledgers = ledgers
        self._temporary = temporary

    async def ledger(self, lost: Ledger, mark: Callable[[ScopeRow], None]) -> StoredLedger:
        """Return the ledger of the whole run, with the scopes of the lost shards, as a file in a temporary folder.

        `mark` changes the rows of the scopes that aren't whole.
        """

        def merge() -> StoredLedger:
            opened = [
                StoredLedger(path.open("rb"), self._reports[shard].ledger.path)
                for shard, path in sorted(self._ledgers.items())
            ]
            disk = Disk(self._temporary)
            try:
                write_ledger(disk, _MERGED, revised(merge_ledgers([*opened, lost]), mark))
            finally:
                disk.close_root()
            return StoredLedger((self._temporary / _MERGED).open("rb"), _MERGED)

        return await anyio.to_thread.run_sync(merge)

    async def adopt(self, destination: Destination, steps: OutputSteps) -> dict[str, list[PartFile]]:
        """Put the parts of all shards to where the commit needs them; return them by table."""
        found: dict[str, list[PartFile]] = {}
        for _, report in sorted(self._reports.items()):
            for table, files in report.files.items():
                found.setdefault(table, []).extend(files)
        if isinstance(destination, BucketDestination):
            destination.uploads.adopt(file.path for files in found.values() for file in files)
        else:
            await steps.run(self._link_all)
        return found

    def _link_all(self) -> None:
        assert self._root is not None
        disk = Disk(self._root, self._umask)
        try:
            for shard, report in sorted(self._reports.items()):
                attempt = Attempt(self._folder, shard, report.attempt, self._plan.snapshot_id, self._plan.started_at)
                for files in report.files.values():
                    for file in files:
                        _link(disk, attempt, file)
        finally:
            disk.close_root()


async def remove_other_parts(bucket: ObjectStore, plan: RunPlan, manifest: Manifest | None) -> None:
    """Remove from a bucket the parts that a run's manifest doesn't name: those of attempts that reported too late.

    Without a manifest, all parts and the snapshot's note. Raises OutputError.
    """
    named = {file.path for entry in manifest.tables.values() for file in entry.files} if manifest else set()
    found = await bucket.list_each([table_folder(table, plan.snapshot_id) for table in plan.tables])
    await bucket.delete([entry.path for entry in found if entry.path not in named])
    if manifest is None:
        await bucket.delete([staged(plan.snapshot_id)])


def _link(disk: Disk, attempt: Attempt, file: PartFile) -> None:
    source, target = delivered_path(attempt, file.path), staged(attempt.snapshot_id, file.path)
    found = disk.stat(source)
    if found is None or found.st_size != file.bytes:
        raise OutputError(f"{source} is missing or has another size than shard {attempt.shard} reported")
    make_folders(disk, parent(target))
    disk.link_or_copy(source, target)


@asynccontextmanager
async def open_joined_files(
    bucket: ObjectStore | None,
    root: Path | None,
    umask: int,
    plan: RunPlan,
    folder: str,
    reports: Mapping[int, ShardReport],
) -> AsyncIterator[JoinedFiles]:
    """Open the files of a run's shards for the block: in a bucket, the ledgers are copied to this machine."""
    scratch = await anyio.to_thread.run_sync(Scratch.make, plan.snapshot_id, plan.started_at)
    temporary = scratch.disk.root
    try:
        ledgers = {}
        for shard, report in reports.items():
            if bucket is not None:
                ledgers[shard] = temporary / report.ledger.path
            else:
                attempt = Attempt(folder, shard, report.attempt, plan.snapshot_id, plan.started_at)
                assert root is not None
                ledgers[shard] = root / delivered_path(attempt, report.ledger.path)
        if bucket is not None:
            await download(bucket, [report.ledger for report in reports.values()], temporary)
        else:
            for shard, path in ledgers.items():
                await anyio.to_thread.run_sync(_check, path, reports[shard].ledger)
        yield JoinedFiles(root, umask, plan, folder, reports, ledgers, temporary)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(scratch.remove)


def _check(path: Path, file: PartFile) -> None:
    """Raise OutputError unless a local ledger is the one that was reported."""
    try:
        with path.open("rb") as opened:
            if sha256_of(opened) == file.sha256:
                return
    except OSError as error:
        raise OutputError(f"{path} can't be read: {error.strerror}") from error
    raise OutputError(f"{path} isn't what its shard reported: it was changed or damaged")
