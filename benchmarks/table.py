"""Renders the result of a benchmark as Markdown, with the machine that it was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Measured, medians, paired_ratio
from benchmarks.shape import Shape
from tests.support.markdown_table import machine, row

_HEAD = ("who", "CPU s", "× the floor", "× the crawl", "wall s", "peak MB")


def markdown(runs: Mapping[str, Sequence[Measured]], shape: Shape, size_bytes: int, day: str) -> str:
    """Return the table of one benchmark. `runs` are by contender; runs of the same round are compared."""
    rounds = len(next(iter(runs.values())))
    targets = f"{len(shape.account_numbers)} accounts × {len(shape.regions)} regions"
    lines = [
        f"{day}, {machine()}. Medians of {rounds} runs, taken in turn; the ratios are medians of the pairs' ratios.",
        f"{shape.requests:,} requests, {shape.rows:,} records, {size_bytes / 1e6:,.0f} MB: {targets}, in each of them",
        f"{shape.pages} pages of 100 functions, and {shape.layers} layers whose versions are lists of 3 records.",
        "",
        row(_HEAD),
        row(["---", *["---:"] * (len(_HEAD) - 1)]),
    ]
    lines += [row(_cells(contender.title, contender.key, runs)) for contender in CONTENDERS if contender.key in runs]
    return "\n".join(lines)


def _cells(title: str, key: str, runs: Mapping[str, Sequence[Measured]]) -> list[str]:
    found = medians(runs[key])
    return [
        title,
        f"{found.cpu_s:.2f}",
        *(f"{paired_ratio(runs[key], runs[other]):.2f}" if other in runs else "" for other in ("floor", "crawl")),
        f"{found.wall_s:.1f}",
        f"{found.peak_mb:.0f}",
    ]
