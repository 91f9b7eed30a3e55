"""Output as a terminal of some width gets it, without a process."""

from __future__ import annotations

import io
import re
import sys

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(io.StringIO):
    """A stream that records text and reports a terminal."""

    def isatty(self):
        return True


def without_escapes(text):
    """Return text without colours and cursor movements."""
    return _ESCAPES.sub("", text)


def on_screen(monkeypatch, width, show, stream="stdout"):
    """Call `show` with a terminal of this width as stdout (None: a pipe), and return the text without colours."""
    out = io.StringIO() if width is None else Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, stream, out)
        patched.setenv("COLUMNS", str(width or 80))
        patched.setenv("TERM", "xterm-256color")
        show()
    return without_escapes(out.getvalue())
