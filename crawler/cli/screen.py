"""A console that fits text and tables to the width of a terminal, and writes them plain and unbroken elsewhere.

On a terminal, lines break between words only: an ID, a path or a number stays in one piece. A table that is too wide
first breaks its headers, then leaves out columns, then cuts names with a mark; else each row becomes a list of its
values. A digit is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from crawler.cli.terminal import is_colored

# Wide enough for each line of a file or a pipe.
_UNBROKEN = 100_000
_GAP = 2
_SHORTEST_NAME = 24
# No ID is longer. Longer words of a column that folds, such as paths, are broken if they must be.
_LONGEST_WHOLE = 21
# A number stays with its unit.
_WORD = re.compile(r"\s*(?:[\d.,]+ (?:s|min|h|B|kB|MB|GB|TB)(?!\w)|\S+)")


class Screen(Console):
    """A console for stdout or stderr. Tables have no trailing blanks, and one empty line between them and others."""

    def __init__(self, stream: IO[str]) -> None:
        self.fits_terminal = stream.isatty()
        has_color = is_colored(stream)
        super().__init__(
            file=stream,
            highlight=False,
            width=None if self.fits_terminal else _UNBROKEN,
            force_terminal=self.fits_terminal or has_color,
            color_system=None if not has_color else "auto" if self.fits_terminal else "standard",
            no_color=not has_color,
        )
        self._is_fresh = True
        self._owes_line = False

    def print(self, *objects: Any, **options: Any) -> None:
        """See `rich.console.Console.print`. `soft_wrap` has no effect."""
        if not objects and self._owes_line:
            self.space()
            return
        self.space()
        self._is_fresh = False
        options["soft_wrap"] = True
        if not objects:
            super().print()
        elif all(isinstance(found, str | Text) for found in objects):
            text = Text(" ").join(found if isinstance(found, Text) else self.render_str(found) for found in objects)
            for line in broken(text, self.width if self.fits_terminal else _UNBROKEN):
                super().print(line, **options)
        else:  # a Control must stay as it is
            super().print(*(Trimmed(found) if isinstance(found, Table | Padding) else found for found in objects))

    def print_indented(self, text: Text, columns: int) -> None:
        """Print a text with so many blanks before each of its lines."""
        width = max(1, self.width - columns) if self.fits_terminal else _UNBROKEN
        for line in broken(text, width):
            self.print(Text(" " * columns) + line)

    def space(self, *, before_table: bool = False) -> None:
        """Print the empty line between a table and what comes before or after it."""
        if self._owes_line or (before_table and not self._is_fresh):
            super().print()
        self._owes_line = False

    def print_table(self, table: TextTable) -> None:
        """Print a table, or nothing if it has no rows."""
        if not table.rows:
            return
        self.space(before_table=True)
        for part in table.fitted(self.width if self.fits_terminal else _UNBROKEN):
            self.print(part)
        self.end_block()

    def end_block(self) -> None:
        """Put an empty line before what comes next."""
        self._owes_line = True


def broken(text: Text, width: int) -> list[Text]:
    """Return the lines of a text, broken between words. A word that is wider than a line stays in one piece."""
    return [line for whole in text.split(allow_blank=True) for line in _broken_line(whole, width)]


def _broken_line(text: Text, width: int) -> Iterator[Text]:
    ends, begin = [], 0
    for word in _WORD.finditer(text.plain):
        if cell_len(text.plain[begin : word.end()].rstrip()) > width and text.plain[begin : word.start()].strip():
            ends.append(word.start())
            begin = word.start()
    for number, line in enumerate(text.divide(ends)):
        line.rstrip()
        yield line[_indent(line) :] if number else line


def _indent(line: Text) -> int:
    return len(line.plain) - len(line.plain.lstrip())


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A renderable without the blanks at the ends of its lines."""

    inner: Any

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self.inner, options, pad=False):
            yield from _without_blanks(line)
            yield Segment.line()


def _without_blanks(line: list[Segment]) -> Iterator[Segment]:
    kept = list(line)
    while kept and not kept[-1].text.rstrip():
        kept.pop()
    yield from kept[:-1]
    if kept:
        yield Segment(kept[-1].text.rstrip(), kept[-1].style, kept[-1].control)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts.

    `numbers` are columns to align on the right. `folding` columns break between words. `expendable` columns are left
    out if the terminal is too narrow, in this order. `names` may be cut, with a mark, if that isn't enough.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    title: str = ""
    numbers: Iterable[str] = ()
    folding: Iterable[str] = ()
    expendable: Sequence[str] = ()
    names: Iterable[str] = ("table",)

    def fitted(self, width: int) -> Iterator[Any]:
        """Yield what to print in so many columns: the title, the table or its values, and a note about the rest."""
        if self.title:
            yield Text(self.title, "bold")
        expendable = [name for name in self.expendable if name in self.columns]
        for number in range(-1, len(expendable) + 1):
            breaks_heads, left_out = number >= 0, expendable[: max(0, number)]
            kept = [index for index, name in enumerate(self.columns) if name not in left_out]
            if self._least(kept, breaks_heads=breaks_heads) <= width:
                yield self._table(kept, {}, breaks_heads=breaks_heads)
                break
        else:
            cut = self._cut_names(kept, width)
            left_out = left_out if cut else []
            if cut:
                yield self._table(kept, cut, breaks_heads=True)
            else:
                yield from self._records(width)
        if named := ", ".join(filter(None, left_out)):
            yield Text(f"left out, since the terminal is too narrow: {named}", "dim")

    def _head(self, index: int, *, breaks_heads: bool) -> str:
        is_broken = breaks_heads and self.columns[index] not in set(self.folding)
        return self.columns[index].replace(" ", "\n") if is_broken else self.columns[index]

    def _width(self, index: int, *, breaks_heads: bool) -> int:
        """The least width of a column: its widest cell, or the longest word of one that folds."""
        texts = [self._head(index, breaks_heads=breaks_heads), *(row[index].plain for row in self.rows)]
        if self.columns[index] not in set(self.folding):
            return max(cell_len(line) for text in texts for line in text.split("\n"))
        return max((min(cell_len(word), _LONGEST_WHOLE) for text in texts for word in text.split()), default=0)

    def _least(self, kept: Sequence[int], *, breaks_heads: bool) -> int:
        widths = [self._width(index, breaks_heads=breaks_heads) for index in kept]
        return sum(widths) + _GAP * (len(widths) - 1)

    def _cut_names(self, kept: Sequence[int], width: int) -> dict[int, int]:
        """Return the index → the width of each column of names that must be cut; empty if that can't be enough."""
        names = [index for index in kept if self.columns[index] in set(self.names)]
        room = width - self._least([index for index in kept if index not in names], breaks_heads=True)
        room = (room - _GAP * len(names)) // max(1, len(names))
        return dict.fromkeys(names, room) if room >= _SHORTEST_NAME else {}

    def _table(self, kept: Sequence[int], cut: dict[int, int], *, breaks_heads: bool) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
        right, folding = set(self.numbers), set(self.folding)
        for index in kept:
            name = self.columns[index]
            justify: Literal["left", "right"] = "right" if name in right else "left"
            table.add_column(
                Text(self._head(index, breaks_heads=breaks_heads)),
                justify=justify,
                no_wrap=name not in folding,
                overflow="ellipsis" if index in cut else "fold" if name in folding else "crop",
                max_width=cut.get(index),
                min_width=None if index in cut else self._width(index, breaks_heads=breaks_heads),
            )
        for row in self.rows:
            table.add_row(*(row[index] for index in kept))
        return table

    def _records(self, width: int) -> Iterator[Text]:
        """Yield each row as lines of its values, with an empty line between rows."""
        longest = max(map(cell_len, self.columns))
        for number, row in enumerate(self.rows):
            if number:
                yield Text()
            for name, cell in zip(self.columns, row, strict=True):
                if cell.plain:
                    yield from _labelled(Text(name.ljust(longest + _GAP), "bold"), cell, width)


def _labelled(label: Text, value: Text, width: int) -> Iterator[Text]:
    """Yield a value beside its label; below it if a word of the value doesn't fit beside it."""
    indent = len(label)
    if max(map(cell_len, value.plain.split()), default=0) > width - indent:
        label.rstrip()
        yield label
        label, indent = Text(" " * _GAP), _GAP
    for number, line in enumerate(broken(value, width - indent)):
        yield (Text(" " * indent) if number else label) + line
