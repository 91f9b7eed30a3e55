"""Renders the soak's figures as Markdown: one column per crawl, then the faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.soak.crawling import Crawled
from tests.soak.faults import PASSING
from tests.soak.judge import MOST_MB, Judgement
from tests.soak.served import Plan
from tests.support import markdown_table


@dataclass(frozen=True, slots=True)
class Run:
    """One crawl and its judgement."""

    title: str
    plan: Plan
    crawled: Crawled
    judged: Judgement


_ROWS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("accounts × regions × functions", lambda run: _size(run.plan)),
    ("requests for lists that met a fault by chance", lambda run: f"{run.plan.share:.0%}"),
    ("exit code", lambda run: str(run.crawled.exit_code)),
    ("scopes", lambda run: ", ".join(f"{number:,} {status}" for status, number in run.judged.scopes.items())),
    ("rows", lambda run: "; ".join(f"{name} {number:,}" for name, number in run.judged.rows.items())),
    ("rows lost, doubled or changed", lambda run: "none" if not run.judged.wrong else "see below"),
    ("snapshot, MB", lambda run: f"{run.judged.bytes / 1e6:,.0f}"),
    ("requests for lists", lambda run: f"{run.judged.requests:,}"),
    ("of them retries", lambda run: f"{run.judged.retries:,}"),
    ("throttled", lambda run: f"{run.judged.throttled:,}"),
    ("faults that came by chance", lambda run: f"{sum(run.crawled.served['faults'].values()):,}"),
    ("answers of lists that never work", lambda run: f"{run.crawled.served['lasting']:,}"),
    ("the cloud's clock ahead, s", lambda run: f"{run.plan.ahead_s:.0f}"),
    ("CPU s of the crawl", lambda run: f"{run.crawled.cpu_s:,.0f}"),
    ("wall s", lambda run: f"{run.crawled.wall_s:,.0f}"),
    (f"peak MiB (of {MOST_MB})", lambda run: f"{max(run.crawled.peak_mb, run.crawled.most_mb):.0f}"),
    ("open files: at the start, at most, more at the end", lambda run: _files(run)),
    ("tasks and threads left", lambda run: str(len(run.crawled.left["tasks_left"] + run.crawled.left["threads_left"]))),
)


def markdown(runs: Sequence[Run], day: str) -> str:
    """Return both tables."""
    titles = [run.title for run in runs]
    lines = [f"{day}, {markdown_table.machine()}.", ""]
    lines += [markdown_table.row(["", *titles]), markdown_table.row(["---", *["---:"] * len(runs)])]
    lines += [markdown_table.row([title, *(cell(run) for run in runs)]) for title, cell in _ROWS]
    lines += ["", markdown_table.row(["fault", *titles]), markdown_table.row(["---", *["---:"] * len(runs)])]
    for kind in PASSING:
        lines.append(
            markdown_table.row([kind.name, *(f"{run.crawled.served['faults'].get(kind.name, 0):,}" for run in runs)])
        )
    return "\n".join(lines)


def _size(plan: Plan) -> str:
    return f"{plan.world.accounts:,} × {plan.world.regions:,} × {plan.world.functions:,}"


def _files(run: Run) -> str:
    left = run.crawled.left
    return f"{left['files_at_start']}, {left['files_at_most']}, {len(left['files_left'])}"
