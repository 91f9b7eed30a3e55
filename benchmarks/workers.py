"""`python -m benchmarks.workers`: compares `crawl --workers N` with a crawl in one process, in turn.

Two static clouds. `busy` keeps one process busy: as in `python -m benchmarks`, without limits. `limited` has many
accounts of different sizes, and 429 for an account's requests beyond its limit: the time that the largest account needs
by its limit bounds every crawl. Each crawl finds the ledger of an earlier one in its output, as on any night but the
first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import duckdb
import orjson

from benchmarks.by_crawl import NO_LIMIT, SMALL_TABLES, TABLES, configuration
from benchmarks.cloud import StaticCloud, serve, write_description
from benchmarks.measure import Measured, measure, medians, paired_ratio
from benchmarks.pages import rendered
from benchmarks.shape import REGIONS, Shape
from benchmarks.wide import PAGE, ROOT, checkout_environ, checkout_python, checkout_title, prepare
from tests.support import markdown_table

_HEAD = ("processes", "wall s", "× one", "CPU s", "× one", "nginx CPU s", "others' CPU s", "peak MB of one", "files")


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud to crawl. `limit`: requests per second and burst of each account in each region, None without limits."""

    shape: Shape
    tables: tuple[str, ...]
    limit: tuple[int, int] | None = None

    @property
    def least_s(self) -> float:
        """The least seconds that the limit allows for the largest account."""
        if self.limit is None:
            return 0.0
        rate, burst = self.limit
        shape = self.shape
        most = max(shape.layer_pages_of(number) + shape.layers_of(number) for number in shape.account_numbers)
        return max(0, most - burst) / rate


CLOUDS = {
    "busy": Cloud(Shape(times=8), TABLES),
    "limited": Cloud(
        Shape(accounts=10, regions=REGIONS[:1], pages=1, layers=1000, times=20, is_skewed=True), SMALL_TABLES, (20, 5)
    ),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One crawl. `server_s` and `others_s`: CPU seconds of nginx, and of everything else on the machine, meanwhile."""

    measured: Measured
    server_s: float
    others_s: float
    requests: int
    throttled: int
    files: int
    rows: Mapping[str, tuple[int, int]]  # by table: their number, and the sum of their hashes


def crawl_once(cloud: Cloud, served: StaticCloud, processes: int, product: Path, work: Path) -> Run:
    """Crawl with so many processes into an output that has the ledger of an earlier crawl, if `work` has one.

    Raises RuntimeError if the crawl fails or isn't complete.
    """
    output, earlier, log = work / "output", work / "earlier", work / "crawl.log"
    shutil.rmtree(output, ignore_errors=True)
    if earlier.is_dir():
        shutil.copytree(earlier, output / "_snapshots")
    config = work / "workers.toml"
    config.touch(mode=0o600)
    description = write_description(served, work / "cloud.json")
    config.write_text(configuration(description, output, cloud.tables, cloud.limit or NO_LIMIT))
    command = [*checkout_python(), "-m", "crawler", "crawl", "--config", str(config), "--quiet", "--json"]
    if processes > 1:
        command += ["--workers", str(processes)]
    server_s, all_s = served.cpu_s(), _machine_s()
    # In the working folder, the checkout's own children would import modules from there.
    measured = measure(command, log, checkout_environ(product), work)
    server_s, all_s = served.cpu_s() - server_s, _machine_s() - all_s
    summary = orjson.loads(log.read_bytes().splitlines()[-1])
    if summary["status"] != "complete":
        raise RuntimeError(f"the crawl is {summary['status']}: {orjson.dumps(summary['scopes'])[:500]!r}")
    return Run(
        measured,
        server_s,
        max(0.0, all_s - server_s - measured.cpu_s),
        summary["requests"],
        summary["throttled"],
        sum(table["files"] for table in summary["tables"].values()),
        digests(output, summary["snapshot_id"], summary["tables"]),
    )


def digests(output: Path, snapshot_id: str, tables: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return table → number of rows and sum of their hashes, whatever files they are in, in whatever order."""
    found = {}
    for table in tables:
        pattern = output / table / "snapshot_date=*" / f"snapshot={snapshot_id}" / "*.parquet"
        [row] = duckdb.execute(
            "SELECT count(*), coalesce(sum(hash(one)::HUGEINT), 0) FROM (SELECT * EXCLUDE (snapshot_id, fetched_at) "
            "FROM read_parquet(?, hive_partitioning = false)) AS one",
            [str(pattern)],
        ).fetchall()
        found[table] = (int(row[0]), int(row[1]))
    return found


def check_rows(runs: Mapping[int, Sequence[Run]], shape: Shape, tables: Sequence[str]) -> None:
    """Raise RuntimeError if two crawls have different rows, or not as many as the cloud has records."""
    first = next(iter(runs.values()))[0]
    for processes, found in runs.items():
        if any(run.rows != first.rows for run in found):
            raise RuntimeError(f"{processes} processes have other rows than the first crawl")
    listed = shape.rows if "fc_functions" in tables else shape.rows - shape.targets * shape.pages * 100
    if sum(number for number, _ in first.rows.values()) != listed:
        raise RuntimeError(f"the cloud has {listed} records, the crawls have {first.rows}")


def markdown(cloud: Cloud, title: str, runs: Mapping[int, Sequence[Run]], day: str) -> str:
    """Return the table of one cloud. `runs` by number of processes; runs of the same round are compared."""
    base, *_ = runs.values()
    shape, one = cloud.shape, base[0]
    of_pairs = f"Medians of {len(base)} runs, taken in turn; the ratios are medians of the pairs' ratios."
    size = f"{len(shape.account_numbers)} accounts × {len(shape.regions)} region{'s' * (len(shape.regions) > 1)}"
    rows = sum(number for number, _ in one.rows.values())
    lines = [
        f"{day}, {markdown_table.machine()}, {title}. {of_pairs}",
        f"{size}: {one.requests:,} requests, {rows:,} rows, the same in every run.",
    ]
    if cloud.limit is not None:
        throttled = sum(run.throttled for found in runs.values() for run in found)
        rate, largest = cloud.limit[0], f"the largest one needs at least {cloud.least_s:.1f} s"
        lines += [
            f"{rate} requests per second for each account; {largest}.",
            f"Throttled in all runs together: {throttled:,} requests.",
        ]
    lines += ["", markdown_table.row(_HEAD), markdown_table.row(["---:"] * len(_HEAD))]
    return "\n".join([*lines, *(markdown_table.row(_cells(number, found, base)) for number, found in runs.items())])


def _cells(processes: int, runs: Sequence[Run], base: Sequence[Run]) -> list[str]:
    figures = medians([run.measured for run in runs])
    walls = median(run.measured.wall_s / one.measured.wall_s for run, one in zip(runs, base, strict=True))
    return [
        str(processes),
        f"{figures.wall_s:.1f}",
        f"{walls:.2f}",
        f"{figures.cpu_s:.1f}",
        f"{paired_ratio([run.measured for run in runs], [run.measured for run in base]):.2f}",
        f"{median(run.server_s for run in runs):.1f}",
        f"{median(run.others_s for run in runs):.1f}",
        f"{figures.peak_mb:.0f}",
        f"{median(run.files for run in runs):.0f}",
    ]


def _machine_s() -> float:
    """Return the CPU seconds that all cores have worked so far."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = ticks[:7]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def compare(cloud: Cloud, processes: Sequence[int], rounds: int, product: Path, work: Path) -> dict[int, list[Run]]:
    """Crawl once for the ledger, then with each number of processes once per round. Each round begins with another."""
    work.mkdir(parents=True, exist_ok=True)
    pages = rendered(cloud.shape, work.parent)
    runs: dict[int, list[Run]] = {number: [] for number in processes}
    with serve(cloud.shape, pages, work / "nginx", cloud.limit) as served:
        shutil.rmtree(work / "earlier", ignore_errors=True)
        crawl_once(cloud, served, 1, product, work)
        shutil.copytree(work / "output" / "_snapshots", work / "earlier")
        for number in range(rounds):
            turn = number % len(processes)
            for each in (*processes[turn:], *processes[:turn]):
                runs[each].append(crawl_once(cloud, served, each, product, work))
                print(f"round {number + 1}, {each} processes: {runs[each][-1]}", flush=True)
    shutil.rmtree(work / "output")
    return runs


def main() -> None:
    """Measure, check the rows, print, and with `--write` put the tables into docs/performance.md."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nginx is stopped on the way out
    options = _options()
    product = options.product.resolve()
    prepare(product)
    for name in options.cloud:
        cloud = CLOUDS[name]
        runs = compare(cloud, options.processes, options.rounds, product, options.work.resolve() / name)
        check_rows(runs, cloud.shape, cloud.tables)
        text = markdown(cloud, checkout_title(product), runs, datetime.now(UTC).date().isoformat())
        print(text)
        if options.write:
            markdown_table.put(PAGE, f"{name} processes", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__.partition("\n")[0])
    parser.add_argument("--cloud", nargs="+", choices=list(CLOUDS), default=list(CLOUDS), help="the clouds to crawl")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2], help="the first is compared with the others"
    )
    parser.add_argument("--rounds", type=int, default=5, help="crawls with each number of processes")
    parser.add_argument("--product", type=Path, default=ROOT, help="the checkout whose crawl is measured")
    parser.add_argument("--work", type=Path, default=Path(".bench") / "workers", help="pages, outputs and logs")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
