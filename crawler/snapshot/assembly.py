"""The commit of a snapshot whose parts are finished: the last files, the manifest, and the steps of the destination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel
import msgspec

from crawler.errors import CrawlError, UnfinishedCommitError, describe_defect, describe_shortage
from crawler.snapshot.manifest import FORMAT, Manifest, count_scopes, status_of
from crawler.snapshot.staging import StagedSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from crawler.snapshot.destination import Destination
    from crawler.snapshot.ledger import LedgerView
    from crawler.snapshot.manifest import ManifestDraft, PartFile
    from crawler.snapshot.output_steps import OutputSteps


async def commit_snapshot(
    destination: Destination,
    steps: OutputSteps,
    schemas: Mapping[str, pa.Schema],
    draft: ManifestDraft,
    ledger: LedgerView,
    files: Mapping[str, Sequence[PartFile]],
) -> Manifest:
    """Make a snapshot visible. `files` has the finished parts of each table, `ledger` the statuses of all scopes.

    Raises OutputError, after which nothing is committed (abandon the destination then), and UnfinishedCommitError if
    the snapshot is whole but not all in place: the next crawl completes it.
    """
    manifest = await destination.stage(steps, lambda: _assemble(destination, schemas, draft, ledger, files))
    await anyio.lowlevel.checkpoint()
    try:
        await destination.commit(steps, manifest)
    except CrawlError:
        raise
    except Exception as error:
        if not destination.is_committed:
            raise
        raise UnfinishedCommitError(
            f"snapshot {destination.snapshot_id} is committed, but the last steps of its commit failed; the next crawl "
            f"repeats them: {describe_shortage(error) or describe_defect(error)}"
        ) from error
    return manifest


def _assemble(
    destination: Destination,
    schemas: Mapping[str, pa.Schema],
    draft: ManifestDraft,
    ledger: LedgerView,
    files: Mapping[str, Sequence[PartFile]],
) -> Manifest:
    """Stage everything but the manifest, which is returned. Blocks."""
    staged = StagedSnapshot(destination.disk, destination.snapshot_id, schemas, destination.attempt)
    return Manifest(
        format=FORMAT,
        snapshot_id=destination.snapshot_id,
        status=status_of(ledger, draft.directory),
        started_at=destination.started_at,
        finished_at=draft.finished_at,
        version=draft.version,
        secrets=draft.secrets,
        fingerprint_key_id=draft.fingerprint_key_id,
        fingerprint_scope=draft.fingerprint_scope,
        clock_skew_s=draft.clock_skew_s,
        plan_sha256=draft.plan_sha256,
        tables=staged.tables(files, ledger),
        scopes=count_scopes(ledger),
        unknown_fields={table: dict(counts) for table, counts in draft.unknown_fields.items()},
        overhead=dict(draft.overhead),
        directory=draft.directory,
        left_out=list(draft.left_out),
        selection=draft.selection,
        replaced_latest=draft.replaced_latest or msgspec.UNSET,
        shards=list(draft.shards),
        accounts=list(draft.accounts),
        accepted=list(draft.accepted),
        ledger=staged.ledger(ledger.batches()),
    )
