"""Runs crawls of the emulator, for tests of whole commands: a served cloud, its configuration, and the results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from crawler.cli.emulate import write_config
from crawler.config import Config, parse_config
from crawler.emulator import Cloud, CloudSpec, Emulator, Rate, serve
from crawler.run.result import CrawlResult
from crawler.run.run import crawl as crawl_once
from crawler.run.system import System

FAST = Rate(rate=5000, burst=1000)
BIG, SMALL = "1000000000000001", "1000000000000002"


def fast_cloud(**changes) -> Cloud:
    """Return the default cloud without limits that would delay a test."""
    return Cloud(CloudSpec(**{"rate": FAST, "rates": {"sts": FAST}, **changes}))


@dataclass
class Site:
    """A served cloud and a folder for crawls of it."""

    cloud: Cloud
    emulator: Emulator
    folder: Path

    @property
    def output(self) -> Path:
        return self.folder / "snapshots"

    def config(self, more: str = "", *, change: Callable[[str], str] = str, ca_file: str = "", **crawl) -> Config:
        """Return the configuration of the served cloud, with more `[crawl]` keys, text before it, or changed text."""
        text, environ = write_config(self.emulator, str(self.output), rate=5000, burst=1000, ca_file=ca_file)
        keys = "".join(f"{key} = {str(value).replace('True', 'true')}\n" for key, value in crawl.items())
        if "regions" in crawl:
            text = "\n".join(line for line in text.splitlines() if not line.startswith("regions"))
        text = change(text.replace("[crawl]\n", f"[crawl]\n{keys}")) + more
        return parse_config(text, source="test.toml", environ=environ)

    def surroundings(self, **environ: str) -> System:
        return System(environ=environ, home=self.folder)

    async def crawl(self, config: Config | None = None) -> CrawlResult:
        return await crawl_once(config or self.config(), self.surroundings())

    def rows(self, table: str) -> list[dict]:
        """Return all rows of a table, from all snapshots in the folder; maps are dictionaries."""
        return [
            row
            for path in sorted(self.output.glob(f"{table}/**/*.parquet"))
            for row in pq.read_table(path, partitioning=None).to_pylist(maps_as_pydicts="strict")
        ]


@asynccontextmanager
async def site(folder: Path, cloud: Cloud | None = None, **serving) -> AsyncIterator[Site]:
    cloud = cloud or fast_cloud()
    async with serve(cloud, **serving) as emulator:
        yield Site(cloud, emulator, folder)


def scope_statuses(result: CrawlResult) -> dict[tuple[str, str, str], str]:
    """Return (account, region, table) → status, for all scopes that aren't complete."""
    return {
        (row.account_id, row.region_id, row.table): str(row.status) for row in result.ledger if row.status != "complete"
    }
