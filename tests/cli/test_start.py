"""Commands that do not crawl start fast: they do not load the libraries that take long to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("aiohttp", "duckdb", "obstore", "pyarrow", "structlog")
PROGRAM = """
import contextlib, io, sys
from crawler.cli import main
said = io.StringIO()
try:
    with contextlib.redirect_stdout(said):
        main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
    assert said.getvalue()
"""


def loaded(*arguments):
    """The top-level modules that are loaded when the command has ended."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(out.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("crawl", "--help"),
        ("tables",),
        ("tables", "--json"),
        ("tables", "fc_functions"),
        ("policy",),
    ],
)
def test_what_needs_no_crawl_loads_nothing_heavy(arguments):
    assert not loaded(*arguments) & set(HEAVY)


def test_help_loads_nothing_but_click():
    assert not loaded("--help") & {*HEAVY, "anyio", "asyncio", "msgspec", "orjson", "rich"}
