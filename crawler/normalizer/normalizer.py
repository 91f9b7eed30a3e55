"""One page's bytes → one Arrow batch by the table's declared schema, with nothing dropped without a trace."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from crawler.catalog.model import DETAILS_COLUMN, EXTRA_COLUMN, FIXED_COLUMNS, Operation
from crawler.errors import NormalizeError, PaginationError, TransientError
from crawler.normalizer.converters import Compiler
from crawler.normalizer.exact_json import ExcessiveJsonError, InvalidJsonError, Repeated, find, parse, swap_case
from crawler.normalizer.extra import Convert, ExtraEntry, ExtraFields, extra_text, path_name
from crawler.normalizer.fast.gate import ENVELOPE
from crawler.normalizer.fast.reader import FastPage, FastReader
from crawler.normalizer.pending import DecodePool, ReadyBatch, RowContext
from crawler.normalizer.redaction import Redaction, needs_care

if TYPE_CHECKING:
    from crawler.snapshot.rows.pending_rows import PendingRows

# How many names of unknown fields one page may add: a map of data where an object is declared has no end of names.
_MAX_UNKNOWN_NAMES = 1000


@dataclass(slots=True)
class RowPage:
    """One page, read.

    `rows` are a batch with the table's schema and a row a record, or wait to become one. `keys[i]` is row i's key,
    None where it has none: a record that is no object, or whose key is of a wrong type. `digests[i]` tells records of
    one key apart, whatever the order of their fields; it holds within one process. `token` and `total` are as received,
    None where absent. `unknown` counts the paths of fields that the schema doesn't know. `quick` is what the quick way
    still has of the records, None where the page was read the slow way.
    """

    rows: PendingRows
    keys: Sequence[Hashable | None]
    digests: Sequence[int]
    token: Any
    total: Any
    unknown: Counter[str]
    coerced: int
    misfits: int
    fast: FastPage | None = None

    @property
    def seen(self) -> int:
        """How many records the page had."""
        return int(self.rows.num_rows)

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as a batch, decoded now if they are not yet."""
        return self.rows.to_batch()

    def forget_records(self) -> None:
        """Nobody asks for the records' values any more. They take several times what the page takes as bytes, and a
        list holds its last page while it waits for the next.
        """
        self.fast = None

    def bound_values(self, paths: Sequence[str]) -> list[tuple[str, ...]]:
        """See `bound_values`. Read from the records where they have the values as they are."""
        if self.fast is not None and paths:
            columns = [self.fast.values(path) for path in paths]
            if all(column is not None and None not in column and "" not in column for column in columns):
                return [tuple(map(str, row)) for row in zip(*columns, strict=True)]
        return bound_values(self.batch, paths)


@dataclass(frozen=True, slots=True)
class Detail:
    """What was said of one record beside its list: `status` is fetched, vanished, denied or failed.

    The list says that the record is there; its details may be out of reach.
    """

    status: str
    record: Mapping[str, Any] | None = None
    needs_care: bool = False


class Normalizer:
    """Reads the pages of one operation: by the fast path if a page is exactly in schema, else by the exact path.

    Both give the same rows. Between pages it remembers only how they differ from the schema, so that the fast path
    accepts the next ones. `is_fast` False always takes the exact path, as the reference for tests.
    """

    def __init__(
        self,
        operation: Operation,
        redaction: Redaction,
        snapshot_id: str,
        pool: DecodePool | None = None,
        *,
        is_fast: bool = True,
    ) -> None:
        self._operation = operation
        pool = pool or DecodePool()
        self._fast = FastReader(operation, redaction, snapshot_id, self._exact_batch, pool) if is_fast else None
        self._redaction = redaction
        self._snapshot_id = snapshot_id
        self._key_wires = {operation.column_names[c.wire]: c.wire for c in operation.columns}

    def read(
        self,
        body: bytes,
        context: RowContext,
        details: Sequence[Detail | None] = (),
        *,
        check: Callable[[], None] = lambda: None,
    ) -> RowPage:
        """Read a page. `details` has one item per record, where the details of its records were requested.

        `check` raises if the body is an error of the service. It is called first, unless the body is proven to be a
        page without one. A value of a detail replaces that of the list.

        Raises TransientError for a body that isn't JSON (it may have been cut in transit), PaginationError for a list
        that is missing, doubled or not a list, NormalizeError for a record without its key and for excessive nesting
        or numbers; and the errors of `check`.
        """
        if details:
            return self._read_exact(body, context, details)
        if self._fast is None:
            check()
            return self._read_exact(body, context)
        found = self._fast.read(body, context)
        if found is None:
            check()
            page = self._read_exact(body, context)
            self._fast.widen(page.unknown)
            return page
        unknown = Counter(found.unknown)
        return RowPage(found.rows, found.keys, found.digests, found.token, found.total, unknown, 0, 0, found)

    def _exact_batch(self, body: bytes, context: RowContext) -> pa.RecordBatch:
        return self._read_exact(body, context).batch

    def _read_exact(self, body: bytes, context: RowContext, details: Sequence[Detail | None] = ()) -> RowPage:
        try:
            records, token, total, unknown = self._open(parse(body))
            is_careful = needs_care(body) or any(detail.needs_care for detail in details if detail)
            records = [_merged(*pair) for pair in zip(records, details, strict=True)] if details else records
            rows, drifts = self._convert(records, self._careful if is_careful else self._plain)
            for row, detail in zip(rows, details, strict=False):
                if row is not None and detail is not None:
                    row[DETAILS_COLUMN] = detail.status
            return self._page(records, rows, drifts, context, token, total, unknown)
        except ExcessiveJsonError as error:
            raise NormalizeError("Excessive", f"The answer is {error}.") from None
        except RecursionError:
            raise NormalizeError("Excessive", "The answer is nested too deeply.") from None
        except InvalidJsonError as error:
            raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None

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

    def _no_object(self, value: Any, drift: ExtraFields) -> None:
        drift.entries.append(ExtraEntry("$", "$", self._redaction.unknown(value), is_unknown=False))

    def _open(self, envelope: Any) -> tuple[list[Any], Any, Any, Counter[str]]:
        """The list, the token, the total, and the names beside them that nobody expects."""
        operation, paging = self._operation, self._operation.paging
        known = {*ENVELOPE, *operation.envelope, paging.output_key, paging.total_key}
        node, path, unknown = envelope, "$", Counter[str]()
        for step in operation.records:
            name = find(node, step) if isinstance(node, dict) else None
            if name is None and not (isinstance(node, dict) and "absent" in operation.accepts):
                raise PaginationError("ListMissing", f"The answer has no {'.'.join(operation.records)!r}.")
            expected = {step, *known, *map(swap_case, (step, *known))}
            unknown.update(f"{path}.{path_name(other)}" for other in node if other not in expected)
            if name is None:
                node = None
                break
            node, path, known = _member(node, step), f"{path}.{path_name(name)}", set()
        return self._listed(node), _member(envelope, paging.output_key), _member(envelope, paging.total_key), unknown

    def _listed(self, node: Any) -> list[Any]:
        """The records: a list's items, or what the catalog names in its place."""
        accepts = self._operation.accepts
        if type(node) is dict and "object" in accepts:
            return [node] if node else []
        if node is None and "absent" in accepts:
            return []
        if type(node) is not list:
            name = ".".join(self._operation.records)
            raise PaginationError("ListMissing", f"{name!r} of the answer is not a list.")
        return node

    def _convert(self, records: list[Any], convert: Convert) -> tuple[list[dict[str, Any] | None], list[ExtraFields]]:
        rows, drifts, item = [], [], self._operation.item
        for record in records:
            drift = ExtraFields()
            rows.append(convert({item: record} if item else record, drift))
            drifts.append(drift)
        return rows, drifts

    def _page(
        self,
        records: list[Any],
        rows: list[dict[str, Any] | None],
        drifts: list[ExtraFields],
        context: RowContext,
        token: Any,
        total: Any,
        unknown: Counter[str],
    ) -> RowPage:
        batch = self._batch(rows, drifts, context)
        unknown.update(entry.pattern for drift in drifts for entry in drift.entries if entry.is_unknown)
        unknown = Counter(dict(unknown.most_common(_MAX_UNKNOWN_NAMES)))
        misfits = sum(not entry.is_unknown for drift in drifts for entry in drift.entries)
        coerced = sum(drift.coerced for drift in drifts)
        keys = self._row_keys(batch, rows, drifts)
        digests = [_digest(record) for record in records]
        return RowPage(ReadyBatch(batch), keys, digests, token, total, unknown, coerced, misfits)

    def _batch(
        self, rows: list[dict[str, Any] | None], drifts: list[ExtraFields], context: RowContext
    ) -> pa.RecordBatch:
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
                arrays.append(pa.array([extra_text(drift) for drift in drifts], field.type))
            else:
                column = [row.get(field.name) for row in values]
                if (default := parameters.get(field.name)) is not None:
                    column = [default if value is None else value for value in column]
                arrays.append(pa.array(column, field.type))
        return pa.record_batch(arrays, schema=operation.schema)

    def _row_keys(
        self, batch: pa.RecordBatch, rows: list[dict[str, Any] | None], drifts: list[ExtraFields]
    ) -> list[Hashable | None]:
        if not self._operation.key:
            return [None] * len(rows)
        columns = [batch.column(name).to_pylist() for name in self._operation.key]
        required = [name not in self._operation.optional_key for name in self._operation.key]
        keys: list[Hashable | None] = []
        for row, drift, key in zip(rows, drifts, zip(*columns, strict=True), strict=True):
            is_whole = not any(part is None and is_needed for part, is_needed in zip(key, required, strict=True))
            if row is not None and not is_whole:
                self._check_key(key, drift)
            keys.append(key if row is not None and is_whole else None)
        return keys

    def _check_key(self, key: tuple[Any, ...], drift: ExtraFields) -> None:
        """A key that is there with another type is a misfit, and stays in `_extra`; one that is absent is an error."""
        misfits = {entry.path for entry in drift.entries}
        for name, value in zip(self._operation.key, key, strict=True):
            wire = self._key_wires.get(name, name)
            is_misfit = not misfits.isdisjoint({path_name(wire), path_name(swap_case(wire))})
            if value is None and name not in self._operation.optional_key and not is_misfit:
                raise NormalizeError("KeyMissing", f"A record of {self._operation.table} has no {wire!r}.")


def read_detail(body: bytes) -> Detail:
    """One record's details: the answer's object. Raises TransientError where the body is no JSON object."""
    try:
        record = parse(body)
    except ExcessiveJsonError as error:
        raise NormalizeError("Excessive", f"The answer is {error}.") from None
    except InvalidJsonError as error:
        raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None
    if type(record) is not dict or not record:
        raise TransientError("InvalidResponse", "The answer is no JSON object with a record.", http_status=200)
    return Detail("fetched", record, needs_care(body))


def _merged(record: Any, detail: Detail | None) -> Any:
    if type(record) is not dict or detail is None or detail.record is None:
        return record
    said = {find(record, name) or name: value for name, value in detail.record.items() if value is not None}
    return {**record, **said}


def _member(envelope: dict[str, Any], name: str) -> Any:
    """The envelope's value of this name, in either case of its first letter; None where it hasn't one.

    Raises PaginationError where there are two: nobody can say which of them holds.
    """
    values = [envelope[key] for key in (name, swap_case(name)) if name and envelope.get(key) is not None]
    if len(values) > 1 or any(isinstance(value, Repeated) for value in values):
        raise PaginationError("RepeatedName", f"The answer has {name!r} twice.")
    return values[0] if values else None


_encode_sorted = msgspec.json.Encoder(
    order="sorted", enc_hook=lambda number: msgspec.Raw(number.literal.encode())
).encode


def _digest(record: Any) -> int:
    try:
        return hash(_encode_sorted(record))
    except (OverflowError, UnicodeEncodeError):  # 2^64 and more, a lone surrogate
        return hash(json.dumps(record, sort_keys=True))


def bound_values(batch: pa.RecordBatch, paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The parent rows' values that child lists are asked for with: a tuple of text for every row and list item.

    A path is a column and the fields below it (`domain.functions.algo[]`); one that ends in `[]` gives a tuple an
    item, less nulls and empty texts. Without any path every row gives the empty tuple. Raises NormalizeError for a row
    whose value is null or empty text: its list can't be asked for, and must not pass for an empty one.
    """
    columns = [_at(batch, path) for path in paths]
    return [found for row in range(batch.num_rows) for found in product(*(column[row] for column in columns))]


def row_values(batch: pa.RecordBatch, paths: Sequence[str]) -> list[tuple[str, ...] | None]:
    """For every row the texts at these paths, which lead to one value each; None where one is null or empty."""
    columns = [_plain_values(batch, path) for path in paths]
    rows = zip(*columns, strict=True)
    return [None if any(v is None or v == "" for v in row) else tuple(map(str, row)) for row in rows]


def _plain_values(batch: pa.RecordBatch, path: str) -> list[Any]:
    column, *steps = path.split(".")
    array = batch.column(column)
    found: list[Any] = (pc.struct_field(array, steps) if steps else array).to_pylist()
    return found


def _at(batch: pa.RecordBatch, path: str) -> list[list[str]]:
    values = _plain_values(batch, path.removesuffix("[]"))
    if path.endswith("[]"):
        return [[str(value) for value in found or [] if value is not None and value != ""] for found in values]
    if any(value is None or value == "" for value in values):
        raise NormalizeError("ParentNameless", f"A row has no {path}, which the list below it is asked for with.")
    return [[str(value)] for value in values]
