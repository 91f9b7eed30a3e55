"""docs/feeding.md: its commands exist, and the SQL that it shows is the program's."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from crawler.catalog import load_catalog
from crawler.catalog.ddl.script import DIALECTS
from tests.support import command_server
from tests.support.shown_commands import commands_in, parse_options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/feeding.md").read_text()
SHOWN = re.findall(r"`acs-inventory ([^`]+)` prints:\n\n<!-- ddl -->\n```sql\n(.*?)```", PAGE, re.DOTALL)


def test_every_command_of_the_page_is_one():
    found = [parse_options(arguments) for arguments in commands_in(PAGE)]
    assert len(found) >= 5
    assert {name for name, _ in found} == {"tables"}


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=[command.split()[3] for command, _ in SHOWN])
def test_shown_ddl_is_what_the_command_prints(command, shown):
    done = command_server.run(shlex.split(command), cwd=ROOT, env=os.environ)
    assert done.returncode == 0
    assert re.sub(r"\A(--.*\n)+\n", "", done.stdout) == shown


def test_other_sql_of_the_page_is_understood():
    blocks = [text for text in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL) if "INSERT" in text]
    kinds = [sqlglot.parse_one(text, dialect="starrocks" if "FILES" in text else "spark") for text in blocks]
    assert [type(kind) for kind in kinds] == [exp.Insert, exp.Insert]


def test_every_dialect_is_named():
    named = re.search(r"`--ddl` writes SQL for (.+?)\. ", PAGE)[1]
    assert set(re.findall(r"`(\w+)`", named)) == DIALECTS.keys()
    ways = set(re.findall(r"`--ddl (\w+)`", PAGE))
    assert ways == DIALECTS.keys()


def test_numbers_of_the_page_are_those_of_the_catalog():
    assert re.findall(r"each statement of all (\d+) tables", PAGE) == [str(len(load_catalog().operations))]
