"""The command line: arguments → one function each, errors → exit codes. The only place that prints."""

from __future__ import annotations

from crawler.cli.main import main

__all__ = ["main"]
