"""The CPUs that this process may use: what `[crawl] workers = "auto"` stands for."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Literal


def worker_count(setting: int | Literal["auto"]) -> int:
    """Return how many worker processes `[crawl] workers` asks for: with "auto", one for each CPU."""
    return usable_cpus() if setting == "auto" else setting


def usable_cpus(
    cpus: int | None = None, groups: Path = Path("/proc/self/cgroup"), tree: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the number of CPUs that this process may use, at least 1.

    That is the size of its affinity mask, and no more than the quota of its control group (version 2) or of a group
    above it, such as a container's. A part of a CPU counts as one. `cpus`, `groups`, `tree`: those of a test.
    """
    if cpus is None:
        cpus = len(os.sched_getaffinity(0))
    quotas = [_quota(folder / "cpu.max") for folder in _group_folders(groups, tree)]
    return max(1, min([cpus, *(ceil(quota) for quota in quotas if quota is not None)]))


def _group_folders(groups: Path, tree: Path) -> list[Path]:
    """The folders of this process's group and of all groups above it."""
    lines = _text(groups).splitlines()
    name = next((line[3:] for line in lines if line.startswith("0::/")), "/")
    group = PurePosixPath(name)
    parts = [
        part for part in group.parts[1:] if part != ".."
    ]  # a group outside of this container's tree begins with ..
    return [tree.joinpath(*parts[:length]) for length in range(len(parts) + 1)]


def _quota(file: Path) -> float | None:
    """CPUs that a group may use, by its `cpu.max`: a quota and a period in µs. None without a quota."""
    match _text(file).split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
            return int(quota) / int(period)
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except (OSError, ValueError):
        return ""
