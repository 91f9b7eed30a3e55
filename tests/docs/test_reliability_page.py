"""docs/reliability.md names tests that there are, and every number of a group that it has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text()
# By the letter of a heading: the numbers that stand under it.
GROUPS = {
    "A": [f"F{n:02}" for n in range(1, 18)],
    "B": [f"F{n:02}" for n in range(18, 27)],
    "C": [f"F{n:02}" for n in range(27, 38)],
    "D": [f"F{n:02}" for n in range(38, 44)],
    "E": [*(f"F{n}" for n in range(44, 61)), "T14", "T22", "T23"],
    "F": [f"T{n:02}" for n in range(1, 14)],
    "G": [f"T{n:02}" for n in range(15, 22)],
    "H": [f"T{n:02}" for n in range(24, 28)],
    "I": [f"T{n:02}" for n in range(28, 31)],
}
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


def test_every_number_of_a_group_is_in_its_table_once():
    sections = re.findall(r"^## ([A-I]): .*\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE)
    assert dict(sections).keys() == GROUPS.keys()
    for letter, section in sections:
        assert sorted(re.findall(r"^\| ([FT]\d\d) \|", section, re.MULTILINE)) == sorted(GROUPS[letter]), letter


def test_the_groups_have_every_fault_and_threat():
    numbers = [number for group in GROUPS.values() for number in group]
    assert sorted(numbers) == [f"F{n:02}" for n in range(1, 61)] + [f"T{n:02}" for n in range(1, 31)]
