"""T35: a CSV file as a spreadsheet reads it that parts cells at semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.audit.export.cell_text import escape_formula
from crawler.audit.export.files import write_csv
from crawler.audit.query import Rows
from tests.support.hostile_rows import FORMULAS

DELIMITERS = (",", ";", "\t", "|")
# Characters that a spreadsheet may skip before a formula. The apostrophe isn't one: it makes the cell a text.
SKIPPED = ' \t\r\n\x0b\x0c\x00\x01\x1f\x85\xa0"`“\u200b\ufeff'
SIGNS = "=+-@＝－\N{MINUS SIGN}"
TEXTS = st.one_of(
    st.none(),
    st.text(st.sampled_from(";;\t|\n\r,\"'=+-@＝－a1 \xa0\ufeff"), max_size=8),
    st.sampled_from(
        [
            f"x{separator}{lead}{text}{separator}y"
            for separator in ";\t|\n"
            for lead in ("", " ", '"')
            for text in FORMULAS[:4]
        ]
    ),
)


def written(columns, *, is_raw=False):
    """The CSV of text columns."""
    batch = pa.RecordBatch.from_arrays(
        [pa.array(values, pa.string()) for values in columns.values()], names=list(columns)
    )
    parts: list[str] = []
    result = write_csv(Rows(batch.schema, iter([batch])), parts.append, is_raw=is_raw)
    return "".join(parts), result


def cells(text, delimiter):
    return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]


def formulas(text):
    """The cells that would be run, by the delimiter."""
    return [
        (delimiter, cell)
        for delimiter in DELIMITERS
        for cell in cells(text, delimiter)
        if cell.lstrip(SKIPPED)[:1] in SIGNS and cell.lstrip(SKIPPED)
    ]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
def test_no_cell_is_a_formula_wherever_a_spreadsheet_parts_them(rows):
    """T35."""
    first, second = (list(column) for column in zip(*rows, strict=True))
    text, _ = written({"name": [f"f{place}" for place in range(len(rows))], "a;=b": first, "c": second})
    assert formulas(text) == []


def test_the_same_texts_unguarded_are_formulas():
    """Control: otherwise the absence of formulas would prove nothing."""
    text, _ = written({"name": ["f"], "text": ["x;=1+1"]}, is_raw=True)
    assert formulas(text) == [(";", '=1+1"')]


@pytest.mark.parametrize("separator", list(";\t|"))
def test_a_cell_with_a_separator_is_quoted(separator):
    """T35: a spreadsheet that parts cells at commas and at this separator reads one cell."""
    text, result = written({"name": ["f"], "text": [f"x{separator}y"]})
    assert text == f'name,text\r\nf,"x{separator}y"\r\n'
    assert result.guarded_cells == 0


def test_the_text_is_what_it_was_apart_from_apostrophes():
    texts = ["x;=1+1", "=1;y", "a\n-b", "plain;text", "x\t'+1"]
    text, result = written({"text": texts})
    read = cells(text, ",")[1:]
    assert [re.sub("'", "", cell) for cell in read] == [re.sub("'", "", cell) for cell in texts]
    assert result.guarded_cells == 4
    assert cells(written({"text": texts}, is_raw=True)[0], ",")[1:] == texts


def cell_of(text):
    """A text as a cell, by the rules of the documentation: an oracle that shares only the guard with the writer."""
    shown = escape_formula(text)
    is_quoted = not shown or re.search(r'[",;|\t\r\n]', shown) or shown != shown.strip()
    return '"' + shown.replace('"', '""') + '"' if is_quoted else shown


@given(st.lists(st.one_of(TEXTS, st.text(st.characters(codec="utf-8")), st.sampled_from(FORMULAS)), max_size=12))
def test_a_cell_is_the_same_whatever_other_cells_its_column_has(texts):
    text, result = written({"a": texts, "b": ["x"] * len(texts)})
    expected = ["a,b", *(f"{'' if value is None else cell_of(value)},x" for value in texts)]
    assert text == "".join(f"{line}\r\n" for line in expected)
    assert result.guarded_cells == sum(value is not None and escape_formula(value) != value for value in texts)
