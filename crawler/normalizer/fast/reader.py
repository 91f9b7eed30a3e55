"""Reads the pages of one operation by the fast path: keys, digests and token at once, the rows as bytes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from crawler.catalog.columns import Column
from crawler.catalog.model import WHOLE_ANSWER, WHOLE_LIST, Operation
from crawler.normalizer.exact_json import InvalidJsonError
from crawler.normalizer.extra import ExtraEntry, ExtraFields, extra_text
from crawler.normalizer.fast.decoder import ArrowDecoder, ExactReader
from crawler.normalizer.fast.gate import GatedPage, SchemaGate, UnknownField
from crawler.normalizer.fast.variants import SchemaVariant, widen
from crawler.normalizer.pending import DecodePool, RowContext, UndecodedPage
from crawler.normalizer.redaction import Redaction

# Making a gate takes as long as reading so many bytes by the exact path, which reads the first pages.
FAST_FROM_BYTES = 65_536

# Kinds of columns whose values are as received.
_PLAIN_KINDS = frozenset({"string", "integer", "boolean"})

_REFUSALS = (msgspec.MsgspecError, InvalidJsonError, UnicodeError, RecursionError, OverflowError, MemoryError)


@dataclass(slots=True)
class FastPage:
    """A page that was read by the fast path. See `RowPage`; `unknown` has the paths of unknown fields."""

    rows: UndecodedPage
    keys: Sequence[Hashable | None]
    digests: Sequence[int]
    token: Any
    total: Any
    unknown: Sequence[str]
    records: Sequence[Any]
    reader: FastReader
    gate: SchemaGate

    def values(self, column: str) -> list[Any] | None:
        """Return the values of a column; None if only the batch has them."""
        return self.reader.values(self.gate, self.records, self.rows.context, column)


class FastReader:
    """Reads the pages of one operation that are in schema, and adapts to slight differences.

    The first `FAST_FROM_BYTES` bytes of pages are left to the exact path. `exact` decodes pages that arro3 rejects.
    """

    def __init__(
        self, operation: Operation, redaction: Redaction, snapshot_id: str, exact: ExactReader, pool: DecodePool
    ) -> None:
        self._operation = operation
        self._redaction = redaction
        self._snapshot_id = snapshot_id
        self._exact = exact
        self._pool = pool
        self._columns = {operation.column_names[column.wire]: column for column in operation.columns}
        self._parameters = {column: wire for wire, column in operation.parameter_columns.items()}
        self._is_able = not operation.item and _is_flat(operation) and all(map(self._is_plain, operation.key))
        self._variant = SchemaVariant()
        self._gate: SchemaGate | None = None
        self._decoders: dict[str, ArrowDecoder] = {}
        self._refusal = ""
        self._bytes_left = FAST_FROM_BYTES

    def read(self, body: bytes, context: RowContext) -> FastPage | None:
        """Return the page; None if it must be read by the exact path."""
        self._refusal = ""
        if not self._is_able:
            return None
        if self._bytes_left > 0:
            self._bytes_left -= len(body)
            if self._bytes_left > 0:
                return None
        self._gate = self._gate or SchemaGate(self._operation, self._variant)
        try:
            opened = self._gate.open(body)
            return None if opened is None else self._page(self._gate, opened, body, context)
        except msgspec.ValidationError as error:
            self._refusal = str(error)
        except _REFUSALS:
            pass
        return None

    def widen(self, unknown: Iterable[str]) -> None:
        """Widen the variant by the page that was just rejected and has these unknown fields."""
        if not self._is_able:
            return
        variant = widen(self._variant, self._operation, self._refusal, unknown)
        if variant != self._variant:
            self._variant, self._gate, self._decoders = variant, None, {}

    def _is_plain(self, name: str) -> bool:
        column = self._columns.get(name)
        return name in self._parameters if column is None else _is_plain(column)

    def _page(self, gate: SchemaGate, opened: GatedPage, body: bytes, context: RowContext) -> FastPage | None:
        keys = self._keys(gate, opened.records, context)
        if keys is None:
            return None
        redaction = self._redaction.for_account(context.account_id)
        extra: Sequence[str | None] = [_extra(found, redaction) for found in opened.found]
        unknown = [*opened.unknown, *(each.pattern for found in opened.found for each in found)]
        decoder = self._decoder(opened.list_name)
        rows = decoder.page(body, len(opened.records), context, extra if any(extra) else ())
        digests = [hash(text) for text in opened.texts]
        return FastPage(rows, keys, digests, opened.token, opened.total, unknown, opened.records, self, gate)

    def _decoder(self, list_name: str) -> ArrowDecoder:
        decoder = self._decoders.get(list_name)
        if decoder is None:
            decoder = ArrowDecoder(
                self._operation, self._variant, list_name, self._redaction, self._snapshot_id, self._exact, self._pool
            )
            self._decoders[list_name] = decoder
        return decoder

    def _keys(self, gate: SchemaGate, records: Sequence[Any], context: RowContext) -> Sequence[Hashable | None] | None:
        """Return the keys of the records; None if a record lacks a part of its key."""
        names, optional = self._operation.key, self._operation.optional_key
        if not names:
            return [None] * len(records)
        columns = []
        for name in names:
            values = self.values(gate, records, context, name)
            if values is None or (name not in optional and None in values):
                return None
            columns.append(values)
        return list(zip(*columns, strict=True))

    def values(self, gate: SchemaGate, records: Sequence[Any], context: RowContext, name: str) -> list[Any] | None:
        """Return the values that the rows will have in a column; None if they are not those of the records."""
        column, parameter = self._columns.get(name), self._parameters.get(name)
        given = context.parameters[parameter] if parameter is not None else None
        if column is None:
            return None if parameter is None else [given] * len(records)
        if not _is_plain(column):
            return None
        values = list(map(attrgetter(gate.attributes[column.wire]), records))
        if None in values or msgspec.UNSET in values:
            values = [given if value is None or value is msgspec.UNSET else value for value in values]
        if column.kind == "string":
            redaction = self._redaction.for_account(context.account_id)
            if redaction.has_markers("".join(value or "" for value in values).encode()):
                return None
        return values


def _extra(found: Sequence[UnknownField], redaction: Redaction) -> str | None:
    hide = redaction.unknown
    entries = [ExtraEntry(each.path, each.pattern, hide(each.value), is_unknown=True) for each in found]
    return extra_text(ExtraFields(redaction, entries))


def _is_flat(operation: Operation) -> bool:
    """Whether the list and all that paging reads lie at the top of an answer, where the gate looks."""
    paging, records = operation.paging, operation.records
    names = (*records, *paging.answer_keys, *operation.envelope)
    is_at_top = len(records) == 1 and not any("." in name for name in names)
    return is_at_top and records not in (WHOLE_ANSWER, WHOLE_LIST) and not paging.more_key


def _is_plain(column: Column) -> bool:
    return column.kind in _PLAIN_KINDS and not column.secret and not column.is_embedded
