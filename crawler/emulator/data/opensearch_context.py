"""The context of the seeds of OpenSearch and of the search engine: account, region, the documented shapes to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import SeededRandom, sparse
from crawler.emulator.records import Parent, Record


@dataclass(slots=True)
class SeedContext:
    """One account in one region.

    `is_older`: the account gets the shapes of older pages. `fits_sdk_models`: use only shapes that the official SDK's
    models can hold, as in the first account's first region. `has_long_lists`: some lists have several pages.
    """

    data: RegionData
    seed: int
    account_id: str
    region_id: str
    is_older: bool
    fits_sdk_models: bool
    has_long_lists: bool
    product: str = "opensearch"
    _made: Counter[str] = field(default_factory=Counter)

    def rng(self, *path: object) -> SeededRandom:
        """Return random values for one list or record; the markers of secrets are added to the region's data."""
        return self.data.rng((self.seed, self.account_id, self.region_id), self.product, *path)

    def put(self, action: str, records: Sequence[Any], parent: Parent = ()) -> None:
        """Set one list of an operation."""
        self.data.put(f"{self.product}.{action}", records, parent)

    def add_name(self, space: str, *path: str) -> None:
        """Add the name of a parent that isn't a record."""
        self.data.names.add((f"{self.product}/{space}", *path))

    def drop_optional(self, kind: str, rng: SeededRandom, record: Record, *optional: str) -> Record:
        """Return the record; without some fields if the region has three complete ones of its kind."""
        self._made[kind] += 1
        return sparse(rng, self._made[kind] - 1, record, *optional)
