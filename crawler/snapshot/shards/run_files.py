"""The documents of one run in the output's store: each is created once and never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.layout import (
    joined_path,
    plan_path,
    report_in_name,
    report_path,
    run_folder,
    shard_in_role,
)
from crawler.snapshot.limits import JOINED_BYTES, PLAN_BYTES, REPORT_BYTES
from crawler.snapshot.shards.documents import (
    JoinedRun,
    RunPlan,
    ShardReport,
    decode_joined,
    decode_plan,
    decode_report,
    encode,
)
from crawler.snapshot.shards.lease import DEAD_AFTER_S, newest_leases, read_lease

if TYPE_CHECKING:
    from collections.abc import Collection

    from crawler.snapshot.shards.store import RunStore


class RunFiles:
    """The documents of the run in a folder. Methods raise OutputError."""

    def __init__(self, store: RunStore, folder: str, key: str = "") -> None:
        self.store = store
        self.folder = folder
        self.key = key

    @classmethod
    def of_key(cls, store: RunStore, key: str) -> RunFiles:
        """Return the documents of the run with this key."""
        return cls(store, run_folder(key), key)

    async def plan(self) -> RunPlan | None:
        """Return the plan; None if the run isn't planned."""
        path = plan_path(self.folder)
        found = await self.store.read(path, PLAN_BYTES)
        return decode_plan(found.data, path) if found is not None else None

    async def create_plan(self, plan: RunPlan) -> RunPlan:
        """Create the plan. Return it, or that of another planner, who was faster."""
        if await self.store.create(plan_path(self.folder), encode(plan)):
            return plan
        found = await self.plan()
        if found is None:
            raise OutputError(f"{plan_path(self.folder)} disappeared; another program removes files of the output")
        return found

    async def joined(self) -> JoinedRun | None:
        """Return what became of the run; None if it isn't over."""
        path = joined_path(self.folder)
        found = await self.store.read(path, JOINED_BYTES)
        return decode_joined(found.data, path) if found is not None else None

    async def create_joined(self, joined: JoinedRun) -> None:
        """Note that the run is over."""
        await self.store.create(joined_path(self.folder), encode(joined))

    async def reported(self) -> set[int]:
        """Return the shards that have a report."""
        names = (entry.path.rpartition("/")[2] for entry in await self.store.list(self.folder))
        return {shard for shard in map(report_in_name, names) if shard >= 0}

    async def report(self, plan: RunPlan, shard: int) -> ShardReport | None:
        """Return a shard's report; None if it has none."""
        path = report_path(self.folder, shard)
        found = await self.store.read(path, REPORT_BYTES)
        return decode_report(found.data, path, plan, shard) if found is not None else None

    async def create_report(self, report: ShardReport) -> bool:
        """Create a shard's report. Return False if another attempt was faster: its report counts."""
        return await self.store.create(report_path(self.folder, report.shard), encode(report))

    async def running(self) -> int:
        """Return how many shards may be at work, at least 1: their leases are younger than a dead one's, or just over.

        The newest file gives the store's time. It is as old as the newest renewal at most.
        """
        files = await self.store.list(self.folder)
        now = max((entry.modified_at for entry in files), default=None)
        leases = (entry for role, (_, entry) in newest_leases(files).items() if shard_in_role(role) >= 0)
        return max(
            1, sum(now is not None and (now - entry.modified_at).total_seconds() < DEAD_AFTER_S for entry in leases)
        )

    async def attempts(self, lost: Collection[int]) -> dict[int, tuple[int, list[str]]]:
        """Return how many attempts at each shard were begun, and the host of the last one if it is known.

        Hosts are those of the `lost` shards: a report names its own. A shard that wasn't begun is left out.
        """
        found: dict[int, tuple[int, list[str]]] = {}
        for role, (attempt, entry) in newest_leases(await self.store.list(self.folder)).items():
            if (shard := shard_in_role(role)) < 0:  # the planner's, or the joiner's
                continue
            record = (await read_lease(self.store, role, attempt, entry)).record if shard in lost else None
            found[shard] = attempt, [record.host] if record is not None and record.host else []
        return found
