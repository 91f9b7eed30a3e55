"""Text of the service in Markdown: in code spans, in which nothing is markup."""

from __future__ import annotations

from crawler.text import escape_control


def code(text: str) -> str:
    """Return a code span. Controls and a bar (it ends a table's cell) are escaped; a backtick gets a longer fence."""
    shown = code_text(text).replace("|", "\\|")
    marks = "`"
    while marks in shown:
        marks += "`"
    blank = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{marks}{blank}{shown}{blank}{marks}" if shown else ""


def code_text(text: str) -> str:
    """Return the content of a code span: printable text without blanks at its ends, which Markdown may remove."""
    return escape_control(text).strip(" ")
