"""`python -m benchmarks.scale`: measures the CPU per list and the memory of a crawl, from 100 accounts to 1,000.

1,000 accounts × 20 regions × all tables that are on by default, all lists empty: a million scopes. The cloud is a
transport in the same process that returns the empty page of each operation, to measure the crawl alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from benchmarks.measure import measure
from tests.support import markdown_table
from tests.support.empty_cloud import EmptyCloud, configuration, empty_pages

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_HEAD = ("accounts", "scopes", "requests", "CPU s", "µs a scope", "µs a request", "peak MB")


@dataclass(frozen=True, slots=True)
class Scale:
    """The figures of one crawl. `cpu_s` is without the start of Python."""

    accounts: int
    scopes: int
    requests: int
    cpu_s: float
    peak_mb: float

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table's row."""
        each_scope, each_request = (self.cpu_s / number * 1e6 for number in (self.scopes, self.requests))
        figures = (f"{self.cpu_s:.1f}", f"{each_scope:.0f}", f"{each_request:.0f}", f"{self.peak_mb:.0f}")
        return (f"{self.accounts:,}", f"{self.scopes:,}", f"{self.requests:,}", *figures)


def crawl_once(accounts: int, tables: Sequence[str] = ("*",)) -> Scale:
    """Crawl the empty cloud in this process."""
    import logging

    import structlog

    from crawler.cli.process import collect_rarely, keep_memory_compact
    from crawler.config import parse_config
    from crawler.run import connection
    from crawler.run.run import crawl
    from crawler.run.system import System

    keep_memory_compact()  # as the command does
    collect_rarely()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    EmptyCloud.pages = empty_pages()
    vars(connection)["Transport"] = EmptyCloud
    with tempfile.TemporaryDirectory(prefix="acs-inventory-scale-") as folder:
        config = parse_config(configuration(accounts, Path(folder, "output"), tables), source="scale", environ={})
        system = System(environ={}, home=Path(folder))
        began_s = time.process_time()
        result = asyncio.run(crawl(config, system))
        cpu_s = time.process_time() - began_s
    assert result.exit_code == 0, [row for row in result.ledger if row.status != "complete"][:3]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Scale(accounts, len(result.ledger), result.requests.requests, cpu_s, peak_mb)


def crawl_apart(accounts: int, tables: Sequence[str] = ("*",)) -> Scale:
    """Crawl the empty cloud in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--here", "--accounts", str(accounts), "--tables", *tables]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        measure(command, log, os.environ)
        return Scale(**orjson.loads(log.read_bytes().splitlines()[-1]))


def markdown(found: list[Scale], day: str) -> str:
    """Return the table of all sizes."""
    lines = [
        f"{day}, {markdown_table.machine()}.",
        "",
        markdown_table.row(_HEAD),
        markdown_table.row(["---:"] * len(_HEAD)),
    ]
    return "\n".join([*lines, *(markdown_table.row(scale.cells()) for scale in found)])


def main() -> None:
    """Measure each size in its own process, print, and with `--write` put the table into docs/performance.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[100, 1000], help="sizes")
    parser.add_argument("--tables", nargs="+", default=["*"], help="names or patterns")
    parser.add_argument("--here", action="store_true", help="crawl one size in this process and print its figures")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    if options.here:
        print(orjson.dumps(crawl_once(options.accounts[0], options.tables)).decode())
        return
    found = []
    for accounts in options.accounts:
        found.append(crawl_apart(accounts, options.tables))
        print(found[-1], flush=True)
    text = markdown(found, datetime.now(UTC).date().isoformat())
    print(text)
    if options.write:
        markdown_table.put(PAGE, "the scale", text)


if __name__ == "__main__":
    main()
