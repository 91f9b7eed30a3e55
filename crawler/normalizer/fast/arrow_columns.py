"""Converts the columns of arro3 to those of a table, without a Python object per field.

arro3 reads timestamps as text and secrets as they are. Both are converted here in whole columns, and texts that are
never kept are replaced.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crawler.catalog.columns import TIMESTAMP, Column
from crawler.normalizer.fast.row_accounts import RowAccounts
from crawler.normalizer.fast.variants import Path, SchemaVariant
from crawler.normalizer.redaction import Redaction, has_match

_MILLISECONDS_FROM = 10**11
_SCALARS = {"string": pa.string(), "integer": pa.int64(), "boolean": pa.bool_(), "number": pa.float64()}
_MAX_CACHED = 8192


def wire_schema(name: str, kind: pa.DataType) -> Any:
    """Return the schema by which arro3 reads a document with one name."""
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

    def convert(self, arrays: Sequence[pa.Array], accounts: RowAccounts) -> list[pa.Array]:
        """Return the converted arrays of the columns, in order. Raises ValueError for a secret in a map's name."""
        held = [*self._fingerprints.values()]  # at once: another thread may add an account
        if len(held) + sum(map(len, held)) > _MAX_CACHED:
            self._fingerprints.clear()
        scan = _Scan(accounts.marks)
        scan = scan if scan.finds(scan.texts_of(arrays, self.nodes)) else _Scan("")
        return [self._convert(node, array, accounts, scan) for node, array in zip(self.nodes, arrays, strict=True)]

    def _convert(self, node: Node, array: pa.Array, accounts: RowAccounts, scan: _Scan) -> pa.Array:
        if array.null_count == len(array):
            return pa.nulls(len(array), node.kind)
        if node.column.is_embedded:
            return self._embedded(node, array, accounts)
        match node.column.kind:
            case "struct":
                pairs = enumerate(node.children)
                inner = [self._convert(child, array.field(index), accounts, scan) for index, child in pairs]
            case "list":
                inner = [self._convert(node.children[0], array.values, accounts.items_of(array), scan)]
            case "map":
                if scan.finds(_values_of(array.keys)):
                    raise ValueError("a name of a map may hold a secret, and the exact path renames it")
                items = self._convert(node.children[0], array.items, accounts.items_of(array), scan)
                fields = [node.kind.key_field, node.kind.item_field]
                inner = [pa.StructArray.from_arrays([array.keys, items], fields=fields)]
            case _:
                return self._scalar(node, array, accounts, scan)
        return _rebuilt(node.kind, array, inner)

    def _scalar(self, node: Node, array: pa.Array, accounts: RowAccounts, scan: _Scan) -> pa.Array:
        column = node.column
        if column.secret:
            return self._secrets(array, accounts)
        if column.kind == "timestamp":
            return _timestamps(array, column.unit)
        if column.kind == "string" and scan.finds(_values_of(array)):
            runs = [
                _changed(array[run].to_pylist(), own.hide_all_but_key_id if column.is_key_id else own.hide, {})
                for own, run in accounts.runs()
            ]
            return pa.array(list(chain.from_iterable(runs)), pa.string())
        return array

    def _secrets(self, array: pa.Array, accounts: RowAccounts) -> pa.Array:
        """Redact each distinct value of an account once."""
        is_text = pa.types.is_string(array.type)  # 1 and True are one key, and two secrets
        if accounts.is_one or accounts.first.is_same_for_all:
            encoded = array.dictionary_encode()
            texts = self._redacted(encoded.dictionary.to_pylist(), accounts.first, is_remembered=is_text)
            return pa.array(texts, pa.string()).take(encoded.indices)
        values, texts = array.to_pylist(), []
        for own, run in accounts.runs():
            texts += self._redacted(values[run], own, is_remembered=is_text)
        return pa.array(texts, pa.string())

    def _redacted(self, values: Sequence[Any], own: Redaction, *, is_remembered: bool) -> list[str | None]:
        account = "" if own.is_same_for_all else own.account_id
        return _changed(values, own.secret, self._fingerprints.setdefault(account, {}) if is_remembered else {})

    def _embedded(self, node: Node, texts: pa.Array, accounts: RowAccounts) -> pa.Array:
        columns, schema = self._inner.get(node) or self._embed(node)
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        wrapped = pc.binary_join_element_wise('{"v":', pc.coalesce(texts, "null"), "}\n", "")
        found = read_json(b"".join(_values_of(wrapped)), schema, len(texts)).column(0).combine_chunks()
        return columns.convert([found], accounts)[0]

    def _embed(self, node: Node) -> tuple[ArrowColumns, Any]:
        inner = ArrowColumns([replace(node.column, wire="v", is_embedded=False)], SchemaVariant())
        self._inner[node] = inner, wire_schema("v", inner.nodes[0].wire)
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


def _changed(
    values: Sequence[Any], change: Callable[[Any], str | None], known: dict[Any, str | None]
) -> list[str | None]:
    """Change each distinct value once; `known` has values that were changed before."""
    texts = []
    for value in values:
        text = known.get(value)
        if text is None:
            text = known[value] = change(value)
        texts.append(text)
    return texts


class _Scan:
    """The search for secrets in the texts of one batch. Without `marks`, all texts were searched and have none."""

    def __init__(self, marks: str) -> None:
        self._marks = marks

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
