"""`python -m benchmarks.audit`: measures what reads snapshots on two nights of a wide estate, beside DuckDB.

The nights are written by `nights`, once for each size, kind and layout. The commands are those of a checkout. With
several `--product`, they take turns, to compare one commit with another; one that reads only format 1 needs
`--layout 1`:

    git worktree add ../before COMMIT
    python -m benchmarks.audit --layout 1 --product ../before --product . --rounds 3

With `--duckdb`, the same questions are asked of DuckDB directly, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Measured, measure, medians, paired_ratio
from benchmarks.wide import checkout_environ, checkout_python, checkout_title, prepare
from tests.support import markdown_table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
DUCKDB = "DuckDB"
GROUPED = "SELECT runtime, count(*) AS number FROM fc_functions GROUP BY 1 ORDER BY 2 DESC, 1"
_TABLE = "fc_functions"

# Question → the command's arguments, for a file that is written.
QUESTIONS: Mapping[str, Callable[[Path], list[str]]] = {
    "diff --json": lambda _: ["diff", "--json"],
    "report": lambda out: ["report", "--to", str(out / "report.html")],
    "snapshots verify": lambda _: ["snapshots", "verify"],
    "query, one GROUP BY": lambda _: ["query", GROUPED],
    "export, csv": lambda out: ["export", _TABLE, "--to", str(out / "rows.csv")],
    "export, jsonl": lambda out: ["export", _TABLE, "--to", str(out / "rows.jsonl")],
    "export, parquet": lambda out: ["export", _TABLE, "--to", str(out / "rows.parquet")],
}
# DuckDB makes no report.
NOT_OF_DUCKDB = frozenset({"report"})
_HEAD = ("question", "by", "CPU s", "× the first", "wall s", "peak MB")


def ask(product: Path, question: str, store: Path, work: Path) -> Measured:
    """Run a command of a product on a store. Raises RuntimeError if it fails."""
    command = ["-m", "crawler", *QUESTIONS[question](_fresh(work)), "--output", str(store)]
    return measure([*checkout_python(), *command], work / "answer.log", checkout_environ(product))


def ask_duckdb(question: str, store: Path, work: Path) -> Measured | None:
    """Ask DuckDB the same question directly; None for one that it can't answer. Raises RuntimeError if it fails."""
    if question in NOT_OF_DUCKDB:
        return None
    command = [sys.executable, "-m", "benchmarks.by_duckdb", question, str(store), str(_fresh(work))]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return measure(command, work / "answer.log", environ)


def _fresh(work: Path) -> Path:
    """Return an empty folder for a command's files."""
    shutil.rmtree(work / "files", ignore_errors=True)
    (work / "files").mkdir()
    return work / "files"


def markdown(runs: Mapping[str, Mapping[str, Sequence[Measured]]], about: Sequence[str]) -> str:
    """Return the table of all questions. `runs`: question → who answered → its runs, compared round by round."""
    lines = [*about, "", markdown_table.row(_HEAD), markdown_table.row(["---", "---", *["---:"] * (len(_HEAD) - 2)])]
    for question, answers in runs.items():
        first, *_ = answers.values()
        for name, found in answers.items():
            figures = medians(found)
            cells = (
                f"{figures.cpu_s:.2f}",
                f"{paired_ratio(found, first):.2f}",
                f"{figures.wall_s:.1f}",
                f"{figures.peak_mb:.0f}",
            )
            lines.append(markdown_table.row([question, name, *cells]))
    return "\n".join(lines)


def main() -> None:
    """Write the nights if they aren't there, measure all in turn, print, and with `--write` change the page."""
    options = _options()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    store = _store(options, work)
    products = {checkout_title(path.resolve()): path.resolve() for path in options.product}
    if len(products) < len(options.product):
        raise RuntimeError(f"the products have the same commit: {', '.join(products)}")
    for product in products.values():
        prepare(product)
    who: dict[str, Callable[[str], Measured | None]] = {
        name: lambda question, product=product: ask(product, question, store, work)  # type: ignore[misc]
        for name, product in products.items()
    }
    if options.duckdb:
        who[DUCKDB] = lambda question: ask_duckdb(question, store, work)
    runs: dict[str, dict[str, list[Measured]]] = {}
    for number in range(options.rounds):
        names = list(who)[number % len(who) :] + list(who)[: number % len(who)]
        for question in options.only:
            found = runs.setdefault(question, {name: [] for name in who})
            for name in names:
                if (measured := who[name](question)) is not None:
                    found[name].append(measured)
                    print(f"round {number + 1} {question}, {name}: {measured}", flush=True)
    answered = {question: {name: found for name, found in by.items() if found} for question, by in runs.items()}
    text = markdown(answered, _about(options, store))
    print(text)
    if options.write:
        kind = "repeated" if options.repeated else "distinct"
        markdown_table.put(PAGE, f"two nights, {kind}", text)


def _store(options: argparse.Namespace, work: Path) -> Path:
    """Return the folder of the nights. They are written by another process.

    A process that is started has at least the peak memory of the one that starts it, so that this one must stay small.
    """
    kind, size = "repeated" if options.repeated else "distinct", (options.accounts, options.regions, options.times)
    store = work / "-".join(map(str, (*size, kind, options.layout)))
    if not store.exists():
        partial = store.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = [sys.executable, "-m", "benchmarks.nights", partial, work / "pool", options.layout, kind, *size]
        subprocess.run(list(map(str, command)), check=True)
        partial.rename(store)
    return store


def _about(options: argparse.Namespace, store: Path) -> list[str]:
    turns = f"Medians of {options.rounds} runs, taken in turn." if options.rounds > 1 else "One run each."
    manifests = [json.loads(path.read_bytes()) for path in sorted((store / "_snapshots").glob("*.json"))]
    tables = [list(found["tables"].values()) for found in manifests]
    rows = " and ".join(f"{sum(table['rows'] for table in found):,}" for found in tables)
    files = " and ".join(f"{sum(len(table['files']) for table in found):,}" for found in tables)
    values = "the rows of each table repeat 20 rows" if options.repeated else "distinct values"
    estate = f"{options.accounts:,} accounts × {options.regions} regions, {values}, format {options.layout}"
    return [
        f"{datetime.now(UTC).date().isoformat()}, {markdown_table.machine()}. {turns}",
        f"{estate}: {rows} rows in {files} files.",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__.partition("\n")[0])
    parser.add_argument("--accounts", type=int, default=200, help="accounts of the estate")
    parser.add_argument("--regions", type=int, default=10, help="regions of each account")
    parser.add_argument("--times", type=int, default=1, help="multiplies the rows of each account and region")
    parser.add_argument("--repeated", action="store_true", help="the rows of each table repeat 20 rows")
    parser.add_argument("--layout", type=int, choices=(1, 2), default=2, help="the format of the snapshots")
    parser.add_argument("--product", type=Path, action="append", help="a checkout that is measured; repeatable")
    parser.add_argument("--duckdb", action="store_true", help="ask DuckDB, too")
    parser.add_argument("--only", nargs="+", choices=list(QUESTIONS), default=list(QUESTIONS), help="the questions")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each question")
    parser.add_argument("--work", type=Path, default=Path(".bench") / "audit", help="nights, answers and logs")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    options.product = options.product or [ROOT]
    return options


if __name__ == "__main__":
    main()
