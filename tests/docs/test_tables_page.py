"""docs/tables.md: complete, made from the catalog alone, and rendered as it is meant."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from crawler.catalog import load_catalog
from crawler.config import Config
from crawler.config.resolve import limit_rules
from docs.generate.tables import page
from tests.support import extra_catalog

ROOT = Path(__file__).parents[2]
CATALOG = load_catalog()


class Page(HTMLParser):
    """A rendered page: its headings, links and tables as people see them."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.links, self.tables, self.items, self.tags = [], [], [], [], set()
        self._open = []
        self.feed(MarkdownIt("commonmark").enable("table").render(text))

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self._open.append(tag)
        if tag == "a":
            self.links.append(dict(attributes)["href"])
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        elif tag == "li":
            self.items.append("")
        elif tag in {"h1", "h2", "h3"}:
            self.headings.append("")

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data
        elif "li" in self._open:
            self.items[-1] += data
        elif {"h1", "h2", "h3"} & set(self._open):
            self.headings[-1] += data

    def below(self, columns):
        """The rows of all tables with these columns."""
        return [row for table in self.tables if table[0] == columns for row in table[1:]]


def rendered(catalog):
    return Page(page(catalog, limit_rules(Config(), catalog)))


OVERVIEW = ["table", "rows, operation", "crawled", "key"]


@pytest.fixture(scope="module")
def built_in():
    return rendered(CATALOG)


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    """A page with tables whose texts are full of Markdown."""
    return rendered(load_catalog([extra_catalog.write(tmp_path_factory.mktemp("extra") / "files")]))


def test_every_operation_is_in_the_overview_with_all_about_it(built_in):
    rows = {row[0]: row for row in built_in.below(OVERVIEW)}
    assert list(rows) == list(CATALOG.operations)
    for table, row in rows.items():
        operation = CATALOG.operations[table]
        chosen = "default" if CATALOG.products[operation.product].is_default else "by prefix"
        assert row[1:3] == [
            f"{operation.title} ({operation.action})",
            f"{operation.selection}: {operation.reason}" if operation.reason else chosen,
        ]
        assert re.findall(r"\w+", row[3].replace("(may be null)", "")) == list(operation.key) or not operation.key


def test_every_section_names_the_parents_and_the_permission(built_in):
    text = page(CATALOG, limit_rules(Config(), CATALOG))
    for table, operation in CATALOG.operations.items():
        section = text.split(f"\n### {table}\n", 1)[1].split("\n### ", 1)[0]
        if operation.selection == "out":
            continue
        [parents] = re.findall(r"^- parents:(.*(?:\n  - .*)*)$", section, re.MULTILINE)
        assert set(re.findall(r"\[(\w+)\]\(", parents)) == set(operation.parent_tables)
        [action] = re.findall(r"^- RAM action: `([^`]+)`", section, re.MULTILINE)
        assert action == operation.ram
        assert ("assumed" in re.search(r"^- RAM action: (.*)$", section, re.MULTILINE)[1]) == operation.is_ram_assumed


def test_every_list_operation_of_the_sdks_is_there(built_in):
    """Counted by the clients' own methods: 114 lists, and DescribeApps, whose name hides that it is one."""
    from crawler.catalog.sdk import open_package

    actions = {
        (product.key, action)
        for product in CATALOG.products.values()
        for action in open_package(product.sdk).calls
        if action.startswith("List") and action not in product.uncovered
    }
    assert len(actions) == 114
    shown = {
        (CATALOG.operations[row[0]].product, re.search(r"\((\w+)\)$", row[1])[1]) for row in built_in.below(OVERVIEW)
    }
    assert shown == actions | {("opensearch", "DescribeApps")}


def test_every_table_has_a_section_with_its_columns(built_in):
    sections = [heading for heading in built_in.headings if heading in CATALOG.operations]
    assert sections == list(CATALOG.operations)
    tables = [table for table in built_in.tables if table[0] == ["column", "type", "description"]]
    for table, (_, *rows) in zip(sections, tables, strict=True):
        top = [row[0] for row in rows if not re.search(r"[.\[]", row[0])]
        assert top == CATALOG.operations[table].schema.names[4:-1]


def test_every_link_within_the_page_leads_to_a_heading(built_in):
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in built_in.headings}
    inner = {link.removeprefix("#") for link in built_in.links if link.startswith("#")}
    assert inner <= anchors
    assert inner >= set(CATALOG.operations)
    assert len(built_in.headings) == len(set(built_in.headings)), "GitHub numbers the second of two equal headings"


def test_every_section_says_where_it_comes_from(built_in):
    outer = {link for link in built_in.links if not link.startswith("#")}
    sources = {operation.source for operation in CATALOG.operations.values()}
    assert outer == {source for source in sources if source.startswith("https://")}
    text = (ROOT / "docs" / "tables.md").read_text()
    assert all(f" in {source}, read " in text for source in sources - outer)


def test_no_table_has_a_row_with_more_or_fewer_cells(built_in):
    source = (ROOT / "docs" / "tables.md").read_text()
    for block in re.findall(r"(?:^\|.*\n)+", source, re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(bars) == 1, block[:200]
    assert {len(row) for table in built_in.tables for row in table} == {2, 3, len(OVERVIEW)}


def test_secrets_units_and_paths_are_in_the_columns(built_in):
    types = {row[0]: row[1] for row in built_in.below(["column", "type", "description"])}
    assert types["environment_variables"] == "map<string secret>"
    assert types["custom_container_config.registry_config.auth_config.password"] == "string secret"
    assert types["memory_size"] == "integer(MB)"
    assert types["trigger_config"] == "struct in JSON text"
    assert types["network.rules.*[].transform.headers"] == "map<string secret>"


def test_nothing_in_a_schema_file_counts_as_markdown(awkward):
    row = next(row for row in awkward.below(OVERVIEW) if row[0] == "shop_carts")
    assert row[1] == "Carts | baskets, <b>not *bold*</b> (ListCarts)"
    assert next(row for row in awkward.below(OVERVIEW) if row[0] == "shop_items")[2] == "opt-in: there are | many"
    name = next(row for row in awkward.below(["column", "type", "description"]) if row[2].startswith("a | b"))
    assert name[2] == "a | b, <i>, `code`, *star*, _under_, [link](x) & ~~gone~~"
    assert not {"b", "i", "s", "del"} & awkward.tags


def test_oddities_are_listed(awkward):
    own = "this operation, and within the limit of all shop operations together"
    said = [re.sub(r"\s+", " ", item).strip() for item in awkward.items]
    for line in (
        "window: since and until: the 12 hours before the start of the crawl, in epoch seconds",
        "query: region={region_id}",
        f"rate limit: 3/s, burst 2 per account and region, {own}",
        "embedded: 1 column, parsed from JSON text inside a string",
        "secrets: 2 columns, whose values become fingerprints",
        "fields.note: the SDK has list<struct>; shown so in the sample",
        "shop_carts: cartId is its id; kind is each of new, old, and the values of [opensearch] functions",
    ):
        assert line in said


def test_the_page_is_the_same_each_time_and_knows_no_today():
    first, second = (page(catalog, limit_rules(Config(), catalog)) for catalog in (CATALOG, load_catalog()))
    assert first == second
    assert set(re.findall(r"read (\d{4}-\d\d-\d\d)", first)) == {op.checked for op in CATALOG.operations.values()}
