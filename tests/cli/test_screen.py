"""Tables and texts on terminals of any width, and in pipes."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.text import Text

from crawler.cli.render import console, counted, print_aligned, safe
from crawler.cli.screen import broken
from tests.support.terminals import on_screen

NAMES = ["opensearch_intervention_dictionary_related_entities", "fc_functions"]
IDS = ["1000000000000001", "1000000000000002"]
ROWS = [
    (IDS[0], NAMES[0], "12,345,678", "1.2 MB", "denied: fc:ListFunctions isn't allowed in cn-hangzhou"),
    (IDS[1], NAMES[1], "7", "0 B", ""),
]
COLUMNS = ("account", "table", "rows written", "size", "reason")


def show():
    print_aligned(
        console(),
        COLUMNS,
        ROWS,
        numbers=("rows written", "size"),
        folding=("reason",),
        expendable=("size",),
    )


@pytest.mark.parametrize("width", range(54, 200))
def test_table_fits_each_width_with_whole_ids_and_numbers(monkeypatch, width):
    text = on_screen(monkeypatch, width, show)
    assert max(map(len, text.splitlines())) <= width
    for value in (*IDS, "12,345,678", "7"):
        assert re.search(rf"(?<![\w,]){value}(?![\w,])", text), value
    names = re.findall(r"\b(?:fc|opensearch)_\w*…?", text)
    assert all(name in NAMES or name.endswith("…") for name in names)
    assert "size" in text, "shown, or named as left out"
    assert ("1.2 MB" in text) != ("left out, since the terminal is too narrow: size" in " ".join(text.split()))


def test_table_in_a_pipe_has_one_line_a_row_and_no_blanks_at_ends(monkeypatch):
    lines = on_screen(monkeypatch, None, show).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert lines[0].split("  ")[0] == "account"
    assert all(line == line.rstrip() for line in lines)
    assert lines[2].split() == " ".join(ROWS[0]).split()


def test_empty_lines_are_between_blocks_only(monkeypatch):
    def blocks():
        out = console()
        print_aligned(out, ("a",), [("1",)])
        print_aligned(out, ("b",), [("2",)], title="Second")
        out.print("text")
        out.print()
        out.print("more")
        print_aligned(out, ("c",), [])
        print_aligned(out, ("d",), [("3",)])

    text = on_screen(monkeypatch, None, blocks)
    assert re.sub("─+", "-", text) == "a\n-\n1\n\nSecond\nb\n-\n2\n\ntext\n\nmore\n\nd\n-\n3\n"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("one two", 7, ["one two"]),
        ("one two", 6, ["one", "two"]),
        ("one  two", 6, ["one", "two"]),
        ("  one two", 6, ["  one", "two"]),
        ("https://host/a/long/path x", 10, ["https://host/a/long/path", "x"]),
        ("it took 4.7 s", 10, ["it took", "4.7 s"]),
        ("a\nb", 5, ["a", "b"]),
        ("函数 函数", 5, ["函数", "函数"]),
    ],
)
def test_text_is_broken_between_words(text, width, lines):
    assert [line.plain for line in broken(Text(text), width)] == lines


def test_broken_text_keeps_its_styles():
    lines = broken(Text.assemble(("one two ", "red"), ("three", "bold")), 8)
    assert [(line.plain, [span.style for span in line.spans]) for line in lines] == [
        ("one two", ["red"]),
        ("three", ["bold"]),
    ]


def test_text_of_others_can_neither_mark_up_nor_move_the_cursor(monkeypatch):
    text = on_screen(monkeypatch, 60, lambda: console().print(safe("[red]a[/red] \x1b[2J b")))
    assert text == "[red]a[/red] \\x1b[2J b\n"


def test_numbers_have_their_nouns():
    assert [counted(number, "retry", "retries") for number in (0, 1, 2)] == ["0 retries", "1 retry", "2 retries"]
    assert [counted(number, "scope") for number in (0, 1, 1200)] == ["0 scopes", "1 scope", "1,200 scopes"]


def test_dumb_terminal_gets_no_escapes(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", out)
    console().print(safe("text", "bold red"))
    show()
    assert "\x1b" not in out.getvalue()
