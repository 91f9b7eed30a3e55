"""The programs that list the static cloud, and the command of each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import by_crawl

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Contender:
    """A program. `command` builds its command line from the cloud's description, an output, and the work folder."""

    key: str
    title: str
    command: Callable[[Path, Path, Path], list[str]]


def _script(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(HERE / name), *arguments]


def dlt_python(work: Path) -> Path:
    """Return the Python of an environment with benchmarks/requirements.txt; create the environment if necessary."""
    folder, pins = work / "dlt", HERE / "requirements.txt"
    made_from = folder / "requirements.txt"
    if not made_from.is_file() or made_from.read_bytes() != pins.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "-r", pins], check=True)
        made_from.write_bytes(pins.read_bytes())
    return folder / "bin" / "python"


CONTENDERS = (
    Contender("crawl", "acs-inventory crawl, whole", lambda cloud, output, _: by_crawl.command(cloud, output)),
    Contender(
        "floor",
        "the floor: aiohttp + orjson.loads, nothing kept",
        lambda cloud, _output, _work: _script("by_aiohttp.py", str(cloud), "loads"),
    ),
    Contender(
        "drop", "aiohttp, bodies dropped", lambda cloud, _output, _work: _script("by_aiohttp.py", str(cloud), "drop")
    ),
    Contender(
        "sdk",
        "the official SDK, asynchronous, to Parquet",
        lambda cloud, output, _work: _script("by_sdk.py", str(cloud), str(output)),
    ),
    Contender(
        "dlt",
        "dlt's rest_api source, to Parquet",
        lambda cloud, output, work: [str(dlt_python(work)), str(HERE / "by_dlt.py"), str(cloud), str(output)],
    ),
)
