"""`python -m benchmarks.wide`: measures a crawl of many accounts and regions with few rows each, all default tables.

The cloud is the emulator in a process of its own. The crawl is the command of a checkout. With several
`--product`, their crawls take turns, to compare one commit with another:

    git worktree add ../before COMMIT
    python -m benchmarks.wide --product ../before --product . --rounds 3
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import orjson

from benchmarks.measure import Measured, measure, medians, paired_ratio
from benchmarks.wide_cloud import expected_rows, serve_wide
from tests.support import markdown_table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
_HEAD = ("product", "CPU s", "× the first", "wall s", "peak MB", "files", "MB", "after the last answer, s", "share, %")


@dataclass(frozen=True, slots=True)
class WideRun:
    """The figures of one crawl. `commit_s`: from the last answer to the commit, in seconds.

    `files` are the data files, `size_bytes` is the size of the whole output.
    """

    measured: Measured
    scopes: int
    requests: int
    rows: Mapping[str, int]
    files: int
    size_bytes: int
    commit_s: float

    def __str__(self) -> str:
        figures = f"{self.scopes:,} scopes, {self.requests:,} requests, {sum(self.rows.values()):,} rows"
        written = f"{self.files:,} files, {self.size_bytes / 1e6:.1f} MB, {self.commit_s:.2f} s after the last answer"
        return f"{self.measured}: {figures}, {written}"


def crawl_once(product: Path, accounts: int, regions: int, work: Path) -> WideRun:
    """Crawl a fresh cloud with a product into an empty output, which is removed. Raises RuntimeError if it fails."""
    output, log = work / "output", work / "crawl.log"
    shutil.rmtree(output, ignore_errors=True)
    with serve_wide(accounts, regions, output, work / "wide.toml") as cloud:
        command = [*checkout_python(), "-m", "crawler", "crawl", "--config", str(cloud.config), "--log-format", "json"]
        measured = measure(command, log, checkout_environ(product))
        answers = cloud.answers()
    events = [orjson.loads(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    [committed] = [event for event in events if event["event"] == "snapshot_committed"]
    summary = events[-1]
    run = WideRun(
        measured,
        summary["scopes"]["total"],
        answers.requests,
        {table: entry["rows"] for table, entry in summary["tables"].items() if entry["rows"]},
        sum(1 for _ in output.rglob("part-*.parquet")),
        sum(path.stat().st_size for path in output.rglob("*") if path.is_file()),
        (datetime.fromisoformat(committed["timestamp"]) - answers.last_at).total_seconds(),
    )
    shutil.rmtree(output)
    return run


def prepare(product: Path) -> None:
    """Compile a product before it is measured. Raises RuntimeError if a crawl would run other code."""
    compileall.compile_dir(product / "crawler", quiet=2)
    command = [*checkout_python(), "-c", "import crawler; print(crawler.__file__)"]
    done = subprocess.run(command, env=checkout_environ(product), capture_output=True, text=True, check=False)
    if done.stdout.strip() != str(product / "crawler" / "__init__.py"):
        raise RuntimeError(f"{product} has no package crawler: {done.stdout.strip() or done.stderr.strip()[-500:]}")


def check_rows(runs: Mapping[str, Sequence[WideRun]], expected: Mapping[str, int]) -> None:
    """Raise RuntimeError if a crawl has other numbers of rows than the cloud has records."""
    for product, found in runs.items():
        for run in found:
            different = {table for table in {*run.rows, *expected} if run.rows.get(table) != expected.get(table)}
            if different:
                raise RuntimeError(f"{product} has other rows than the cloud in {', '.join(sorted(different))}")


def markdown(runs: Mapping[str, Sequence[WideRun]], accounts: int, regions: int, day: str) -> str:
    """Return the table of all products; runs of the same round are compared with those of the first product."""
    first, *_ = runs.values()
    one = first[0]
    turns = f"Medians of {len(first)} runs, taken in turn." if len(first) > 1 else "One run each."
    rows = f"{sum(one.rows.values()):,} rows in {len(one.rows)} tables"
    lines = [
        f"{day}, {markdown_table.machine()}. {turns}",
        f"{accounts:,} accounts × {regions} regions: {one.scopes:,} scopes, {one.requests:,} requests, {rows}.",
        "",
        markdown_table.row(_HEAD),
        markdown_table.row(["---", *["---:"] * (len(_HEAD) - 1)]),
    ]
    return "\n".join([*lines, *(markdown_table.row(_cells(name, found, first)) for name, found in runs.items())])


def _cells(name: str, runs: Sequence[WideRun], first: Sequence[WideRun]) -> list[str]:
    figures = medians([run.measured for run in runs])
    ratio = paired_ratio([run.measured for run in runs], [run.measured for run in first])
    return [
        name,
        f"{figures.cpu_s:.1f}",
        f"{ratio:.2f}",
        f"{figures.wall_s:.1f}",
        f"{figures.peak_mb:.0f}",
        f"{median(run.files for run in runs):,.0f}",
        f"{median(run.size_bytes for run in runs) / 1e6:.1f}",
        f"{median(run.commit_s for run in runs):.2f}",
        f"{median(run.commit_s / run.measured.wall_s for run in runs) * 100:.1f}",
    ]


def main() -> None:
    """Measure the products in turn, check their rows, print, and with `--write` put the table into the page."""
    options = _options()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    products = {checkout_title(path.resolve()): path.resolve() for path in options.product}
    if len(products) < len(options.product):
        raise RuntimeError(f"the products have the same commit: {', '.join(products)}")
    for product in products.values():
        prepare(product)
    runs: dict[str, list[WideRun]] = {title: [] for title in products}
    for number in range(options.rounds):
        turn = number % len(products)
        titles = list(products)
        for title in (*titles[turn:], *titles[:turn]):
            runs[title].append(crawl_once(products[title], options.accounts, options.regions, work))
            print(f"round {number + 1} {title}: {runs[title][-1]}", flush=True)
    check_rows(runs, expected_rows(options.accounts, options.regions, work / "wide.toml"))
    text = markdown(runs, options.accounts, options.regions, datetime.now(UTC).date().isoformat())
    print(text)
    if options.write:
        markdown_table.put(PAGE, "the wide cloud", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wide", description=__doc__.partition("\n")[0])
    parser.add_argument("--accounts", type=int, default=200, help="accounts of the cloud")
    parser.add_argument("--regions", type=int, default=20, help="regions of each account")
    parser.add_argument("--product", type=Path, action="append", help="a checkout whose crawl is measured; repeatable")
    parser.add_argument("--rounds", type=int, default=1, help="crawls of each product")
    parser.add_argument("--work", type=Path, default=Path(".bench") / "wide", help="configuration, output and log")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    options.product = options.product or [ROOT]
    return options


def checkout_title(product: Path) -> str:
    """Return the commit of a checkout; of another folder, its name."""
    command = ["git", "-C", str(product), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or product.name


def checkout_python() -> list[str]:
    """Return the command of the interpreter, for `checkout_environ`."""
    # -P: the modules of the current folder aren't taken before those of PYTHONPATH.
    return [sys.executable, "-P"]


def checkout_environ(product: Path) -> dict[str, str]:
    """Return the environment in which a checkout's modules are imported."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(product), "PYTHONHASHSEED": "0"}


if __name__ == "__main__":
    main()
