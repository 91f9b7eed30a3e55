"""Families of products: lists deep in an answer, flags for another page, whole answers, details by a query, marks."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from crawler.catalog import load_catalog
from crawler.catalog import loader as module
from crawler.catalog.model import DETAILS_COLUMN
from crawler.errors import CatalogError, PaginationError, TransientError
from crawler.normalizer.normalizer import Detail, read_detail
from tests.support.shop_catalog import PRODUCT, carts, extra, read, rows

COLUMNS = 'id = "string"\nsize = "integer"'
DEEP = 'style = "token"\ninput_token = "Token"\noutput_token = "Data.Next"\ntotal = "PageInfo.Total"\nmore = "HasMore"'


# --- lists deep in an answer ---


def test_a_list_is_found_below_two_names(tmp_path):
    operation = carts(tmp_path, COLUMNS, records="Carts.Cart")
    page = read(operation, {"RequestId": "R", "Carts": {"Cart": [{"id": "a"}], "Left": 1}, "Odd": 2})
    assert [row["id"] for row in rows(page)] == ["a"]
    assert page.unknown == Counter({"$.Odd": 1, "$.Carts.Left": 1})
    assert read(operation, {"Carts": {"Cart": []}}).seen == 0


@pytest.mark.parametrize("answer", [{}, {"Carts": None}, {"Carts": []}, {"Carts": {}}, {"Carts": {"Cart": None}}])
def test_a_list_that_is_missing_below_two_names_is_an_error(tmp_path, answer):
    with pytest.raises(PaginationError) as caught:
        read(carts(tmp_path, COLUMNS, records="Carts.Cart"), answer)
    assert caught.value.code == "ListMissing"


def test_token_total_and_flag_are_found_at_their_paths(tmp_path):
    operation = carts(tmp_path, COLUMNS, records="Data.Items", paging=DEEP)
    answer = {"Data": {"Items": [{"id": "a"}], "Next": "t"}, "PageInfo": {"Total": 7, "Page": 1}, "HasMore": True}
    page = read(operation, answer)
    assert (page.token, page.total, page.more, page.unknown) == ("t", 7, True, Counter())
    page = read(operation, {"Data": {"Items": []}})
    assert (page.token, page.total, page.more) == (None, None, None)


def test_a_token_that_comes_twice_is_an_error(tmp_path):
    operation = carts(tmp_path, COLUMNS, records="Data.Items", paging=DEEP)
    with pytest.raises(PaginationError) as caught:
        read(operation, {"Data": {"Items": [], "Next": "t", "next": "u"}})
    assert caught.value.code == "RepeatedName"


def test_the_fields_of_a_page_around_a_deep_list_can_be_named(tmp_path):
    operation = carts(tmp_path, COLUMNS, records="Data.Items", operation='envelope = ["Data.Size", "Page"]')
    page = read(operation, {"Data": {"Items": [], "Size": 3, "size": 1, "Odd": 1}, "Page": 1})
    assert page.unknown == Counter({"$.Data.Odd": 1})


NUMBERED = 'style = "page-number"\npage_key = "PageNumber"\nlimit_key = "PageSize"\nlimit = 50\ntotal = "Total"'


@pytest.mark.parametrize("records", ["Carts.Cart", "Carts"])
def test_the_page_number_and_size_that_an_answer_repeats_are_no_unknown_fields(tmp_path, records):
    operation = carts(tmp_path, COLUMNS, records=records, paging=NUMBERED)
    carts_of_page = {"Cart": [], "PageSize": 50} if "." in records else []
    page = read(operation, {"Carts": carts_of_page, "PageNumber": 1, "pageSize": 50, "Total": 0, "Odd": 1})
    assert page.unknown == Counter({"$.Odd": 1})


# --- whole answers ---


def test_a_whole_answer_is_the_one_record_without_its_envelope(tmp_path):
    operation = carts(tmp_path, COLUMNS, records="$")
    page = read(operation, {"requestId": "R", "Code": "", "id": "a", "size": 2, "status": 3, "new": 1})
    assert [(row["id"], row["size"]) for row in rows(page)] == [("a", 2)]
    assert extra(rows(page)[0]) == {"new": 1, "status": 3}
    again = read(operation, {"requestId": "S", "id": "a", "size": 2, "status": 3, "new": 1})
    assert again.digests == page.digests


def test_a_field_of_the_envelope_is_kept_where_it_is_a_column(tmp_path):
    operation = carts(tmp_path, 'id = "string"\nmessage = "string"', records="$")
    assert [row["message"] for row in rows(read(operation, {"id": "a", "Message": "m"}))] == ["m"]


@pytest.mark.parametrize(
    "body", ["{}", '{"requestId": "R"}', '{"things": [1]}', "[]", '[{"id": "a"}]', "1", '"id"', "null"]
)
def test_a_whole_answer_without_any_field_of_its_record_is_an_error(tmp_path, body):
    """P6: never zero rows that look complete."""
    with pytest.raises(PaginationError) as caught:
        read(carts(tmp_path, COLUMNS, records="$"), body.encode())
    assert caught.value.code == "ListMissing"


def test_a_whole_answer_with_a_null_is_a_record(tmp_path):
    assert read(carts(tmp_path, COLUMNS, records="$"), {"Id": None}).seen == 1


def test_a_list_without_an_object_around_it_has_a_record_an_item(tmp_path):
    operation = carts(tmp_path, COLUMNS, records="$[]")
    assert [row["id"] for row in rows(read(operation, b'[{"id": "a"}, {"id": "b", "code": "c"}]'))] == ["a", "b"]
    assert read(operation, b"[]").seen == 0


@pytest.mark.parametrize("body", ["{}", '{"id": "a"}', "1", "null", '"[]"'])
def test_what_is_no_list_is_an_error_where_a_list_without_an_object_is_expected(tmp_path, body):
    with pytest.raises(PaginationError, match=r"ListMissing: The answer is not a list"):
        read(carts(tmp_path, COLUMNS, records="$[]"), body.encode())


def test_a_whole_answer_has_no_pages(tmp_path):
    with pytest.raises(CatalogError, match="records is '\\$', a whole answer: it has no pages"):
        carts(tmp_path, COLUMNS, records="$", paging='style = "limit-only"\nlimit_key = "n"\nlimit = 1')


# --- paths into an answer ---

TOKEN = 'style = "token"\ninput_token = "t"\noutput_token = "t"\n'
NO_PATHS = ["Data..Items", "Data.", ".Data", " Data", "$.Data", "Data.$", "$[].Items", "Data[]", "Da ta"]


@pytest.mark.parametrize("path", NO_PATHS)
@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("[operation] records", lambda path: {"records": path, "operation": 'accepts = ["absent"]'}),
        ("[operation] envelope", lambda path: {"operation": f'envelope = ["{path}"]'}),
        (
            "[paging] output_token",
            lambda path: {"paging": TOKEN.replace('output_token = "t"', f'output_token = "{path}"')},
        ),
        ("[paging] total", lambda path: {"paging": f'{TOKEN}total = "{path}"'}),
        ("[paging] more", lambda path: {"paging": f'{TOKEN}more = "{path}"'}),
        ("[details] records", lambda path: {"more": DETAILS.replace("Data.Cart", path)}),
    ],
)
def test_a_path_that_no_answer_can_have_is_refused(tmp_path, key, parts, path):
    """P6: a list that is absent everywhere has zero rows that look complete, and an absent total is never too large."""
    with pytest.raises(CatalogError) as caught:
        carts(tmp_path, COLUMNS, **parts(path))
    assert f"carts.toml: {key} is {path!r}, which is not a path into an answer" in str(caught.value)


def test_records_without_a_path_are_refused(tmp_path):
    with pytest.raises(CatalogError, match=r"records is '', which is not a path"):
        carts(tmp_path, COLUMNS, records="")
    carts(tmp_path, COLUMNS)
    file = tmp_path / "shop" / "2020-01-01" / "product.toml"
    regions = "[regions]\naction = 'ListD'\npath = '/'\nrecords = 'a..b'\nid = 'i'\nask = 'cn-x'\n"
    file.write_text(PRODUCT.replace("[endpoints]", f"{regions}[endpoints]"))
    with pytest.raises(CatalogError, match=r"\[regions\] records is 'a\.\.b', which is not a path"):
        load_catalog([tmp_path])


# --- details by a query ---

DETAILS = """
[details]
action = "GetCart"
path = "/"
query = { CartId = "{CartId}" }
method = "POST"
records = "Data.Cart"
ram = "shop:GetCart"
bind = { CartId = "id" }
"""


def test_details_may_be_asked_for_by_the_query_and_lie_deep_in_their_answer(tmp_path):
    operation = carts(tmp_path, COLUMNS, more=DETAILS)
    assert operation.details.query_parameters == operation.details.parent_kinds == ("CartId",)
    detail = read_detail(
        json.dumps({"RequestId": "R", "Data": {"Cart": {"size": 4}}}).encode(), records=("data", "Cart")
    )
    [row] = rows(read(operation, [{"id": "a"}], details=[detail]))
    assert (row["size"], row[DETAILS_COLUMN]) == (4, "fetched")


@pytest.mark.parametrize("answer", [{}, {"Data": 1}, {"Data": {"Cart": {}}}, {"Data": {"Cart": [1]}}])
def test_details_that_are_not_where_the_file_says_are_an_error(answer):
    with pytest.raises(TransientError):
        read_detail(json.dumps(answer).encode(), records=("Data", "Cart"))


def test_details_that_come_twice_are_an_error():
    with pytest.raises(PaginationError, match="'Role' twice"):
        read_detail(b'{"Role": {"a": 1}, "role": {"b": 2}}', records=("Role",))


def test_details_are_bound_to_one_value_of_a_row(tmp_path):
    more = DETAILS.replace('bind = { CartId = "id" }', 'bind = { CartId = "tags[]" }')
    with pytest.raises(CatalogError, match=r"\[details\] bind: 'tags\[\]' has many values"):
        carts(tmp_path, f'{COLUMNS}\ntags = ["string"]', more=more)


@pytest.mark.parametrize("path", ["/{cart_id}", "/{CartId", "/x}", "/{}"])
def test_details_have_placeholders_of_letters_only(tmp_path, path):
    with pytest.raises(CatalogError, match=r"\[details\] bind must give the parameters"):
        carts(tmp_path, COLUMNS, more=DETAILS.replace('path = "/"', f'path = "{path}"'))


def test_the_envelope_of_details_is_not_a_part_of_the_record(tmp_path):
    operation = carts(tmp_path, COLUMNS, more=DETAILS)
    [row] = rows(read(operation, [{"id": "a"}], details=[Detail("fetched", {"requestId": "R", "size": 1})]))
    assert extra(row) is None


def test_details_that_always_belong_to_a_table_need_no_configuration(tmp_path):
    carts(tmp_path, COLUMNS, more=DETAILS + "always = true\n")
    catalog = load_catalog([tmp_path])
    assert catalog.select_details([], ["shop_carts", "fc_functions"]) == {"shop_carts"}
    assert catalog.select_details([], ["fc_functions"]) == frozenset()


def test_a_policy_has_the_action_by_which_regions_are_listed(tmp_path):
    carts(tmp_path, COLUMNS)
    regions = "[regions]\naction = 'ListD'\npath = '/'\nrecords = 'r'\nid = 'i'\nask = 'cn-x'\n"
    file = tmp_path / "shop" / "2020-01-01" / "product.toml"
    for line, actions in (
        ("", ["shop:ListCarts"]),
        ("ram = 'shop:ListRegions'", ["shop:ListCarts", "shop:ListRegions"]),
    ):
        file.write_text(PRODUCT.replace("[endpoints]", f"{regions}{line}\n[endpoints]"))
        assert load_catalog([tmp_path]).ram_actions(["shop_carts"]) == actions


# --- operations that only read ---

WRITES = [
    "RunInstances",
    "DeleteCarts",
    "Listen",
    "Getaway",
    "list",
    "",
    "listCarts",
    "BatchDeleteCarts",
    "CreateGetter",
    "Get-x",
]


@pytest.mark.parametrize("action", WRITES)
def test_t54_an_operation_that_may_change_something_is_no_table(tmp_path, action):
    carts(tmp_path, COLUMNS)
    file = tmp_path / "shop" / "2020-01-01" / "carts.toml"
    text = file.read_text()
    file.write_text(text.replace('"ListCarts"', f'"{action}"'))
    with pytest.raises(CatalogError, match=r"\[operation\] action is .*, which may change something"):
        load_catalog([tmp_path])
    file.write_text(text + DETAILS.replace("GetCart", action))
    with pytest.raises(CatalogError, match=r"\[details\] action is .*, which may change something"):
        load_catalog([tmp_path])
    file.write_text(text)
    regions = f"[regions]\naction = '{action}'\npath = '/'\nrecords = 'r'\nid = 'i'\nask = 'cn-x'\n"
    (file.parent / "product.toml").write_text(PRODUCT.replace("[endpoints]", f"{regions}[endpoints]"))
    with pytest.raises(CatalogError, match=r"\[regions\] action is .*, which may change something"):
        load_catalog([tmp_path])


@pytest.mark.parametrize(
    "action", ["ListA", "DescribeVpcs", "Get2", "QueryX", "BatchGetX", "SearchX", "CountX", "CheckX", "List"]
)
def test_t54_an_operation_that_reads_may_be_a_table(tmp_path, action):
    carts(tmp_path, COLUMNS)
    file = tmp_path / "shop" / "2020-01-01" / "carts.toml"
    file.write_text(file.read_text().replace('"ListCarts"', f'"{action}"'))
    assert load_catalog([tmp_path]).operations["shop_carts"].action == action


# --- products that only a pattern of their own chooses ---


@pytest.fixture
def aside(tmp_path):
    carts(tmp_path, COLUMNS)
    file = tmp_path / "shop" / "2020-01-01" / "product.toml"
    file.write_text(PRODUCT.replace("[endpoints]", "default = false\n[endpoints]"))
    return load_catalog([tmp_path])


@pytest.mark.parametrize("pattern", ["*", "*_functions", "[fs]*"])
def test_a_product_aside_is_not_chosen_by_a_pattern_that_reaches_others(aside, pattern):
    assert not any(table.startswith("shop_") for table in aside.select([pattern]))


@pytest.mark.parametrize("pattern", ["shop_*", "shop_carts", "shop_c?rts"])
def test_a_product_aside_is_chosen_by_a_pattern_that_begins_with_its_prefix(aside, pattern):
    assert aside.select([pattern]) == ("shop_carts",)
    assert aside.select(["fc_functions", pattern], ["*_carts"]) == ("fc_functions",)


@pytest.mark.parametrize("pattern", ["*_carts", "[s]hop_*", "sh*"])
def test_a_pattern_that_matches_only_products_aside_is_refused_with_their_prefix(aside, pattern):
    with pytest.raises(CatalogError, match="needs a pattern that begins with 'shop_'"):
        aside.select([pattern])


def test_products_that_are_not_asked_for_are_known(aside):
    everything = aside.select(["*"])
    assert "shop" in {product.key for product in aside.unasked_products(everything)}
    assert "shop" not in {product.key for product in aside.unasked_products([*everything, "shop_carts"])}
    # A parent is read, too.
    assert "fc" not in {product.key for product in aside.unasked_products(["fc_aliases"])}


# --- global products ---

GLOBAL = PRODUCT.split("[endpoints]")[0].replace("shop.{region}.", "shop.") + "global = true\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("shop.aliyuncs", "shop.{region}.aliyuncs"), "endpoint has {region}, and the product is global."),
        (("global", "closed = []\n[endpoints]\ncn-x = 'h.aliyuncs.com'\n#"), None),
        (("global = true", "global = true\n[endpoints]\ncn-x = 'h.aliyuncs.com'"), "has no endpoints."),
        (("global = true", "[endpoints]\nglobal = 'h.aliyuncs.com'"), "only a product with global = true has."),
        (
            (
                "global = true",
                "global = true\n[regions]\naction = 'ListD'\npath = '/'\nrecords = 'r'\nid = 'i'\nask = 'cn-x'",
            ),
            "has no regions.",
        ),
    ],
)
def test_a_global_product_has_one_host_and_no_regions(tmp_path, change, message):
    carts(tmp_path, COLUMNS)
    file = tmp_path / "shop" / "2020-01-01" / "product.toml"
    assert change[0] in GLOBAL
    file.write_text(GLOBAL.replace(*change))
    if message is None:
        load_catalog([tmp_path])
        return
    with pytest.raises(CatalogError) as caught:
        load_catalog([tmp_path])
    assert message in str(caught.value)


# --- marks ---

ONE_MARK = "1 value is marked `# check:`; confirm or correct it, and remove the mark"
TWO_MARKS = "2 values are marked `# check:`; confirm or correct them, and remove the marks"


def test_values_that_await_a_person_are_a_warning_of_ones_own_file(tmp_path):
    carts(tmp_path, 'id = "string"  # check: the key\nsize = "integer" # check: bytes?')
    file = tmp_path / "shop" / "2020-01-01" / "product.toml"
    file.write_text(PRODUCT + "# check: are these all regions?\n")
    assert load_catalog([tmp_path]).warnings == (
        f"{tmp_path.name}/shop/2020-01-01/product.toml: {ONE_MARK}",
        f"{tmp_path.name}/shop/2020-01-01/carts.toml: {TWO_MARKS}",
    )


@pytest.mark.parametrize("text", ["'# check: no'", '"a \\" # check: no"', '"a"  # checked: yes', "'a'  #check no"])
def test_a_text_that_holds_the_mark_is_not_marked(tmp_path, text):
    carts(tmp_path, 'id = "string"', more=f"[descriptions]\nid = {text}\n")
    assert load_catalog([tmp_path]).warnings == ()


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ('"""\na # check: no\n"""', 0),
        ("'''\nit's # check: no\n'''", 0),
        ('"""it\'s \\""" # check: no"""', 0),
        ('"""\na # check: no""" # check: yes', 1),
        ("'''it's''' # check: yes", 1),
        ('""" "quoted"""" # check: yes', 1),
        ('"" # check: yes', 1),
        ('"a" # a note of a person # check: no', 0),
    ],
)
def test_only_comments_are_marks_whatever_strings_are_around_them(tmp_path, text, marks):
    carts(tmp_path, 'id = "string"', more=f"[descriptions]\nid = {text}\n")
    assert len(load_catalog([tmp_path]).warnings) == marks


def test_a_mark_in_an_array_of_many_lines_is_found(tmp_path):
    operation = 'filters = [\n  "a # check: no", # check: yes\n  "b",\n] # check: too'
    carts(tmp_path, 'id = "string"', operation=operation)
    assert load_catalog([tmp_path]).warnings == (f"{tmp_path.name}/shop/2020-01-01/carts.toml: {TWO_MARKS}",)


def test_a_built_in_file_with_a_mark_is_refused(tmp_path, monkeypatch):
    carts(tmp_path, 'id = "string"  # check: the key')
    monkeypatch.setattr(module, "schemas_folder", lambda: tmp_path)
    with pytest.raises(CatalogError, match=r"carts.toml: 1 value is marked `# check:`"):
        load_catalog()
