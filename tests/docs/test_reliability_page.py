"""docs/reliability.md names tests that there are, and every number of a group that it has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text()
LONG = ("test_kill_points.py", "test_failing_disk.py", "test_power_loss.py", "test_stops_and_refusals.py")


def functions_of(path):
    """Test's name → whether it, or any of its cases, is only in the long tier."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            found[node.name] = any(ast.unparse(mark) == "pytest.mark.trust" for mark in node.decorator_list)
    return found


@pytest.fixture(scope="module")
def files():
    """File → its tests. Reading them all takes a second: not at import, which every worker does."""
    return {path: functions_of(path) for path in (ROOT / "tests").rglob("test_*.py")}


def test_every_test_that_is_named_is_there_and_marked_by_its_tier(files):
    is_long = {name: is_long for tests in files.values() for name, is_long in tests.items()}
    named = re.findall(r"`(test_\w+)`(†?)", PAGE)
    assert len(named) > 60
    assert {name for name, _ in named} <= is_long.keys()
    assert {name for name, mark in named if bool(mark) != is_long[name]} == set()


def test_a_file_that_is_named_is_there_and_has_the_first_test_after_it():
    for file, name in re.findall(r"`(tests/[\w/]+\.py)`(?:: `(test_\w+)`)?", PAGE):
        assert (ROOT / file).is_file(), file
        assert not name or f"def {name}(" in (ROOT / file).read_text(), name


def test_every_long_test_of_the_output_is_named(files):
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    here = {name for path, tests in files.items() if path.name in LONG for name, is_long in tests.items() if is_long}
    assert here - named == set()


def test_every_number_is_in_one_table_once():
    numbers = re.findall(r"^\| ([FTP]\d+) \|", PAGE, re.MULTILINE)
    assert len(numbers) == len(set(numbers)) > 100


def test_the_groups_are_those_of_the_page():
    assert re.findall(r"^## ([A-I]): ", PAGE, re.MULTILINE) == list("ABCDEFGHI")
