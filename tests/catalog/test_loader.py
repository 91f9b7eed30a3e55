"""The catalog: refused files and their errors, the tables that a pattern names, and the user's own files."""

from __future__ import annotations

import re
import shutil

import pyarrow as pa
import pytest

from crawler.catalog import load_catalog, product_keys, schemas_folder
from crawler.catalog import loader as module
from crawler.catalog.columns import TIMESTAMP
from crawler.catalog.model import EXTRA_COLUMN, FIXED_COLUMNS
from crawler.errors import CatalogError
from tests.support.odd_files import ends_within, put

BUILT_IN = load_catalog()

PRODUCT = """
product = "shop"
version = "2020-01-01"
prefix = "shop_"
style = "ROA"
endpoint = "https://shop.{region}.aliyuncs.com"
[endpoints]
cn-hangzhou = "shop.cn-hangzhou.aliyuncs.com"
"""
CARTS = """
source = "https://www.alibabacloud.com/help/en/shop/listcarts"
checked = 2026-11-22
[operation]
action = "ListCarts"
path = "/carts"
records = "carts"
ram = "shop:ListCarts"
[paging]
style = "token"
input_token = "nextToken"
output_token = "nextToken"
limit_key = "limit"
limit = 50
[table]
name = "shop_carts"
title = "Carts"
key = ["cart_id"]
[columns]
cartId = "string"
snapshotId = "string"
extra = "string"
token = "string secret"
owner = { name = "string", emails = ["string"], secrets = ["string secret"] }
"""
ITEMS = """
source = "https://www.alibabacloud.com/help/en/shop/listitems"
checked = 2026-11-22
[operation]
action = "ListItems"
path = "/carts/{cartId}/items"
records = "items"
ram = "shop:ListItems"
[[parents]]
table = "shop_carts"
bind = { cartId = "cart_id" }
[paging]
style = "none"
[table]
name = "shop_items"
title = "Items"
key = ["cart_id", "id"]
[columns]
id = "integer"
"""


class Folder:
    """A user's folder of schema files with one product; each test changes a file and loads the catalog with it."""

    def __init__(self, root):
        self.root = root
        self.folder = root / "shop" / "2020-01-01"
        self.folder.mkdir(parents=True)
        self.write("product", PRODUCT)

    def write(self, name, text, *changes):
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.folder / f"{name}.toml").write_text(text)

    def load(self):
        return load_catalog([self.root])

    def refusal(self):
        with pytest.raises(CatalogError) as caught:
            self.load()
        message = str(caught.value)
        assert "\n" not in message
        assert message.endswith((".", "?"))
        return message


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "mine")


# --- a user's own files ---


def test_a_folder_of_ones_own_adds_a_product_and_its_tables_without_python(folder):
    folder.write("carts", CARTS)
    folder.write("items", ITEMS)
    catalog = folder.load()
    assert set(catalog.operations) == {*BUILT_IN.operations, "shop_carts", "shop_items"}
    assert catalog.products["shop"].endpoints == {"cn-hangzhou": "shop.cn-hangzhou.aliyuncs.com"}
    assert catalog.select(["shop_*"]) == ("shop_carts", "shop_items")
    assert catalog.with_parents(["shop_items"]) == ("shop_carts", "shop_items")
    assert catalog.operations["shop_items"].schema.names == [*FIXED_COLUMNS, "cart_id", "id", EXTRA_COLUMN]


def test_a_folder_of_ones_own_adds_a_table_to_a_product_of_the_house(tmp_path):
    file = tmp_path / "fc" / "2023-03-30" / "carts.toml"
    file.parent.mkdir(parents=True)
    file.write_text(CARTS.replace("shop_carts", "fc_carts"))
    assert load_catalog([tmp_path]).operations["fc_carts"].product == "fc"


@pytest.mark.parametrize(("file", "text", "old"), [("carts", CARTS, "limit = 50"), ("items", ITEMS, 'style = "none"')])
def test_a_paging_prefix_of_an_earlier_version_is_ignored_with_a_warning(folder, file, text, old):
    folder.write("carts", CARTS)
    folder.write("items", ITEMS)
    plain = folder.load()
    folder.write(file, text, (old, f'{old}\nprefix = "prefix"'))
    catalog = folder.load()
    path = f"mine/shop/2020-01-01/{file}.toml"
    said = f"{path}: [paging] prefix is ignored: lists are no longer split by prefix; remove the key"
    assert (plain.warnings, catalog.warnings) == ((), (said,))
    assert catalog.operations == plain.operations


def test_the_built_in_files_have_no_key_that_is_ignored():
    assert BUILT_IN.warnings == ()


def test_error_rules_beside_the_tables_are_no_table(folder):
    (folder.root / "errors.toml").write_text("anything = 1")
    assert set(folder.load().operations) == set(BUILT_IN.operations)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(
        CatalogError, match=r"gone: no such folder; \[catalog\] extra lists folders with schema files\.$"
    ):
        load_catalog([tmp_path / "gone"])


def test_the_wheels_folder_is_used_where_there_is_no_checkout(tmp_path, monkeypatch):
    package = tmp_path / "crawler"
    shutil.copytree(schemas_folder(), package / "schemas")
    monkeypatch.setattr(module, "__file__", str(package / "catalog.py"))
    monkeypatch.setattr(module, "resources", lambda name: tmp_path / name)
    assert schemas_folder() == package / "schemas"
    assert set(load_catalog().operations) == set(BUILT_IN.operations)


# --- refusals ---

DETAILS = '[details]\naction = "GetCart"\npath = "/carts/{id}"\nram = "shop:GetCart"\nbind = { cart = "cart" }\n'
LETTERS = "[operation] path must begin with / and have placeholders of letters only, each once"
NO_BIND = "[[parents]] bind: shop_carts has no value"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title = ", "titel = "), 'table.titel isn\'t a known key: did you mean "title"?'),
        (('title = "Carts"', ""), "table.title is missing: it must be the name of its rows for people, in quotes"),
        (('"Carts"', "3"), "table.title is 3, but must be the name of its rows for people, in quotes"),
        (("limit = 50", 'limit = "50"'), 'paging.limit is "50", but must be a whole number'),
        (
            ("checked = 2026-11-22", 'checked = "yesterday"'),
            'checked is "yesterday", but must be a date, as in 2026-12-31, without quotes',
        ),
        (("[columns]", "[colums]"), 'colums isn\'t a known key: did you mean "columns"?'),
        (("limit = 50", 'limit = 50\ntotal_key = "n"'), 'paging.total_key isn\'t a known key: did you mean "total"?'),
        (("[columns]", "[columns"), "not TOML: "),
        (('cartId = "string"', 'cartId = "text"'), "cartId has the unknown type 'text', not one of string, "),
        (('cartId = "string"', 'cartId = "string"\nCartId = "string"'), "'cartId' and 'CartId' under columns are both"),
        (
            ('extra = "string"', 'record_snapshot_id = "string"'),
            "the column 'record_snapshot_id' would exist twice.",
        ),
        (('key = ["cart_id"]', 'key = ["cartId"]'), "[table] key names 'cartId', which is not a column of a record or"),
        (
            ('key = ["cart_id"]', 'key = ["account_id"]'),
            "[table] key names 'account_id', which is not a column of a record",
        ),
        (
            ('key = ["cart_id"]', 'key = ["token"]'),
            "[table] key names 'token', which can't identify rows: string sec",
        ),
        (('key = ["cart_id"]', 'key = ["owner"]'), "[table] key names 'owner', which can't identify rows: struct."),
        (
            ('key = ["cart_id"]', 'key = ["cart_id"]\nvolatile = ["owner.nobody"]'),
            "[table] volatile names 'owner.nobody', which is not a column outside the key.",
        ),
        (
            ('key = ["cart_id"]', 'key = ["cart_id"]\nvolatile = ["cart_id"]'),
            "[table] volatile names 'cart_id', which is not a column outside the key.",
        ),
        (('"shop_carts"', '"fc_carts"'), "[table] name: a table of shop is named shop_… in snake case."),
        (('"shop_carts"', '"shop_Carts"'), "[table] name: a table of shop is named shop_… in snake case."),
        (("[columns]", 'selection = "opt-in"\n[columns]'), "[table] reason: required if a table isn't on by default"),
        (
            ("[columns]", 'reason = "large"\n[columns]'),
            "[table] reason: required if a table isn't on by default, and o",
        ),
        (
            ("[columns]", 'selection = "maybe"\n[columns]'),
            'table.selection is "maybe", but must be "default" or "opt-in" or "out".',
        ),
        (
            ("[paging]", 'accepts = ["text"]\n[paging]'),
            'operation.accepts[0] is "text", but must be "object" or "absent".',
        ),
        (
            ("[paging]", 'embedded = ["owner.x"]\n[paging]'),
            "[operation] embedded names 'owner.x', which is not a column",
        ),
        (("[columns]", '[window]\nbegin = "b"\nend = "e"\nhours = 0\n[columns]'), "[window] hours must be at least 1."),
        (
            ("[columns]", f"{DETAILS}[columns]"),
            "[details] bind must give the parameters of its query and of its path",
        ),
        (
            ("[columns]", f"{DETAILS.replace('{id}', '{cart}')}[columns]"),
            "[details] bind: shop_carts has no value 'cart' for a parameter.",
        ),
        (
            ('style = "token"', 'style = "tokens"'),
            "[paging] style is 'tokens', not one of token, version, page-number,",
        ),
        (('output_token = "nextToken"', ""), "[paging] of style 'token' lacks output_token."),
        (
            ('output_token = "nextToken"', 'output_token = "t"\npage_key = "p"'),
            "[paging] of style 'token' has no page_key",
        ),
        (("limit = 50", ""), "[paging] limit and limit_key come together, and limit is a page size."),
        (("limit = 50", "limit = -1"), "[paging] limit and limit_key come together, and limit is a page size."),
        (
            ("[columns]", "[rate_limit]\nrate = 0.0\n[columns]"),
            "[rate_limit] rate must be above 0, and burst at least 1",
        ),
        (('path = "/carts"', 'path = "carts"'), LETTERS),
        (('path = "/carts"', 'path = "/carts/{cart-id}"'), LETTERS),
        (('path = "/carts"', 'path = "/carts/{cartId"'), LETTERS),
        (('path = "/carts"', 'path = "/{a}/{a}"'), LETTERS),
        (
            ('path = "/carts"', 'path = "/carts/{cartId}"'),
            "a path or query with parameters needs [[parents]], and only such",
        ),
        (
            ('records = "carts"', 'records = "carts"\nitem = "id"'),
            "[operation] item is 'id', which must be the only column",
        ),
        (
            ("[columns]", '[descriptions]\n"b" = "c"\n[columns]'),
            "[descriptions] names 'b', which is not a column of the file",
        ),
    ],
)
def test_a_file_that_says_something_wrong_is_refused_with_its_name_and_the_key(folder, change, message):
    folder.write("carts", CARTS, change)
    assert folder.refusal().startswith(f"mine/shop/2020-01-01/carts.toml: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('table = "shop_carts"', 'table = "shop_cards"'),
            "[[parents]] table 'shop_cards' is not a table of the catalog.",
        ),
        (('cartId = "cart_id"', 'cartId = "cartId"'), f"{NO_BIND} 'cartId' for a parameter."),
        (('cartId = "cart_id"', 'cartId = "owner"'), f"{NO_BIND} 'owner' for a parameter."),
        (('cartId = "cart_id"', 'cartId = "owner.nam"'), f"{NO_BIND} 'owner.nam' for a parameter."),
        (('cartId = "cart_id"', 'cartId = "cart_id.x"'), f"{NO_BIND} 'cart_id.x' for a parameter."),
        (('cartId = "cart_id"', 'cartId = "cart_id[]"'), f"{NO_BIND} 'cart_id[]' for a parameter."),
        (('cartId = "cart_id"', 'cartId = "owner.emails"'), f"{NO_BIND} 'owner.emails' for a parameter."),
        (('cartId = "cart_id"', 'cartId = "token"'), f"{NO_BIND} 'token' for a parameter."),
        (
            ('cartId = "cart_id"', 'cart = "cart_id"'),
            "[[parents]] of 'shop_carts' must give cartId, in bind or values.",
        ),
        (
            ('"cart_id" }', '"cart_id" }\nvalues = { cartId = ["a"] }'),
            "[[parents]] of 'shop_carts' must give cartId, in",
        ),
        (
            ('path = "/carts/{cartId}/items"', 'path = "/items"'),
            "a path or query with parameters needs [[parents]], and only such",
        ),
        (
            ('"cart_id" }', '"cart_id" }\nsetting = "opensearch.function"'),
            "[[parents]] setting is 'opensearch.function', not opensearch.functions.",
        ),
        (('bind = { cartId = "cart_id" }', ""), "parents[0].bind is missing: it must be a table"),
    ],
)
def test_a_parent_that_gives_no_value_is_refused(folder, change, message):
    folder.write("carts", CARTS)
    folder.write("items", ITEMS, change)
    assert folder.refusal().startswith(f"mine/shop/2020-01-01/items.toml: {message}")


@pytest.mark.parametrize("path", ["owner.name", "owner.name?", "owner.emails[]", "region_id"])
def test_a_value_below_a_struct_can_be_bound(folder, path):
    folder.write("carts", CARTS)
    folder.write("items", ITEMS, ('cartId = "cart_id"', f'cartId = "{path}"'))
    assert folder.load().operations["shop_items"].parents[0].bind == {"cartId": path}


@pytest.mark.parametrize("path", ["owner.secrets[]", "owner.pin", "owner.pin?"])
def test_a_secret_can_not_be_bound_wherever_it_is(folder, path):
    folder.write("carts", CARTS, ("owner = { ", 'owner = { pin = "string secret", '))
    folder.write("items", ITEMS, ('cartId = "cart_id"', f'cartId = "{path}"'))
    assert f"has no value {path.removesuffix('?')!r} for a parameter." in folder.refusal()


def test_an_unknown_grandparent_is_refused_as_an_unknown_parent(folder):
    # The child's file is read first: the loader must check its parent before it looks up the parent's parents.
    folder.write("b_items", ITEMS, ('table = "shop_carts"', 'table = "shop_gone"'))
    folder.write(
        "a_parts", ITEMS.replace("shop_carts", "shop_items").replace('"shop_items"\ntitle', '"shop_parts"\ntitle')
    )
    assert folder.refusal() == (
        "mine/shop/2020-01-01/b_items.toml: [[parents]] table 'shop_gone' is not a table of the catalog."
    )


def test_tables_that_hang_from_each_other_are_refused(folder):
    folder.write("a", ITEMS.replace("shop_carts", "shop_b").replace("shop_items", "shop_a"))
    folder.write("b", ITEMS.replace("shop_carts", "shop_a").replace("shop_items", "shop_b"))
    message = folder.refusal()
    assert message.startswith("mine/shop/2020-01-01/a.toml: [[parents]] table: 'shop_a' is its own ancestor: ")
    assert message.endswith(" shop_a → shop_b → shop_a.")


def test_a_table_in_two_files_is_refused_and_both_are_named(folder):
    folder.write("carts", CARTS)
    folder.write("cards", CARTS)
    assert folder.refusal() == (
        "mine/shop/2020-01-01/carts.toml: [table] name 'shop_carts' is already in mine/shop/2020-01-01/cards.toml."
    )


def test_a_product_in_two_files_is_refused(tmp_path):
    file = tmp_path / "fc" / "2030-01-01" / "product.toml"
    file.parent.mkdir(parents=True)
    file.write_text(PRODUCT.replace('"shop"', '"fc"').replace("2020-01-01", "2030-01-01"))
    with pytest.raises(CatalogError, match=r"product\.toml: product 'fc' is already in another file\.$"):
        load_catalog([tmp_path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('version = "2020-01-01"', 'version = "2021-01-01"'), "must lie in the folder shop/2021-01-01."),
        (('style = "ROA"', 'style = "REST"'), 'style is "REST", but must be "ROA" or "RPC".'),
        (("{region}", "{zone}"), "endpoint has a placeholder other than {region} and {account_id}: "),
        (('"shop.cn-hangzhou.', '"{region.'), "cn-hangzhou has a placeholder other than {region} and {account_id}: "),
        (("https://", "http://"), "endpoint must begin with https://, and is 'http://shop.{region}.aliyuncs.com'."),
        (("prefix", "prefixes"), 'prefixes isn\'t a known key: did you mean "prefix"?'),
        (("endpoint =", "# endpoint ="), "endpoint is missing: it must be the URL of its hosts, as in https://"),
        (("cn-hangzhou =", "CN-hangzhou ="), "'CN-hangzhou' is not a region ID such as cn-hangzhou."),
        (("[endpoints]", 'closed = ["Mumbai"]\n[endpoints]'), "'Mumbai' is not a region ID such as cn-hangzhou."),
        (("[endpoints]", 'closed = ["ap-south-1"]\n[endpoints]'), "closed names ap-south-1, which [endpoints] lacks."),
        (
            ("[endpoints]", "[rate_limit]\nrate = 0\n[endpoints]"),
            "[rate_limit] rate must be above 0, and burst at least",
        ),
    ],
)
def test_a_product_that_nobody_can_reach_is_refused(folder, change, message):
    folder.write("product", PRODUCT, change)
    assert folder.refusal().startswith(f"mine/shop/2020-01-01/product.toml: {message}")


def test_a_products_title_limit_and_settings_are_in_its_file(folder):
    assert (folder.load().products["shop"].title, folder.load().products["shop"].rate) == ("shop", None)
    keys = 'title = "The shop"\nsettings = ["shop.kinds"]\n[rate_limit]\nrate = 2.5\nburst = 3\n[endpoints]'
    folder.write("product", PRODUCT, ("[endpoints]", keys))
    folder.write("carts", CARTS)
    folder.write("items", ITEMS, ('"cart_id" }', '"cart_id" }\nsetting = "shop.kinds"'))
    catalog = folder.load()
    product = catalog.products["shop"]
    assert (product.title, product.rate, product.burst) == ("The shop", 2.5, 3)
    assert (catalog.product_title("shop"), catalog.product_title("unknown")) == ("The shop", "unknown")
    assert catalog.operations["shop_items"].parents[0].setting == "shop.kinds"


def test_keys_of_the_built_in_products_are_their_folders_names():
    assert product_keys() == tuple(load_catalog().products)


def test_a_table_in_a_folder_of_no_product_is_refused(folder):
    other = folder.root / "carts.toml"
    other.write_text(CARTS)
    assert folder.refusal() == "mine/carts.toml: no product.toml describes this file's PRODUCT/VERSION folder."


def test_a_file_that_is_no_text_or_can_not_be_opened_is_refused(folder):
    (folder.folder / "carts.toml").write_bytes(b'a = "\xff"')
    assert folder.refusal() == "mine/shop/2020-01-01/carts.toml: not UTF-8 at byte 5."
    for kind in ("a folder", "a named pipe"):
        put(folder.folder / "carts.toml", kind)
        with ends_within(20):
            reason = f"is {kind}, not a regular file"
            assert folder.refusal() == f"mine/shop/2020-01-01/carts.toml: can't be read: {reason}."


# --- questions ---


@pytest.fixture
def with_opt_in(folder):
    folder.write("carts", CARTS)
    folder.write("items", ITEMS, ("[columns]", 'selection = "opt-in"\nreason = "large"\n[columns]'))
    return folder.load()


def test_a_table_that_is_out_can_not_be_asked_for_and_says_why(folder):
    folder.write("carts", CARTS, ("[columns]", 'selection = "out"\nreason = "It needs a text to find"\n[columns]'))
    folder.write("items", ITEMS)
    catalog = folder.load()
    assert "shop_carts" not in catalog.select(["*"])
    with pytest.raises(CatalogError, match=r"^shop_carts can't be crawled: It needs a text to find\.$"):
        catalog.select(["shop_items", "shop_carts"])


def test_globs_select_in_the_catalogs_order_whatever_their_own():
    assert BUILT_IN.select(["opensearch_apps", "fc_f*"]) == ("fc_function_versions", "fc_functions", "opensearch_apps")
    default = tuple(table for table, operation in BUILT_IN.operations.items() if operation.selection == "default")
    asked = {key for key, product in BUILT_IN.products.items() if product.is_default}
    assert BUILT_IN.select(["*"]) == tuple(table for table in default if BUILT_IN.operations[table].product in asked)
    assert BUILT_IN.select(BUILT_IN.all_patterns) == default
    assert BUILT_IN.select(["fc_f*", "opensearch_app*"], ["*_apps", "fc_function_*"]) == (
        "fc_functions",
        "opensearch_app_groups",
    )
    assert BUILT_IN.select(["fc_functions"], ["*"]) == ()
    assert BUILT_IN.select([]) == ()


def test_an_opt_in_table_needs_its_exact_name(with_opt_in):
    assert with_opt_in.select(["shop_*"]) == ("shop_carts",)
    assert with_opt_in.select(["shop_*", "shop_items"]) == ("shop_carts", "shop_items")
    assert with_opt_in.select(["shop_items"], ["shop_i*"]) == ()
    with pytest.raises(
        CatalogError, match=r"^'shop_i\*' matches opt-in tables only, each of which needs its exact name"
    ):
        with_opt_in.select(["shop_i*"])


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("fc_function", "did you mean 'fc_functions'?"),
        ("zzz", "`acs-inventory tables` lists them all, with --config FILE those of its [catalog] extra, too."),
    ],
)
def test_a_pattern_that_names_nothing_is_refused_with_a_hint(pattern, hint):
    for tables, exclude in (([pattern], []), (["*"], [pattern])):
        with pytest.raises(CatalogError) as caught:
            BUILT_IN.select(tables, exclude)
        assert str(caught.value) == f"No table is called or matches {pattern!r}; {hint}"


def test_case_counts_in_a_pattern():
    with pytest.raises(CatalogError):
        BUILT_IN.select(["FC_*"])


def test_parents_come_before_their_children_each_once():
    assert BUILT_IN.with_parents(["fc2_instances", "fc2_functions", "fc_functions"]) == (
        "fc2_services",
        "fc2_functions",
        "fc2_instances",
        "fc_functions",
    )
    assert BUILT_IN.with_parents(["opensearch_function_instances"]) == (
        "opensearch_app_groups",
        "opensearch_apps",
        "opensearch_function_instances",
    )


def test_depth_counts_the_levels_above():
    depths = {table: BUILT_IN.depth(table) for table in BUILT_IN.operations}
    roots = {table for table, depth in depths.items() if depth == 0}
    assert roots == {table for table, operation in BUILT_IN.operations.items() if not operation.parents}
    assert {"fc_functions", "fc2_services", "fc2_stateful_async_invocation_functions", "opensearch_app_groups"} <= roots
    assert (depths["fc2_functions"], depths["fc2_instances"], depths["opensearch_function_instances"]) == (1, 2, 2)


def test_children_are_those_that_hang_directly():
    services = ("fc2_aliases", "fc2_functions", "fc2_service_versions", "fc2_vpc_bindings")
    assert BUILT_IN.children("fc2_services") == services
    assert BUILT_IN.children("fc_layers") == ("fc_layer_versions",)
    assert "opensearch_function_instances" in BUILT_IN.children("opensearch_app_groups")
    assert "opensearch_function_instances" in BUILT_IN.children("opensearch_apps")
    assert BUILT_IN.children("fc_aliases") == ()


def test_a_field_that_would_take_a_fixed_columns_name_gets_record_before_it(folder):
    folder.write("carts", CARTS, ('extra = "string"', '"_extra" = "integer"'))
    operation = folder.load().operations["shop_carts"]
    assert operation.schema.names == [
        *("account_id", "region_id", "snapshot_id", "fetched_at"),
        *("cart_id", "record_snapshot_id", "record__extra", "token", "owner", "_extra"),
    ]
    assert operation.schema.field("record__extra").type == pa.int64()
    assert operation.schema.field("fetched_at").type == TIMESTAMP
    assert operation.schema.metadata == {b"operation": b"shop 2020-01-01 ListCarts"}


def test_a_records_own_field_takes_the_place_of_a_path_parameter():
    names = BUILT_IN.operations["opensearch_function_instances"].schema.names
    assert names.count("function_name") == 1
    assert names[4] == "app_group_identity"
    assert names.index("function_name") > 5


def test_keys_that_were_promised():
    promised = {
        "fc_functions": ("function_name",),
        "fc2_services": ("service_name",),
        "fc2_functions": ("service_name", "function_name"),
        "fc2_instances": ("service_name", "function_name", "instance_id"),
        "fc2_function_async_invoke_configs": ("service_name", "function_name", "qualifier"),
        "fc2_stateful_async_invocation_functions": ("service_name", "function_name", "qualifier"),
        "opensearch_app_groups": ("name",),
        "opensearch_apps": ("app_group_identity", "id"),
        "opensearch_function_instances": ("app_group_identity", "function_name", "instance_name"),
    }
    assert {table: BUILT_IN.operations[table].key for table in promised} == promised


def test_an_optional_part_of_a_key_is_marked_with_a_question_mark(folder):
    folder.write("carts", CARTS, ('key = ["cart_id"]', 'key = ["cart_id", "extra?"]'))
    operation = folder.load().operations["shop_carts"]
    assert (operation.key, operation.optional_key) == (("cart_id", "extra"), {"extra"})


def test_all_messages_of_a_broken_built_in_file_name_it(tmp_path, monkeypatch):
    root = tmp_path / "schemas"
    shutil.copytree(schemas_folder(), root)
    monkeypatch.setattr(module, "schemas_folder", lambda: root)
    for path in sorted(root.rglob("*.toml")):
        if path.name == "errors.toml":
            continue
        whole = path.read_text()
        path.write_text(whole + "\n[nonsense]\nx = 1\n")
        with pytest.raises(
            CatalogError, match=rf"^schemas/{re.escape(str(path.relative_to(root)))}: \S+ isn't a known key"
        ):
            load_catalog()
        path.write_text(whole)
    assert set(load_catalog().operations) == set(BUILT_IN.operations)
