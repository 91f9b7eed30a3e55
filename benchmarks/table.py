"""The result as Markdown, with the machine that it was measured on, and its place in docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Measured, medians, paired_ratio
from benchmarks.shape import Shape

BEGIN, END = "<!-- {name}: made by `make bench` -->", "<!-- end of {name} -->"
_HEAD = ("who", "CPU s", "× the floor", "× the crawl", "wall s", "peak MB")


def machine() -> str:
    """Cores, model, memory, system and Python, in one line."""
    model = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    gigabytes = f"{int(memory[1]) / 2**20:.0f} GiB, " if memory else ""
    system = f"{platform.system()} {platform.release().partition('-')[0]}, CPython {platform.python_version()}"
    return f"{cores} cores of {model[1] if model else platform.machine()}, {gigabytes}{system}"


def markdown(runs: Mapping[str, Sequence[Measured]], shape: Shape, size_bytes: int, day: str) -> str:
    """The table of one benchmark; `runs` by contender, paired by their place."""
    rounds = len(next(iter(runs.values())))
    places = f"{len(shape.account_numbers)} accounts × {len(shape.regions)} regions"
    lines = [
        f"{day}, {machine()}. Medians of {rounds} runs, taken in turn; the ratios are medians of the pairs' ratios.",
        f"{shape.requests:,} requests, {shape.rows:,} records, {size_bytes / 1e6:,.0f} MB: {places}, in each of them",
        f"{shape.pages} pages of 100 functions, and {shape.layers} layers whose versions are lists of 3 records.",
        "",
        row(_HEAD),
        row(["---", *["---:"] * (len(_HEAD) - 1)]),
    ]
    lines += [row(_cells(contender.title, contender.key, runs)) for contender in CONTENDERS if contender.key in runs]
    return "\n".join(lines)


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between the page's marks of this name. Raises ValueError where it has none."""
    content = page.read_text("utf-8")
    begin, end = re.search(rf"<!-- {re.escape(name)}: made by [^\n]* -->", content), END.format(name=name)
    _, found_end, after = content[begin.end() :].partition(end) if begin else ("", "", "")
    if begin is None or not found_end:
        raise ValueError(f"{page} has no marks for {name}: {BEGIN.format(name=name)} … {end}")
    page.write_text(f"{content[: begin.end()]}\n{text}\n{end}{after}", "utf-8")


def _cells(title: str, key: str, runs: Mapping[str, Sequence[Measured]]) -> list[str]:
    found = medians(runs[key])
    return [
        title,
        f"{found.cpu_s:.2f}",
        *(f"{paired_ratio(runs[key], runs[other]):.2f}" if other in runs else "" for other in ("floor", "crawl")),
        f"{found.wall_s:.1f}",
        f"{found.peak_mb:.0f}",
    ]


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def _text(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).is_file() else ""
