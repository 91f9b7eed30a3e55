"""Write rows as CSV, JSON array, JSON lines or Parquet, batch by batch: memory doesn't grow with the rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.audit.export.atomic_files import as_text, new_file
from crawler.audit.export.cell_text import Texts, escape_formula, is_plain_scalar, object_texts, plain_texts
from crawler.audit.query import Rows
from crawler.errors import ConfigError

WriteText = Callable[[str], object]

# Not only what RFC 4180 requires: a spreadsheet may also part cells at these.
_SPECIAL = re.compile(r'[",;|\t\r\n]')
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
    emit(_csv_line([_csv_cell(name if is_raw else escape_formula(name)) for name in names]))
    null = '""' if len(names) == 1 else ""  # most readers skip an empty line
    count = changed = 0
    for batch in rows.batches:
        columns = []
        for array in batch.columns:
            texts = plain_texts(array)
            if not is_raw and not is_plain_scalar(array.type):
                changed += _escape_formulas(texts)
            columns.append(_csv_cells(texts, null))
        emit("".join(map(_csv_line, zip(*columns, strict=True))))
        count += batch.num_rows
    return WriteResult(count, changed)


def _escape_formulas(texts: Texts) -> int:
    """Put apostrophes before the formulas in a column; return the number of changed texts."""
    distinct = {text for text in texts if text}  # most columns repeat their values
    changed = {text: escaped for text in distinct if (escaped := escape_formula(text)) != text}
    places = [place for place, text in enumerate(texts) if text in changed] if changed else []
    for place in places:
        texts[place] = changed[texts[place] or ""]
    return len(places)


def _csv_cells(texts: Texts, null: str) -> list[str]:
    cells = {text: null if text is None else _csv_cell(text) for text in set(texts)}
    return [cells[text] for text in texts]


def _csv_cell(text: str) -> str:
    if text.isalnum():  # the fast check: true for most texts
        return text
    is_plain = text and not _SPECIAL.search(text) and not text[0].isspace() and not text[-1].isspace()
    return text if is_plain else '"' + text.replace('"', '""') + '"'


def _csv_line(cells: Sequence[str]) -> str:
    return ",".join(cells) + "\r\n"


def write_jsonl(rows: Rows, emit: WriteText) -> WriteResult:
    """Write one JSON object per line, with nested values."""
    check_names(rows, "jsonl")
    count = 0
    for batch in rows.batches:
        emit("".join(f"{text}\n" for text in object_texts(rows.schema.names, batch.columns)))
        count += batch.num_rows
    return WriteResult(count)


def write_json(rows: Rows, emit: WriteText) -> WriteResult:
    """Write one JSON array of objects, one row per line."""
    check_names(rows, "json")
    count = 0
    for batch in rows.batches:
        lines = ",\n".join(object_texts(rows.schema.names, batch.columns))
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
