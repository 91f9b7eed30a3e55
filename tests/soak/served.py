"""`python -m tests.soak.served PLAN.json`: serves the emulator with the soak's world in its own process.

The emulator checks signatures, nonces, dates, sessions, page sizes, tokens and limits as usual. The soak replaces only
the records and the random faults.
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
from crawler.emulator.data.region import RegionData
from crawler.emulator.records import Parent
from tests.soak.faults import SoakFaults, broken
from tests.soak.world import Functions, World, kinds

_FC = "fc"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The cloud to serve. `ahead_s`: the offset of the cloud's clock; `breaks`: some lists always fail.

    `ready` is the file for the endpoints and keys, `report` the file for the counts of requests and faults at the end.
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
    """The function names of an account and region, computed instead of stored."""

    def __init__(self, world: World, account: str, region: str) -> None:
        super().__init__()
        self._where = (world, account, region)

    def __contains__(self, name: object) -> bool:
        world, account, region = self._where
        return isinstance(name, tuple) and name[0] == _FC and world.named(account, region, name[1]) is not None


class SoakCloud(Cloud):
    """The emulator's cloud with only the functions of a `World`."""

    def __init__(self, plan: Plan) -> None:
        world = plan.world
        spec = CloudSpec(
            seed=world.seed,
            accounts=world.account_ids,
            regions=world.region_ids,
            opensearch_regions=(),
            searchengine_regions=(),
            log_size=1000,
        )
        super().__init__(spec, _Ahead(plan.ahead_s))
        self.world = world
        self.faults = self.chance = SoakFaults(plan.share, world.seed, self.expire_sessions)
        if plan.breaks:
            self.chance.break_for_good(broken(world))
        self._children = {f"fc.{kind.action}": kind for kind in kinds()[1:]}
        self._light: dict[tuple[str, str], RegionData] = {}

    def place(self, account_id: str, region_id: str) -> RegionData:
        """See `Cloud.place`; the data has only the names."""
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
        """Return the requests by action and outcome, and the faults."""
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
    """Write a file atomically, because the other process waits for it."""
    unfinished = Path(f"{path}.new")
    unfinished.write_bytes(orjson.dumps(value))
    unfinished.rename(path)


if __name__ == "__main__":
    anyio.run(main, msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
