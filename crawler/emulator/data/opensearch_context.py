"""Where OpenSearch's seeds put their lists, and which of the documented shapes they use there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator.data.region import Parent, RegionData
from crawler.emulator.data.seeded import SeededRandom, sparse

Record = dict[str, Any]


@dataclass(slots=True)
class SeedContext:
    """One account in one region.

    `is_older`: the account gets the shapes of older pages. `is_plain`: only shapes that the official SDK's models can
    hold; that is so in the first account's first region, and the odd ones are elsewhere. `is_big`: some of its lists
    have several pages.
    """

    place: RegionData
    seed: int
    account_id: str
    region_id: str
    is_older: bool
    is_plain: bool
    is_big: bool
    _made: Counter[str] = field(default_factory=Counter)

    def dice(self, *path: object) -> SeededRandom:
        """Dice for one list or record; the markers of their secrets are noted in the place."""
        dice = SeededRandom(self.seed, self.account_id, self.region_id, "opensearch", *path)
        dice.secrets = self.place.secrets
        return dice

    def put(self, action: str, records: Sequence[Any], parent: Parent = ()) -> None:
        """Set one list of an operation."""
        self.place.put(f"opensearch.{action}", records, parent)

    def name(self, space: str, *path: str) -> None:
        """Make something known that is a parent without being a record."""
        self.place.names.add((f"opensearch/{space}", *path))

    def thin(self, kind: str, dice: SeededRandom, record: Record, *optional: str) -> Record:
        """The record; not all of it where the region has three whole ones of its kind."""
        self._made[kind] += 1
        return sparse(dice, self._made[kind] - 1, record, *optional)
