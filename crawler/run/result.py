"""The result of a crawl."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from crawler.client.client import RequestCounts
from crawler.errors import ExitCode
from crawler.snapshot import DirectoryEntry, LakeResult, LedgerView, Manifest
from crawler.snapshot.manifest import SkippedMember, encode


@dataclass(frozen=True, slots=True)
class CrawlResult:
    """The result of a crawl. `manifest` is None if nothing was committed; `ledger` has every scope either way.

    `not_offered`: product → the regions that an account names and the product lacks. `resumed_scopes` counts scopes
    that an interrupted crawl had finished: `requests` doesn't count theirs. `pruned` counts the snapshots that
    [retention] has removed after the commit; None if nothing was to be removed by it. `lake` is None for files alone.
    """

    exit_code: ExitCode
    snapshot_id: str
    manifest: Manifest | None
    ledger: LedgerView
    requests: RequestCounts
    overhead: Mapping[str, int]
    unknown_fields: Mapping[str, Mapping[str, int]]
    misfit_fields: Mapping[str, Mapping[str, int]]
    started_at: datetime
    finished_at: datetime
    warnings: tuple[str, ...] = ()
    directory: DirectoryEntry | None = None
    left_out: tuple[SkippedMember, ...] = ()
    not_offered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resumed_scopes: int = 0
    pruned: int | None = None
    lake: LakeResult | None = None

    @property
    def manifest_sha256(self) -> str:
        """The SHA-256 of the manifest's file, in hex; empty without a manifest."""
        return hashlib.sha256(encode(self.manifest)).hexdigest() if self.manifest is not None else ""

    @property
    def seconds(self) -> float:
        """The duration of the crawl, with the commits of a lake's tables."""
        lake_s = self.lake.seconds if self.lake is not None else 0.0
        return (self.finished_at - self.started_at).total_seconds() + lake_s

    @property
    def rows(self) -> int:
        """The number of rows in the snapshot."""
        return sum(entry.rows for entry in self.manifest.tables.values()) if self.manifest else 0
