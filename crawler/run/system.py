"""The parts of the machine that a crawl uses: clock, environment, home folder, random numbers, open files."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crawler.clock import Clock, SystemClock

# Python's own, the event loop, the lock, the log, the journal, name lookups, what a commit opens for a moment.
_OTHERS = 32
_INFINITE = 1 << 20


@dataclass(frozen=True, slots=True)
class System:
    """What a crawl takes from the machine, so that tests can give something else."""

    clock: Clock = field(default_factory=SystemClock)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    home: Path = field(default_factory=Path.home)
    random: random.Random = field(default_factory=random.SystemRandom)

    @property
    def state_folder(self) -> Path:
        """Where the fingerprint key is kept: the XDG state folder."""
        return Path(self.environ.get("XDG_STATE_HOME") or self.home / ".local" / "state") / "acs-inventory"


def open_share(limit: int | None = None) -> int:
    """How many each of three may have open: busy connections, idle ones kept beside them, parts being written.

    `limit`: of open files, for all; without one, this process's soft `RLIMIT_NOFILE`. An eighth is left for others.
    """
    if limit is None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = _INFINITE if soft == resource.RLIM_INFINITY else soft
    return max(1, (limit * 7 // 8 - _OTHERS) // 3)


def raise_limit() -> None:
    """Let this process have as many as it may: shells start it with few, for programs of another age."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return
