"""Write rows as CSV, JSON array, JSON lines or Parquet, batch by batch: memory doesn't grow with the rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.audit.export.atomic_files import as_text, new_file
from crawler.audit.export.cell_text import by_distinct, escape_formula, is_plain_scalar, object_column, plain_column
from crawler.audit.query import Rows
from crawler.errors import ConfigError

WriteText = Callable[[str], object]

# Not only what RFC 4180 requires: a spreadsheet may also part cells at these.
_SPECIAL = re.compile(r'[",;|\t\r\n]')
# Cells that are written as they are, and cells that need quotes only: printable ASCII without `;` and `|`, and without
# a first character that a spreadsheet may skip or run. `escape_formula` and `_csv_cell` see the others.
_FIRST = r"[!#-&(-*./0-9:<>?A-Z\[\\\]^_a-z{}~]"
_PLAIN_CELL = rf"\A{_FIRST}(?:[ !#-+\--:<-{{}}~]*[!#-+\--:<-{{}}~])?\z"
_QUOTED_CELL = rf"\A{_FIRST}[ -:<-{{}}~]*\z"
_PIECE_BYTES = 64 * 1024 * 1024
_WIDEST_INTEGER = str(pa.decimal128(38, 0))
_ROW_GROUP_ROWS = 65_536
_ROW_GROUP_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The number of written rows, and of cells with an apostrophe against running them as formulas."""

    rows: int
    guarded_cells: int = 0


def write_file(
    rows: Rows, path: Path, file_format: str, *, is_raw: bool = False, schema: pa.Schema | None = None
) -> WriteResult:
    """Write a new csv, json, jsonl or parquet file. Raises TargetError if it can't be written."""
    with new_file(path) as file:
        if file_format == "parquet":
            return write_parquet(rows, file, schema)
        with as_text(file) as emit:
            return write_text(rows, emit, file_format, is_raw=is_raw)


def write_text(rows: Rows, emit: WriteText, file_format: str, *, is_raw: bool = False) -> WriteResult:
    """Write rows as csv, json or jsonl."""
    if file_format == "csv":
        return write_csv(rows, emit, is_raw=is_raw)
    return write_json(rows, emit) if file_format == "json" else write_jsonl(rows, emit)


def write_csv(rows: Rows, emit: WriteText, *, is_raw: bool = False) -> WriteResult:
    """Write CSV as in RFC 4180: header, CRLF, quotes only as needed. Null is empty, the empty text is `""`.

    Unless `is_raw`, each part of a text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    names = rows.schema.names
    emit(_csv_row(",".join(_csv_cell(name if is_raw else escape_formula(name)) for name in names)))
    null = '""' if len(names) == 1 else ""  # most readers skip an empty line
    count = changed = 0
    for batch in _pieces(rows):
        columns = []
        for array in batch.columns:
            cells, number = _csv_column(array, is_raw=is_raw)
            columns.append(pc.fill_null(cells, null))
            changed += number
        emit("".join(map(_csv_row, pc.binary_join_element_wise(*columns, ",").to_pylist())))
        count += batch.num_rows
    return WriteResult(count, changed)


def _pieces(rows: Rows) -> Iterator[pa.RecordBatch]:
    """Yield the batches, those with very long texts in pieces: an Arrow column holds two gigabytes of text."""
    for batch in rows.batches:
        size = max(1, batch.num_rows * _PIECE_BYTES // max(batch.nbytes, _PIECE_BYTES))
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


def _csv_column(array: pa.Array, *, is_raw: bool) -> tuple[pa.Array, int]:
    """Return a column's cells, null for null, and the number of those with apostrophes against formulas."""
    texts = plain_column(array)
    if is_plain_scalar(array.type):
        return texts, 0
    changed: set[str] = set()
    cells = by_distinct(texts, lambda some: _csv_cells(some, None if is_raw else changed))
    number = pc.sum(pc.is_in(texts, pa.array(changed, pa.string()))).as_py() if changed else 0
    return cells, number


def _csv_cells(texts: pa.Array, changed: set[str] | None) -> pa.Array:
    """Return the cells of texts. Escapes formulas, unless `changed` is None, and adds their texts to it."""
    is_plain = pc.match_substring_regex(texts, _PLAIN_CELL)
    if pc.all(is_plain).as_py():
        return texts
    is_quoted = pc.and_not(pc.match_substring_regex(texts, _QUOTED_CELL), is_plain)
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    cells = pc.if_else(is_quoted, quoted, texts)
    is_other = pc.fill_null(pc.invert(pc.or_(is_plain, is_quoted)), False)
    written: dict[str, str] = {}
    others = texts.filter(is_other).to_pylist()
    for text in set(others):
        escaped = text if changed is None else escape_formula(text)
        written[text] = _csv_cell(escaped)
        if changed is not None and escaped != text:
            changed.add(text)
    return pc.replace_with_mask(cells, is_other, pa.array([written[text] for text in others], pa.string()))


def _csv_cell(text: str) -> str:
    if text.isalnum():  # the fast check: true for most texts
        return text
    is_plain = text and not _SPECIAL.search(text) and not text[0].isspace() and not text[-1].isspace()
    return text if is_plain else '"' + text.replace('"', '""') + '"'


def _csv_row(row: str) -> str:
    return row + "\r\n"


def write_jsonl(rows: Rows, emit: WriteText) -> WriteResult:
    """Write one JSON object per line, with nested values."""
    check_names(rows, "jsonl")
    count = 0
    for batch in _pieces(rows):
        emit("".join(f"{text}\n" for text in object_column(rows.schema.names, batch.columns).to_pylist()))
        count += batch.num_rows
    return WriteResult(count)


def write_json(rows: Rows, emit: WriteText) -> WriteResult:
    """Write one JSON array of objects, one row per line."""
    check_names(rows, "json")
    count = 0
    for batch in _pieces(rows):
        lines = ",\n".join(object_column(rows.schema.names, batch.columns).to_pylist())
        if lines:
            emit(f"{',' if count else '['}\n{lines}")
        count += batch.num_rows
    emit("\n]\n" if count else "[]\n")
    return WriteResult(count)


def write_parquet(rows: Rows, file: BinaryIO, schema: pa.Schema | None = None) -> WriteResult:
    """Write Parquet as in snapshots: zstd, page index, checksums. Rows are cast to `schema`.

    The caller must discard the file after an error: it looks complete. Raises ConfigError for types unknown to Parquet.
    """
    check_names(rows, "parquet")
    try:
        writer = pq.ParquetWriter(
            file,
            schema or rows.schema,
            compression="zstd",
            compression_level=3,
            write_page_index=True,
            write_page_checksum=True,
        )
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise ConfigError(f"Parquet has no such type; cast it to VARCHAR: {error}") from None
    count = 0
    with writer:
        for table in _row_groups(rows):
            _check_digits(table)
            try:
                writer.write_table(table.cast(schema) if schema else table)
            except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
                raise ConfigError(f"Parquet can't hold a value; cast its column to VARCHAR: {error}") from None
            count += table.num_rows
    return WriteResult(count)


def _check_digits(table: pa.Table) -> None:
    """Raise ConfigError for an integer of 39 digits, which fits a HUGEINT and no DECIMAL of Parquet."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if _WIDEST_INTEGER in str(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid:
                reason = "has a number of more than 38 digits, which Parquet can't hold; cast it to VARCHAR"
                raise ConfigError(f"column {name[:80]!r} {reason}") from None


def _row_groups(rows: Rows) -> Iterator[pa.Table]:
    batches: list[pa.RecordBatch] = []
    count = size = 0
    for batch in rows.batches:
        batches.append(batch)
        count, size = count + batch.num_rows, size + batch.nbytes
        if count >= _ROW_GROUP_ROWS or size >= _ROW_GROUP_BYTES:
            yield pa.Table.from_batches(batches)
            batches, count, size = [], 0, 0
    if batches:
        yield pa.Table.from_batches(batches)


def check_names(rows: Rows, file_format: str) -> None:
    """Raise ConfigError if two columns have the same name, which this format doesn't support."""
    if twice := [name for name, number in Counter(rows.schema.names).items() if number > 1]:
        raise ConfigError(f"two columns are called {twice[0]!r}, which {file_format} can't have; rename one with AS")
