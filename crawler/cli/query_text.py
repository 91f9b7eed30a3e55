"""The text of `query`: rows as a table that fits the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from crawler.audit.export.cell_text import Texts, is_number, plain_texts
from crawler.cli.render import console, safe, shown_text
from crawler.text import escape_control

if TYPE_CHECKING:
    from crawler.audit.query import Rows

_WIDEST_CELL = 60
# A column of at most this width (an ID, an instant) is shown in full or not at all; wider ones are cut to the latter.
_WIDEST_WHOLE = 27
_NARROWEST_CUT = 12
_GAP = 2
_PLAN = ["explain_key", "explain_value"]
_NULL = "null"


def print_rows(rows: Rows, max_rows: int, source: str) -> None:
    """Print the first `max_rows` rows (0: all), then the number of rows and the `source`."""
    names, total = rows.schema.names, 0
    columns: list[Texts] = [[] for _ in names]
    for batch in rows.batches:
        room = batch.num_rows if not max_rows else max(0, max_rows - total)
        for texts, array in zip(columns, batch.slice(0, room).columns if room else (), strict=False):
            texts += plain_texts(array)
        total += batch.num_rows
    if names == _PLAN:
        _print_plan(columns[1])
        return
    numbers = [is_number(field.type) for field in rows.schema]
    shown = _print_table(names, columns, numbers)
    notes = [f"{total:,} {'row' if total == 1 else 'rows'}"]
    if len(columns[0]) < total:
        notes[0] += f", the first {len(columns[0]):,} shown; --max-rows 0 shows all"
    if shown < len(names):
        notes.append(f"{shown} of {len(names)} columns fit; widen the terminal, select fewer, or use --format csv")
    for note in (*notes, source):
        console().print(safe(note, "dim"), soft_wrap=True)


def on_screen(text: str) -> str:
    """Return text of many lines for a terminal: line ends stay, other control characters are escaped."""
    return "\n".join(map(escape_control, text.replace("\r\n", "\n").split("\n")))


def _print_plan(texts: Texts) -> None:
    for text in texts:
        console().print(Text(on_screen(text or "")), soft_wrap=True)


def _print_table(names: Sequence[str], columns: Sequence[Texts], numbers: Sequence[bool]) -> int:
    """Print the columns that fit and return their number. Without a terminal, all columns fit."""
    heads = [shown_text(name) for name in names]
    cells = [[_NULL if text is None else shown_text(text[: 4 * _WIDEST_CELL]) for text in texts] for texts in columns]
    widths = [
        min(_WIDEST_CELL, max(cell_len(text) for text in [head, *texts]))
        for head, texts in zip(heads, cells, strict=True)
    ]
    out = console()
    screen = out.width if out.fits_terminal else None
    widths = widths if screen is None else _fitted(widths, screen)
    if len(widths) < len(names) and len(cells[0]) == 1:
        _print_record(heads, columns)
        return len(names)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for head, width, is_right in zip(heads, widths, numbers, strict=False):
        table.add_column(
            safe(head), justify="right" if is_right else "left", width=width, no_wrap=True, overflow="ellipsis"
        )
    for row in zip(*cells[: len(widths)], strict=True):
        table.add_row(*map(_cell, row))
    out.print(table)
    out.print()
    return len(widths)


def _cell(text: str) -> Text:
    return safe(text, "dim" if text == _NULL else "")


def _fitted(widths: Sequence[int], screen: int) -> list[int]:
    """Return widths that fit: wide columns shrink first, then the last columns are omitted, never the first."""
    least = [width if width <= _WIDEST_WHOLE else _NARROWEST_CUT for width in widths]
    for kept in range(len(widths), 1, -1):
        room = screen - _GAP * (kept - 1)
        if sum(least[:kept]) > room:
            continue
        fitted = list(widths[:kept])
        while sum(fitted) > room:
            spare = [width - minimum for width, minimum in zip(fitted, least, strict=False)]
            fitted[spare.index(max(spare))] -= 1
        return fitted
    return [min(widths[0], screen)]


def _print_record(heads: Sequence[str], columns: Sequence[Texts]) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for head, texts in zip(heads, columns, strict=True):
        grid.add_row(safe(head), safe(_NULL, "dim") if texts[0] is None else safe(texts[0]))
    console().print(grid)
