"""Pages that are proven to be in schema and wait as bytes to become Arrow, many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from crawler.normalizer.fast.decoder import Decoder


@dataclass(frozen=True, slots=True)
class RowContext:
    """What a page's rows have in common. `parameters`: the path's, by wire name."""

    account_id: str
    region_id: str
    fetched_at: datetime
    parameters: Mapping[str, str]


@dataclass(slots=True, eq=False)
class Undecoded:
    """A page's rows as received. `extra` is their `_extra`, empty where none has any. `decoder` makes the batch.

    `nbytes` counts what is held. Not to be changed; it isn't frozen since that would double what making one takes.
    """

    decoder: Decoder
    body: bytes
    num_rows: int
    context: RowContext
    extra: Sequence[str | None]
    nbytes: int

    @property
    def schema(self) -> pa.Schema:
        """The schema that the rows will have."""
        return self.decoder.schema

    def batch(self) -> pa.RecordBatch:
        """The rows, decoded now."""
        return self.decoder.decode([self])
