"""How far a crawl is, for whoever looks at it while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """What has been done so far, for a display to look at."""

    scopes: int = 0
    scopes_done: int = 0
    rows: int = 0
    by_account: Counter[str] = field(default_factory=Counter)
    done_by_account: Counter[str] = field(default_factory=Counter)
    not_complete: int = 0
    table: str = ""
