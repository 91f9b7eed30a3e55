"""Decodes pages that are in schema into one Arrow batch, without a Python object per field. Runs in worker threads.

arro3 accepts inexact values (512.5 for an integer, text for a number), so only pages that passed `gate` may be decoded
here. It reads timestamps as text and secrets as they are; both are converted in whole columns afterwards.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crawler.catalog.columns import TIMESTAMP, Column
from crawler.catalog.model import DETAILS_COLUMN, EXTRA_COLUMN, FIXED_COLUMNS, Operation
from crawler.normalizer.fast.variants import Path, SchemaVariant
from crawler.normalizer.pending import DecodePool, PageDecoder, RowContext, UndecodedPage
from crawler.normalizer.redaction import Redaction, has_match

_MILLISECONDS_FROM = 10**11
_SCALARS = {"string": pa.string(), "integer": pa.int64(), "boolean": pa.bool_(), "number": pa.float64()}
_MAX_CACHED = 8192
_MAX_CACHED_ACCOUNTS = 16


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
        self._variant = variant
        self._snapshot_id = snapshot_id
        self._exact = exact
        self._redaction = redaction
        self._columns = ArrowColumns(operation.columns, variant)
        self.wire = _wire_schema(list_name, pa.list_(self._columns.wire_type))

    def decode(self, pages: Sequence[UndecodedPage]) -> pa.RecordBatch:
        """See `PageDecoder.decode`. If arro3 rejects the pages, the exact path reads them."""
        try:
            return self.decode_fast(pages)
        except Exception:  # noqa: BLE001 - the pages are complete, and the exact path can read them
            return pa.concat_batches([self._exact(page.body, page.context) for page in pages])

    def decode_fast(self, pages: Sequence[UndecodedPage]) -> pa.RecordBatch:
        """Decode by arro3. Raises the errors of arro3."""
        read = read_json(b"\n".join(page.body for page in pages), self.wire, len(pages))
        records = read.column(0).combine_chunks().flatten()
        if len(records) != sum(page.num_rows for page in pages) or records.offset:
            raise ValueError("the pages have other records than were counted")
        redaction = self._redaction.for_account(pages[0].context.account_id)
        made = self._columns.convert([records.field(index) for index in range(records.type.num_fields)], redaction)
        names = self._operation.column_names.values()
        by_name = dict(zip(names, made, strict=True))
        arrays = [self._array(field, by_name.get(field.name), pages) for field in self.schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, field: pa.Field, array: pa.Array | None, pages: Sequence[UndecodedPage]) -> pa.Array:
        context = pages[0].context
        fixed = dict(zip(FIXED_COLUMNS, (context.account_id, context.region_id, self._snapshot_id), strict=False))
        if field.name in fixed:
            return pa.repeat(pa.scalar(fixed[field.name], field.type), sum(page.num_rows for page in pages))
        if field.name == "fetched_at":
            return _each([page.context.fetched_at for page in pages], field.type, pages)
        if field.name == EXTRA_COLUMN:
            return _extra(pages, field.type)
        wire = {column: wire for wire, column in self._operation.parameter_columns.items()}.get(field.name)
        if wire is not None:
            given = _each([page.context.parameters[wire] for page in pages], pa.string(), pages)
            return given if array is None else pc.coalesce(array, given)
        if array is None:
            if field.name != DETAILS_COLUMN:
                raise ValueError(f"{field.name} is no column of {self._operation.table}")
            return pa.nulls(sum(page.num_rows for page in pages), field.type)
        return array


def _each(values: Sequence[Any], kind: pa.DataType, pages: Sequence[UndecodedPage]) -> pa.Array:
    """Return a column with one value per page."""
    if len(set(values)) == 1:
        return pa.repeat(pa.scalar(values[0], kind), sum(page.num_rows for page in pages))
    indices = chain.from_iterable(repeat(index, page.num_rows) for index, page in enumerate(pages))
    return pa.array(values, kind).take(pa.array(list(indices), pa.int32()))


def _extra(pages: Sequence[UndecodedPage], kind: pa.DataType) -> pa.Array:
    if not any(page.extra for page in pages):
        return pa.nulls(sum(page.num_rows for page in pages), kind)
    return pa.array(list(chain.from_iterable(page.extra or repeat(None, page.num_rows) for page in pages)), kind)


def _wire_schema(name: str, kind: pa.DataType) -> Any:
    from arro3.core import Schema

    return Schema.from_arrow(pa.schema([pa.field(name, kind)]))


def read_json(documents: bytes, schema: Any, count: int) -> pa.Table:
    """Return the documents as a table of one row each, without fields that the schema doesn't have."""
    from arro3.io import read_json as read

    return pa.table(read(io.BytesIO(documents), schema, batch_size=count))


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One column: `name` and `wire` are the field's name and type for arro3, `kind` is the type in the batch."""

    column: Column
    name: str
    wire: pa.DataType
    kind: pa.DataType
    children: tuple[Node, ...]

    @classmethod
    def of(cls, column: Column, variant: SchemaVariant, path: Path = ()) -> Node:
        """Return the node of a column with its children; the content of JSON text is a separate tree."""
        inner = (*path, column.wire or "[]")
        below = () if column.is_embedded else column.children
        children = tuple(cls.of(child, variant, inner) for child in below)
        wire = _wire_type(column, children, is_number=inner in variant.numeric)
        return cls(column, variant.spelled(inner, column), wire, column.arrow_type, children)


def _wire_type(column: Column, children: Sequence[Node], *, is_number: bool) -> pa.DataType:
    if column.is_embedded:
        return pa.string()
    match column.kind:
        case "struct":
            return pa.struct([pa.field(child.name, child.wire) for child in children])
        case "list":
            return pa.list_(children[0].wire)
        case "map":
            return pa.map_(pa.string(), children[0].wire)
        case "timestamp" if is_number:
            return pa.int64()
        case kind:
            return _SCALARS.get(kind, pa.string())


class ArrowColumns:
    """Converts arrays as received to arrays of the schema."""

    def __init__(self, columns: Sequence[Column], variant: SchemaVariant) -> None:
        self.nodes = [Node.of(column, variant) for column in columns]
        self._fingerprints: dict[str, dict[Any, str | None]] = {}
        self._inner: dict[Node, tuple[ArrowColumns, Any]] = {}

    @property
    def wire_type(self) -> pa.DataType:
        """The type by which arro3 reads an object with these fields."""
        return pa.struct([pa.field(node.name, node.wire) for node in self.nodes])

    def convert(self, arrays: Sequence[pa.Array], redaction: Redaction) -> list[pa.Array]:
        """Return the converted arrays of the columns, in order. Raises ValueError for a secret in a map's name."""
        scan = _Scan(redaction)
        scan = scan if scan.finds(scan.texts_of(arrays, self.nodes)) else _Scan(redaction, is_needed=False)
        return [self._convert(node, array, scan) for node, array in zip(self.nodes, arrays, strict=True)]

    def _convert(self, node: Node, array: pa.Array, scan: _Scan) -> pa.Array:
        if array.null_count == len(array):
            return pa.nulls(len(array), node.kind)
        if node.column.is_embedded:
            return self._embedded(node, array, scan.redaction)
        match node.column.kind:
            case "struct":
                inner = [self._convert(child, array.field(index), scan) for index, child in enumerate(node.children)]
            case "list":
                inner = [self._convert(node.children[0], array.values, scan)]
            case "map":
                if scan.finds(_values_of(array.keys)):
                    raise ValueError("a name of a map may hold a secret, and the exact path renames it")
                items = self._convert(node.children[0], array.items, scan)
                fields = [node.kind.key_field, node.kind.item_field]
                inner = [pa.StructArray.from_arrays([array.keys, items], fields=fields)]
            case _:
                return self._scalar(node, array, scan)
        return _rebuilt(node.kind, array, inner)

    def _scalar(self, node: Node, array: pa.Array, scan: _Scan) -> pa.Array:
        column, redaction = node.column, scan.redaction
        if column.secret:
            is_text = pa.types.is_string(array.type)  # 1 and True are one key, and two secrets
            known = self._fingerprints.setdefault(redaction.account_id, {}) if is_text else {}
            return self._mapped(array, redaction.secret, known)
        if column.kind == "timestamp":
            return _timestamps(array, column.unit)
        if column.kind == "string" and scan.finds(_values_of(array)):
            return self._mapped(array, redaction.hide, {})
        return array

    def _mapped(self, array: pa.Array, change: Callable[[Any], str | None], known: dict[Any, str | None]) -> pa.Array:
        """Change each distinct value once; `known` has values that were changed before."""
        encoded = array.dictionary_encode()
        if len(known) > _MAX_CACHED or len(self._fingerprints) > _MAX_CACHED_ACCOUNTS:
            self._fingerprints.clear()
        texts = []
        for value in encoded.dictionary.to_pylist():
            text = known.get(value)  # another thread may clear it at any moment
            if text is None:
                text = known[value] = change(value)
            texts.append(text)
        return pa.array(texts, pa.string()).take(encoded.indices)

    def _embedded(self, node: Node, texts: pa.Array, redaction: Redaction) -> pa.Array:
        columns, schema = self._inner.get(node) or self._embed(node)
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        wrapped = pc.binary_join_element_wise('{"v":', pc.coalesce(texts, "null"), "}\n", "")
        found = read_json(b"".join(_values_of(wrapped)), schema, len(texts)).column(0).combine_chunks()
        return columns.convert([found], redaction)[0]

    def _embed(self, node: Node) -> tuple[ArrowColumns, Any]:
        inner = ArrowColumns([replace(node.column, wire="v", is_embedded=False)], SchemaVariant())
        self._inner[node] = inner, _wire_schema("v", inner.nodes[0].wire)
        return self._inner[node]


def _rebuilt(kind: pa.DataType, array: pa.Array, children: list[pa.Array]) -> pa.Array:
    """Return an array of another type and with other children, with the same nulls and offsets."""
    buffers = array.buffers()[: 1 if pa.types.is_struct(kind) else 2]
    return pa.Array.from_buffers(kind, len(array), buffers, array.null_count, array.offset, children)


def _timestamps(array: pa.Array, unit: str) -> pa.Array:
    if pa.types.is_string(array.type):
        is_empty = pc.equal(array, "")
        return (pc.if_else(is_empty, None, array) if pc.any(is_empty).as_py() else array).cast(TIMESTAMP)
    numbers = pc.if_else(pc.equal(array, 0), None, array)
    if not unit:
        seconds = pc.multiply(pc.if_else(pc.less(numbers, _MILLISECONDS_FROM), numbers, None), 1_000_000)
        return pc.coalesce(seconds, pc.multiply(numbers, 1000)).cast(TIMESTAMP)
    return pc.multiply(numbers, 1000 if unit == "ms" else 1_000_000).cast(TIMESTAMP)


class _Scan:
    """The search for secrets in the texts of one batch. `is_needed` False: all texts were searched, and have none."""

    def __init__(self, redaction: Redaction, *, is_needed: bool = True) -> None:
        self.redaction = redaction
        self._marks = redaction.marks if is_needed else ""

    def finds(self, texts: Sequence[memoryview]) -> bool:
        """Whether a text may hold a secret. All texts are searched at once."""
        whole = b"".join(texts) if self._marks else b""
        return bool(whole) and has_match(whole, self._marks)

    def texts_of(self, arrays: Sequence[pa.Array], nodes: Sequence[Node]) -> list[memoryview]:
        """Return all texts outside of secrets, and the names of maps."""
        return [part for array, node in zip(arrays, nodes, strict=True) for part in _texts(array, node)]


def _texts(array: pa.Array, node: Node) -> list[memoryview]:
    if node.column.is_embedded or array.null_count == len(array):
        return []
    match node.column.kind:
        case "struct":
            pairs = enumerate(node.children)
            return [part for index, child in pairs for part in _texts(array.field(index), child)]
        case "list":
            return _texts(array.values, node.children[0])
        case "map":
            return [*_values_of(array.keys), *_texts(array.items, node.children[0])]
        case "string" if not node.column.secret:
            return _values_of(array)
    return []


def _values_of(array: pa.Array) -> list[memoryview]:
    """Return the bytes of all texts of an array, concatenated."""
    _, offsets, values = array.buffers()
    if values is None or offsets is None:
        return []
    ends = memoryview(offsets).cast("i")
    return [memoryview(values)[ends[array.offset] : ends[array.offset + len(array)]]]
