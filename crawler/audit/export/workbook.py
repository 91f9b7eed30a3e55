"""Rows as an Excel workbook, a sheet a table, in constant memory: behind the extra `xlsx`.

Text stays text, account IDs too: nothing is taken for a formula, a link or a number. A text that Excel would run if
somebody edited its cell has Excel's own mark for text, so that its value stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from crawler.audit.export.cell_text import is_formula, is_number, plain_texts
from crawler.audit.query import Rows
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

MAX_ROWS = 1_048_575  # one more is the header
MAX_CELL_CHARACTERS = 32_767
_MAX_NAME = 31
_DIGITS = 15  # a sheet shows no more of a number
_MIN_WIDTH, _MAX_WIDTH = 8, 60
_NON_FINITE = {"nan", "inf"}
_FIRST_YEAR = 1900
_INSTANT_WIDTH = 20
_FILTER_WIDTH = 3  # the arrow beside a header
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}

WriteCell = Callable[[int, int, Any], object]


@dataclass(slots=True)
class Sheet:
    """What one sheet got: rows, texts that are marked as text, and by column how many were too long for a cell."""

    name: str
    rows: int = 0
    guarded_cells: int = 0
    cut_cells: Counter[str] = field(default_factory=Counter)


def check_installed() -> None:
    """Raise ConfigError where the extra isn't."""
    try:
        import xlsxwriter  # noqa: F401
    except ImportError:
        reason = "xlsx needs the extra of that name: pip install 'acs-inventory[xlsx]', or take csv, jsonl or parquet"
        raise ConfigError(reason) from None


def check_rows(table: str, rows: int) -> None:
    """Raise ConfigError where a sheet can't hold so many."""
    if rows > MAX_ROWS:
        raise ConfigError(
            f"{table} has more rows than a sheet holds, {MAX_ROWS:,}: take csv, jsonl or parquet, or fewer by --where"
        )


def sheet_names(tables: Sequence[str]) -> dict[str, str]:
    """A sheet's name for each table: at most 31 characters, told apart by a number where they would be the same."""
    names: dict[str, str] = {}
    for table in tables:
        name, number = table[:_MAX_NAME], 1
        while name in names.values():
            number += 1
            name = f"{table[: _MAX_NAME - len(str(number)) - 1]}~{number}"
        names[table] = name
    return names


class Workbook:
    """One file that grows sheet by sheet in a block, at whose end it is whole. `scratch` is a folder for what isn't.

    Raises OSError where the disk refuses.
    """

    def __init__(self, path: Path, scratch: Path, created: datetime) -> None:
        from xlsxwriter import Workbook as XlsxWorkbook

        self._book = XlsxWorkbook(str(path), {**_OPTIONS, "tmpdir": str(scratch)})
        # Else it would be the time of day. The library wants it without its zone.
        self._book.set_properties({"created": created.replace(tzinfo=None)})
        self._header = self._book.add_format({"bold": True, "quote_prefix": True})
        self._formula = self._book.add_format({"quote_prefix": True})
        self._instants = {
            zone: self._book.add_format({"num_format": f"yyyy-mm-dd hh:mm:ss{mark}"})
            for zone, mark in ((True, '"Z"'), (False, ""))
        }

    def add(self, name: str, rows: Rows, title: str = "") -> Sheet:
        """Write rows as a sheet of this name. Raises ConfigError, which says `title`, where they are too many."""
        sheet, page = Sheet(name), self._book.add_worksheet(name)
        puts = [self._cell_writer(page, sheet, column) for column in rows.schema]
        widths = [max(_MIN_WIDTH, len(column) + _FILTER_WIDTH) for column in rows.schema.names]
        for place, column in enumerate(rows.schema.names):
            page.write_string(0, place, column, self._header)
        for batch in rows.batches:
            check_rows(title or name, sheet.rows + batch.num_rows)
            columns = [_cell_values(array) for array in batch.columns]
            widths = [max([width, *map(_width, values)]) for width, values in zip(widths, columns, strict=True)]
            for values in zip(*columns, strict=True):
                sheet.rows += 1
                for place, value in enumerate(values):
                    if value is not None:
                        puts[place](sheet.rows, place, value)
        _format_sheet(page, sheet.rows, widths)
        return sheet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._close()
        else:
            for page in self._book.worksheets():
                page.row_data_fh.close()  # the scratch files, which nobody else closes

    def _close(self) -> None:
        from xlsxwriter.exceptions import FileCreateError, FileSizeError

        try:
            self._book.close()
        except FileCreateError as error:
            cause = error.args[0] if error.args else None
            raise cause if isinstance(cause, OSError) else OSError(str(error)) from None
        except FileSizeError:
            raise ConfigError("more than 4 GB don't fit into a workbook: take csv, jsonl or parquet") from None

    def _cell_writer(self, page: Worksheet, sheet: Sheet, column: pa.Field) -> WriteCell:
        """How a value of this column becomes a cell."""

        def put_text(row: int, place: int, text: str) -> None:
            if (kept := _shorten(text)) is not text:
                sheet.cut_cells[column.name] += 1
            is_odd = is_formula(kept)
            sheet.guarded_cells += is_odd
            page.write_string(row, place, kept, self._formula if is_odd else None)

        def put_instant(row: int, place: int, value: datetime | str) -> None:
            if isinstance(value, str):
                put_text(row, place, value)
            else:
                page.write_datetime(row, place, value, self._instants[bool(column.type.tz)])

        def put_number(row: int, place: int, value: float | str) -> None:
            if isinstance(value, str):
                put_text(row, place, value)
            else:
                page.write_number(row, place, value)

        if pa.types.is_timestamp(column.type):
            return put_instant
        if is_number(column.type):
            return put_number
        return page.write_boolean if pa.types.is_boolean(column.type) else put_text


def _cell_values(array: pa.Array) -> list[Any]:
    """A column's values as cells have them: text where a cell's own type would lose something."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return list(array.to_pylist())
    texts = plain_texts(array)
    if pa.types.is_floating(kind):
        return [text if text is None or text.lstrip("-") in _NON_FINITE else float(text) for text in texts]
    if is_number(kind):
        return [text if text is None else _number_cell(text) for text in texts]
    if pa.types.is_timestamp(kind):
        return [text if text is None else _instant_cell(text) for text in texts]
    return list(texts)


def _number_cell(text: str) -> float | str:
    """An integer or a decimal as a number where a sheet shows all of its digits."""
    digits = text.replace("-", "").replace(".", "").strip("0")
    return float(text) if len(digits) <= _DIGITS else text


def _instant_cell(text: str) -> datetime | str:
    """Without its zone, which the cell's format shows. Text for years that a sheet doesn't know."""
    try:
        value = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return text
    return value if value.year >= _FIRST_YEAR else text


def _shorten(text: str) -> str:
    """The text, or as much of it as a cell holds; counted as Excel does, in UTF-16."""
    if len(text) * 2 <= MAX_CELL_CHARACTERS:
        return text
    encoded = text.encode("utf-16-le")
    if len(encoded) <= MAX_CELL_CHARACTERS * 2:
        return text
    return encoded[: MAX_CELL_CHARACTERS * 2].decode("utf-16-le", "ignore")


def _width(value: Any) -> int:
    return min(_MAX_WIDTH, len(value)) if isinstance(value, str) else _INSTANT_WIDTH * isinstance(value, datetime)


def _format_sheet(page: Worksheet, rows: int, widths: Sequence[int]) -> None:
    """Make it one that can be read: the header stays, columns are as wide as their values, rows can be filtered."""
    page.freeze_panes(1, 0)
    page.autofilter(0, 0, rows, len(widths) - 1)
    for place, width in enumerate(widths):
        page.set_column(place, place, width)
