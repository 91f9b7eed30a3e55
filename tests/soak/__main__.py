"""`python -m tests.soak`: runs three crawls of the emulator through faults of all kinds and checks every row.

1. children: functions, aliases, versions and triggers of a share of the accounts (a crawl has no option to select
   functions), with the cloud's clock 20 minutes ahead: exit 0.
2. failures: functions of a twentieth of the accounts, where some lists always fail: exit 3.
3. functions: those of all accounts: exit 0.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.soak.crawling import Crawled, crawl
from tests.soak.faults import LASTING
from tests.soak.figures import Run, markdown
from tests.soak.judge import judge
from tests.soak.served import Plan
from tests.soak.world import World, kinds
from tests.support import markdown_table

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
AHEAD_S = 1200.0
TITLES = ("children", "failures", "functions")
RUN = "run.json"


@dataclass(frozen=True, slots=True)
class Phase:
    """One crawl: the number of accounts, the tables, and the cloud's errors."""

    title: str
    accounts: int
    tables: tuple[str, ...]
    ahead_s: float = 0.0
    breaks: bool = False


def phases(accounts: int, regions: int, children: float) -> tuple[Phase, ...]:
    """Return the three crawls of a soak; `children` is in percent."""
    every = tuple(kind.table for kind in kinds())
    enough = len(LASTING) // regions + 1  # so that some lists work, too
    return (
        Phase("children", max(1, round(accounts * children / 100)), every, ahead_s=AHEAD_S),
        Phase("failures", min(accounts, max(enough, accounts // 20)), every[:1], breaks=True),
        Phase("functions", accounts, every[:1]),
    )


def soak(options: argparse.Namespace) -> Iterator[Run]:
    """Crawl and judge, phase by phase. The results stay in the phase's folder; the snapshot only with `--keep`."""
    for phase in phases(options.accounts, options.regions, options.children):
        if phase.title not in options.only:
            continue
        folder = options.work.resolve() / phase.title
        if not options.again:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            plan = _plan(phase, options, folder)
            crawled = crawl(plan, phase.tables, folder, options.max_delay)
            (folder / "crawled.json").write_bytes(msgspec.json.encode((plan, crawled)))
        plan, crawled = msgspec.json.decode((folder / "crawled.json").read_bytes(), type=tuple[Plan, Crawled])
        run = Run(phase.title, plan, crawled, judge(plan, phase.tables, folder / "output", crawled))
        (folder / RUN).write_bytes(msgspec.json.encode(run))
        if not options.keep:
            shutil.rmtree(folder / "output", ignore_errors=True)
        yield run


def _plan(phase: Phase, options: argparse.Namespace, folder: Path) -> Plan:
    return Plan(
        world=World(phase.accounts, options.regions, options.functions),
        share=options.share,
        ahead_s=phase.ahead_s,
        breaks=phase.breaks,
        ready=str(folder / "ready.json"),
        report=str(folder / "report.json"),
    )


def main() -> None:
    """Crawl, judge, print; with `--write` put the figures into docs/reliability.md. Exit with 1 on any error."""
    options = _options()
    for run in soak(options):
        print(f"{run.title}: {run.crawled.wall_s:.0f} s, {run.judged.wrong or 'correct'}", flush=True)
    found = [options.work.resolve() / title / RUN for title in TITLES]
    runs = [msgspec.json.decode(path.read_bytes(), type=Run) for path in found if path.exists()]
    text = markdown(runs, datetime.now(UTC).date().isoformat())
    print(text)
    if any(run.judged.wrong for run in runs):
        sys.exit(1)
    if options.write:
        markdown_table.put(PAGE, "the soak", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="The soak.")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--regions", type=int, default=25)
    parser.add_argument("--functions", type=int, default=1000, help="in each account and region")
    parser.add_argument(
        "--children", type=float, default=1.0, help="percent of the accounts crawled with children of functions"
    )
    parser.add_argument("--share", type=float, default=0.01, help="share of the requests with a fault")
    parser.add_argument("--max-delay", type=float, default=60.0, help="[retry] max_delay of the crawls, in seconds")
    parser.add_argument(
        "--only", nargs="*", default=TITLES, help="the crawls to run; without any, print the last figures"
    )
    parser.add_argument("--work", type=Path, default=Path(".bench/soak"), help="configurations, logs and snapshots")
    parser.add_argument("--keep", action="store_true", help="keep the snapshots")
    parser.add_argument("--again", action="store_true", help="judge the kept snapshots again, without a crawl")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reliability.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
