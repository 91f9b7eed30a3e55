"""Measures a program's run from outside: CPU seconds, wall seconds and peak memory, as the system counts them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `cpu_s` is user and system time of the program and of the children that it waited for."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def measure(command: Sequence[str], log: Path, environ: Mapping[str, str], folder: Path | None = None) -> Measured:
    """Run a command to its end, in a working folder, with its output in `log`. Raises RuntimeError if it fails."""
    with log.open("wb") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**environ}, cwd=folder
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {_end(log)}")
    return Measured(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024)


def medians(runs: Sequence[Measured]) -> Measured:
    """Return the median of each figure."""
    return Measured(
        median(run.cpu_s for run in runs), median(run.wall_s for run in runs), median(run.peak_mb for run in runs)
    )


def paired_ratio(runs: Sequence[Measured], others: Sequence[Measured]) -> float:
    """Return the median of CPU ratios, run by run, so that changes of the machine's speed affect both sides."""
    return median(run.cpu_s / other.cpu_s for run, other in zip(runs, others, strict=True))


def _end(log: Path) -> str:
    return log.read_text("utf-8", errors="replace")[-2000:]
