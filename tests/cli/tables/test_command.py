"""`tables` as people see it on terminals of several widths and in a pipe, and as programs read it."""

from __future__ import annotations

import io
import json
import re
import sys

import click
import pytest

from crawler.catalog import load_catalog
from crawler.catalog.sdk import check as sdk_check
from crawler.catalog.sdk import sources
from crawler.cli.tables.command import tables as command
from crawler.cli.tables.text import print_tables
from crawler.config import Config
from crawler.config.resolve import limit_rules
from crawler.errors import CatalogError, ConfigError
from tests.support import extra_catalog
from tests.support.terminals import Terminal, without_escapes

CATALOG = load_catalog()


@pytest.fixture
def show(monkeypatch):
    """Run `tables` with these arguments: the exit code and the output, on a terminal of this width or in a pipe."""

    def run(*arguments, width=None):
        out = Terminal() if width else io.StringIO()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", out)
            patched.setenv("COLUMNS", str(width or 80))
            patched.setenv("TERM", "xterm-256color")
            code = command.main(list(map(str, arguments)), standalone_mode=False)
        return code, without_escapes(out.getvalue())

    return run


@pytest.fixture
def config(tmp_path):
    """A configuration whose catalog also has the product `shop`."""
    extra_catalog.write(tmp_path / "extra")
    text = f"""
        [catalog]
        extra = ["{tmp_path}/extra"]
        [[accounts]]
        id = "1000000000000001"
        [accounts.credentials]
        type = "access_key"
        access_key_id = "a"
        access_key_secret = "b"
    """
    path = tmp_path / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def fact(text, label):
    """The text after a label, including its continuation lines."""
    found = re.search(rf"^{label}  +(.*\n(?: {{6,}}.*\n)*)", text, re.MULTILINE)
    return re.sub(r"\s+", " ", found[1]).strip()


@pytest.mark.parametrize("arguments", [[], ["shop_carts"], ["--json"]])
def test_a_key_of_an_earlier_version_is_warned_of_on_stderr(show, config, capsys, arguments):
    _, plain = show("--config", config, *arguments)
    assert capsys.readouterr().err == ""
    [path] = (config.parent / "extra").rglob("carts.toml")
    path.write_text(path.read_text().replace("limit = 50\n", 'limit = 50\nprefix = "prefix"\n'))
    code, text = show("--config", config, *arguments)
    said = "extra/shop/2020-01-01/carts.toml: [paging] prefix is ignored: lists are no longer split by prefix"
    assert capsys.readouterr().err == f"acs-inventory: warning: {said}; remove the key\n"
    assert (code, text) == (None, plain)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_whole_list_fits_a_terminal_and_breaks_no_name(show, width):
    code, text = show(width=width)
    assert not code
    assert max(map(len, text.splitlines())) <= width
    for operation in CATALOG.operations.values():
        assert re.search(rf"(?<!\w){operation.table}(?!\w)", text), operation.table
        assert re.search(rf"(?<!\w){operation.ram}(?!\w)", text), operation.ram


@pytest.mark.parametrize("pattern", ["fc_*", "fc2_*", "opensearch_app*"])
def test_no_width_from_77_on_breaks_a_name(monkeypatch, pattern):
    for width in range(77, 130):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", out := Terminal())
            patched.setenv("COLUMNS", str(width))
            patched.setenv("TERM", "xterm-256color")
            print_tables(CATALOG, CATALOG.matching(pattern), limit_rules(Config(), CATALOG))
        text = without_escapes(out.getvalue())
        assert max(map(len, text.splitlines())) <= width
        for table in CATALOG.matching(pattern):
            assert f"{table} " in text, width
            assert re.search(rf"{CATALOG.operations[table].ram}(?!\w)", text), width


def test_on_a_terminal_too_narrow_for_the_names_nothing_is_lost(show):
    _, text = show("opensearch_intervention*", width=60)
    for table in CATALOG.matching("opensearch_intervention*"):
        operation = CATALOG.operations[table]
        said = rf"{table}\n[ │├└]*{operation.ram}.* · {operation.selection}"
        assert re.search(rf"(?m)^[ │├└]*{said}$", text), table


ASIDE = {"fcsandbox", "ram", "searchengine"}


@pytest.mark.parametrize("width", [None, 80, 200])
def test_every_line_of_the_list_says_whether_its_table_is_crawled(show, width):
    _, text = show(width=width)
    shown = dict(re.findall(r"^[ │├└]*(\w+) +(default|by prefix|opt-in|out) +\d+\b", text, re.MULTILINE))
    assert shown == {
        table: "by prefix" if operation.selection == "default" and operation.product in ASIDE else operation.selection
        for table, operation in CATALOG.operations.items()
    }
    said = re.sub(r"\s+", " ", text)
    for operation in CATALOG.operations.values():
        if operation.reason:
            assert f"{operation.table} {operation.selection}: {operation.reason}" in said


def test_assumed_actions_are_marked_and_others_are_not(show):
    _, text = show(width=200)
    marked = set(re.findall(r"(\w+:\w+) \?", text))
    assert marked == {op.ram for op in CATALOG.operations.values() if op.is_ram_assumed}
    assert marked
    assert "the documentation doesn't disclose it" in text


def test_products_stand_apart_with_their_counts_and_limits(show):
    _, text = show(width=120)
    assert [
        text.index(name) for name in ("Function Compute 3.0 (", "Function Compute 2.0 (", "OpenSearch (")
    ] == sorted(text.index(name) for name in ("Function Compute 3.0 (", "Function Compute 2.0 (", "OpenSearch ("))
    of_fc = [op.selection for op in CATALOG.operations.values() if op.product == "fc"]
    said = f"{len(of_fc)} tables: {of_fc.count('default')} by default, {of_fc.count('opt-in')} opt-in; 50 requests/s"
    assert said in text


def test_default_tables_of_a_product_that_stands_aside_are_not_said_to_be_on_by_default(show):
    own = [op for op in CATALOG.operations.values() if op.product == "ram"]
    chosen = sum(op.selection == "default" for op in own)
    _, text = show("*", width=120)
    assert f"{len(own)} tables: {chosen} by prefix, {len(own) - chosen} opt-in; " in text
    assert re.search(r"^ram_roles +by prefix ", text, re.MULTILINE)
    _, one = show("ram_roles", width=120)
    assert re.search(r"^crawled +by prefix *$", one, re.MULTILINE)


def test_children_hang_below_their_parents(show):
    _, text = show(width=120)
    lines = [line.strip() for line in text.splitlines()]
    names = [re.sub(r"^[│├└ ]+", "", line).split(" ")[0] for line in lines]
    for table, above in {
        "fc_triggers": "fc_functions",
        "fc2_triggers": "fc2_functions",
        "fc2_functions": "fc2_services",
        "opensearch_function_instances": "opensearch_apps",
        "opensearch_function_tasks": "opensearch_function_instances",
    }.items():
        depths = [len(re.match(r"[│├└ ]*", line)[0]) for line in lines]
        mine, parents = names.index(table), names.index(above)
        assert parents < mine
        assert depths[mine] == depths[parents] + 2
        assert min(depths[parents + 1 : mine + 1]) > depths[parents]


def test_a_pattern_shows_the_opt_in_tables_too(show):
    _, text = show("fc_*", width=80)
    mine = [table for table in CATALOG.operations if table.startswith("fc_")]
    assert {CATALOG.operations[table].selection for table in mine} == {"default", "opt-in"}
    assert all(f"{table} " in text for table in mine)
    assert "fc2_" not in text
    _, values = show("fc_*", "--json")
    assert [value["table"] for value in json.loads(values)] == mine


def test_a_parent_that_was_not_asked_for_is_said_to_be_one(show):
    _, text = show("fc*_aliases", width=80)
    assert re.search(r"^fc_functions +parent ", text, re.MULTILINE)
    assert re.search(r"^└ fc_aliases +default ", text, re.MULTILINE)
    assert text.count("1 table: 1 by default") == 2


def test_a_name_is_one_object_and_a_pattern_a_list_even_of_one(show):
    _, by_name = show("fc_functions", "--json")
    _, by_pattern = show("fc_function[s]", "--json")
    assert [json.loads(by_name)] == json.loads(by_pattern)


def test_an_unknown_name_is_refused(show):
    with pytest.raises(CatalogError, match="No table is called or matches 'fc_funktions'; did you mean 'fc_functions'"):
        show("fc_funktions")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("table", ["fc_triggers", "fc_functions", "fc_sessions", "opensearch_function_instances"])
def test_one_table_fits_a_terminal(show, table, width):
    _, text = show(table, width=width)
    operation = CATALOG.operations[table]
    lines = [line for line in text.splitlines() if operation.source not in line]
    assert max(map(len, lines)) <= width
    assert operation.source in text, "in one piece, so that it can be followed"
    shown = re.findall(r"^ *(\w+)  +([a-z]+)\b", text[text.index("\ncolumn ") :], re.MULTILINE)
    columns = json.loads(show(table, "--json")[1])["columns"]
    assert [(re.split(r"[.]", row["name"])[-1], re.match("[a-z]+", row["type"])[0]) for row in columns] == [
        (name, kind) for name, kind in shown if name != "column"
    ]


def test_every_kind_of_fact_is_shown(show, config):
    _, text = show("shop_carts", "--config", config)
    assert text.startswith("shop_carts Carts | baskets, <b>not *bold*</b>\n")
    for label, said in {
        "crawled": "default",
        "operation": "shop 2020-01-01 ListCarts",
        "path": "/carts",
        "query": "region={region_id}",
        "window": "since and until: the 12 hours before the start of the crawl, in epoch seconds",
        "never sent": "prefix",
        "paging": "page-number, by page, 50 per page (size), total in total",
        "parents": "none",
        "children": "shop_items, shop_offers",
        "key": "id, name (may be null)",
        "RAM action": "shop:ListCarts (assumed: the documentation discloses none)",
        "details": "GetCart at /carts/{id}, RAM action shop:GetCart: per record, with [crawl] details only",
        "secrets": "2 columns, whose values become fingerprints",
        "embedded": "1 column, parsed from JSON text inside a string",
        "differences": "fields.note: the SDK has list<struct>; shown so in the sample"
        " query.prefix: the SDK has nothing; in the page's own table",
    }.items():
        assert fact(text, label) == said
    assert fact(text, "rate limit").startswith("3/s, burst 2 per account and region, this operation")
    assert fact(text, "answer") == (
        "records in body.carts; an object in place of the list is a single record; a missing list means no records; "
        "the error NoCarts means that the list doesn't exist"
    )


def test_parents_say_what_is_bound_and_which_values_are_known(show, config):
    _, text = show("shop_offers", "--config", config)
    assert fact(text, "parents") == (
        "shop_carts: cartId is its id; kind is each of new, old, and the values of [opensearch] functions"
        " shop_items: cartId is its cart_id; kind is its item_id"
    )
    assert fact(text, "paging") == "token, next is sent as token"


def test_a_table_without_a_key_says_so_and_why_it_is_not_crawled(show, config):
    _, text = show("shop_items", "--config", config)
    assert fact(text, "key") == "none: no field identifies its records"
    assert fact(text, "crawled") == "opt-in: there are | many"
    assert fact(text, "answer") == "records in items; each one is a value of the column item_id"


def test_an_operations_own_limit_stands_below_the_list(show, config):
    _, text = show("shop_*", "--config", config)
    assert "shop_carts own rate limit: 3/s, burst 2" in text
    assert "shop_items own" not in text


def test_the_limits_are_those_of_the_configuration(show, config):
    config.write_text(config.read_text() + "\n[rate_limits]\nshop = { rate = 7, burst = 3 }\n")
    _, text = show("shop_items", "--config", config)
    assert fact(text, "rate limit").startswith("7/s, burst 3 per account and region, all shop operations together")


def test_nested_columns_have_their_path_in_a_pipe_and_their_depth_on_a_terminal(show, config):
    _, piped = show("shop_carts", "--config", config)
    _, terminal = show("shop_carts", "--config", config, width=120)
    for path, shown, kind, wire in [
        ("note", "note", "struct in JSON text", "note"),
        ("note.author", "  author", "string secret", "author"),
        ("note.lines[].at", "    at", r"timestamp\(ms\)", "at"),
        ("tokens", "tokens", "list<string secret>", "tokens"),
        ("weights.*.grams", "  grams", r"number\(g\)", "grams +of one of them"),
    ]:
        assert re.search(rf"^{re.escape(path)} +{kind} +{wire}", piped, re.MULTILINE)
        assert re.search(rf"^{shown} +{kind} +{wire}", terminal, re.MULTILINE)


def test_programs_get_all_of_it(show, config):
    _, text = show("shop_carts", "--config", config, "--json")
    value = json.loads(text)
    columns = {column.pop("name"): column for column in value.pop("columns")}
    assert columns["note.lines[].size"] == {
        "type": "integer(MB)",
        "wire": "size",
        "description": "",
        "unit": "MB",
        "secret": False,
        "embedded": False,
    }
    assert value == {
        "table": "shop_carts",
        "title": "Carts | baskets, <b>not *bold*</b>",
        "product": "shop",
        "short_lived": False,
        "version": "2020-01-01",
        "operation": "ListCarts",
        "method": "GET",
        "path": "/carts",
        "query": {"region": "{region_id}"},
        "filters": ["prefix"],
        "window": {"begin": "since", "end": "until", "hours": 12},
        "records": "body.carts",
        "item": "",
        "accepts": ["absent", "object"],
        "empty_codes": ["NoCarts"],
        "envelope": ["body.page", "body.size", "page", "size"],
        "paging": {
            "style": "page-number",
            "limit": 50,
            "limit_key": "size",
            "input_key": "page",
            "output_key": "",
            "total_key": "total",
            "more_key": "",
        },
        "parents": [],
        "parent_bindings": [],
        "children": ["shop_items", "shop_offers"],
        "depth": 0,
        "key": ["id", "name"],
        "optional_key": ["name"],
        "volatile": ["note.author"],
        "selection": "default",
        "asked_for_by": "",
        "reason": "",
        "ram_action": "shop:ListCarts",
        "ram_assumed": True,
        "rate_limit": "3/s, burst 2",
        "rate_limit_of": "operation",
        "details": {
            "operation": "GetCart",
            "method": "GET",
            "path": "/carts/{id}",
            "query": {},
            "records": "",
            "ram_action": "shop:GetCart",
            "bind": {"id": "id"},
            "always": False,
        },
        "differences": {
            "fields.note": {"sdk": "list<struct>", "reason": "shown so in the sample"},
            "query.prefix": {"sdk": "", "reason": "in the page's own table"},
        },
        "source": "https://www.alibabacloud.com/help/en/shop/listcarts",
        "checked": "2026-11-22",
        "secrets": ["note.author", "tokens"],
        "embedded": ["note"],
    }


def test_bindings_are_machine_readable(show, config):
    _, text = show("shop_offers", "--config", config, "--json")
    assert json.loads(text)["parent_bindings"] == [
        {
            "table": "shop_carts",
            "bind": {"cartId": "id"},
            "values": {"kind": ["new", "old"]},
            "setting": "opensearch.functions",
        },
        {"table": "shop_items", "bind": {"cartId": "cart_id", "kind": "item_id"}, "values": {}, "setting": ""},
    ]


def test_a_column_has_the_name_that_the_snapshot_has(show):
    _, text = show("--json")
    for value in json.loads(text):
        top = [column["name"] for column in value["columns"] if not re.search(r"[.\[]", column["name"])]
        assert top == CATALOG.operations[value["table"]].schema.names


# --- the comparison with the SDK ---


VERSIONS = {product.sdk: "1.2.3" for product in CATALOG.products.values()}
FINDING = sdk_check.SdkDifference("fc_aliases", "fields.weight", "number", "")


@pytest.fixture
def found(monkeypatch):
    """Replace the comparison with one that returns these findings."""

    def pretend(*findings):
        monkeypatch.setattr(sdk_check, "check", lambda catalog: sdk_check.SdkComparison(VERSIONS, list(findings)))

    return pretend


def test_no_difference_is_exit_0_and_names_what_was_compared(show, found):
    found()
    code, text = show("--check-sdk")
    assert code == 0
    assert "alibabacloud_fc20230330 1.2.3" in text
    assert f"{len(CATALOG.operations)} tables agree with the SDK" in text


@pytest.mark.parametrize("width", [None, 80])
def test_a_difference_is_exit_1_and_is_shown(show, found, width):
    found(FINDING, sdk_check.SdkDifference("fc", "operations", "", "ListNews"))
    code, text = show("--check-sdk", width=width)
    assert code == 1
    assert "alibabacloud_fc20230330 1.2.3" in text
    assert re.search(r"fc_aliases +fields\.weight +number +nothing", text)
    assert re.search(r"fc +operations +nothing +ListNews", text)
    assert "2 differences." in text
    assert "[differences]" in text


def test_programs_get_the_differences(show, found):
    found(FINDING)
    code, text = show("--check-sdk", "--json")
    assert code == 1
    assert json.loads(text) == {
        "packages": VERSIONS,
        "missing": [],
        "findings": [{"subject": "fc_aliases", "where": "fields.weight", "ours": "number", "sdk": ""}],
    }


def test_a_users_own_tables_are_compared_too(show, config, monkeypatch):
    compared = []
    monkeypatch.setattr(
        sdk_check, "check", lambda catalog: (compared.extend(catalog.operations), sdk_check.SdkComparison({}, []))[1]
    )
    show("--check-sdk", "--config", config)
    assert {"shop_carts", "fc_functions"} <= set(compared)


def test_without_the_sdk_packages_a_sentence_says_what_to_install(show, monkeypatch):
    def missing(name):
        raise sources.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(sources.metadata, "distribution", missing)
    with pytest.raises(ConfigError, match=r"the SDK package \w+ isn't installed; run: .* install .*alibabacloud-"):
        show("--check-sdk")


def test_a_product_without_its_package_is_named_and_the_others_are_compared(show, monkeypatch, capsys):
    whole = sources.metadata.distribution

    def missing(name):
        if "opensearch" in name:
            raise sources.metadata.PackageNotFoundError(name)
        return whole(name)

    monkeypatch.setattr(sources.metadata, "distribution", missing)
    code, text = show("--check-sdk", "--json")
    assert code == 0
    value = json.loads(text)
    assert not any("opensearch" in package for package in value["packages"])
    [sentence] = value["missing"]
    assert sentence.startswith("the SDK package alibabacloud_opensearch20171225 isn't installed; run: ")


def test_a_table_with_check_sdk_is_refused(show):
    with pytest.raises(click.UsageError, match="give no TABLE"):
        show("fc_functions", "--check-sdk")
