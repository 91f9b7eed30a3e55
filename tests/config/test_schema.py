"""The JSON Schema of the configuration: an independent validator accepts and refuses by it."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib

import jsonschema
import pytest

from crawler.config.example import example_entries, example_text
from crawler.config.schema import config_schema
from crawler.config.sections import Settings
from tests.support.config_keys import struct_keys

SCHEMA = config_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ONE = '[[accounts]]\nid = "1000000000000001"\n'


def plain(value):
    """A value of a TOML file in JSON's types, as validators of TOML files have it: dates become texts."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def problems(text):
    return [error.json_path for error in VALIDATOR.iter_errors(plain(tomllib.loads(text)))]


def uncommented(text):
    """The example's sections from [crawl] on, with their settings as they would be without the `# ` before them."""
    lines = text.split("[crawl]\n", 1)[1].splitlines()
    return "[crawl]\n" + "\n".join(re.sub(r"^# (?=[\"\w.-]+ = |\[)", "", line) for line in lines)


def test_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_example_passes():
    assert problems(example_text()) == []
    assert len(tomllib.loads(uncommented(example_text()))) > 10
    assert problems(uncommented(example_text())) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[crawl]\nconcurency = 1", "$.crawl"),
        ("[crwl]", "$"),
        ("[crawl]\nconcurrency = 0", "$.crawl.concurrency"),
        ("[crawl]\nconcurrency = '64'", "$.crawl.concurrency"),
        ("[crawl]\ntables = []", "$.crawl.tables"),
        ("[crawl]\nregions = 'cn-hangzhou'", "$.crawl.regions"),
        ("[output]\nformat = 'iceburg'", "$.output.format"),
        ("[output]\npart_size = '2GiB'", "$.output.part_size"),
        ("[output.iceberg]\nname = 'x'", "$.output.iceberg"),
        ("[[accounts]]\nid = 'prod'", "$.accounts[0].id"),
        ("[[accounts]]\nname = 'prod'", "$.accounts[0]"),
        (f"{ONE}[accounts.credentials]\ntype = 'acess_key'", "$.accounts[0].credentials"),
        (f"{ONE}[accounts.credentials]\ntype = 'access_key'\naccess_key_id = 'a'", "$.accounts[0].credentials"),
        ("[rate_limits]\nfc = { rate = 0 }", "$.rate_limits.fc.rate"),
        ("[organization]\naccount = '1'", "$.organization"),
        ("accounts = 1", "$.accounts"),
        ("[retry]\nmax_attempts = 21", "$.retry.max_attempts"),
    ],
)
def test_mistake_is_found_at_its_place(text, place):
    assert problems(text) == [place]


@pytest.mark.parametrize(
    "text",
    [
        '[[accounts]]\nid = "${ACCOUNT}"',
        '[output]\numask = "${UMASK}"\nformat = "${FORMAT}"',
        '[crawl]\nregions = ["${REGION}"]\n',
    ],
)
def test_reference_to_the_environment_stands_for_any_text(text):
    assert problems(text) == []


def test_every_key_of_the_configuration_is_in_the_schema():
    def keys(node, above=()):
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        for option in node.get("anyOf", ()):
            yield from keys(option, above)
        for key, value in node.get("properties", {}).items():
            yield above, key
            yield from keys(value, (*above, key))
        for inner in ("items", "additionalProperties"):
            if isinstance(node.get(inner), dict):
                yield from keys(node[inner], above)

    assert set(struct_keys(Settings)) == set(keys(SCHEMA))


def test_every_key_has_its_purpose_and_its_values_as_a_description():
    entries = example_entries(example_text())
    for path in ("crawl.concurrency", "output.uri", "output.iceberg.namespace", "organization.role_name"):
        *above, key = path.split(".")
        node = SCHEMA
        for name in above:
            node = SCHEMA["$defs"][node["properties"][name]["$ref"].rpartition("/")[2]]
        assert node["properties"][key]["description"].startswith(entries[path].comment)
        assert "Must be " in node["properties"][key]["description"]


def test_schema_has_neither_nulls_nor_patterns_of_python():
    text = json.dumps(SCHEMA)
    assert "null" not in text
    for pattern in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text):
        assert not re.search(r"\\[AZ]|\(\?[^:!=]", json.loads(pattern)), pattern
