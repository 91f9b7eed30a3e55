"""One attempt at a shard of a run: takes the lease, reads the lists, writes the report.

The attempt sends nothing once its lease is lost, so that two never ask for one account at a time. Its report is
created once: the first attempt wins, and nothing else of an attempt has an effect.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf

import anyio
import structlog

from crawler.client.client import RequestCounts
from crawler.clock import Clock
from crawler.config.sections import Account
from crawler.errors import ConfigError, OutputError, unwrap_group
from crawler.run.organization import assume_members
from crawler.run.plan import join_identities
from crawler.run.planning import SHARED, in_run, shared_rules
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.session import Session, open_session
from crawler.run.shard import ShardCrawl, ShardResult
from crawler.run.targets import PlannedTarget, Target, TargetPlan, interleave
from crawler.run.watchdog import abort_if_stuck
from crawler.snapshot import Ledger, LedgerView, ObjectStore, PartFile, ShardWriter
from crawler.snapshot.layout import shard_role
from crawler.snapshot.shards.attempts import Attempt, AttemptDestination, BucketAttempt, FolderAttempt
from crawler.snapshot.shards.documents import RunPlan, ShardReport
from crawler.snapshot.shards.lease import RENEWED_EVERY_S, Lease
from crawler.snapshot.shards.run_files import RunFiles
from crawler.snapshot.staging import StagedSnapshot


@dataclass(frozen=True, slots=True)
class Run:
    """A run that this process shares: its plan, its documents, and the output's bucket, None for a local folder."""

    plan: RunPlan
    files: RunFiles
    bucket: ObjectStore | None


async def crawl_shard(prepared: PreparedCrawl, run: Run, shard: int, monitor: CrawlMonitor) -> bool:
    """Crawl a shard and write its report. Return False if the shard has one already.

    Raises OutputBusyError if another attempt is at work or takes over, ConfigError for a configuration that lacks an
    account of the shard, and OutputError. Errors of the cloud are in the report.
    """
    plan, monitor.snapshot_id = run.plan, run.plan.snapshot_id

    def figures() -> Mapping[str, int]:
        progress = monitor.progress
        return {
            "scopes": progress.scopes,
            "scopes_done": progress.scopes_done,
            "rows": progress.rows,
            "requests": monitor.requests.requests,
        }

    what = f"shard {shard} of {plan.shard_count}"
    async with held_lease(run.files, shard_role(shard), prepared.clock, what, figures) as lease:
        monitor.attempt = lease.attempt
        if shard in await run.files.reported():
            return False
        with structlog.contextvars.bound_contextvars(snapshot_id=plan.snapshot_id, shard=shard, attempt=lease.attempt):
            return await _ShardAttempt(prepared, run, shard, lease, monitor).crawl()


@asynccontextmanager
async def held_lease(
    files: RunFiles, role: str, clock: Clock, what: str, figures: Callable[[], Mapping[str, int]] = dict
) -> AsyncIterator[Lease]:
    """Hold the lease of a role during the block, which is cancelled when the lease is lost: raises LeaseLostError.

    Raises LeaseHeldError if another process holds it. `what` and `figures` are those of `Lease`.
    """

    def log_wait(holder: str, seconds: float) -> None:
        structlog.get_logger().warning("waiting_for_lease", work=what, held_by=holder, at_most_s=round(seconds))

    lease = await Lease.acquire(files.store, files.folder, role, clock, what, on_wait=log_wait)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lease.keep, figures)
            yield lease
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None
    finally:
        with anyio.CancelScope(shield=True):
            await lease.release()


class _ShardAttempt:
    def __init__(self, prepared: PreparedCrawl, run: Run, shard: int, lease: Lease, monitor: CrawlMonitor) -> None:
        self._prepared = in_run(prepared, run.plan.at_once)
        self._undivided = prepared.resolved.limit_rules
        self._run = run
        self._shard = shard
        self._lease = lease
        self._monitor = monitor
        plan = run.plan
        self._attempt = Attempt(run.files.folder, shard, lease.attempt, plan.snapshot_id, plan.started_at)
        self._clock = prepared.clock

    async def crawl(self) -> bool:
        began_at = self._clock.monotonic()
        async with self._destination() as destination:
            writer = self._writer(destination)
            if self._run.plan.shards[self._shard]:
                result = await self._read_lists(writer)
                files = await writer.finish(result.ledger)
            else:
                now = self._prepared.system.clock.now()
                result, files = ShardResult(Ledger(), {}, {}, RequestCounts(), {}, (), now), {}
            ledger = await self._write_ledger(writer, destination, files, result.ledger)
            await self._lease.confirm()
            report = self._report(result, files, ledger, self._clock.monotonic() - began_at)
            # An answer of the store may be lost: after an error, the report may be there.
            destination.keep()
            is_first = await self._run.files.create_report(report)
            destination.keep(is_wanted=is_first)
            return is_first

    @asynccontextmanager
    async def _destination(self) -> AsyncIterator[AttemptDestination]:
        """Acquire the attempt's destination for the block. What it has staged stays for the next attempt."""
        output, bucket = self._prepared.config.output, self._run.bucket
        destination: AttemptDestination
        if bucket is not None:
            destination = await BucketAttempt.begin(bucket, self._attempt, self._lease.check)
        else:
            destination = await FolderAttempt.begin(output.path, output.umask_bits, self._attempt)
        try:
            yield destination
        finally:
            with anyio.CancelScope(shield=True):
                await destination.abandon()

    def _writer(self, destination: AttemptDestination) -> ShardWriter:
        prepared = self._prepared
        part_bytes = prepared.config.output.part_bytes
        return ShardWriter(destination, prepared.schemas, keys=prepared.keys, part_bytes=part_bytes)

    async def _read_lists(self, writer: ShardWriter) -> ShardResult:
        plan, prepared, monitor = self._run.plan, self._prepared, self._monitor
        try:
            async with open_session(prepared.resolved, prepared.system) as session:
                session.client.fence = self._lease.check
                if self._lease.attempt > 1:  # the attempt before may have sent until a moment ago
                    session.client.spend_bursts()
                monitor.requests = session.client.total
                async with (
                    self._shared_limits(session),
                    abort_if_stuck(self._clock, session.dispatcher.next_at, monitor),
                ):
                    targets = await self._targets(session)
                    deadline_s = inf
                    if plan.deadline_at is not None:
                        deadline_s = max(0.0, (plan.deadline_at - session.clock.now()).total_seconds())
                    return await ShardCrawl(prepared, session, writer, monitor).run(
                        targets, plan.plan_sha256, deadline_s
                    )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await writer.leave_unfinished()
            raise

    @asynccontextmanager
    async def _shared_limits(self, session: Session) -> AsyncIterator[None]:
        """Divide the limits that processes share by the number that run, which may change during the block.

        A process begins with its share of all shards, so that those that have begun need not make room at once. A
        coordinator lets the number that it has planned run.
        """
        if self._run.plan.engine:
            yield
            return

        async def follow() -> None:
            while True:
                await self._clock.sleep(RENEWED_EVERY_S)
                with suppress(OutputError):
                    at_once = min(await self._run.files.running(), self._run.plan.shard_count)
                    for product, rule in shared_rules(self._undivided, at_once).items():
                        if product in SHARED:
                            session.client.limit(product, rule)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            yield
            tasks.cancel_scope.cancel()

    async def _targets(self, session: Session) -> list[TargetPlan]:
        """Identify the shard's accounts, and return its targets: one region of each account in turn."""
        plan = self._run.plan
        session.resolved.endpoints.adopt(plan.hosts)
        tables: dict[Target, tuple[str, ...]] = {}
        regions: dict[str, list[str]] = {}
        configured, members = dict[str, Account](), dict[str, Account]()
        known = {account.id: account for account in session.config.accounts}
        for account, region_id, found in plan.targets(self._shard):
            tables[Target(account.id, region_id)] = found
            regions.setdefault(account.id, []).append(region_id)
            if account.is_member:
                members[account.id] = Account(id=account.id, name=account.name or None)
            elif account.id in known:
                configured[account.id] = known[account.id]
            else:
                raise ConfigError(
                    f"the run's plan has account {account.id}, which this process's configuration lacks; give all "
                    "processes of a run one configuration"
                )
        identities = await session.identify(list(configured.values()))
        identities += await assume_members(session, list(members.values()), identities)
        planned = [PlannedTarget(target, tables[target]) for target in interleave(regions)]
        return join_identities(planned, identities)

    async def _write_ledger(
        self,
        writer: ShardWriter,
        destination: AttemptDestination,
        files: Mapping[str, Sequence[PartFile]],
        ledger: LedgerView,
    ) -> PartFile:
        """Write the shard's ledger, with which the entries of the parts become durable, too."""
        staged = StagedSnapshot(destination.disk, destination.snapshot_id, self._prepared.schemas)

        def write() -> PartFile:
            staged.flush_folders(files)
            return staged.ledger(ledger.batches(), destination.ledger_path)

        file = await writer.buffer.run(write)
        await destination.deliver(writer.buffer, [file])
        return file

    def _report(
        self, result: ShardResult, files: Mapping[str, Sequence[PartFile]], ledger: PartFile, seconds: float
    ) -> ShardReport:
        plan = self._run.plan
        return ShardReport(
            snapshot_id=plan.snapshot_id,
            started_at=plan.started_at,
            shard=self._shard,
            attempt=self._lease.attempt,
            plan_sha256=plan.plan_sha256,
            host=socket.gethostname(),
            finished_at=result.finished_at,
            files={table: list(found) for table, found in files.items()},
            ledger=ledger,
            unknown_fields={table: dict(counts) for table, counts in result.unknown_fields.items()},
            misfit_fields={table: dict(counts) for table, counts in result.misfit_fields.items()},
            overhead=dict(result.overhead),
            requests=result.requests.requests,
            retries=result.requests.retries,
            throttled=result.requests.throttled,
            clock_skew_s=result.clock_skew_s,
            resumed_scopes=result.resumed_scopes,
            seconds=round(seconds, 3),
            warnings=list(result.warnings),
        )
