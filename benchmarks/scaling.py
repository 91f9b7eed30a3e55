"""`python -m benchmarks.scaling`: measures what a scope, a request and a row take, and computes what large crawls take.

The units are measured by crawls in one process:

- start: a crawl of one account with one request per table.
- scope: an empty cloud in the same process, the tables without parents that have tables below them, with those and
  without. Both crawls send as many requests, so the difference is that of the scopes.
- request: the static cloud's lists of three small records, from nginx by TLS.
- row: the static cloud's functions of 3 kB in pages of 100, from nginx by TLS; what the pages take as requests is
  deducted.

`crawler/run/balance.py` divides accounts among processes by these units.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.by_crawl import SMALL_TABLES, command
from benchmarks.cloud import serve, write_description
from benchmarks.measure import Measured, measure
from benchmarks.pages import rendered
from benchmarks.scale import crawl_apart
from benchmarks.shape import REGIONS, Shape
from tests.support import markdown_table

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
TINY = Shape(accounts=1, regions=REGIONS[:1], pages=1, layers=1)
LISTS, PAGES = Shape(pages=1), Shape(layers=1)

ACCOUNTS, REGIONS_OF_EACH = 10_000, 25
PROCESSES = (1, 4, 8, 16)
# A function is listed by two API versions, and has four lists of its own in each. The tests compare with the catalog.
TABLES, ROOTS = 53, 19
LISTS_OF_FUNCTION, ROWS_OF_FUNCTION = 8, 2
# A run takes so much longer than the best possible time, see docs/adr/0113.
IMBALANCE = 1.05
LATENCY_S, CONCURRENCY = 0.08, 128
# AssumeRole is paced per access key, whatever the number of processes: 50 a second, less 3 %.
ROLES_PER_S = 48.5


@dataclass(frozen=True, slots=True)
class Units:
    """CPU seconds of each."""

    start_s: float
    scope_s: float
    request_s: float
    row_s: float


@dataclass(frozen=True, slots=True)
class Inventory:
    """A cloud for a crawl of all its accounts and regions, with this many functions in each account."""

    functions: int

    @property
    def scopes(self) -> int:
        return ACCOUNTS * REGIONS_OF_EACH * TABLES

    @property
    def requests(self) -> int:
        return ACCOUNTS * (REGIONS_OF_EACH * ROOTS + self.functions * LISTS_OF_FUNCTION)

    @property
    def rows(self) -> int:
        """The rows of large pages. Those of the lists below a function are part of the unit of a request."""
        return ACCOUNTS * self.functions * ROWS_OF_FUNCTION

    def cpu_s(self, units: Units) -> float:
        """Return the CPU seconds of all processes together, without their starts."""
        return self.scopes * units.scope_s + self.requests * units.request_s + self.rows * units.row_s

    def wall_s(self, units: Units, processes: int) -> float:
        """Return the wall time of processes that each have a core, from the start to the last report."""
        busy_s = self.cpu_s(units) * (IMBALANCE if processes > 1 else 1)
        waiting_s = self.requests * LATENCY_S / CONCURRENCY
        return units.start_s + ACCOUNTS / ROLES_PER_S + max(busy_s, waiting_s) / processes


INVENTORIES = {
    "all lists empty": Inventory(0),
    "200 functions an account": Inventory(200),
    "1,000 functions an account": Inventory(1_000),
}


def crawl_static(shape: Shape, tables: tuple[str, ...], work: Path) -> Measured:
    """Crawl a static cloud by TLS."""
    output = work / "output"
    shutil.rmtree(output, ignore_errors=True)
    with serve(shape, rendered(shape, work), work / "nginx", has_tls=True) as cloud:
        description = write_description(cloud, work / "cloud.json")
        return measure(command(description, output, tables), work / "crawl.log", os.environ)


def measure_units(work: Path) -> Units:
    """Measure each unit once."""
    work.mkdir(parents=True, exist_ok=True)
    start_s = crawl_static(TINY, SMALL_TABLES, work).cpu_s
    lists_s = crawl_static(LISTS, SMALL_TABLES, work).cpu_s - start_s
    pages_s = crawl_static(PAGES, ("fc_functions",), work).cpu_s - start_s
    roots, trees = tables_with_others_below()
    whole, first = crawl_apart(200, trees), crawl_apart(200, roots)
    if whole.requests != first.requests:
        raise RuntimeError(f"{whole.requests} requests with the tables below, {first.requests} without")
    request_s = lists_s / (LISTS.requests - LISTS.targets * LISTS.pages)
    requests, rows = PAGES.targets * PAGES.pages, PAGES.targets * PAGES.pages * 100
    return Units(
        start_s,
        (whole.cpu_s - first.cpu_s) / (whole.scopes - first.scopes),
        request_s,
        (pages_s - requests * request_s) / rows,
    )


def default_tables() -> list[str]:
    """Return the tables that `*` selects."""
    from crawler.catalog import load_catalog

    return list(load_catalog().select(("*",)))


def tables_with_others_below() -> tuple[list[str], list[str]]:
    """Return the default tables that have no parent and are one, and the same with all tables below them."""
    from crawler.catalog import load_catalog

    operations, roots, trees = load_catalog().operations, set[str](), set[str]()
    for table in default_tables():
        above = [parent.table for parent in operations[table].parents]
        if above:
            trees |= {table, *above}
            roots |= {parent for parent in above if not operations[parent].parents}
    return sorted(roots), sorted(trees)


def medians(found: Sequence[Units]) -> Units:
    """Return the median of each unit."""
    return Units(
        median(units.start_s for units in found),
        median(units.scope_s for units in found),
        median(units.request_s for units in found),
        median(units.row_s for units in found),
    )


def markdown(units: Units, rounds: int, day: str) -> str:
    """Return the units and the table that is computed from them."""
    scope, request, row = (f"{each * 1e3:.2f} ms" for each in (units.scope_s, units.request_s, units.row_s))
    processes = (f"{number} process{'es' if number > 1 else ''}" for number in PROCESSES)
    lines = [
        f"{day}, {markdown_table.machine()}. Medians of {rounds} rounds. CPU time of a scope:",
        f"{scope}, of a request: {request}, of a row: {row}, of the start of a process: {units.start_s:.1f} s.",
        "",
        markdown_table.row(("inventory", "requests", "rows", "CPU", *processes)),
        markdown_table.row(["---", *["---:"] * (3 + len(PROCESSES))]),
    ]
    for title, inventory in INVENTORIES.items():
        figures = [f"{inventory.requests / 1e6:.1f} M", f"{inventory.rows / 1e6:.0f} M"]
        hours = [inventory.cpu_s(units), *(inventory.wall_s(units, number) for number in PROCESSES)]
        lines.append(markdown_table.row([title, *figures, *(f"{seconds / 3600:.1f} h" for seconds in hours)]))
    return "\n".join(lines)


def main() -> None:
    """Measure, compute, print, and with `--write` put the table into docs/scaling.md."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nginx is stopped on the way out
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each unit")
    parser.add_argument("--work", type=Path, default=Path(".bench") / "scaling", help="pages, outputs and logs")
    parser.add_argument("--write", action="store_true", help="put the table into docs/scaling.md")
    options = parser.parse_args()
    found = []
    for number in range(options.rounds):
        found.append(measure_units(options.work.resolve()))
        print(f"round {number + 1}: {found[-1]}", flush=True)
    text = markdown(medians(found), options.rounds, datetime.now(UTC).date().isoformat())
    print(text)
    if options.write:
        markdown_table.put(PAGE, "the scaling", text)


if __name__ == "__main__":
    main()
