"""Reads the bytes of a page into rows of the table's schema. No field is dropped without a trace."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from crawler.catalog.model import (
    DETAILS_COLUMN,
    ENVELOPE,
    EXTRA_COLUMN,
    FIXED_COLUMNS,
    WHOLE_ANSWER,
    WHOLE_LIST,
    Operation,
)
from crawler.errors import NormalizeError, PaginationError, TransientError
from crawler.normalizer.converters import Compiler
from crawler.normalizer.exact_json import (
    ExcessiveJsonError,
    InvalidJsonError,
    Repeated,
    find,
    parse,
    toggle_initial_case,
)
from crawler.normalizer.extra import Convert, ExtraEntry, ExtraFields, extra_text, path_name
from crawler.normalizer.fast.gate import most_records
from crawler.normalizer.fast.reader import FastPage, FastReader
from crawler.normalizer.pending import DecodePool, ReadyBatch, RowContext
from crawler.normalizer.redaction import Redaction, is_redacted

if TYPE_CHECKING:
    from crawler.snapshot.rows.pending_rows import PendingRows

# The end of a name in `RowPage.misfits`: the field is a part of the key, and the record lacks it.
MISSING_KEY = " (missing, a part of the key)"
# The maximum of unknown fields per page: data in place of an object may have any number of names.
_MAX_UNKNOWN_NAMES = 1000
# The fields that say how a request went; beside a whole answer's own fields, `status` may be one of those.
_ENVELOPE_ALONE = frozenset(each for name in ENVELOPE - {"status"} for each in (name, toggle_initial_case(name)))


@dataclass(slots=True)
class RowPage:
    """A page that was read.

    `rows` has one row per record, with the schema of the table. `keys[i]` is the key of row i, None without one: the
    record is not an object, or its key has a wrong type. `digests[i]` tells records with the same key apart, whatever
    the order of their fields; it is valid within one process. `token`, `total` and `more` are as received, None if
    absent.
    `unknown` counts the paths of unknown fields, `misfits` those of values that don't fit their type and of missing
    parts of a key. `fast` has the records of a page that was read by the fast path.
    """

    rows: PendingRows
    keys: Sequence[Hashable | None]
    digests: Sequence[int]
    token: Any
    total: Any
    unknown: Counter[str]
    coerced: int
    misfits: Counter[str]
    fast: FastPage | None = None
    more: Any = None

    @property
    def seen(self) -> int:
        """The number of records."""
        return int(self.rows.num_rows)

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows as a batch, decoded now if they are not yet."""
        return self.rows.to_batch()

    def forget_records(self) -> None:
        """Free the records' values, several times the size of the bytes: a list holds its last page while it waits."""
        self.fast = None

    def parent_keys(self, paths: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values by which child lists are requested: a tuple of text for each row and list item.

        A path is a column and the fields below it (`domain.functions.algo[]`). A path that ends in `[]` gives a tuple
        per item, without nulls and empty texts, and one that ends in `?` none for a null or an empty text. Without any
        path each row gives the empty tuple. Raises NormalizeError for another row whose value is null, empty text or
        redacted: its child list can't be requested, and isn't empty.
        """
        if self.fast is not None and paths:
            columns = [self.fast.values(path) for path in paths]
            if all(column is not None and None not in column and "" not in column for column in columns):
                return [tuple(map(str, row)) for row in zip(*columns, strict=True)]
        return _parent_keys(self.batch, paths)


@dataclass(frozen=True, slots=True)
class Detail:
    """The details of a record. `status`: fetched, vanished, denied or failed; a listed record may lack its details."""

    status: str
    record: Mapping[str, Any] | None = None


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
        self._most = most_records(operation.paging)
        self._key_wires = {operation.column_names[c.wire]: c.wire for c in operation.columns}

    def read(
        self,
        body: bytes,
        context: RowContext,
        details: Sequence[Detail | None] = (),
        *,
        check: Callable[[], None] = lambda: None,
        null_is_empty: bool = False,
    ) -> RowPage:
        """Read a page. `details` has one item per record, where the details of its records were requested.

        `null_is_empty`: null in place of the list is an empty list, as it is after a page with a list: a service in Go
        writes an empty list so. `check` raises if the body is an error of the service. It is called first, unless the
        body is proven to be a page without one. A value of a detail replaces that of the list.

        Raises TransientError for a body that isn't JSON (it may have been cut in transit), PaginationError for a list
        that is missing, doubled or not a list, NormalizeError for excessive nesting or numbers; and the errors of
        `check`.
        """
        if details:
            return self._read_exact(body, context, details)
        if self._fast is None:
            check()
            return self._read_exact(body, context, null_is_empty=null_is_empty)
        found = self._fast.read(body, context)
        if found is None:
            check()
            page = self._read_exact(body, context, null_is_empty=null_is_empty)
            self._fast.widen(page.unknown)
            return page
        unknown = Counter(found.unknown)
        return RowPage(found.rows, found.keys, found.digests, found.token, found.total, unknown, 0, Counter(), found)

    def _exact_batch(self, body: bytes, context: RowContext) -> pa.RecordBatch:
        return self._read_exact(body, context).batch

    def _read_exact(
        self, body: bytes, context: RowContext, details: Sequence[Detail | None] = (), *, null_is_empty: bool = False
    ) -> RowPage:
        try:
            redaction = self._redaction.for_account(context.account_id)
            if not details and not redaction.has_markers(body):
                redaction = self._redaction.for_account(context.account_id, is_scanning=False)
            envelope = parse(body)
            records, unknown = self._split_envelope(envelope, redaction, null_is_empty=null_is_empty)
            records = [self._merged(*pair) for pair in zip(records, details, strict=True)] if details else records
            rows, extras = self._convert(records, redaction)
            for row, detail in zip(rows, details, strict=False):
                if row is not None and detail is not None:
                    row[DETAILS_COLUMN] = detail.status
            return self._page(records, rows, extras, context, envelope, unknown)
        except ExcessiveJsonError as error:
            raise NormalizeError("Excessive", f"The answer is {error}.") from None
        except RecursionError:
            raise NormalizeError("Excessive", "The answer is nested too deeply.") from None
        except InvalidJsonError as error:
            raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None

    @cached_property
    def _plain(self) -> Convert:
        return self._compile(scan_texts=False)

    @cached_property
    def _scanning(self) -> Convert:
        return self._compile(scan_texts=True)

    def _compile(self, *, scan_texts: bool) -> Convert:
        operation = self._operation
        by_wire = {column.wire: column for column in operation.columns}
        compiler = Compiler(self._redaction.mode, scan_texts=scan_texts)
        return compiler.struct(by_wire, misfit=_no_object, names=operation.column_names)

    def _split_envelope(
        self, envelope: Any, redaction: Redaction, *, null_is_empty: bool
    ) -> tuple[list[Any], Counter[str]]:
        """Return the records, and the unknown fields of the envelope."""
        operation = self._operation
        if operation.records == WHOLE_LIST:
            return self._listed(envelope), Counter()
        if operation.records == WHOLE_ANSWER:
            return [self._whole_answer(envelope)], Counter()
        node, path, unknown = envelope, "$", Counter[str]()
        for depth, step in enumerate(operation.records):
            name = find(node, step) if isinstance(node, dict) else None
            if name is None and not (isinstance(node, dict) and "absent" in operation.accepts):
                raise PaginationError("ListMissing", f"The answer has no {'.'.join(operation.records)!r}.")
            known = self._known_names[depth]
            names = redaction.hide_names(other for other in node if other not in known)
            unknown.update(f"{path}.{path_name(other)}" for other in names)
            if name is None:
                node = None
                break
            node, path = _member(node, step), f"{path}.{path_name(name)}"
        return [] if node is None and null_is_empty else self._listed(node), unknown

    def _whole_answer(self, answer: Any) -> dict[str, Any]:
        """Return an answer as the one record. Raises PaginationError for one without any of the record's fields."""
        if type(answer) is not dict or self._wires.isdisjoint(answer):
            raise PaginationError("ListMissing", "The answer has no field of the record.")
        return _without_envelope(answer, self._wires)

    @cached_property
    def _known_names(self) -> list[set[str]]:
        """The known names of the envelope at each step of the path to the records, in both cases."""
        operation, known = self._operation, []
        keys = [key.split(".") for key in (*operation.envelope, *operation.paging.answer_keys)]
        for depth, step in enumerate(operation.records):
            way = list(operation.records[:depth])
            names = {step, *(key[depth] for key in keys if len(key) > depth and key[:depth] == way)}
            names |= ENVELOPE if depth == 0 else set()
            known.append({*names, *map(toggle_initial_case, names)})
        return known

    @cached_property
    def _wires(self) -> set[str]:
        """The wire names of the columns, in both cases."""
        names = [column.wire for column in self._operation.columns]
        return {*names, *map(toggle_initial_case, names)}

    def _merged(self, record: Any, detail: Detail | None) -> Any:
        if type(record) is not dict or detail is None or detail.record is None:
            return record
        found = _without_envelope(detail.record, self._wires)
        said = {find(record, name) or name: value for name, value in found.items() if value is not None}
        return {**record, **said}

    def _listed(self, node: Any) -> list[Any]:
        """Return the records: the items of a list, or of the alternatives that the catalog accepts."""
        accepts = self._operation.accepts
        if type(node) is dict and "object" in accepts:
            return [node] if node else []
        if node is None and "absent" in accepts:
            return []
        if type(node) is not list:
            name = ".".join(self._operation.records)
            what = "The answer" if self._operation.records == WHOLE_LIST else f"{name!r} of the answer"
            raise PaginationError("ListMissing", f"{what} is not a list.")
        if len(node) > self._most:
            raise NormalizeError("Excessive", f"The answer has {len(node)} records; a page may have {self._most}.")
        return node

    def _convert(
        self, records: list[Any], redaction: Redaction
    ) -> tuple[list[dict[str, Any] | None], list[ExtraFields]]:
        convert = self._scanning if redaction.is_scanning else self._plain
        rows, extras, item = [], [], self._operation.item
        for record in records:
            extra = ExtraFields(redaction)
            rows.append(convert({item: record} if item else record, extra))
            extras.append(extra)
        return rows, extras

    def _page(
        self,
        records: list[Any],
        rows: list[dict[str, Any] | None],
        extras: list[ExtraFields],
        context: RowContext,
        envelope: Any,
        unknown: Counter[str],
    ) -> RowPage:
        batch = self._batch(rows, extras, context)
        unknown.update(entry.pattern for extra in extras for entry in extra.entries if entry.is_unknown)
        unknown = Counter(dict(unknown.most_common(_MAX_UNKNOWN_NAMES)))
        misfits = Counter(entry.pattern for extra in extras for entry in extra.entries if not entry.is_unknown)
        coerced = sum(extra.coerced for extra in extras)
        keys = self._row_keys(batch, rows, extras, misfits)
        digests = [_digest(record) for record in records]
        paging = self._operation.paging
        token, total, more = (
            _value_at(envelope, key) for key in (paging.output_key, paging.total_key, paging.more_key)
        )
        return RowPage(ReadyBatch(batch), keys, digests, token, total, unknown, coerced, misfits, more=more)

    def _batch(
        self, rows: list[dict[str, Any] | None], extras: list[ExtraFields], context: RowContext
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
                arrays.append(pa.array([extra_text(extra) for extra in extras], field.type))
            else:
                column = [row.get(field.name) for row in values]
                if (default := parameters.get(field.name)) is not None:
                    column = [default if value is None else value for value in column]
                arrays.append(pa.array(column, field.type))
        return pa.record_batch(arrays, schema=operation.schema)

    def _row_keys(
        self, batch: pa.RecordBatch, rows: list[dict[str, Any] | None], extras: list[ExtraFields], misfits: Counter[str]
    ) -> list[Hashable | None]:
        """Return the rows' keys, and count the missing parts of keys as misfits: such a row stays, without a key."""
        if not self._operation.key:
            return [None] * len(rows)
        columns = [batch.column(name).to_pylist() for name in self._operation.key]
        required = [name not in self._operation.optional_key for name in self._operation.key]
        keys: list[Hashable | None] = []
        for row, extra, key in zip(rows, extras, zip(*columns, strict=True), strict=True):
            is_whole = not any(part is None and is_needed for part, is_needed in zip(key, required, strict=True))
            if row is not None and not is_whole:
                misfits.update(self._missing_parts(key, extra))
            keys.append(key if row is not None and is_whole else None)
        return keys

    def _missing_parts(self, key: tuple[Any, ...], extra: ExtraFields) -> Iterator[str]:
        """Yield the wire names of the absent parts of a key. A part of another type is a misfit already."""
        misfits = {entry.path for entry in extra.entries}
        for name, value in zip(self._operation.key, key, strict=True):
            wire = self._key_wires.get(name, name)
            is_misfit = not misfits.isdisjoint({path_name(wire), path_name(toggle_initial_case(wire))})
            if value is None and name not in self._operation.optional_key and not is_misfit:
                yield f"{path_name(wire)}{MISSING_KEY}"


def _no_object(value: Any, extra: ExtraFields) -> None:
    extra.entries.append(ExtraEntry("$", "$", extra.redaction.unknown(value), is_unknown=False))


def read_detail(body: bytes, *, records: Sequence[str] = ()) -> Detail:
    """Parse the details of one record, at the path `records` of the answer.

    Raises TransientError for a body that isn't a JSON object, or has none at that path, and PaginationError for a step
    that comes twice.
    """
    try:
        record = parse(body)
    except ExcessiveJsonError as error:
        raise NormalizeError("Excessive", f"The answer is {error}.") from None
    except InvalidJsonError as error:
        raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None
    for step in records:
        record = _member(record, step) if type(record) is dict else None
    if type(record) is not dict or not record:
        raise TransientError("InvalidResponse", "The answer is not a JSON object with a record.", http_status=200)
    return Detail("fetched", record)


def _without_envelope(answer: Mapping[str, Any], wires: Collection[str]) -> dict[str, Any]:
    """Return the fields of an answer that belong to its record: all but those of an envelope that are no columns."""
    return {name: value for name, value in answer.items() if name in wires or name not in _ENVELOPE_ALONE}


def _member(envelope: dict[str, Any], name: str) -> Any:
    """Return an envelope's value in either case of its first letter, None if absent. Raises PaginationError for two."""
    values = [envelope[key] for key in (name, toggle_initial_case(name)) if name and envelope.get(key) is not None]
    if len(values) > 1 or any(isinstance(value, Repeated) for value in values):
        raise PaginationError("RepeatedName", f"The answer has {name!r} twice.")
    return values[0] if values else None


def _value_at(envelope: Any, path: str) -> Any:
    """Return the value at a path of an envelope, None if it or a step to it is absent; see `_member`."""
    node = envelope
    for step in path.split("."):
        node = _member(node, step) if type(node) is dict else None
    return node


_encode_sorted = msgspec.json.Encoder(
    order="sorted", enc_hook=lambda number: msgspec.Raw(number.literal.encode())
).encode


def _digest(record: Any) -> int:
    try:
        return hash(_encode_sorted(record))
    except (OverflowError, UnicodeEncodeError):  # 2^64 and more, a lone surrogate
        return hash(json.dumps(record, sort_keys=True))


def _parent_keys(batch: pa.RecordBatch, paths: Sequence[str]) -> list[tuple[str, ...]]:
    columns = [_at(batch, path) for path in paths]
    return [found for row in range(batch.num_rows) for found in product(*(column[row] for column in columns))]


def row_values(batch: pa.RecordBatch, paths: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Return, for each row, the texts at these paths of one value each; None if one is null, empty or redacted."""
    columns = [_plain_values(batch, path) for path in paths]
    rows = zip(*columns, strict=True)
    return [None if any(_is_unusable(value) for value in row) else tuple(map(str, row)) for row in rows]


def _is_unusable(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, str) and is_redacted(value))


def _plain_values(batch: pa.RecordBatch, path: str) -> list[Any]:
    column, *steps = path.split(".")
    array = batch.column(column)
    found: list[Any] = (pc.struct_field(array, steps) if steps else array).to_pylist()
    return found


def _is_redacted_name(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_redacted_name, value))
    return isinstance(value, str) and is_redacted(value)


def _at(batch: pa.RecordBatch, path: str) -> list[list[str]]:
    values = _plain_values(batch, path.removesuffix("[]").removesuffix("?"))
    if any(_is_redacted_name(value) for value in values):
        raise NormalizeError(
            "ParentRedacted", f"A row's {path} has a secret, which was redacted; its child list can't be requested."
        )
    if path.endswith("[]"):
        return [[str(value) for value in found or [] if value is not None and value != ""] for found in values]
    if path.endswith("?"):
        return [[] if value is None or value == "" else [str(value)] for value in values]
    if any(value is None or value == "" for value in values):
        raise NormalizeError("ParentNameless", f"A row has no {path}. Its child list can't be requested without it.")
    return [[str(value)] for value in values]
