"""Claims of README, CONTRIBUTING and other pages, run or compared with their subjects."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import duckdb
import msgspec
import pytest

from crawler import __version__
from crawler.catalog import load_catalog
from crawler.catalog.checks import check_paging
from crawler.catalog.file_format import OperationFile, PagingPart
from crawler.cli.main import app
from crawler.config import Config, parse_config
from crawler.config.resolve import limit_rules
from crawler.emulator.faults.parse import EFFECTS, SELECTORS
from crawler.emulator.faults.script import FaultScript
from crawler.errors import CatalogError
from crawler.snapshot import Status, list_snapshots, read_manifest
from crawler.snapshot.layout import id_after
from docs.generate import tables as tables_page
from tests.support import command_server
from tests.support.crawl_runner import site
from tests.support.few_files import RELEASED, write_again, write_both_layouts
from tests.support.lakes import add_checkpoints

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def block(name: str) -> str:
    """The fenced block of README that stands under `<!-- name -->`."""
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder with the output of `make demo`, for the tables that README queries; test_cli runs the demo itself.

    The output also has Delta tables, whose logs have Parquet files.
    """
    folder = tmp_path_factory.mktemp("docs")

    async def main():
        async with site(folder) as here:
            await here.crawl(here.config(tables=["fc_functions", "fc_layers"]))
            here.output.rename(folder / "demo-snapshots")

    anyio.run(main)
    add_checkpoints(folder / "demo-snapshots")
    return folder


def said(*arguments):
    """The output of a command."""
    done = command_server.run(arguments, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_policy_that_is_shown_is_what_the_command_prints():
    [shown] = re.findall(r"`acs-inventory (policy --table \w+)`", README)
    assert block("policy") == said(*shown.split())


def test_as_many_actions_as_are_promised_are_in_the_whole_policy():
    [number] = re.findall(r"(\d+) actions for all tables", README)
    [statement] = json.loads(said("policy"))["Statement"]
    assert len(statement["Action"]) == int(number)


def test_the_first_configuration_loads():
    environ = {"PROD_ACCESS_KEY_ID": "a", "PROD_ACCESS_KEY_SECRET": "b"}
    config = parse_config(block("config"), source="README", environ=environ)
    assert [account.id for account in config.accounts] == ["1000000000000001"]


def test_the_organization_goes_with_the_first_configuration():
    environ = {"PROD_ACCESS_KEY_ID": "a", "PROD_ACCESS_KEY_SECRET": "b"}
    config = parse_config(block("config") + block("organization"), source="README", environ=environ)
    assert (config.directory_account.id, config.organization.role_name) == ("1000000000000001", "inventory-reader")


@pytest.fixture(scope="module")
def both_layouts(tmp_path_factory):
    """A folder with a snapshot of 0.1.0, and a newer one with the same rows in few files."""
    folder = tmp_path_factory.mktemp("both")
    write_both_layouts(folder / "demo-snapshots")
    return folder


@pytest.fixture(params=["demo", "both_layouts"])
def folder(request):
    return request.getfixturevalue(request.param)


def landed(folder, table):
    """How many rows of a table all manifests of the demo have."""
    manifests = (folder / "demo-snapshots" / "_snapshots").glob("*Z-????.json")
    return sum(json.loads(manifest.read_text())["tables"][table]["rows"] for manifest in manifests)


def test_the_sql_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with duckdb.connect() as connection:
        rows = connection.execute(block("duckdb")).fetchall()
    assert sum(row[-1] for row in rows) == landed(folder, "fc_functions")


def test_the_python_runs(folder):
    done = subprocess.run(
        [sys.executable, "-c", block("python")], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "runtime" in done.stdout
    assert int(done.stdout.splitlines()[-1]) == landed(folder, "fc_layers")


def test_a_pattern_of_the_pages_matches_the_files_of_its_layouts_and_no_other(demo, tmp_path):
    """Also beside a Delta log with a checkpoint."""
    root = tmp_path / "snapshots"
    shutil.copytree(demo / "demo-snapshots", root)
    shutil.copytree(RELEASED, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("LATEST"))
    manifests = [read_manifest(root, found.snapshot_id) for found in list_snapshots(root)]
    manifests.append(write_again(root, manifests[-1].snapshot_id, id_after(manifests[-1].snapshot_id)))
    assert {manifest.format for manifest in manifests} == {1, 2}
    text = "".join(page.read_text() for page in PAGES)
    patterns = set(re.findall(r"[/`]((?:snapshot_date=)?\*[\w=*{}/]*\.parquet)", text))
    assert len(patterns) > 4
    for pattern in patterns:
        found = root.glob(f"fc_functions/{pattern}".replace("{latest}", manifests[-1].snapshot_id))
        wanted = [
            file.path
            for manifest in manifests
            for file in manifest.tables["fc_functions"].files
            if manifest.format in formats(pattern) and (manifest is manifests[-1] or "{latest}" not in pattern)
        ]
        assert sorted(str(path.relative_to(root)) for path in found) == sorted(wanted), pattern


def formats(pattern):
    """The formats that a pattern below a table's folder is for."""
    return {1, 2} if "**" in pattern else {5: {1}, 3: {2}}[pattern.count("/") + 1]


def test_as_many_tables_as_are_promised_are_there():
    catalog = load_catalog()
    [promised] = re.findall(r"^(\d+) tables, (\d+) of them by default", README, re.MULTILINE)
    assert tuple(map(int, promised)) == (len(catalog.operations), len(catalog.select(["*"])))
    listed = re.findall(r"^\| ([\w .]+) \| (\d+) `(\w+)…` \|", README, re.MULTILINE)
    counts = Counter(operation.product for operation in catalog.operations.values())
    found = {(product.title, str(counts[key]), product.prefix) for key, product in catalog.products.items()}
    assert len(listed) == len(found)
    assert set(listed) == found
    aside = {product.title for product in catalog.products.values() if not product.is_default}
    assert {title for title, _, _ in listed[-3:]} == aside, "README says so of the last three"


def test_the_changelogs_numbers_are_the_catalogs():
    text, operations = (ROOT / "CHANGELOG.md").read_text(), load_catalog().operations.values()
    lists = [operation for operation in operations if operation.action.startswith("List")]
    by_default = load_catalog().select(["*"])
    for pattern, found in ((r"^- (\d+) tables", operations), (r"all (\d+) List", lists), (r"^- (\d+) of", by_default)):
        assert re.findall(pattern, text, re.MULTILINE) == [str(len(found))]
    assert {operation.action for operation in operations} - {found.action for found in lists} == {"DescribeApps"}


def is_optional(details):
    return details is not None and not details.is_always


def test_tables_with_details_are_those_that_are_named():
    detailed = [table for table, operation in load_catalog().operations.items() if is_optional(operation.details)]
    assert re.findall(r"`\[crawl\] details = (\[.*?\])`", README) == [json.dumps(detailed)]


def test_the_page_of_tables_is_what_the_catalog_says():
    catalog = load_catalog()
    is_fresh = (ROOT / "docs" / "tables.md").read_text() == tables_page.page(catalog, limit_rules(Config(), catalog))
    assert is_fresh, "docs/tables.md is stale: run make docs"


def test_make_docs_writes_that_page():
    catalog = load_catalog()
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate.tables"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == tables_page.page(catalog, limit_rules(Config(), catalog))
    assert "-m docs.generate.tables" in (ROOT / "Makefile").read_text()


def test_the_statuses_are_the_ledgers():
    listed = re.findall(r"^\| `(\w+)` \| ", README.split("| status | means |")[1].split("###")[0], re.MULTILINE)
    assert set(listed) == {str(status) for status in Status}


def test_the_exit_codes_are_the_commands():
    listed = README.split("| code | means |")[1].split("##")[0]
    codes = {int(code) for group in re.findall(r"^\| ([\d, ]+) \|", listed, re.MULTILINE) for code in group.split(",")}
    listing = re.search(r"Exit codes:(.*?)\n\n", said("crawl", "--help"), re.DOTALL)[1]
    assert codes == {int(number) for number in re.findall(r"\b\d+\b", listing)}


def test_every_command_that_is_shown_is_there_and_every_one_there_is_shown():
    from crawler.cli.main import COMMANDS

    commands = {command.name for command in COMMANDS}
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


def test_the_page_of_table_files_names_every_key():
    text = (ROOT / "docs/table-files.md").read_text()
    for field in msgspec.structs.fields(OperationFile):
        assert field.name in text, field.name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            for inner in msgspec.structs.fields(field.type):
                assert f"`{inner.name}`" in text, (field.name, inner.name)


def test_the_keys_of_each_style_of_paging_are_those_that_the_loader_takes():
    """Each style's row names its required and optional keys; one key less, or one of another style, is refused."""
    text = (ROOT / "docs/table-files.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| ([^|]*)\| ([^|]*)\|$", text.split("## Paging")[1], re.MULTILINE)
    keys = {style: [set(re.findall(r"`(\w+)`", cell)) for cell in cells] for style, *cells in rows}
    assert len(keys) == 5
    values = {name: 50 if name == "limit" else name for required, more in keys.values() for name in required | more}

    def check(style, names):
        check_paging(PagingPart(style, **{name: values[name] for name in names}), "things.toml")

    for style, (required, optional) in keys.items():
        check(style, required)
        check(style, required | optional)
        for name in required:
            with pytest.raises(CatalogError):
                check(style, required - {name})
        for name in values.keys() - required - optional:
            with pytest.raises(CatalogError):
                check(style, required | {name})


def test_the_page_of_fault_scripts_has_every_effect_with_its_keys():
    text = (ROOT / "docs/faults.md").read_text()
    FaultScript.from_text(re.search(r"<!-- script -->\n```toml\n(.*?)```", text, re.DOTALL)[1])
    rows = dict(re.findall(r"^\| `([\w-]+)` \| [^|]+ \| ([^|]*)\|$", text.split("## Effects")[1], re.MULTILINE))
    assert rows.keys() == EFFECTS.keys()
    for name, effect in EFFECTS.items():
        for key in dataclasses.fields(effect):
            assert f"`{key.name}`" in rows[name], (name, key.name)
            needed = key.default is dataclasses.MISSING
            assert (re.search(rf"`{key.name}`[^`]*\(required\)", rows[name]) is not None) == needed, (name, key.name)
    named = text.split("## Which requests")[1].split("## Effects")[0]
    assert all(f"`{selector}`" in named for selector in SELECTORS if selector != "effect")


def test_the_changelog_has_this_version():
    version, text = re.escape(__version__), (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[{version}\]|^## \[Unreleased\]\n\nThis becomes {version}\b", text, re.MULTILINE)


def test_the_changelog_has_only_the_kinds_of_change_of_its_format():
    headings = re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings == ["Breaking", "Added", "Changed", "Fixed", "Removed", "Security"]


def test_the_map_has_every_package_and_module_of_the_program():
    [tree] = re.findall(r"```\ncrawler/\n(.*?)```", (ROOT / "docs/design.md").read_text(), re.DOTALL)
    there = [*ROOT.glob("crawler/*/__init__.py"), *ROOT.glob("crawler/[!_]*.py")]
    names = {f"{path.parent.name}/" if path.name == "__init__.py" else path.name for path in there}
    assert set(re.findall(r"^  (\w+(?:/|\.py))", tree, re.MULTILINE)) == names


def test_the_glossary_defines_each_word_once_and_in_one_sentence():
    rows = re.findall(
        r"^\| (.+?) \| (.+) \|$", (ROOT / "docs/design.md").read_text().split("## Glossary")[1], re.MULTILINE
    )
    words = [word for cell, _ in rows if cell not in {"word", "---"} for word in cell.split(", ")]
    assert len(words) > 100
    assert len(words) == len(set(words))
    for cell, meaning in rows:
        assert cell in {"word", "---"} or (meaning.endswith(".") and ". " not in meaning), cell


def test_every_decision_is_listed_once_with_its_title_and_has_a_status():
    index = (ROOT / "docs/adr/index.md").read_text()
    listed = dict(re.findall(r"^- \[\d{4}\]\((.+?)\) (.+?)(?: \(superseded\))?$", index, re.MULTILINE))
    files = {path.name: path.read_text() for path in ROOT.glob("docs/adr/[0-9]*.md")}
    assert listed.keys() == files.keys()
    assert sorted(name[:4] for name in files) == [f"{number:04}" for number in range(1, len(files) + 1)]
    for name, text in files.items():
        title, status, *sections = re.findall(r"^# (.+)|^Status: (.+)|^## (.+)", text, re.MULTILINE)
        assert title[0] == f"{name[:4]}. {listed[name]}"
        assert re.match(r"(accepted|superseded by \[ADR \d{4}\])", status[1]), name
        found = [section[2] for section in sections]
        assert found in (wanted := ["Context", "Decision", "Consequences"], [*wanted, "Rejected options"]), name


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), (page.name, link)


def test_pages_that_the_program_names_are_there():
    sources = [*ROOT.glob("crawler/**/*.py"), *ROOT.glob("deploy/*/*"), ROOT / "config.example.toml"]
    texts = {path.name: path.read_text() for path in sources if path.is_file()}
    named = {(name, page) for name, text in texts.items() for page in re.findall(r"docs/[\w-]+\.md", text)}
    assert len(named) > 5
    for source, page in named:
        assert (ROOT / page).exists(), (source, page)


def slug(heading):
    """A heading's anchor, as forges and the site make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def test_anchors_of_other_pages_are_headings_there():
    tried = 0
    for page in PAGES:
        for link, anchor in re.findall(r"\]\((?!https?://)([^)#]+\.md)#([^)]+)\)", page.read_text()):
            text = re.sub(r"```.*?```", "", (page.parent / link).read_text(), flags=re.DOTALL)
            assert anchor in map(slug, re.findall(r"^#+ (.+)$", text, re.MULTILINE)), (page.name, link, anchor)
            tried += 1
    assert tried > 10


def test_every_page_is_on_the_start_page_and_readme_leads_there():
    linked = set(re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / "index.md").read_text()))
    assert linked == {path.name for path in ROOT.glob("docs/*.md")} - {"index.md"}
    assert "](docs/index.md)" in README


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
