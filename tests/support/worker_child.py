"""A child of a launcher with the crawler's side of the protocol, and no crawl. A shard is done at once, or never.

Its arguments: the number of shards, and `done` or `never`. It writes its process ID as an event first.
"""

import os
import sys

import anyio

from crawler.cli import process
from crawler.cli.echo import say_json
from crawler.cli.streams import prepare_streams
from crawler.cli.worker import ProgressLines, say_shard_ended, shard_numbers
from crawler.clock import SystemClock
from crawler.run.progress import CrawlMonitor


async def main(total: int, way: str) -> None:
    say_json({"event": "ready", "pid": os.getpid()})
    async for shard in shard_numbers(total):
        monitor = CrawlMonitor(attempt=7)
        async with ProgressLines(monitor, shard, SystemClock()).running():
            monitor.progress.scopes, monitor.progress.rows = 5, 50
            monitor.progress.scopes_done = 5
            monitor.progress.done_by_account["1000000000000001"] += 5
            monitor.requests.requests = 8
            if way == "never":
                await anyio.sleep_forever()
        say_shard_ended(shard, monitor.attempt, 0)


prepare_streams()
process.end_with_parent()
anyio.run(main, int(sys.argv[1]), sys.argv[2])
