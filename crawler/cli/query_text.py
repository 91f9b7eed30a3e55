"""The text of `query`: rows as a table that fits the terminal, as a list of values, or as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from crawler.audit.export.cell_text import Texts, is_number, plain_texts
from crawler.cli.markdown import code
from crawler.cli.render import console, safe, shown_text
from crawler.text import escape_control

if TYPE_CHECKING:
    from crawler.audit.query import Rows

TEXT_FORMATS = ("table", "list", "markdown")
_WIDEST_CELL = 60
# A column of at most this width (an ID, an instant) is shown in full or not at all; wider ones are cut to the latter.
_WIDEST_WHOLE = 27
_NARROWEST_CUT = 12
_GAP = 2
_PLAN = ["explain_key", "explain_value"]
_NULL = "null"


@dataclass(frozen=True, slots=True)
class _Shown:
    """The rows that are shown: their texts by column, and which columns are numbers."""

    names: Sequence[str]
    columns: Sequence[Texts]
    numbers: Sequence[bool]
    is_named: bool

    @property
    def count(self) -> int:
        return len(self.columns[0])


def print_rows(rows: Rows, max_rows: int, source: str, style: str = "table") -> None:
    """Print the first `max_rows` rows (0: all), then the number of rows and the `source`.

    `style` is one of `TEXT_FORMATS`. A table leaves columns out where the terminal is too narrow, but none that the
    statement names: it becomes a list then.
    """
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
    shown = _Shown(names, columns, [is_number(field.type) for field in rows.schema], rows.is_named)
    notes = [f"{total:,} {'row' if total == 1 else 'rows'}"]
    if shown.count < total:
        notes[0] += f", the first {shown.count:,} shown; --max-rows 0 shows all"
    match style:
        case "markdown":
            _print_markdown(shown)
        case "list":
            _print_list(shown)
        case _:
            notes += _print_table(shown)
    for note in (*notes, source):
        console().print(safe(note, "dim"), soft_wrap=True)


def on_screen(text: str) -> str:
    """Return text of many lines for a terminal: line ends stay, other control characters are escaped."""
    return "\n".join(map(escape_control, text.replace("\r\n", "\n").split("\n")))


def _screen() -> int | None:
    """Return the width of the terminal; None if stdout is none."""
    out = console()
    return out.width if out.fits_terminal else None


def _print_plan(texts: Texts) -> None:
    for text in texts:
        console().print(Text(on_screen(text or "")), soft_wrap=True)


def _print_table(shown: _Shown) -> list[str]:
    """Print the columns that fit, and return sentences on what doesn't. Without a terminal, all columns fit."""
    heads = [shown_text(name) for name in shown.names]
    cells = [[_cell_text(text) for text in texts] for texts in shown.columns]
    widths = [
        min(sys.maxsize if is_whole else _WIDEST_CELL, max(cell_len(text) for text in [head, *texts]))
        for head, texts, is_whole in zip(heads, cells, shown.numbers, strict=True)
    ]
    screen = _screen()
    widths = widths if screen is None else _fitted(widths, shown.numbers, screen)
    if len(widths) < len(heads) and (shown.is_named or shown.count == 1):
        _print_list(shown)
        fewer = "widen the terminal, or select fewer" if shown.count > 1 else ""
        return [f"shown as a list: {len(heads)} columns don't fit in {screen}; {fewer}"] if fewer else []
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for head, width, is_right in zip(heads, widths, shown.numbers, strict=False):
        # A number is never cut: where not even one column fits, it goes on in the next line.
        if is_right:
            table.add_column(safe(head), justify="right", width=width, overflow="fold")
        else:
            table.add_column(safe(head), width=width, no_wrap=True, overflow="ellipsis")
    for row in zip(*cells[: len(widths)], strict=True):
        table.add_row(*map(_cell, row))
    out = console()
    out.print(table)
    out.print()
    if len(widths) == len(heads):
        return []
    some = f"the first {len(widths)} of {len(heads)} columns fit"
    return [f"{some}; name those you need, widen the terminal, or choose the format list"]


def _cell_text(text: str | None) -> str:
    return _NULL if text is None else shown_text(text[: 4 * _WIDEST_CELL])


def _cell(text: str) -> Text:
    return safe(text, "dim" if text == _NULL else "")


def _fitted(widths: Sequence[int], numbers: Sequence[bool], screen: int) -> list[int]:
    """Return widths that fit: wide columns shrink first, then the last columns are omitted, never the first."""
    least = [
        width if is_number or width <= _WIDEST_WHOLE else _NARROWEST_CUT
        for width, is_number in zip(widths, numbers, strict=True)
    ]
    for kept in range(len(widths), 0, -1):
        room = screen - _GAP * (kept - 1)
        if sum(least[:kept]) > room:
            continue
        fitted = list(widths[:kept])
        while sum(fitted) > room:
            spare = [width - minimum for width, minimum in zip(fitted, least, strict=False)]
            fitted[spare.index(max(spare))] -= 1
        return fitted
    return [min(widths[0], screen)]


def _print_list(shown: _Shown) -> None:
    """Print each row as lines of a name and a whole value, which goes on in the next line where it is too long."""
    heads = [shown_text(name) for name in shown.names]
    lead = max(map(cell_len, heads)) + _GAP
    screen, out = _screen(), console()
    for at in range(shown.count):
        if shown.count > 1:
            out.print(Text(f"─ row {at + 1:,} ─", "dim"))
        for head, texts in zip(heads, shown.columns, strict=True):
            text = texts[at]
            value = safe(_NULL, "dim") if text is None else safe(text)
            line = Text.assemble((head, "bold"), " " * (lead - cell_len(head)), value)
            if screen is None:
                sys.stdout.write(f"{line.plain}\n")  # a value stays in one line
            else:
                out.print(line if line.cell_len <= screen else _folded(head, lead, value))


def _folded(head: str, lead: int, value: Text) -> Table:
    grid = Table.grid()
    grid.add_column(no_wrap=True, style="bold", width=lead)
    grid.add_column(overflow="fold")
    grid.add_row(Text(head), value)
    return grid


def _print_markdown(shown: _Shown) -> None:
    """Print a table for a ticket or a wiki, with all columns and whole values."""
    heads = [name if name.isidentifier() else code(name) for name in shown.names]
    marks = ["---:" if is_right else "---" for is_right in shown.numbers]
    kinds = shown.numbers
    rows = (
        [_NULL if text is None else text if is_right else code(text) for text, is_right in zip(row, kinds, strict=True)]
        for row in zip(*shown.columns, strict=True)
    )
    for cells in (heads, marks, *rows):
        sys.stdout.write(f"| {' | '.join(map(shown_text, cells))} |\n")
    sys.stdout.write("\n")
