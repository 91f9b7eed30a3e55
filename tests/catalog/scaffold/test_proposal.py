"""Files that are proposed from small packages: each family of paging and records, parents, hosts, and hostile names."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import pytest

from crawler.catalog import load_catalog
from crawler.catalog.loader import count_marks
from crawler.catalog.scaffold import propose, usual_regions, write_files
from crawler.catalog.sdk import open_package
from crawler.catalog.sdk.check import check_product
from crawler.errors import ConfigError
from tests.support.sdk_packages import Call, package_files, wheel

DAY = date(2026, 12, 1)
SHOP = [{"ShopId": "str", "ShopName": "str"}]


@pytest.fixture
def scaffold(tmp_path):
    """Return the proposal for a package of these calls, and its files as TOML by name.

    The files load, and `--check-sdk` finds no difference, except for fields that no column can hold.
    """

    def run(*calls, actions=(), holds_all=True, **options):
        path = wheel(tmp_path / "shop.whl", package_files(calls, **options))
        proposal = propose(open_package(str(path)), actions, DAY)
        write_files(proposal, tmp_path / "tables", may_replace=True)
        catalog = load_catalog([tmp_path / "tables"])
        [product] = [product for product in catalog.products.values() if product.sdk == proposal.package]
        differences = [str(found) for found in check_product(catalog, product, open_package(str(path)))]
        assert not (holds_all and differences)
        return proposal, {name: tomllib.loads(text) for name, text in proposal.texts.items()}

    return run


def one(scaffold, answer, query=None, **options):
    """Return the one proposed table of an operation ListShops."""
    return scaffold(Call("ListShops", answer, query=query or {}, **options))[1]["shops.toml"]


# --- records ---


@pytest.mark.parametrize(
    ("answer", "records"),
    [
        ({"Shops": SHOP}, "Shops"),
        ({"Shops": {"Shop": SHOP}}, "Shops.Shop"),
        ({"Data": {"Page": {"Items": SHOP}}}, "Data.Page.Items"),
        ({"Tags": [{"Key": "str"}], "Shops": SHOP}, "Shops"),
    ],
)
def test_the_records_are_found_at_any_depth(scaffold, answer, records):
    file = one(scaffold, answer)
    assert file["operation"]["records"] == records
    assert file["columns"] == {"ShopId": "string", "ShopName": "string"}
    assert file["table"]["key"] == ["shop_id"]


def test_two_lists_are_a_doubt(scaffold):
    proposal, files = scaffold(Call("ListAll", {"First": SHOP, "Second": SHOP}))
    assert files["all.toml"]["operation"]["records"] == "First"
    assert 'records = "First" # check: or Second\n' in proposal.texts["all.toml"]


def test_an_answer_that_is_one_record_is_read_whole(scaffold):
    answer = {"RequestId": "str", "Limit": "int", "Used": "int", "Code": "str"}
    file = scaffold(Call("DescribeQuota", answer))[1]["quota.toml"]
    assert (file["operation"]["records"], file["paging"]) == ("$", {"style": "none"})
    assert file["columns"] == {"Limit": "integer", "Used": "integer"}


def test_a_record_with_lists_inside_is_one_record(scaffold):
    """The list of its tags isn't a list of records."""
    answer = {"RequestId": "str", "ShopId": "str", "ShopName": "str", "Size": "int", "Tags": {"Tag": [{"Key": "str"}]}}
    proposal, files = scaffold(Call("DescribeShopAttribute", answer))
    file = files["shop_attribute.toml"]
    assert file["operation"]["records"] == "$"
    assert set(file["columns"]) == {"ShopId", "ShopName", "Size", "Tags"}
    assert (
        'records = "$" # check: the answer is one record; is it a list inside of it?\n'
        in proposal.texts["shop_attribute.toml"]
    )


def test_a_request_with_pages_isnt_of_one_record(scaffold):
    answer = {"ShopId": "str", "ShopName": "str", "Size": "int", "Entries": [{"EntryId": "str"}]}
    call = Call("DescribeShopAttribute", answer, query={"Page": "int", "PageSize": "int"})
    file = scaffold(call)[1]["shop_attribute.toml"]
    assert (file["operation"]["records"], file["paging"]["style"]) == ("Entries", "page-number")


def test_a_size_of_its_own_doesnt_make_a_record_a_page(scaffold):
    answer = {"name": "str", "size": "int", "state": "str", "version": "str", "tags": [{"key": "str"}]}
    assert scaffold(Call("DescribeShopDetail", answer))[1]["shop_detail.toml"]["operation"]["records"] == "$"


def test_own_fields_beside_a_list_at_any_depth_are_a_doubt(scaffold):
    proposal, _ = scaffold(Call("ListShops", {"Mall": {"Shops": SHOP, "Owner": "str"}}))
    assert (
        'envelope = ["Mall.Owner"] # check: or is the answer one record with Mall.Owner?\n'
        in proposal.texts["shops.toml"]
    )


def test_own_fields_beside_a_list_are_a_doubt(scaffold):
    proposal, _ = scaffold(Call("DescribeShops", {"Shops": SHOP, "Owner": "str"}))
    assert 'envelope = ["Owner"] # check: or is the answer one record with Owner?\n' in proposal.texts["shops.toml"]


def test_an_answer_that_is_a_list_is_the_list(scaffold):
    file = one(scaffold, SHOP)
    assert (file["operation"]["records"], file["paging"], file["table"]["key"]) == (
        "$[]",
        {"style": "none"},
        ["shop_id"],
    )
    assert file["columns"] == {"ShopId": "string", "ShopName": "string"}


def test_an_object_in_place_of_a_list_is_one_record(scaffold):
    file = scaffold(Call("DescribeQuota", {"RequestId": "str", "Quota": {"Limit": "int", "Used": "int"}}))[1][
        "quota.toml"
    ]
    assert file["operation"]["records"] == "Quota"
    assert file["operation"]["accepts"] == ["object"]


def test_a_list_of_texts_has_one_column(scaffold):
    file = one(scaffold, {"Names": "List[str]"})
    assert (file["operation"]["item"], file["columns"], file["table"]["key"]) == ("Name", {"Name": "string"}, ["name"])


def test_fields_beside_the_records_are_the_envelope(scaffold):
    answer = {"RequestId": "str", "Took": "int", "Data": {"Shops": SHOP, "Hint": "str", "TotalCount": "int"}}
    file = one(scaffold, answer, {"PageNumber": "int", "PageSize": "int"})
    assert file["operation"]["envelope"] == ["Data.Hint", "Took"]
    assert file["paging"]["total"] == "Data.TotalCount"


# --- paging ---

PAGED = {
    "token": (
        {"NextToken": "str", "MaxResults": ("int", "Valid values: 1 to 100.")},
        {"NextToken": "str", "TotalCount": "int"},
        {
            "style": "token",
            "input_token": "NextToken",
            "output_token": "NextToken",
            "limit_key": "MaxResults",
            "limit": 100,
        }
        | {"total": "TotalCount"},
    ),
    "marker": (
        {"Marker": "str", "MaxItems": ("int", "Maximum value: 200")},
        {"Marker": "str", "IsTruncated": "bool"},
        {"style": "token", "input_token": "Marker", "output_token": "Marker", "limit_key": "MaxItems", "limit": 200}
        | {"more": "IsTruncated"},
    ),
    "page": (
        {"PageNumber": "int", "PageSize": ("int", "Valid values:\n\n- **30** (default)\n- **50**")},
        {"PageInfo": {"TotalCount": "int"}},
        {"style": "page-number", "page_key": "PageNumber", "limit_key": "PageSize", "limit": 50}
        | {"total": "PageInfo.TotalCount"},
    ),
    "limit": ({"limit": "int"}, {}, {"style": "limit-only", "limit_key": "limit", "limit": 50}),
    "none": ({}, {}, {"style": "none"}),
}


@pytest.mark.parametrize("family", PAGED)
def test_each_family_of_paging_is_found(scaffold, family):
    query, beside, expected = PAGED[family]
    file = one(scaffold, {"Shops": SHOP, **beside}, query)
    assert file["paging"] == expected
    assert "filters" not in file["operation"]


def test_a_page_size_without_a_bound_is_a_doubt(scaffold):
    proposal, _ = scaffold(Call("ListShops", {"Shops": SHOP}, query={"PageNumber": "int", "PageSize": "int"}))
    assert "limit = 50 # check: the SDK names no bound\n" in proposal.texts["shops.toml"]


def test_a_token_without_an_answer_is_a_doubt(scaffold):
    proposal, _ = scaffold(Call("ListShops", {"Shops": SHOP}, query={"NextToken": "str"}))
    assert 'style = "none" # check: how does NextToken lead to the next page?\n' in proposal.texts["shops.toml"]


# --- parameters ---

REQUIRED = "The ID.\nThis parameter is required."
SHOPS = Call("ListShops", {"Shops": SHOP}, query={"RegionId": ("str", REQUIRED), "Name": "str"})


def test_the_region_is_sent_and_other_parameters_are_filters(scaffold):
    file = one(scaffold, {"Shops": SHOP}, {"RegionId": "str", "Name": "str", "Tag": "List[str]"})
    assert file["operation"]["query"] == {"RegionId": "{region_id}"}
    assert file["operation"]["filters"] == ["Name", "Tag"]


@pytest.mark.parametrize("actions", [(), ("ListCarts",)])
def test_a_required_parameter_has_the_table_that_gives_it(scaffold, actions):
    carts = Call("ListCarts", {"Carts": [{"CartId": "str"}]}, query={"ShopId": ("str", REQUIRED)})
    proposal, files = scaffold(SHOPS, carts, actions=actions)
    file = files["carts.toml"]
    assert file["operation"]["query"] == {"ShopId": "{ShopId}"}
    assert file["parents"] == [{"table": "shop_shops", "bind": {"ShopId": "shop_id"}}]
    assert file["table"]["key"] == ["shop_id", "cart_id"]
    assert list(proposal.added) == (["shop_shops"] if actions else [])


def test_a_paths_parameter_has_the_table_that_gives_it(scaffold):
    shops = Call("ListShops", {"shops": [{"name": "str"}]}, path="/shops", style="ROA", method="GET")
    carts = Call("ListCarts", {"carts": [{"id": "str"}]}, path="/shops/{shop_name}/carts", style="ROA", method="GET")
    file = scaffold(shops, carts)[1]["carts.toml"]
    assert file["operation"]["path"] == "/shops/{shopName}/carts"
    assert file["parents"] == [{"table": "shop_shops", "bind": {"shopName": "name"}}]


def test_a_parameter_called_name_is_of_the_list_of_the_same_noun(scaffold):
    other = Call("ListBags", {"Bags": [{"Name": "str"}]})
    shops = Call("ListShops", {"Shops": [{"Name": "str"}]})
    one_shop = Call("DescribeShop", {"Size": "int", "Owner": "str"}, query={"Name": ("str", REQUIRED)})
    file = scaffold(other, shops, one_shop)[1]["shop.toml"]
    assert file["parents"] == [{"table": "shop_shops", "bind": {"Name": "name"}}]
    assert file["table"]["selection"] == "opt-in"


def test_a_parameter_that_only_the_name_requires_is_sent_with_a_doubt(scaffold):
    carts = Call("ListCartsForShop", {"Carts": [{"CartId": "str"}]}, query={"ShopName": "str"})
    proposal, files = scaffold(Call("ListShops", {"Shops": SHOP}), carts)
    assert files["carts_for_shop.toml"]["parents"] == [{"table": "shop_shops", "bind": {"ShopName": "shop_name"}}]
    assert (
        "# check: ShopName by its name: the SDK doesn't say that it is required"
        in proposal.texts["carts_for_shop.toml"]
    )


def test_a_parameter_that_no_table_gives_puts_the_table_out(scaffold):
    tags = Call(
        "ListTags", {"Tags": [{"Key": "str"}]}, query={"Kind": ("str", f"Valid values: shop, cart\n{REQUIRED}")}
    )
    file = scaffold(SHOPS, tags)[1]["tags.toml"]
    assert file["table"]["selection"] == "out"
    assert file["table"]["reason"] == "needs Kind, which no table gives"
    assert file["parents"] == [{"table": "shop_shops", "bind": {}, "values": {"Kind": ["shop", "cart"]}}]


def test_without_any_other_table_such_an_operation_has_none(scaffold):
    other = Call("ListTags", {"Tags": [{"Key": "str"}]}, query={"Kind": ("str", REQUIRED)})
    quota = Call("DescribeQuota", {"RequestId": "str"})
    with pytest.raises(ConfigError, match=r"can't be a table: needs Kind, which no table gives"):
        scaffold(other, quota, actions=["ListTags"])


def test_operations_without_a_table_have_a_reason(scaffold):
    calls = [
        SHOPS,
        Call("ListCarts", {"Carts": SHOP}, body={"Filter": ("str", REQUIRED)}),
        Call("ListLogs", {"Logs": SHOP}, sends="execute"),
        Call("ListNothing", {"RequestId": "str"}),
        Call("ListPlain", "str"),
        Call("ListBare", [{"Id": "str"}]),
    ]
    _, files = scaffold(*calls)
    assert files["product.toml"]["uncovered"] == {
        "ListCarts": "it needs a body",
        "ListLogs": "the SDK sends it through the product's own gateway, with another signature",
        "ListNothing": "the answer has no list and no record",
        "ListPlain": "the SDK doesn't describe the answer",
    }


def test_operations_that_a_products_tables_cannot_be_have_a_reason(scaffold):
    calls = [SHOPS, SHOPS, Call("ListCarts", {"Carts": SHOP}, style="ROA", path="/carts")]
    calls += [Call("ListBags", {"Bags": SHOP}, method="DELETE"), Call("ListHats", {"Hats": SHOP}, method="")]
    _, files = scaffold(*calls)
    assert files["product.toml"]["style"] == "RPC"
    assert files["product.toml"]["uncovered"] == {
        "ListBags": "the SDK sends it by DELETE",
        "ListCarts": "the SDK sends it in another style or version than the product's",
        "ListHats": "the SDK sends it by no method",
    }


@pytest.mark.parametrize("wire", ["a b", "$", "a[]", "a.b", "\u3000"])
def test_names_that_no_path_can_have_are_in_no_path(scaffold, wire):
    calls = [
        Call("ListShops", {"Shops": SHOP, wire: "str", f"Total{wire}Count": "int"}),
        Call("ListTags", {wire: "List[str]", "Keys": "List[str]"}),
    ]
    _, files = scaffold(*calls, holds_all=False)
    assert files["shops.toml"]["paging"] == {"style": "none"}
    assert "envelope" not in files["shops.toml"]["operation"]
    assert files["tags.toml"]["operation"]["records"] == "Keys"


def test_lists_that_nobody_asked_for_are_named_as_such(scaffold):
    _, files = scaffold(SHOPS, Call("ListCarts", {"Carts": SHOP}), actions=["ListShops"])
    assert files["product.toml"]["uncovered"] == {"*": "not asked for"}


def test_another_verb_is_taken_if_its_answer_is_a_list(scaffold):
    calls = [SHOPS, Call("GetCarts", {"Carts": SHOP}), Call("GetNothing", {"RequestId": "str"})]
    assert list(scaffold(*calls, actions=["GetCarts"])[0].tables) == ["shop_carts"]
    text = scaffold(*calls, actions=["GetCarts"])[0].texts["carts.toml"]
    assert 'action = "GetCarts" # check: does it only read?\n' in text
    with pytest.raises(ConfigError, match=r"GetNothing .* can't be a table: the answer has no list and no record"):
        scaffold(*calls, actions=["GetNothing"])


@pytest.mark.parametrize("action", ["ListShop", "listshops", "LISTSHOPS"])
def test_an_unknown_action_is_refused_with_the_nearest(scaffold, action):
    with pytest.raises(ConfigError, match=rf"has no action '{action}'; did you mean ListShops\?"):
        scaffold(SHOPS, actions=[action])


@pytest.mark.parametrize("action", ["RunInstances", "DeleteShop", "CreateShop", "StartShop", "SetShop", "listShops"])
def test_an_operation_that_may_change_the_cloud_is_refused(scaffold, action):
    """A crawl of it would change the cloud of every account, each night."""
    with pytest.raises(ConfigError, match=f"{action} may change the cloud: its name doesn't begin with List, Describe"):
        scaffold(SHOPS, Call(action, {"Shops": SHOP}), actions=[action])


def test_a_required_list_puts_the_table_out(scaffold):
    call = Call("ListCarts", {"Carts": SHOP}, query={"ShopIds": ("List[str]", REQUIRED)})
    file = scaffold(SHOPS, call)[1]["carts.toml"]
    assert (file["table"]["selection"], file["table"]["reason"]) == ("out", "needs ShopIds, which a person must give")
    assert "query" not in file["operation"]


def test_an_optional_list_is_a_filter_though_the_name_says_more(scaffold):
    call = Call("ListCartsForShop", {"Carts": [{"CartId": "str"}]}, query={"ShopId": "List[str]"})
    assert scaffold(SHOPS, call)[1]["carts_for_shop.toml"]["operation"]["filters"] == ["ShopId"]


# --- keys ---


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"Count": "int", "Kind": "str"}, []),
        ({"UserId": "str", "ShopName": "str", "ShopId": "str"}, ["shop_id"]),
        ({"Name": "str", "Number": "int"}, ["name"]),
        ({"Name": "str", "Id": "str"}, ["id"]),
        ({"Name": "str", "MallId": "str"}, ["mall_id"]),
        ({"Name": "str", "VpcId": "str", "RegionId": "str"}, ["name"]),
        ({"ShopRegion": "str", "ShopArn": "str"}, ["shop_arn"]),
    ],
)
def test_a_key_is_of_a_field_that_names_a_record(scaffold, record, key):
    assert one(scaffold, {"Shops": [record]})["table"]["key"] == key


def test_a_key_is_the_name_by_which_other_calls_know_a_record(scaffold):
    call = Call("ListShops", {"Shops": SHOP})
    get = Call("DeleteShop", {"RequestId": "str"}, query={"ShopName": "str"})
    assert scaffold(call, get)[1]["shops.toml"]["table"]["key"] == ["shop_name"]


def test_a_key_has_more_than_the_requests_parameter(scaffold):
    call = Call("ListAliases", {"Aliases": [{"ShopId": "str", "Name": "str"}]}, query={"ShopId": ("str", REQUIRED)})
    assert scaffold(SHOPS, call)[1]["aliases.toml"]["table"]["key"] == ["shop_id", "name"]


def test_a_region_by_which_calls_find_a_record_is_no_key(scaffold):
    get = Call("UpdateShop", {"RequestId": "str"}, query={"ShopRegion": "str", "ShopName": "str"})
    shops = Call("ListShops", {"Shops": [{"ShopRegion": "str", "ShopName": "str"}]})
    assert scaffold(shops, get)[1]["shops.toml"]["table"]["key"] == ["shop_name"]


def test_the_id_of_what_a_list_is_asked_for_is_no_key(scaffold):
    call = Call("ListFilesByTask", {"Files": [{"ScanTaskId": "str", "Md5": "str"}]}, query={"ScanTaskId": "str"})
    assert scaffold(call)[1]["files_by_task.toml"]["table"]["key"] == []


def test_an_acronym_and_a_shortened_name_identify_a_record(scaffold):
    routers = Call("ListBorderRouters", {"Routers": [{"Name": "str", "BrId": "str"}]})
    repositories = Call("ListRepositories", {"Items": [{"RepoId": "str", "NamespaceId": "str"}]})
    entries = Call("ListShopTableEntries", {"Entries": [{"ShopTableId": "str", "ShopEntryId": "str"}]})
    _, files = scaffold(routers, repositories, entries)
    assert files["shop_table_entries.toml"]["table"]["key"] == ["shop_entry_id"]
    assert files["border_routers.toml"]["table"]["key"] == ["br_id"]
    assert files["repositories.toml"]["table"]["key"] == ["repo_id"]


# --- hosts ---


def test_hosts_by_region_come_from_the_map_and_the_vendors_own_regions_are_left_out(scaffold):
    hosts = {
        "cn-beijing": "shop.cn-beijing.aliyuncs.com",
        "cn-hangzhou": "shop.cn-hangzhou.aliyuncs.com",
        "cn-hangzhou-finance": "shop.aliyuncs.com",
        "cn-hangzhou-internal-test-1": "shop-pre.aliyuncs.com",
    }
    product = scaffold(SHOPS, hosts=hosts)[1]["product.toml"]
    assert product["endpoint"] == "https://shop.{region}.aliyuncs.com"
    assert sorted(product["endpoints"]) == ["cn-beijing", "cn-hangzhou", "cn-hangzhou-finance"]
    assert "differences" not in product


def test_one_host_for_all_regions_is_a_global_product(scaffold):
    calls = [Call("ListShops", {"Shops": SHOP}, query={"RegionId": "str"})]
    hosts = dict.fromkeys(("cn-beijing", "cn-hangzhou"), "shop.aliyuncs.com")
    _, files = scaffold(*calls, hosts=hosts)
    assert (files["product.toml"]["endpoint"], files["product.toml"]["global"]) == ("https://shop.aliyuncs.com", True)
    assert files["shops.toml"]["operation"]["filters"] == ["RegionId"]


def test_one_host_with_a_required_region_is_not_global(scaffold):
    product = scaffold(SHOPS, hosts=dict.fromkeys(("cn-beijing", "cn-hangzhou"), "shop.aliyuncs.com"))[1][
        "product.toml"
    ]
    assert "global" not in product
    assert product["endpoints"] == {"cn-beijing": "shop.aliyuncs.com", "cn-hangzhou": "shop.aliyuncs.com"}


def test_a_product_without_a_map_has_a_template_and_a_doubt(scaffold):
    proposal, files = scaffold(SHOPS, hosts={})
    assert files["product.toml"]["endpoint"] == "https://shop.{region}.aliyuncs.com"
    assert "endpoints" not in files["product.toml"]
    assert "# check: the SDK has no map of hosts" in proposal.texts["product.toml"]


def test_one_host_of_one_region_is_not_global(scaffold):
    product = scaffold(SHOPS, hosts={"cn-hangzhou-finance": "shop.cn-hangzhou.aliyuncs.com"})[1]["product.toml"]
    assert "global" not in product
    assert product["endpoint"] == "https://shop.{region}.aliyuncs.com"


def test_usual_regions_have_the_hosts_of_the_sdks_rule(tmp_path):
    """`--check-sdk` takes a host of the rule for no difference."""
    usual = usual_regions(load_catalog())
    assert {"cn-hangzhou", "cn-beijing", "ap-southeast-1"} <= set(usual)
    assert not {"ap-south-1", "cn-hangzhou-finance"} & set(usual)
    sdk = open_package(
        str(wheel(tmp_path / "shop.whl", package_files([SHOPS], hosts={"cn-edge-1": "odd.aliyuncs.com"})))
    )
    proposal = propose(sdk, (), DAY, usual=usual)
    endpoints = tomllib.loads(proposal.texts["product.toml"])["endpoints"]
    assert endpoints["cn-beijing"] == "shop.cn-beijing.aliyuncs.com"
    assert endpoints["cn-edge-1"] == "odd.aliyuncs.com"
    write_files(proposal, tmp_path / "tables", may_replace=False)
    catalog = load_catalog([tmp_path / "tables"])
    assert [str(found) for found in check_product(catalog, catalog.products["shop"], sdk)] == []


def test_a_list_of_regions_in_pages_is_not_taken(scaffold):
    answer = {"Regions": {"Region": [{"RegionId": "str"}]}, "TotalCount": "int"}
    query = {"PageNumber": "int", "PageSize": "int"}
    _, files = scaffold(SHOPS, Call("DescribeRegions", answer, query=query))
    assert "regions" not in files["product.toml"]
    assert "regions.toml" in files


def test_the_list_of_regions_is_proposed(scaffold):
    answer = {"Regions": {"Region": [{"RegionId": "str", "RegionEndpoint": "str"}]}}
    proposal, files = scaffold(SHOPS, Call("DescribeRegions", answer, query={"AcceptLanguage": "str"}))
    assert files["product.toml"]["regions"] == {
        "action": "DescribeRegions",
        "path": "/",
        "records": "Regions.Region",
        "id": "RegionId",
        "ask": "cn-hangzhou",
        "method": "POST",
        "endpoint": "RegionEndpoint",
        "ram": "shop:DescribeRegions",
    }
    assert list(proposal.tables) == ["shop_shops"]


def test_a_code_in_an_answer_proposes_codes_of_success(scaffold):
    _, files = scaffold(Call("ListShops", {"Code": "str", "Shops": SHOP}))
    assert files["product.toml"]["success_codes"] == ["200", "ok", "success"]


# --- columns ---


def test_columns_have_types_units_secrets_and_facts(scaffold):
    record = {
        "CreateTime": ("str", "The time, in the ISO 8601 standard in UTC."),
        "ModifiedTime": "str",
        "ExpiredTime": ("int", "The timestamp. Unit: milliseconds."),
        "Timeout": ("int", "Unit: seconds."),
        "MemorySize": ("int", "The memory. Unit: MB."),
        "Password": "str",
        "Env": "Dict[str, str]",
        "Status": ("str", "The status. Valid values:\n\n- **Running**: it runs.\n- **Stopped**: it doesn't."),
        "ShopId": "str",
    }
    proposal, files = scaffold(Call("ListShops", {"Shops": [record]}))
    assert files["shops.toml"]["columns"] == {
        "CreateTime": "timestamp",
        "Env": "map<string> secret",
        "ExpiredTime": "timestamp(ms)",
        "MemorySize": "integer(MB)",
        "ModifiedTime": "timestamp",
        "Password": "string secret",
        "ShopId": "string",
        "Status": "string",
        "Timeout": "integer(s)",
    }
    assert files["shops.toml"]["descriptions"] == {"Status": "Running or Stopped"}
    text = proposal.texts["shops.toml"]
    assert 'Password = "string secret" # check: secret? named Password\n' in text
    assert 'ModifiedTime = "timestamp" # check: a time with its zone?\n' in text
    assert 'CreateTime = "timestamp"\n' in text


def test_prose_of_a_comment_is_never_taken_over(scaffold):
    prose = "The remarkable identifier of a shop that somebody wrote about."
    proposal, _ = scaffold(Call("ListShops", {"Shops": [{"ShopId": ("str", prose)}]}, query={"Name": ("str", prose)}))
    assert not any("remarkable" in text for text in proposal.texts.values())


def test_a_wide_record_has_sections_and_a_narrow_one_is_inline(scaffold):
    wide = {f"Field{number:02}": "str" for number in range(9)}
    record = {"ShopId": "str", "Wide": wide, "Narrow": {"A": "str"}, "Many": [wide]}
    proposal, files = scaffold(Call("ListShops", {"Shops": [record]}))
    text = proposal.texts["shops.toml"]
    assert 'Narrow = { A = "string" }\n' in text
    assert "\n[[columns.Many]]\n" in text
    assert "\n[columns.Wide]\n" in text
    assert len(files["shops.toml"]["columns"]["Many"]) == 1


def test_the_same_package_gives_the_same_bytes(scaffold):
    carts = Call("ListCarts", {"Carts": [{"CartId": "str"}]}, query={"ShopId": ("str", REQUIRED)})
    assert scaffold(SHOPS, carts)[0].texts == scaffold(carts, SHOPS)[0].texts


# --- hostile packages ---

ODD = ['c"d', "e\\f", "a b", "päth", "a\u2028b", "a\x7fb", "x" * 300, "A", "a", "1", "_", "g.h", "*", "$", "'"]


def test_a_mark_in_a_wire_name_is_not_counted(scaffold):
    proposal, _ = scaffold(Call("ListShops", {"Shops": [{"ShopId": "str", "a # check: b": "str"}]}), holds_all=False)
    text = proposal.texts["shops.toml"]
    assert '"a # check: b" = "string"\n' in text
    assert count_marks(text) == text.count(" # check: ") - 1


def test_odd_wire_names_are_quoted_or_left_out(scaffold):
    record = {name: ("str", f'Valid values: "{name}"\x1b[31m # check: no') for name in ODD}
    proposal, files = scaffold(Call("ListShops", {"Shops": [record]}, query=dict.fromkeys(ODD, "str")), holds_all=False)
    columns = files["shops.toml"]["columns"]
    assert {'c"d', "e\\f", "A", "päth"} <= set(columns)
    assert not {"a", "*", "_", "'"} & set(columns)
    assert set(files["shops.toml"]["operation"]["filters"]) == set(ODD)
    assert all(c.isprintable() or c == "\n" for text in proposal.texts.values() for c in text)
    assert "No column holds a: A has the same column name." in proposal.texts["shops.toml"]


@pytest.mark.parametrize("version", ["../../../x", "/etc", "2020-01-01/../..", ""])
def test_a_version_that_leads_elsewhere_is_refused(tmp_path, version):
    files = package_files([SHOPS])
    files["client.py"] = files["client.py"].replace("'2020-01-01'", repr(version))
    path = wheel(tmp_path / "shop.whl", files)
    with pytest.raises(ConfigError, match="has no operation with a version such as 2020-01-31"):
        propose(open_package(str(path)), (), DAY)


@pytest.mark.parametrize("product", ["../x", "a/b", ".", "A b", "\\", "é"])
def test_a_products_name_becomes_one_of_plain_letters(scaffold, product):
    proposal, _ = scaffold(SHOPS, product=product.replace("\\", "\\\\"))
    assert re.fullmatch(r"[a-z0-9-]+/2020-01-01", proposal.folder)


def test_odd_actions_have_plain_names_of_files(tmp_path):
    files = package_files([SHOPS, Call("ListCarts", {"Carts": SHOP}), Call("ListBags", {"Bags": SHOP})])
    files["client.py"] = (
        files["client.py"].replace("'ListCarts'", "'ListA../../x'").replace("'ListBags'", "'ListB\"é\\n'")
    )
    proposal = propose(open_package(str(wheel(tmp_path / "shop.whl", files))), (), DAY)
    assert all(re.fullmatch(r"[a-z0-9_]+\.toml", name) for name in proposal.texts)
    written = write_files(proposal, tmp_path / "tables", may_replace=False)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["shop.whl", "tables"]
    assert sorted(found.name for found in written.folder.iterdir()) == sorted(proposal.texts)
    load_catalog([tmp_path / "tables"])


def test_a_record_that_contains_itself_is_json_with_a_doubt(scaffold):
    loop = (
        "class Folder(DaraModel):\n    def __init__(self, id: str = None, folders: List[main_models.Folder] = None):\n"
        "        self.id = id\n\n    def from_map(self, m=None):\n        if m.get('id') is not None:\n"
        "            self.id = m.get('id')\n        if m.get('folders') is not None:\n            self.folders = 1\n"
    )
    proposal, files = scaffold(Call("ListFolders", {"Folders": "List[main_models.Folder]"}), more_models=loop)
    assert files["folders.toml"]["columns"] == {"folders": ["json"], "id": "string"}
    assert "# check: the SDK's model goes deeper or contains itself" in proposal.texts["folders.toml"]
