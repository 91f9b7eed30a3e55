"""The state of a running crawl, for displays and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from crawler.client.client import RequestCounts


@dataclass(slots=True)
class CrawlProgress:
    """Counts of what has been done so far."""

    scopes: int = 0
    scopes_done: int = 0
    rows: int = 0
    by_account: Counter[str] = field(default_factory=Counter)
    done_by_account: Counter[str] = field(default_factory=Counter)
    not_complete: int = 0
    table: str = ""


@dataclass(slots=True)
class CrawlMonitor:
    """The state of one crawl, which the crawl updates and a display reads.

    `on_stuck` is called before a crawl without progress is cancelled, since the cancellation may hang, too.
    `time_left_s` is the scheduler's estimate; 0 before the lists begin.
    """

    progress: CrawlProgress = field(default_factory=CrawlProgress)
    requests: RequestCounts = field(default_factory=RequestCounts)
    snapshot_id: str = ""
    can_resume: bool = False
    on_stuck: Callable[[], object] = lambda: None
    time_left_s: Callable[[], float] = lambda: 0.0
