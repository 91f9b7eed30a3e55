"""The command line: one function per command; errors become exit codes. No other package prints."""

from __future__ import annotations

from crawler.cli.main import main

__all__ = ["main"]
