"""`python -m benchmarks`: runs all contenders on the same static cloud, in turn, and prints a table of their cost."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cloud import serve, write_description
from benchmarks.contenders import CONTENDERS, Contender, dlt_python
from benchmarks.measure import Measured, measure
from benchmarks.pages import rendered, size_bytes
from benchmarks.shape import FULL, QUICK
from benchmarks.table import markdown
from tests.support.markdown_table import put

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
# dlt reports its use to its makers by default. No benchmark sends requests to other machines.
_ENVIRON = {"RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONHASHSEED": "0"}


def main() -> None:
    """Measure, print, and with `--write` put the table into docs/performance.md."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nginx is stopped on the way out
    options = _options()
    shape = replace(QUICK if options.quick else FULL, times=options.times)
    work: Path = options.work.resolve()
    chosen = [contender for contender in CONTENDERS if contender.key in options.only]
    if "dlt" in options.only:
        dlt_python(work)
    pages = rendered(shape, work)
    with serve(shape, pages, work / "nginx") as cloud:
        description = write_description(cloud, work / "cloud.json")
        runs = _rounds(chosen, description, work, options.rounds)
    day = datetime.now(UTC).date().isoformat()
    text = markdown(runs, shape, size_bytes(pages) * shape.times, day)
    print(text)
    if options.write:
        put(PAGE, "the table", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    keys = [contender.key for contender in CONTENDERS]
    parser.add_argument("--quick", action="store_true", help="a small cloud: 4,000 functions")
    parser.add_argument("--times", type=int, default=1, help="multiplies the accounts, with the same pages")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender")
    parser.add_argument("--only", nargs="+", choices=keys, default=keys, help="the contenders to run")
    parser.add_argument("--work", type=Path, default=Path(".bench"), help="pages, outputs and dlt's environment")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    return parser.parse_args()


def _rounds(contenders: Sequence[Contender], description: Path, work: Path, rounds: int) -> dict[str, list[Measured]]:
    """Run each contender once per round. Each round starts with another one."""
    runs: dict[str, list[Measured]] = {contender.key: [] for contender in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            output = work / "outputs" / contender.key
            shutil.rmtree(output, ignore_errors=True)
            output.parent.mkdir(parents=True, exist_ok=True)
            command = contender.command(description, output, work)
            found = measure(command, work / f"{contender.key}.log", {**os.environ, **_ENVIRON})
            runs[contender.key].append(found)
            print(f"round {number + 1} {contender.key}: {found}", flush=True)
    return runs


if __name__ == "__main__":
    main()
