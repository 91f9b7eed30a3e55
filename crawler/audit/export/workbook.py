"""Write rows as an Excel workbook with one sheet per table, in constant memory. Needs the extra `xlsx`.

Text stays text, including account IDs: it never becomes a formula, a link or a number. A text that Excel would run as a
formula once its cell is edited has Excel's quote prefix, so its value stays unchanged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from crawler.audit.export.cell_text import is_formula, is_number, plain_texts
from crawler.audit.query import Rows
from crawler.errors import ConfigError
from crawler.extras import how_to_install

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

MAX_ROWS = 1_048_575  # without the header
MAX_CELL_CHARACTERS = 32_767
_MAX_NAME = 31
_DIGITS = 15  # the precision of a number in a sheet
_MIN_WIDTH, _MAX_WIDTH = 8, 42
_FEW_COLUMNS, _MAX_WIDTH_OF_FEW = 4, 80
# Spreadsheets number the days before differently: Excel knows a 29 February 1900.
_FIRST_INSTANT = datetime(1900, 3, 1)  # noqa: DTZ001 - a sheet has no zones
_LAST_INSTANT = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 - a sheet has no zones
# Excel reads a number nearer to zero as zero.
_LEAST_NUMBER = 2.2250738585072014e-308
_INSTANT_WIDTH = 20
_FILTER_WIDTH = 3  # the filter arrow of a header
_A4, _PRINTED = 9, 0
# In characters: at this scale, a page in landscape has about 200 of them.
_SCALE_PERCENT = 60
_FITTED_WIDTH = 220
_MAX_FIXED_WIDTH = 80
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}

WriteCell = Callable[[int, int, Any], object]


@dataclass(slots=True)
class Sheet:
    """A written sheet: its rows, its texts with quote prefix, and per column the number of shortened texts."""

    name: str
    rows: int = 0
    guarded_cells: int = 0
    cut_cells: Counter[str] = field(default_factory=Counter)


def check_installed() -> None:
    """Raise ConfigError if the extra isn't installed."""
    try:
        import xlsxwriter  # noqa: F401
    except ImportError:
        raise ConfigError(f"xlsx: {how_to_install('xlsx')}; or use csv, jsonl or parquet") from None


def check_rows(table: str, rows: int) -> None:
    """Raise ConfigError if a sheet can't hold so many rows."""
    if rows > MAX_ROWS:
        raise ConfigError(
            f"{table} has more rows than a sheet holds, {MAX_ROWS:,}; use csv, jsonl or parquet, or --where"
        )


def sheet_names(tables: Sequence[str]) -> dict[str, str]:
    """Return a sheet name per table: at most 31 characters, made unique by a number."""
    names: dict[str, str] = {}
    for table in tables:
        name, number = table[:_MAX_NAME], 1
        while name in names.values():
            number += 1
            name = f"{table[: _MAX_NAME - len(str(number)) - 1]}~{number}"
        names[table] = name
    return names


@dataclass(frozen=True, slots=True)
class PageTexts:
    """The origin that each printed page names: on the right above the rows, and on the left below them."""

    above: str
    below: str


class Workbook:
    """A workbook file that is written sheet by sheet and completed at the end of a `with` block.

    `scratch` is a folder for temporary files. Raises OSError if the file can't be written.
    """

    def __init__(self, path: Path, scratch: Path, created: datetime, printed: PageTexts) -> None:
        from xlsxwriter import Workbook as XlsxWorkbook

        self._book = XlsxWorkbook(str(path), {**_OPTIONS, "tmpdir": str(scratch)})
        # The default is the current time. The library needs it without a zone.
        self._book.set_properties({"created": created.replace(tzinfo=None)})
        self._printed = printed
        self._header = self._book.add_format({"bold": True, "quote_prefix": True})
        # Excel shows a boolean as TRUE whatever its format is; LibreOffice shows it as 1 without one.
        self._boolean = self._book.add_format({"num_format": '"TRUE";"TRUE";"FALSE"'})
        self._formula = self._book.add_format({"quote_prefix": True})
        self._instants = {
            zone: self._book.add_format({"num_format": f"yyyy-mm-dd hh:mm:ss{mark}"})
            for zone, mark in ((True, '"Z"'), (False, ""))
        }

    def add(self, name: str, rows: Rows, title: str = "", fixed: int = 0) -> Sheet:
        """Write rows as a sheet of this name. Raises ConfigError, which names `title`, for too many rows.

        The first `fixed` columns, which name the row, stay in view, and are on every printed page.
        """
        sheet, page = Sheet(name), self._book.add_worksheet(name)
        writers = [self._cell_writer(page, sheet, column) for column in rows.schema]
        widest = _MAX_WIDTH if len(rows.schema) > _FEW_COLUMNS else _MAX_WIDTH_OF_FEW
        widths = [max(_MIN_WIDTH, len(column) + _FILTER_WIDTH) for column in rows.schema.names]
        for at, column in enumerate(rows.schema.names):
            page.write_string(0, at, column, self._header)
        for batch in rows.batches:
            check_rows(title or name, sheet.rows + batch.num_rows)
            columns = [_cell_values(array) for array in batch.columns]
            widths = [
                max([width, *(min(widest, _width(value)) for value in values)])
                for width, values in zip(widths, columns, strict=True)
            ]
            for values in zip(*columns, strict=True):
                sheet.rows += 1
                for at, value in enumerate(values):
                    if value is not None:
                        writers[at](sheet.rows, at, value)
        _format_sheet(page, sheet.rows, widths, fixed)
        _format_pages(page, widths, fixed, title or name, self._printed)
        return sheet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._close()
        else:
            for page in self._book.worksheets():
                page.row_data_fh.close()  # the library doesn't close its temporary files on an error

    def _close(self) -> None:
        from xlsxwriter.exceptions import FileCreateError, FileSizeError

        try:
            self._book.close()
        except FileCreateError as error:
            cause = error.args[0] if error.args else None
            raise cause if isinstance(cause, OSError) else OSError(str(error)) from None
        except FileSizeError:
            raise ConfigError("a workbook holds at most 4 GB; use csv, jsonl or parquet") from None

    def _cell_writer(self, page: Worksheet, sheet: Sheet, column: pa.Field) -> WriteCell:
        """Return the function that writes a value of this column as a cell."""

        def write_text(row: int, at: int, text: str) -> None:
            if (cell := _shorten(text)) is not text:
                sheet.cut_cells[column.name] += 1
            is_risky = is_formula(cell)
            sheet.guarded_cells += is_risky
            page.write_string(row, at, cell, self._formula if is_risky else None)

        def write_instant(row: int, at: int, value: datetime | str) -> None:
            if isinstance(value, str):
                write_text(row, at, value)
            else:
                page.write_datetime(row, at, value, self._instants[bool(column.type.tz)])

        def write_number(row: int, at: int, value: float | str) -> None:
            if isinstance(value, str):
                write_text(row, at, value)
            else:
                page.write_number(row, at, value)

        def write_boolean(row: int, at: int, value: bool) -> None:
            page.write_boolean(row, at, value, self._boolean)

        if pa.types.is_timestamp(column.type):
            return write_instant
        if is_number(column.type):
            return write_number
        return write_boolean if pa.types.is_boolean(column.type) else write_text


def _cell_values(array: pa.Array) -> list[Any]:
    """Return a column's values as cell values: text if a cell's type would lose information."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return list(array.to_pylist())
    texts = plain_texts(array)
    if pa.types.is_floating(kind):
        return [text if text is None else _float_cell(text) for text in texts]
    if is_number(kind):
        return [text if text is None else _number_cell(text) for text in texts]
    if pa.types.is_timestamp(kind):
        return [text if text is None else _instant_cell(text) for text in texts]
    return list(texts)


def _float_cell(text: str) -> float | str:
    """Return a number, or text for one that a sheet has no number for."""
    value = float(text)
    return value if isfinite(value) and (value == 0 or abs(value) >= _LEAST_NUMBER) else text


def _number_cell(text: str) -> float | str:
    """Return an integer or decimal as a number if a sheet shows all of its digits, else as text."""
    digits = text.replace("-", "").replace(".", "").strip("0")
    return float(text) if len(digits) <= _DIGITS else text


def _instant_cell(text: str) -> datetime | str:
    """Return a timestamp without its zone, which the cell's format shows, cut to the milliseconds of a sheet.

    Returns text before March 1900, and for the last second of 9999, which a sheet could round to the year 10000.
    """
    try:
        value = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return text
    if not _FIRST_INSTANT <= value <= _LAST_INSTANT:
        return text
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _shorten(text: str) -> str:
    """Return the text, cut to the size of a cell; Excel counts UTF-16 units."""
    if len(text) * 2 <= MAX_CELL_CHARACTERS:
        return text
    encoded = text.encode("utf-16-le")
    if len(encoded) <= MAX_CELL_CHARACTERS * 2:
        return text
    return encoded[: MAX_CELL_CHARACTERS * 2].decode("utf-16-le", "ignore")


def _width(value: Any) -> int:
    return len(value) if isinstance(value, str) else _INSTANT_WIDTH * isinstance(value, datetime)


def _format_sheet(page: Worksheet, rows: int, widths: Sequence[int], fixed: int) -> None:
    """Make a sheet readable: fixed header and first columns, columns as wide as their values, filters."""
    page.freeze_panes(1, fixed)
    page.autofilter(0, 0, rows, len(widths) - 1)
    for at, width in enumerate([*_narrowed(widths[:fixed]), *widths[fixed:]]):
        page.set_column(at, at, width)


def _narrowed(widths: Sequence[int]) -> list[int]:
    """Return the widths of the fixed columns, the widest narrowed until all leave room for others beside them."""
    narrowed = list(widths)
    while sum(narrowed) > _MAX_FIXED_WIDTH and max(narrowed) > _MIN_WIDTH:
        narrowed[narrowed.index(max(narrowed))] -= 1
    return narrowed


def _format_pages(page: Worksheet, widths: Sequence[int], fixed: int, title: str, printed: PageTexts) -> None:
    """Make a sheet printable: landscape, the header and the fixed columns on every page, and where the page is from.

    A sheet that is too wide for a page has the pages of the same rows one after the other.
    """
    page.set_landscape()
    page.set_paper(_A4)
    page.set_margins(left=0.4, right=0.4, top=0.7, bottom=0.6)
    page.repeat_rows(0)
    page.hide_gridlines(_PRINTED)
    page.print_across()
    page.set_header(f"&L&B{_page_text(title)}&R{_page_text(printed.above)}")
    page.set_footer(f"&L{_page_text(printed.below)}&RPage &P of &N")
    if sum(widths) <= _FITTED_WIDTH:
        page.fit_to_pages(1, 0)
        return
    page.set_print_scale(_SCALE_PERCENT)
    if fixed:
        page.repeat_columns(0, fixed - 1)


def _page_text(text: str) -> str:
    """Return a text in which no character is a code of a page's header."""
    return text.replace("&", "&&")
