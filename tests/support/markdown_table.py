"""Puts tables between two marks of a Markdown page, and describes the machine of a measurement."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- {name}: made by `make bench` -->", "<!-- end of {name} -->"


def machine() -> str:
    """Return cores, model, memory, system and Python, in one line."""
    model = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    gigabytes = f"{int(memory[1]) / 2**20:.0f} GiB, " if memory else ""
    system = f"{platform.system()} {platform.release().partition('-')[0]}, CPython {platform.python_version()}"
    return f"{cores} cores of {model[1] if model else platform.machine()}, {gigabytes}{system}"


def put(page: Path, name: str, text: str) -> None:
    """Replace the text between the page's marks of this name. Raises ValueError if it has none."""
    content = page.read_text("utf-8")
    begin, end = re.search(rf"<!-- {re.escape(name)}: made by [^\n]* -->", content), END.format(name=name)
    _, found_end, after = content[begin.end() :].partition(end) if begin else ("", "", "")
    if begin is None or not found_end:
        raise ValueError(f"{page} has no marks for {name}: {BEGIN.format(name=name)} … {end}")
    page.write_text(f"{content[: begin.end()]}\n{text}\n{end}{after}", "utf-8")


def row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells) + " |"


def _text(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).is_file() else ""
