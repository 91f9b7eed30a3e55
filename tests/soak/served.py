"""`python -m tests.soak.served PLAN.json`: the emulator with the soak's world, as a process of its own.

Everything that it checks is the emulator's: signatures, nonces, dates, sessions, page sizes, tokens, limits. Only where
its records come from, and by which chance faults come, is the soak's.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import msgspec
import orjson

from crawler.clock import SystemClock
from crawler.emulator import Cloud, CloudSpec, serve
from crawler.emulator.apis.operation import EmulatedOperation
from crawler.emulator.data.region import Parent, RegionData
from tests.soak.faults import SoakFaults, broken
from tests.soak.world import Functions, World, kinds

_FC = "fc"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve. `ahead_s`: how far the cloud's clock is ahead of ours; `breaks`: whether some lists never work.

    `ready` is where the endpoints and keys are written, `report` what was asked and what went wrong, at the end.
    """

    world: World
    share: float
    ahead_s: float
    breaks: bool
    ready: str
    report: str


class _Ahead(SystemClock):
    def __init__(self, ahead_s: float) -> None:
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return super().now() + self._ahead


class _Names(set[Parent]):
    """The functions of a place by name, told from the name itself."""

    def __init__(self, world: World, account: str, region: str) -> None:
        super().__init__()
        self._where = (world, account, region)

    def __contains__(self, name: object) -> bool:
        world, account, region = self._where
        return isinstance(name, tuple) and name[0] == _FC and world.named(account, region, name[1]) is not None


class SoakCloud(Cloud):
    """The emulator's cloud with the functions of a `World`, and nothing else."""

    def __init__(self, plan: Plan) -> None:
        world = plan.world
        spec = CloudSpec(
            seed=world.seed, accounts=world.account_ids, regions=world.region_ids, opensearch_regions=(), log_size=1000
        )
        super().__init__(spec, _Ahead(plan.ahead_s))
        self.world = world
        self.faults = self.chance = SoakFaults(plan.share, world.seed, self.expire_sessions)
        if plan.breaks:
            self.chance.break_for_good(broken(world))
        self._children = {f"fc.{kind.action}": kind for kind in kinds()[1:]}
        self._light: dict[tuple[str, str], RegionData] = {}

    def place(self, account_id: str, region_id: str) -> RegionData:
        """See `Cloud.place`: the names only."""
        where = (account_id, region_id)
        if where not in self._light:
            self._light[where] = RegionData(names=_Names(self.world, account_id, region_id))
        return self._light[where]

    def source(
        self, operation: EmulatedOperation, account: str, region: str, parent: Parent, query: Mapping[str, str]
    ) -> list[Any]:
        """See `Cloud.source`."""
        if operation.name == "fc.DescribeRegions":
            return [{"RegionId": found, "LocalName": found} for found in self.spec.regions]
        if operation.name == "fc.ListFunctions" and query.get("fcVersion") != "v2":
            return cast("list[Any]", Functions(self.world, account, region))
        function = self.world.named(account, region, parent[0]) if parent else None
        kind = self._children.get(operation.name)
        return [] if function is None or kind is None else kind.of(function)

    def report(self) -> dict[str, Any]:
        """What was asked, by action and outcome, and the faults that came."""
        asked: Counter[str] = Counter()
        for (_, _, _, action, outcome), number in self.requests.counts.items():
            asked[f"{action} {outcome}"] += number
        lasting = sum(rule.fired for rule in self.faults.rules)
        return {"asked": dict(asked), "faults": dict(self.chance.counts), "lasting": lasting}


async def main(plan: Plan) -> None:
    """Serve until SIGTERM."""
    cloud = SoakCloud(plan)
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with serve(cloud) as emulator:
            keys = {account: cloud.credentials(account) for account in cloud.spec.accounts}
            described = {"fc": emulator.endpoints["fc"], "sts": emulator.url("sts"), "keys": keys}
            _write(plan.ready, described)
            async for _ in signals:
                break
    _write(plan.report, cloud.report())


def _write(path: str, value: object) -> None:
    """Whole or not at all: the other side waits for it."""
    beside = Path(f"{path}.new")
    beside.write_bytes(orjson.dumps(value))
    beside.rename(path)


if __name__ == "__main__":
    anyio.run(main, msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
