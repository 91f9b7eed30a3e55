"""The parts of the machine that a crawl uses: clock, environment, home folder, random numbers, open files."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crawler.clock import Clock, SystemClock
from crawler.local_files import home_folder, xdg_folder
from crawler.secret_text import LiteralSecrets
from crawler.text import with_clean_ends

# Files of Python, the event loop, the lock, the log, the journal, name lookups, and of a commit for a moment.
_OTHERS = 32
_INFINITE = 1 << 20
_USUAL = 1024


@dataclass(frozen=True, slots=True)
class System:
    """The parts of the machine that a crawl uses. Tests replace some of them. `secrets`: those that it sends."""

    clock: Clock = field(default_factory=SystemClock)
    environ: Mapping[str, str] = field(default_factory=lambda: with_clean_ends(os.environ))
    home: Path = field(default_factory=lambda: home_folder(os.environ))
    random: random.Random = field(default_factory=random.SystemRandom)
    secrets: LiteralSecrets = field(default_factory=LiteralSecrets, repr=False)

    @property
    def state_folder(self) -> Path:
        """The XDG state folder, which has the fingerprint key."""
        environ = {"HOME": str(self.home), "XDG_STATE_HOME": self.environ.get("XDG_STATE_HOME", "")}
        return xdg_folder("XDG_STATE_HOME", ".local/state", environ) / "acs-inventory"


def open_share(limit: int | None = None) -> int:
    """Return how many files each of three may open: busy connections, idle connections, lookups of names.

    `limit`: open files in total; without it, this process's soft `RLIMIT_NOFILE`. An eighth is left for others.
    """
    if limit is None:
        soft, _ = _open_limits()
        limit = _INFINITE if soft == resource.RLIM_INFINITY else soft
    return max(1, (limit * 7 // 8 - _OTHERS) // 3)


def raise_limit() -> None:
    """Raise this process's limit of open files to the hard limit. Shells set a low soft limit for old programs."""
    _, hard = _open_limits()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return


def _open_limits() -> tuple[int, int]:
    """Return the soft and the hard limit of open files; the usual ones where a sandbox doesn't tell them."""
    try:
        return resource.getrlimit(resource.RLIMIT_NOFILE)
    except (OSError, ValueError):
        return _USUAL, _USUAL
