"""Decodes pages that are in schema into one Arrow batch, without a Python object per field. Runs in worker threads.

arro3 accepts inexact values (512.5 for an integer, text for a number), so only pages that passed `gate` may be decoded
here. The pages may be of any accounts and regions: many small pages cost a fraction of what each costs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate, chain, repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crawler.catalog.model import DETAILS_COLUMN, EXTRA_COLUMN, FIXED_COLUMNS, Operation
from crawler.normalizer.fast.arrow_columns import ArrowColumns, read_json, wire_schema
from crawler.normalizer.fast.row_accounts import RowAccounts
from crawler.normalizer.fast.variants import SchemaVariant
from crawler.normalizer.pending import DecodePool, PageDecoder, RowContext, UndecodedPage
from crawler.normalizer.redaction import Redaction

# Reads one page by the exact path.
ExactReader = Callable[[bytes, RowContext], pa.RecordBatch]


class ArrowDecoder(PageDecoder):
    """Makes batches of the pages of one operation and variant whose list has this name.

    `wire` is the schema by which arro3 reads a page. Pages that arro3 rejects are read by `exact`.
    """

    def __init__(
        self,
        operation: Operation,
        variant: SchemaVariant,
        list_name: str,
        redaction: Redaction,
        snapshot_id: str,
        exact: ExactReader,
        pool: DecodePool,
    ) -> None:
        super().__init__(operation.schema, pool)
        self._operation = operation
        self._snapshot_id = snapshot_id
        self._exact = exact
        self._redaction = redaction
        self._columns = ArrowColumns(operation.columns, variant)
        self._names = list(operation.column_names.values())
        self._parameters = {column: wire for wire, column in operation.parameter_columns.items()}
        self.wire = wire_schema(list_name, pa.list_(self._columns.wire_type))

    def decode(self, pages: Sequence[UndecodedPage]) -> pa.RecordBatch:
        """See `PageDecoder.decode`. If arro3 rejects pages, the exact path reads them, and no others."""
        batches = self._decode_halves(pages)
        return batches[0] if len(batches) == 1 else pa.concat_batches(batches)

    def _decode_halves(self, pages: Sequence[UndecodedPage]) -> list[pa.RecordBatch]:
        try:
            return [self.decode_fast(pages)]
        except Exception:  # noqa: BLE001 - the pages are complete, and the exact path can read them
            if len(pages) == 1:
                return [self._exact(pages[0].body, pages[0].context)]
        half = len(pages) // 2
        return [*self._decode_halves(pages[:half]), *self._decode_halves(pages[half:])]

    def decode_fast(self, pages: Sequence[UndecodedPage]) -> pa.RecordBatch:
        """Decode by arro3. Raises the errors of arro3."""
        accounts = RowAccounts.of(pages, self._redaction)
        rows = _PageRows(pages)
        lists = read_json(b"\n".join(page.body for page in pages), self.wire, len(pages)).column(0).combine_chunks()
        records = lists.values
        if lists.offset or records.offset or lists.offsets.to_pylist() != [0, *rows.ends]:
            raise ValueError("the pages have other records than were counted")
        made = self._columns.convert([records.field(index) for index in range(records.type.num_fields)], accounts)
        by_name = dict(zip(self._names, made, strict=True))
        by_name |= self._fixed(rows)
        for name, wire in self._parameters.items():
            given = rows.column([page.context.parameters[wire] for page in pages], pa.string())
            by_name[name] = pc.coalesce(by_name[name], given) if name in by_name else given
        if DETAILS_COLUMN in self.schema.names:
            by_name.setdefault(DETAILS_COLUMN, pa.nulls(rows.count, self.schema.field(DETAILS_COLUMN).type))
        return pa.RecordBatch.from_arrays([by_name[name] for name in self.schema.names], schema=self.schema)

    def _fixed(self, rows: _PageRows) -> dict[str, pa.Array]:
        """Return the columns that every table has."""
        contexts = [page.context for page in rows.pages]
        values: tuple[list[Any], ...] = (
            [context.account_id for context in contexts],
            [context.region_id for context in contexts],
            [self._snapshot_id],
            [context.fetched_at for context in contexts],
        )
        kinds = [self.schema.field(name).type for name in FIXED_COLUMNS]
        columns = dict(zip(FIXED_COLUMNS, map(rows.column, values, kinds), strict=True))
        return columns | {EXTRA_COLUMN: rows.unknown_fields(self.schema.field(EXTRA_COLUMN).type)}


class _PageRows:
    """The rows of pages. `ends[i]` is the position after the last row of page i."""

    def __init__(self, pages: Sequence[UndecodedPage]) -> None:
        self.pages = pages
        self.ends = list(accumulate(page.num_rows for page in pages))
        self.count = self.ends[-1]

    def column(self, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        """Return a column with one value per page."""
        if len(set(values)) == 1:
            return pa.repeat(pa.scalar(values[0], kind), self.count)
        return pa.array(values, kind).take(self._positions)

    def unknown_fields(self, kind: pa.DataType) -> pa.Array:
        """Return the column of unknown fields."""
        if not any(page.extra for page in self.pages):
            return pa.nulls(self.count, kind)
        return pa.array(
            list(chain.from_iterable(page.extra or repeat(None, page.num_rows) for page in self.pages)), kind
        )

    @cached_property
    def _positions(self) -> pa.Array:
        """The position of each row's page."""
        found = chain.from_iterable(repeat(index, page.num_rows) for index, page in enumerate(self.pages))
        return pa.array(list(found), pa.int32())
