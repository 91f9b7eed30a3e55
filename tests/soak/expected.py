"""Computes the rows that a snapshot of the world must have, with all their values, without any page.

The normalizer's exact path, which is the reference, turns the templates into rows. The world gives the functions, the
template of each, and the values that differ from the template.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from crawler.catalog import load_catalog
from crawler.catalog.model import Operation
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.redaction import Redaction
from tests.soak.crawling import FINGERPRINT_KEY
from tests.soak.world import Kind, World, kinds

# Columns that differ between crawls. They are checked separately.
LEFT_OUT = ("snapshot_id", "fetched_at")


@dataclass(frozen=True, slots=True)
class _Templates:
    kind: Kind
    operation: Operation
    rows: pa.Table
    offsets: tuple[int, ...]


class Expected:
    """The expected rows of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._templates = {kind.table: _templates(kind, world) for kind in kinds()}

    def key(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table's key."""
        return self._templates[table].operation.key

    def rows(self, table: str, account: str, region: str) -> pa.Table:
        """Return one scope's rows, without the columns of `LEFT_OUT`."""
        known = self._templates[table]
        indices: list[int] = []
        names: list[str] = []
        own: defaultdict[str, list[Any]] = defaultdict(list)
        for function in self._world.place(account, region):
            chosen = known.kind.pick(function)
            for position in range(len(known.kind.lists[chosen])):
                indices.append(known.offsets[chosen] + position)
                names.append(function.name)
                for wire, value in known.kind.own(function, position).items():
                    own[known.operation.column_names[wire]].append(value)
        columns = {"account_id": [account] * len(names), "region_id": [region] * len(names), "function_name": names}
        return _with(known.rows.take(pa.array(indices, pa.int64())), {**columns, **own})


def _with(rows: pa.Table, columns: dict[str, list[Any]]) -> pa.Table:
    for name, values in columns.items():
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(values).cast(field.type))
    return rows


def _templates(kind: Kind, world: World) -> _Templates:
    operation = load_catalog().operations[kind.table]
    some = world.function("1", "r", 0)
    lists = [
        [{**record, **kind.own(some, position)} for position, record in enumerate(records)] for records in kind.lists
    ]
    body = orjson.dumps({kind.records: [record for records in lists for record in records]})
    redaction = Redaction("fingerprint", "fingerprint", FINGERPRINT_KEY.encode())
    normalizer = Normalizer(operation, redaction, "soak", is_fast=False)
    context = RowContext("1", "r", datetime.now(UTC), {"functionName": some.name})
    rows = pa.Table.from_batches([normalizer.read(body, context).batch]).drop_columns(list(LEFT_OUT))
    offsets = [sum(map(len, lists[:number])) for number in range(len(lists))]
    return _Templates(kind, operation, rows, tuple(offsets))
