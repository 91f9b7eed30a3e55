"""The structure: one public class per name, a reading order per package, the layers as docs/design.md draws them."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "crawler").rglob("*.py"))


def public_classes(path):
    """Names of the public classes that a module defines, not those nested in another."""
    return [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_public_class_name_is_defined_once():
    """One word has one meaning: a second class of the same name would be another thing."""
    places = defaultdict(list)
    for path in SOURCES:
        for name in public_classes(path):
            places[name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_test_imports_a_test_or_a_benchmark():
    """Code that two tests share is in tests/support, where a reader looks for it."""
    found = []
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
            if module.startswith("benchmarks") or (module.startswith("tests.") and ".test_" in module):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {module}")
    assert found == []
