"""The configuration part of docs/reference.md: every key of the code, with its text from config.example.toml."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from crawler.config.sections import Settings
from docs.generate.configuration import EXAMPLE, section_page
from tests.support.config_keys import struct_keys

PAGE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text().split("\n## Configuration\n", 1)[1]
SECTIONS = dict(re.findall(r"^### `\[+([\w.]+)\]+`\n(.*?)(?=^###|\Z)", PAGE, re.MULTILINE | re.DOTALL))
NESTED = {"accounts", "organization", "iceberg", "lake", "credentials"}


def rows(section):
    """Key → the other cells."""
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in found}


def test_every_key_of_the_code_is_on_the_page():
    keys = {(".".join(above), key) for above, key in struct_keys(Settings) if above and key not in NESTED}
    keys -= {(above, key) for above, key in keys if above == "rate_limits"}
    assert len(keys) > 40
    assert keys <= {(section, key) for section, text in SECTIONS.items() for key in rows(text)}


def test_every_section_of_the_code_is_on_the_page():
    assert SECTIONS.keys() == {*Settings.__struct_fields__, "accounts.credentials", "output.iceberg", "output.lake"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_says_what_it_takes_and_what_it_is_for(section):
    said = rows(SECTIONS[section])
    assert said
    for key, (takes, _, words) in said.items():
        assert takes, key
        assert words or section == "endpoints", key


def test_defaults_are_the_codes():
    assert rows(SECTIONS["crawl"])["concurrency"][1] == f"`{Settings().crawl.concurrency}`"
    assert rows(SECTIONS["output"])["umask"][1] == f"`{json.dumps(Settings().output.umask)}`"
    assert rows(SECTIONS["accounts"])["id"][1] == "required"


def test_a_key_that_the_example_forgets_would_be_seen():
    text = re.sub(r"(?m)^# concurrency = .*\n", "", EXAMPLE.read_text())
    assert "| `concurrency` | a whole number from 1 to 1024 | `64` |  |" in section_page(text)
