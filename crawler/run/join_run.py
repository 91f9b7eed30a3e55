"""Joins a run: makes one snapshot of the reports of its shards, and commits it once.

Two joiners do no harm: a lease lets one go first, both would write the same bytes, and the manifest is created once.
Where a shard was lost for good, its scopes are not attempted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from crawler.client.client import RequestCounts
from crawler.errors import AlreadyCommittedError, CrawlError, LeaseHeldError, OutputBusyError, OutputError
from crawler.run.gaps import GapMarker, accepted_warnings, open_marker
from crawler.run.join import Join, JoinTerms, account_entries, result_of
from crawler.run.output import join_destination
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.scope import FieldCounts
from crawler.run.shard import ShardResult
from crawler.run.shard_attempt import Run, held_lease
from crawler.snapshot import Destination, Ledger, LedgerView, PartFile, ScopeRow, Status
from crawler.snapshot.layout import JOIN_ROLE, joined_path, manifest_path
from crawler.snapshot.manifest import Manifest, ShardEntry, decode_of
from crawler.snapshot.output_steps import OutputSteps
from crawler.snapshot.shards.cleaning import clear_run
from crawler.snapshot.shards.documents import JoinedRun, RunPlan, ShardReport
from crawler.snapshot.shards.joined_files import JoinedFiles, open_joined_files, remove_other_parts
from crawler.snapshot.shards.lease import Lease
from crawler.snapshot.shards.runs import PROCESSES

if TYPE_CHECKING:
    from crawler.snapshot.shards.run_files import RunFiles

# A joiner waits so long for another process that holds the output.
_PATIENCE_S, _LOOK_S = 300.0, 2.0
_LOST_CODE = "ShardLost"
_REPORTED, _LOST = "reported", "lost"


class MissingShardsError(CrawlError):
    """Shards of the run have no report, and the user didn't ask for a partial snapshot. Nothing was committed."""


async def read_reports(plan: RunPlan, files: RunFiles) -> dict[int, ShardReport]:
    """Return the reports of the shards that have one. Raises OutputError."""
    found = {}
    for shard in sorted(await files.reported()):
        if shard < plan.shard_count and (report := await files.report(plan, shard)) is not None:
            found[shard] = report
    return found


async def join_run(
    prepared: PreparedCrawl,
    run: Run,
    monitor: CrawlMonitor,
    *,
    lost: Mapping[int, str] | None = None,
    destination: Destination | None = None,
) -> CrawlResult:
    """Commit the snapshot of a run. The run is over after `end_run`.

    `lost`: the shards that no attempt will finish, with the sentences for their scopes. `destination` is the acquired
    one of a coordinator. Raises MissingShardsError if another shard has no report, LeaseHeldError if another process
    joins the run, and the errors of a commit.
    """
    async with held_lease(run.files, JOIN_ROLE, prepared.clock, "the join of the run") as lease:
        if await run.files.joined() is not None:
            raise LeaseHeldError(f"another process has joined the run {run.plan.key!r}")
        return await _join(prepared, run, monitor, lost or {}, destination, lease)


async def _join(
    prepared: PreparedCrawl,
    run: Run,
    monitor: CrawlMonitor,
    lost: Mapping[int, str],
    destination: Destination | None,
    lease: Lease,
) -> CrawlResult:
    plan = run.plan
    monitor.snapshot_id = plan.snapshot_id
    reports = await read_reports(plan, run.files)
    missing = [shard for shard in range(plan.shard_count) if shard not in reports and shard not in lost]
    if missing:
        raise MissingShardsError(_missing_sentence(plan, missing))
    output = prepared.config.output
    root = None if run.bucket is not None else output.path
    async with open_joined_files(run.bucket, root, output.umask_bits, plan, run.files.folder, reports) as files:
        marker = await open_marker(prepared, plan.snapshot_id, plan.started_at)
        missing_rows = Ledger(_lost_rows(plan, {s: lost[s] for s in lost if s not in reports}))
        ledger = await files.ledger(missing_rows, marker.mark)
        shards = _sum(plan, reports, ledger)
        entries = await _entries(run, reports)
        terms = _terms(prepared, plan, entries, marker)
        try:
            result = await _commit(prepared, run, files, terms, shards, monitor, destination, lease)
        except AlreadyCommittedError:  # by a joiner that was stopped after its commit
            manifest = await _committed(run)
            result = replace(result_of(terms, shards, plan.snapshot_id, plan.started_at), manifest=manifest)
            monitor.committed_id = manifest.snapshot_id
    return result


async def end_run(run: Run, result: CrawlResult) -> None:
    """Remove what a run leaves, and note that it is over, so that no process does anything for it any more.

    It goes on if nothing was committed and shards have no report: those can still be crawled. Raises OutputError.
    """
    plan, store = run.plan, run.files.store
    if result.manifest is None and len(await run.files.reported()) < plan.shard_count:
        return
    if run.bucket is not None:
        await remove_other_parts(run.bucket, plan, result.manifest)
    await run.files.create_joined(
        JoinedRun(
            snapshot_id=plan.snapshot_id,
            started_at=plan.started_at,
            key=plan.key,
            finished_at=result.finished_at,
            status=result.manifest.status if result.manifest is not None else "none",
            exit_code=int(result.exit_code),
        )
    )
    await clear_run(store, run.files.folder)
    if plan.engine == PROCESSES:  # no process of it is left that could ask what became of it
        await store.delete([joined_path(run.files.folder), run.files.folder])


async def _committed(run: Run) -> Manifest:
    """Return the manifest of the snapshot that another process has committed."""
    path = manifest_path(run.plan.snapshot_id)
    found = await run.files.store.read(path)
    if found is None:
        raise OutputError(f"{path} was removed after its commit")
    return decode_of(run.plan.snapshot_id, found.data, path)


async def _commit(
    prepared: PreparedCrawl,
    run: Run,
    files: JoinedFiles,
    terms: JoinTerms,
    shards: ShardResult,
    monitor: CrawlMonitor,
    destination: Destination | None,
    lease: Lease,
) -> CrawlResult:
    steps = OutputSteps()
    async with _acquired(prepared, run, destination) as target:

        async def finish() -> Mapping[str, Sequence[PartFile]]:
            lease.check()
            return await files.adopt(target, steps)

        return await Join(target, steps, prepared.schemas, monitor).commit(terms, shards, finish)


@asynccontextmanager
async def _acquired(prepared: PreparedCrawl, run: Run, destination: Destination | None) -> AsyncIterator[Destination]:
    """Acquire the snapshot's destination for the block, unless the coordinator has it already.

    A `prune` that holds the output is waited for.
    """
    if destination is not None:
        yield destination
        return
    plan, waited_s = run.plan, 0.0
    while True:
        try:
            acquired = await join_destination(
                prepared.config, run.bucket, plan.snapshot_id, plan.started_at, prepared.schemas
            )
            break
        except OutputBusyError:
            if waited_s >= _PATIENCE_S:
                raise
        await prepared.clock.sleep(_LOOK_S)
        waited_s += _LOOK_S
    try:
        yield acquired
    finally:
        with anyio.CancelScope(shield=True):
            await acquired.abandon()


def _missing_sentence(plan: RunPlan, missing: Sequence[int]) -> str:
    shown = ", ".join(map(str, missing[:20]))
    more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
    number = f"{len(missing)} of {plan.shard_count} shards"
    return (
        f"{number} of the run {plan.key!r} have no report yet: {shown}{more}. Run them again by `crawl --shard`, or "
        f"commit the others by `snapshots commit {plan.snapshot_id} --partial`."
    )


def _lost_rows(plan: RunPlan, lost: Mapping[int, str]) -> Iterator[ScopeRow]:
    written = set(plan.tables)
    for shard, reason in lost.items():
        for account, region_id, tables in plan.targets(shard):
            for table in tables:
                row = ScopeRow(account.id, region_id, table, Status.NOT_ATTEMPTED, table in written)
                row.error_code, row.error_message, row.account_name = _LOST_CODE, reason, account.name
                yield row


def _sum(plan: RunPlan, reports: Mapping[int, ShardReport], ledger: LedgerView) -> ShardResult:
    """Return the results of all shards as one. It ends with the last shard, so that two joiners write the same."""
    fields, requests = FieldCounts(), RequestCounts(sum(plan.overhead.values()))
    overhead = dict(plan.overhead)
    for _, report in sorted(reports.items()):
        for table in report.unknown_fields.keys() | report.misfit_fields.keys():
            fields.add(table, report.unknown_fields.get(table, {}), report.misfit_fields.get(table, {}))
        requests.requests += report.requests
        requests.retries += report.retries
        requests.throttled += report.throttled
        for name, number in report.overhead.items():
            overhead[name] = overhead.get(name, 0) + number
    return ShardResult(
        ledger,
        fields.unknown,
        fields.misfits,
        requests,
        overhead,
        tuple(warning for _, report in sorted(reports.items()) for warning in report.warnings),
        max((report.finished_at for report in reports.values()), default=plan.started_at),
        max([plan.clock_skew_s, *(report.clock_skew_s for _, report in sorted(reports.items()))], key=abs),
        sum(report.resumed_scopes for report in reports.values()),
    )


async def _entries(run: Run, reports: Mapping[int, ShardReport]) -> list[ShardEntry]:
    shards = range(run.plan.shard_count)
    begun = await run.files.attempts(set(shards) - reports.keys())
    return [_entry(shard, reports.get(shard), *begun.get(shard, (0, []))) for shard in shards]


def _entry(shard: int, report: ShardReport | None, attempts: int, hosts: list[str]) -> ShardEntry:
    if report is None:
        return ShardEntry(number=shard, status=_LOST, attempts=attempts, hosts=hosts)
    return ShardEntry(
        number=shard,
        status=_REPORTED,
        attempts=max(attempts, report.attempt),
        hosts=[report.host],
        seconds=report.seconds,
        requests=report.requests,
    )


def _terms(prepared: PreparedCrawl, plan: RunPlan, entries: Sequence[ShardEntry], marker: GapMarker) -> JoinTerms:
    targets = (target for shard in range(plan.shard_count) for target in plan.targets(shard))
    places = ((account.id, region_id, tables) for account, region_id, tables in targets)
    warnings = [*accepted_warnings(prepared, plan.started_at, places), *marker.warnings()]
    return JoinTerms(
        plan.plan_sha256,
        prepared.redaction,
        prepared.config.crawl.require_complete,
        plan.directory,
        tuple(plan.left_out),
        {product: tuple(regions) for product, regions in plan.not_offered.items()},
        plan.selection,
        (*plan.warnings, *warnings),
        tuple(entries),
        account_entries((account.id, account.name, account.is_member) for account in plan.accounts),
        marker.entries(),
    )
