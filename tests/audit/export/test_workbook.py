"""F79: values at the limits of a sheet, read back from a workbook."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime

import openpyxl
import pyarrow as pa
import pytest

from crawler.audit.export.workbook import PageTexts, Workbook
from crawler.audit.query import Rows

LAST_SERIAL = 2_958_465  # 9999-12-31


def cell_of(tmp_path, array):
    """The value of a workbook's only cell as openpyxl reads it, and its number as stored."""
    batch = pa.RecordBatch.from_arrays([array], names=["value"])
    path = tmp_path / "f.xlsx"
    with Workbook(path, tmp_path, datetime(2026, 11, 22, tzinfo=UTC), PageTexts("", "")) as book:
        book.add("sheet", Rows(batch.schema, iter([batch])))
    with zipfile.ZipFile(path) as content:
        numbers = re.findall(r'<c r="A2"[^>]*><v>([0-9.E+-]+)</v>', content.read("xl/worksheets/sheet1.xml").decode())
    return openpyxl.load_workbook(path)["sheet"]["A2"].value, [float(number) for number in numbers]


def instant(*parts, unit="us", zone="UTC"):
    return pa.array([datetime(*parts, tzinfo=UTC)], pa.timestamp("us", tz="UTC")).cast(pa.timestamp(unit, tz=zone))


@pytest.mark.parametrize(
    ("array", "cell"),
    [
        (instant(9999, 12, 31, 23, 59, 59, 999999), "9999-12-31T23:59:59.999999Z"),
        (instant(9999, 12, 31, 23, 59, 59, 999500), "9999-12-31T23:59:59.999500Z"),
        (instant(9999, 12, 31, 23, 59, 59), datetime(9999, 12, 31, 23, 59, 59)),
        (instant(2026, 12, 31, 23, 59, 59, 999999), datetime(2026, 12, 31, 23, 59, 59, 999000)),
        (instant(1899, 12, 31, 1), "1899-12-31T01:00:00Z"),
        (instant(1900, 1, 1), "1900-01-01T00:00:00Z"),
        (instant(1900, 2, 28, 23, 59, 59, 999900), "1900-02-28T23:59:59.999900Z"),
        (instant(1900, 3, 1), datetime(1900, 3, 1)),
        (instant(1, 1, 1), "0001-01-01T00:00:00Z"),
        (pa.array([2**63 - 1], pa.timestamp("us", tz="UTC")), "infinity"),
        (pa.array([253_402_300_800_000_000], pa.timestamp("us")), "10000-01-01T00:00:00"),
        (pa.array([9_089_348_860_800_000_000], pa.timestamp("us")), "290000-01-01T00:00:00"),
    ],
    ids=str,
)
def test_an_instant_stays_within_the_days_that_a_sheet_knows(tmp_path, array, cell):
    """F79: Excel refuses a workbook with a day after 9999-12-31, and numbers the days before March 1900 differently."""
    value, numbers = cell_of(tmp_path, array)
    assert value == cell
    assert all(61 <= number < LAST_SERIAL + 1 for number in numbers)


@pytest.mark.parametrize(
    ("number", "cell"),
    [(1e-320, "1e-320"), (-5e-324, "-5e-324"), (2.5e-308, 2.5e-308), (0.0, 0), (float("inf"), "inf"), (1e308, 1e308)],
)
def test_a_number_that_a_sheet_does_not_have_is_text(tmp_path, number, cell):
    """F79: a sheet reads numbers nearer to zero as zero."""
    assert cell_of(tmp_path, pa.array([number], pa.float64()))[0] == cell


NOTHING = PageTexts("", "")


def sheet_of(tmp_path, columns, fixed, title="sheet", printed=NOTHING):
    """A workbook's only sheet as openpyxl reads it."""
    batch = pa.RecordBatch.from_pydict(columns)
    path = tmp_path / "f.xlsx"
    with Workbook(path, tmp_path, datetime(2026, 11, 22, tzinfo=UTC), printed) as book:
        book.add("sheet", Rows(batch.schema, iter([batch])), title=title, fixed=fixed)
    return openpyxl.load_workbook(path)["sheet"]


def widths(page):
    """The width of each column; neighbours of one width are one entry."""
    entries = sorted(page.column_dimensions.values(), key=lambda entry: entry.min)
    return [int(entry.width) for entry in entries for _ in range(entry.min, entry.max + 1)]


def test_each_page_in_print_says_whose_rows_it_has_and_where_they_are_from(tmp_path):
    columns = {f"c{number:02}": ["x" * 30] * 200 for number in range(20)}
    page = sheet_of(tmp_path, columns, 3, "fc_a&b", PageTexts("Snapshot 1, complete", "Manifest SHA-256 00&ff"))
    assert (page.page_setup.orientation, page.page_setup.paperSize) == ("landscape", 9)
    assert (page.print_title_rows, page.print_title_cols) == ("$1:$1", "$A:$C")
    assert (page.freeze_panes, page.auto_filter.ref) == ("D2", "A1:T201")
    assert (page.page_setup.pageOrder, page.page_setup.scale, page.page_setup.fitToHeight) == ("overThenDown", 60, None)
    assert page.print_options.gridLines
    assert (page.oddHeader.left.text, page.oddHeader.right.text) == ("&Bfc_a&&b", "Snapshot 1, complete")
    assert (page.oddFooter.left.text, page.oddFooter.right.text) == ("Manifest SHA-256 00&&ff", "Page &P of &N")


def test_a_narrow_sheet_is_fitted_to_the_width_of_a_page(tmp_path):
    page = sheet_of(tmp_path, {"a": ["x"], "b": ["y" * 70]}, 1)
    assert (page.page_setup.fitToWidth, page.page_setup.fitToHeight) == (None, 0)
    assert page.sheet_properties.pageSetUpPr.fitToPage
    assert widths(page) == [8, 70]


def test_fixed_columns_leave_room_for_others_and_no_column_fills_a_page(tmp_path):
    columns = {name: ["x" * 200] for name in "abcdefgh"}
    found = widths(sheet_of(tmp_path, columns, 3))
    assert sorted(found[:3]) == [26, 27, 27]
    assert found[3:] == [42] * 5
