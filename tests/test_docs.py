"""What README, CONTRIBUTING and the others claim, run or compared with what they are about."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import msgspec
import pytest

from crawler import __version__
from crawler._catalog_file import OperationFile
from crawler.catalog import load_catalog
from crawler.cli.entry import app
from crawler.config import parse_config
from crawler.snapshot import Status

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def block(name: str) -> str:
    """The fenced block of README that stands under `<!-- name -->`."""
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder in which `make demo` has been run, without make."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "crawler", "demo", "--output", "demo-snapshots", "--quiet"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=120)
    return folder


def test_the_least_policy_is_what_the_catalog_calls():
    [statement] = json.loads(block("policy"))["Statement"]
    assert statement["Action"] == sorted({operation.ram for operation in load_catalog().operations.values()})
    assert statement["Effect"] == "Allow"


def test_the_first_configuration_loads():
    environ = {"PROD_ACCESS_KEY_ID": "a", "PROD_ACCESS_KEY_SECRET": "b"}
    config = parse_config(block("config"), source="README", environ=environ)
    assert [account.id for account in config.accounts] == ["1000000000000001"]


def test_the_sql_runs(demo, monkeypatch):
    monkeypatch.chdir(demo)
    with duckdb.connect() as connection:
        rows = connection.execute(block("duckdb")).fetchall()
    assert sum(row[-1] for row in rows) == 505


def test_the_python_runs(demo):
    done = subprocess.run([sys.executable, "-c", block("python")], cwd=demo, capture_output=True, text=True, check=True)
    assert "runtime" in done.stdout
    assert done.stdout.splitlines()[-1] == "136"


def test_the_tables_are_the_catalogs():
    listed = re.findall(r"^\| `((?:fc2?|opensearch)_\w+)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(load_catalog().operations)


def test_the_statuses_are_the_ledgers():
    listed = re.findall(r"^\| `(\w+)` \| ", README.split("| status | means |")[1].split("###")[0], re.MULTILINE)
    assert set(listed) == {str(status) for status in Status}


def test_the_exit_codes_are_the_commands():
    listed = README.split("| code | means |")[1].split("##")[0]
    codes = {int(code) for group in re.findall(r"^\| ([\d, ]+) \|", listed, re.MULTILINE) for code in group.split(",")}
    done = subprocess.run(
        [sys.executable, "-m", "crawler", "crawl", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = re.search(r"Exit codes:(.*?)\n\n", done.stdout, re.DOTALL)[1]
    assert codes == {int(number) for number in re.findall(r"\b\d+\b", said)}


def test_every_command_that_is_shown_is_there_and_every_one_there_is_shown():
    from crawler.cli import crawling, emulating, inspecting, snapshots

    commands = {c.name for module in (crawling, emulating, inspecting, snapshots) for c in module.COMMANDS}
    shown = set(
        re.findall(
            r"acs-inventory (?:\S*/)?([a-z]+)\b", " ".join(re.findall(r"`[^`]*`|^acs-.*$", README, re.MULTILINE))
        )
    )
    make = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert shown <= commands
    assert commands - shown - make == set()
    assert app.name == "app"


def test_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make (\w+)`|^make (\w+)", page.read_text(), re.MULTILINE):
            assert re.search(rf"^{target[0] or target[1]}:", makefile, re.MULTILINE), (page.name, target)


def test_contributing_names_every_key_of_a_schema_file():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for field in msgspec.structs.fields(OperationFile):
        assert field.name in text, field.name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct) and field.name != "paging":
            for inner in msgspec.structs.fields(field.type):
                assert f"`{inner.name}`" in text, (field.name, inner.name)


def test_the_changelog_has_this_version():
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), (page.name, link)


def test_no_file_names_one_machine_or_a_registrys_host():
    # Put together here, so that this file isn't found by itself.
    forbidden = re.compile(
        "|".join(["py" + r"pi\.org", "python" + "hosted", r"\.\./sh" + "ared", "/ro" + "ot/", "/wo" + "rk/"])
    )
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and (found := forbidden.search(path.read_text("utf-8", "replace"))):
            pytest.fail(f"{name}: {found[0]!r}")
