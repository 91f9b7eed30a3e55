"""The state of a running crawl, for displays and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.client.client import RequestCounts

if TYPE_CHECKING:
    from crawler.run.result import CrawlResult


@dataclass(slots=True)
class CrawlProgress:
    """Counts of what has been done so far. `names`: account ID → name, of the accounts that have one."""

    scopes: int = 0
    scopes_done: int = 0
    rows: int = 0
    by_account: Counter[str] = field(default_factory=Counter)
    done_by_account: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    not_complete: int = 0
    table: str = ""


@dataclass(slots=True)
class ShardsProgress:
    """The shards of a crawl that several processes share. `places`: the number of attempts that run at once, at most.

    `running`: shard → number of its attempt. `restarted`: those that had to begin anew. `lost`: those given up.
    """

    total: int
    done: int
    places: Callable[[], int]
    running: dict[int, int] = field(default_factory=dict)
    restarted: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class LakeProgress:
    """The commits of a lake's tables: how many are made, and how many there are to make."""

    done: int
    total: int


@dataclass(slots=True)
class CrawlMonitor:
    """The state of one crawl, which the crawl updates and a display reads.

    `on_stuck` is called before a crawl without progress is cancelled, since the cancellation may hang, too.
    `time_left_s` is the scheduler's estimate; 0 before the lists begin. `committed_id` is the snapshot's ID from its
    commit on. `result` is the result of the crawl from the moment on at which nothing can change it any more: the
    snapshot is committed, and a lake's tables are at it. `on_result` is called then. `shards` is None for a crawl of
    one process. `lake` is None until the first of a lake's tables has moved. `attempt` is the number of this process's
    attempt at a shard, once it has begun.
    """

    progress: CrawlProgress = field(default_factory=CrawlProgress)
    requests: RequestCounts = field(default_factory=RequestCounts)
    snapshot_id: str = ""
    can_resume: bool = False
    committed_id: str = ""
    result: CrawlResult | None = None
    on_result: Callable[[CrawlResult], object] = lambda _: None
    on_stuck: Callable[[], object] = lambda: None
    time_left_s: Callable[[], float] = lambda: 0.0
    shards: ShardsProgress | None = None
    lake: LakeProgress | None = None
    attempt: int = 0

    def finish(self, result: CrawlResult) -> CrawlResult:
        """Note the result, which can't change any more, and return it."""
        self.result = result
        self.on_result(result)
        return result
