"""One page's bytes → one Arrow batch by the table's declared schema, with nothing dropped without a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crawler.catalog import EXTRA_COLUMN, FIXED_COLUMNS, Operation
from crawler.converters import Compiler, Convert, Drift, Entry, find
from crawler.errors import NormalizeError, PaginationError, TransientError
from crawler.redaction import Redaction, needs_care
from crawler.wire_json import InvalidJsonError, parse, to_text

# What every envelope of these APIs may have beside its list (Alibaba Cloud's references, checked 2026-11-22).
_ENVELOPE = frozenset({"requestId", "code", "message", "status", "httpCode", "latency", "success", "hostId"})

# How many names of unknown fields one page may add: a map of data where an object is declared has no end of names.
_MAX_UNKNOWN_NAMES = 1000


@dataclass(frozen=True, slots=True)
class RowContext:
    """What a page's rows have in common. `parameters`: the path's, by wire name."""

    account_id: str
    region_id: str
    fetched_at: datetime
    parameters: Mapping[str, str]


@dataclass(slots=True)
class Page:
    """One page, read.

    `batch` has the table's schema and a row a record; `keys[i]` is row i's key, None for a record that is no object
    and so has none; `digests[i]` tells records of one key apart. `token` and `total` are as received, None where
    absent. `unknown` counts the paths of fields that the schema doesn't know.
    """

    batch: pa.RecordBatch
    keys: Sequence[Hashable | None]
    digests: Sequence[int]
    token: Any
    total: Any
    unknown: Counter[str]
    coerced: int
    misfits: int

    @property
    def seen(self) -> int:
        """How many records the page had."""
        return int(self.batch.num_rows)


class Normalizer:
    """Reads the pages of one operation. Holds no state between pages."""

    def __init__(self, operation: Operation, redaction: Redaction, snapshot_id: str) -> None:
        self._operation = operation
        self._redaction = redaction
        self._snapshot_id = snapshot_id
        self._keys = [name for name in operation.key if name not in operation.parameter_columns.values()]
        self._key_wires = {operation.column_names[c.wire]: c.wire for c in operation.columns}

    def read(self, body: bytes, context: RowContext) -> Page:
        """Read a page.

        Raises TransientError where the body is no JSON (it may have been cut on its way), PaginationError where the
        list isn't there or is no list, NormalizeError where a record lacks its key or is nested beyond all measure.
        """
        try:
            envelope = parse(body)
            records, token, total, unknown = self._open(envelope)
            rows, drifts = self._convert(records, self._careful if needs_care(body) else self._plain)
            return self._page(records, rows, drifts, context, token, total, unknown)
        except InvalidJsonError as error:
            raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None
        except RecursionError:
            raise NormalizeError("TooDeep", "A record is nested too deeply to be read.") from None

    @cached_property
    def _plain(self) -> Convert:
        return self._compile(careful=False)

    @cached_property
    def _careful(self) -> Convert:
        return self._compile(careful=True)

    def _compile(self, *, careful: bool) -> Convert:
        operation = self._operation
        by_wire = {column.wire: column for column in operation.columns}
        compiler = Compiler(self._redaction, careful=careful)
        return compiler.struct(by_wire, misfit=self._no_object, names=operation.column_names)

    def _no_object(self, value: Any, drift: Drift) -> None:
        drift.entries.append(Entry("$", "$", self._redaction.unknown(value), is_unknown=False))

    def _open(self, envelope: Any) -> tuple[list[Any], Any, Any, Counter[str]]:
        """The list, the token, the total, and the names beside them that nobody expects."""
        operation, node = self._operation, envelope
        for step in operation.records:
            name = find(node, step) if isinstance(node, dict) else None
            if name is None:
                raise PaginationError("ListMissing", f"The answer has no {'.'.join(operation.records)!r}.")
            node = node[name]
        if not isinstance(node, list):
            raise PaginationError("ListMissing", f"{'.'.join(operation.records)!r} of the answer is not a list.")
        paging = operation.paging
        known = {*_ENVELOPE, *operation.envelope, operation.records[0], paging.output_key, paging.total_key}
        unknown = Counter(f"$.{name}" for name in envelope if not any(find({name: 0}, k) for k in known))
        return node, _value(envelope, paging.output_key), _value(envelope, paging.total_key), unknown

    def _convert(self, records: list[Any], convert: Convert) -> tuple[list[dict[str, Any] | None], list[Drift]]:
        rows, drifts, item = [], [], self._operation.item
        for record in records:
            drift = Drift()
            rows.append(convert({item: record} if item else record, drift))
            drifts.append(drift)
        return rows, drifts

    def _page(
        self,
        records: list[Any],
        rows: list[dict[str, Any] | None],
        drifts: list[Drift],
        context: RowContext,
        token: Any,
        total: Any,
        unknown: Counter[str],
    ) -> Page:
        batch = self._batch(rows, drifts, context)
        names = [entry.pattern for drift in drifts for entry in drift.entries if entry.is_unknown]
        unknown.update(dict(Counter(names).most_common(_MAX_UNKNOWN_NAMES)))
        misfits = sum(not entry.is_unknown for drift in drifts for entry in drift.entries)
        coerced = sum(drift.coerced for drift in drifts)
        keys = self._row_keys(batch, rows, drifts)
        digests = [hash(repr(record)) for record in records]
        return Page(batch, keys, digests, token, total, unknown, coerced, misfits)

    def _batch(self, rows: list[dict[str, Any] | None], drifts: list[Drift], context: RowContext) -> pa.RecordBatch:
        operation, count = self._operation, len(rows)
        fixed = dict(
            zip(
                FIXED_COLUMNS,
                (context.account_id, context.region_id, self._snapshot_id, context.fetched_at),
                strict=True,
            )
        )
        parameters = {column: context.parameters[wire] for wire, column in operation.parameter_columns.items()}
        values = [row or {} for row in rows]
        arrays = []
        for field in operation.schema:
            if field.name in fixed:
                arrays.append(pa.repeat(pa.scalar(fixed[field.name], field.type), count))
            elif field.name == EXTRA_COLUMN:
                arrays.append(pa.array([_extra(drift) for drift in drifts], field.type))
            else:
                default = parameters.get(field.name)
                arrays.append(pa.array([_or(row.get(field.name), default) for row in values], field.type))
        return pa.record_batch(arrays, schema=operation.schema)

    def _row_keys(
        self, batch: pa.RecordBatch, rows: list[dict[str, Any] | None], drifts: list[Drift]
    ) -> list[Hashable | None]:
        columns = [batch.column(name).to_pylist() for name in self._operation.key]
        keys: list[Hashable | None] = []
        for row, drift, key in zip(rows, drifts, zip(*columns, strict=True), strict=True):
            if row is not None and None in key:
                self._check_key(key, drift)
            keys.append(None if row is None else key)
        return keys

    def _check_key(self, key: tuple[Any, ...], drift: Drift) -> None:
        """A key that is there with another type is a misfit, and stays in `_extra`; one that is absent is an error."""
        misfits = {entry.path for entry in drift.entries}
        for name, value in zip(self._operation.key, key, strict=True):
            if value is None and name not in self._operation.optional_key and self._key_wires[name] not in misfits:
                raise NormalizeError(
                    "KeyMissing", f"A record of {self._operation.table} has no {self._key_wires[name]!r}."
                )


def _value(envelope: dict[str, Any], name: str) -> Any:
    key = find(envelope, name) if name else None
    return envelope[key] if key is not None else None


def _or(value: Any, default: str | None) -> Any:
    return default if value is None else value


def _extra(drift: Drift) -> str | None:
    if not drift.entries:
        return None
    return to_text({entry.path: entry.value for entry in sorted(drift.entries, key=lambda entry: entry.path)})


def bound_values(batch: pa.RecordBatch, paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The parent rows' values that child lists are asked for with: a tuple of text for every row and list item.

    A path is a column and the fields below it (`domain.functions.algo[]`); one that ends in `[]` gives a tuple an
    item. Rows with a null in one of them give none.
    """
    columns = [_at(batch, path) for path in paths]
    tuples: list[tuple[str, ...]] = []
    for row in zip(*columns, strict=True):
        found: list[tuple[str, ...]] = [()]
        for values in row:
            found = [(*head, str(value)) for head in found for value in values if value is not None]
        tuples += found
    return tuples


def _at(batch: pa.RecordBatch, path: str) -> list[list[Any]]:
    column, *steps = path.removesuffix("[]").split(".")
    array = batch.column(column)
    values = (pc.struct_field(array, steps) if steps else array).to_pylist()
    if not path.endswith("[]"):
        return [[value] for value in values]
    return [[item for item in value or [] if item != ""] for value in values]
