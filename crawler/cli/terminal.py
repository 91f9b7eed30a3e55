"""The abilities of a terminal: colours, and a live display.

`--color` decides, else NO_COLOR and FORCE_COLOR of the environment, else whether the stream is a terminal that knows
colours (https://no-color.org, https://force-color.org, read 2026-12-01). Cheap to import.
"""

from __future__ import annotations

import os
from typing import IO

COLOR_CHOICES = ("auto", "always", "never")

_choice: list[str] = ["auto"]
_CODES = {"red": "31", "yellow": "33"}


def choose_color(choice: str) -> None:
    """Use this choice, one of `COLOR_CHOICES`, in this process."""
    _choice[0] = choice


def is_dumb() -> bool:
    """Return whether the terminal can neither move its cursor nor show colours."""
    return os.environ.get("TERM", "") in ("", "dumb", "unknown")


def is_colored(stream: IO[str]) -> bool:
    """Return whether to write colours to a stream."""
    if _choice[0] != "auto":
        return _choice[0] == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and not is_dumb())


def painted(text: str, color: str, stream: IO[str]) -> str:
    """Return text in bold and in a colour, where the stream shows colours."""
    return f"\x1b[1;{_CODES[color]}m{text}\x1b[0m" if is_colored(stream) else text


def filled(text: str, stream: IO[str]) -> str:
    """Return text with line breaks between words, for the width of a terminal. No word is broken."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    lines = text.split("\n")
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) if len(line) > width else line
        for line in lines
    )
