"""The catalog against the official SDK packages that are installed, and against one that changes under the test."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from crawler.catalog import load_catalog
from crawler.catalog.model import DeclaredDifference
from crawler.catalog.sdk import open_package
from crawler.catalog.sdk.check import check, check_product, differences, tree_of
from crawler.errors import ConfigError
from tests.support.shop_catalog import CARTS, PRODUCT

CATALOG = load_catalog()


@pytest.fixture(scope="module")
def found():
    return check(CATALOG)


def test_no_difference_from_the_installed_sdks_is_unwritten(found):
    assert [str(finding) for finding in found.differences] == []
    assert found.missing == []


def test_every_product_is_compared(found):
    versions = found.versions
    assert list(versions) == [product.sdk for product in CATALOG.products.values()]
    assert versions == {
        "alibabacloud_fc20230330": "4.8.3",
        "alibabacloud_fc_open20210406": "2.0.12",
        "alibabacloud_fcsandbox20260509": "1.6.1",
        "alibabacloud_opensearch20171225": "5.2.0",
        "alibabacloud_ram20150501": "1.3.0",
        "alibabacloud_searchengine20211025": "5.2.4",
    }, "written down, since docs and comments name these versions"


@pytest.mark.parametrize("key", [key for key in CATALOG.products if CATALOG.products[key].regions])
def test_the_list_of_regions_is_where_the_sdk_has_it(key):
    product = CATALOG.products[key]
    call = open_package(product.sdk).calls[product.regions.action]
    assert call.path == product.regions.path
    node = tree_of(call.answer)
    for step in product.regions.records:
        node = node[step]
    assert node[0][product.regions.id] == "string"


def test_a_product_without_a_list_of_regions_has_none_in_the_sdk():
    without = [product for product in CATALOG.products.values() if product.regions is None]
    assert [product.key for product in without] == ["fc-open", "fcsandbox", "ram"]
    assert not any("Region" in action for product in without for action in open_package(product.sdk).calls)


# --- an SDK that changes ---

MODELS = """
from typing import Dict, List


class Owner(DaraModel):
    def __init__(self, name: str = None, emails: List[str] = None):
        pass

    def from_map(self, m=None):
        if m.get('name') is not None:
            self.name = m.get('name')
        if m.get('emails') is not None:
            self.emails = m.get('emails')


class Cart(DaraModel):
    def __init__(self, id: str = None, size: int = None, created: str = None, labels: Dict[str, str] = None,
                 owner: Owner = None):
        pass

    def from_map(self, m=None):
        if m.get('id') is not None:
            self.id = m.get('id')
        if m.get('size') is not None:
            self.size = m.get('size')
        if m.get('created') is not None:
            self.created = m.get('created')
        if m.get('labels') is not None:
            self.labels = m.get('labels')
        if m.get('owner') is not None:
            self.owner = m.get('owner')


class Body(DaraModel):
    def __init__(self, carts: List[Cart] = None, next_token: str = None, request_id: str = None):
        pass

    def from_map(self, m=None):
        if m.get('carts') is not None:
            self.carts = m.get('carts')
        if m.get('nextToken') is not None:
            self.next_token = m.get('nextToken')
        if m.get('requestId') is not None:
            self.request_id = m.get('requestId')


class Request(DaraModel):
    def __init__(self, limit: int = None, next_token: str = None, prefix: str = None):
        pass

    def from_map(self, m=None):
        if m.get('limit') is not None:
            self.limit = m.get('limit')
        if m.get('nextToken') is not None:
            self.next_token = m.get('nextToken')
        if m.get('prefix') is not None:
            self.prefix = m.get('prefix')


class Response(DaraModel):
    def __init__(self, headers: Dict[str, str] = None, body: Body = None):
        pass

    def from_map(self, m=None):
        if m.get('headers') is not None:
            self.headers = m.get('headers')
        if m.get('body') is not None:
            self.body = m.get('body')
"""
CLIENT = """
from shop_sdk import models as main_models


class Client(OpenApiClient):
    def __init__(self, config):
        self._endpoint_map = {
            'cn-hangzhou': 'shop.cn-hangzhou.aliyuncs.com',
        }

    def list_carts_with_options(self, request: main_models.Request, runtime: str) -> main_models.Response:
        query = {}
        query['limit'] = request.limit
        query['nextToken'] = request.next_token
        query['prefix'] = request.prefix
        params = open_api_util_models.Params(
            action = 'ListCarts',
            version = '2020-01-01',
            pathname = f'/carts',
            method = 'GET',
            style = 'ROA',
        )
"""
COLUMNS = """
created = "timestamp"
id = "string"
labels = "map<string>"
size = "integer(MB)"
owner = { emails = ["string"], name = "string secret" }
"""
TOKENS = 'style = "token"\ninput_token = "nextToken"\noutput_token = "nextToken"\nlimit_key = "limit"\nlimit = 50'


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """The findings after a change of the SDK and a change of the schema file."""

    def compare(old="", new="", *, ours=("", "")):
        package = tmp_path / "shop_sdk"
        package.mkdir()
        (package / "__init__.py").write_text("raise AssertionError('nothing of a package is run')")
        assert old in CLIENT + MODELS
        for name, text in (("client.py", CLIENT), ("models.py", MODELS)):
            (package / name).write_text(text.replace(old, new, 1) if old else text)
        folder = tmp_path / "shop_sdk-1.2.3.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-sdk\nVersion: 1.2.3\n")
        text = CARTS.replace("OPERATION", 'filters = ["prefix"]').replace("KEY", '"id"').replace("COLUMNS", COLUMNS)
        text = text.replace("RECORDS", "carts").replace("PAGING", TOKENS)
        assert ours[0] in text
        schemas = tmp_path / "mine" / "shop" / "2020-01-01"
        schemas.mkdir(parents=True)
        (schemas / "product.toml").write_text(PRODUCT.replace('"ROA"', '"ROA"\nsdk = "shop_sdk"'))
        (schemas / "carts.toml").write_text(text.replace(*ours))
        catalog = load_catalog([tmp_path / "mine"])
        return [str(finding) for finding in check_product(catalog, catalog.products["shop"], open_package("shop_sdk"))]

    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return compare


def test_a_file_that_says_what_the_sdk_says_has_no_difference(compare):
    assert compare() == []


OWNER = 'owner = { emails = ["string"], name = "string secret" }'
DIFFERENCE = '[differences]\n"fields.size" = { sdk = "integer", reason = "shown as text" }\n'


@pytest.mark.parametrize(
    ("old", "new", "where", "ours", "sdk"),
    [
        ("size: int", "size: str", "shop_carts: fields.size", "integer", "string"),
        ("str] = None,\n", "int] = None,\n", "shop_carts: fields.labels.*", "string", "integer"),
        ("emails: List[str]", "emails: str", "shop_carts: fields.owner.emails", "list<string>", "string"),
        ("owner: Owner", "owner: Dict[str, str]", "shop_carts: fields.owner", "struct", "map<string>"),
        ("m.get('id')", "m.get('cartId')", "shop_carts: fields.id", "string", "nothing"),
        ("pathname = f'/carts'", "pathname = f'/v2/carts'", "shop_carts: path", "/carts", "/v2/carts"),
        ("2020-01-01", "2021-01-01", "shop_carts: version", "2020-01-01", "2021-01-01"),
        ("'ROA'", "'RPC'", "shop_carts: style", "ROA", "RPC"),
        ("'GET'", "'POST'", "shop_carts: method", "GET", "POST"),
        ("query['prefix']", "query['owner']", "shop_carts: query.prefix", "a parameter", "nothing"),
        ("query['nextToken']", "query['token']", "shop_carts: query.nextToken", "a parameter", "nothing"),
        ("m.get('requestId')", "m.get('more')", "shop_carts: answer.more", "nothing", "string"),
        ("'ListCarts'", "'ListBaskets'", "shop: operations", "nothing", "ListBaskets"),
        (
            "'shop.cn",
            "'s.cn",
            "shop: endpoints.cn-hangzhou",
            "shop.cn-hangzhou.aliyuncs.com",
            "s.cn-hangzhou.aliyuncs.com",
        ),
    ],
)
def test_what_an_sdk_changes_is_found(compare, old, new, where, ours, sdk):
    assert f"{where}: the catalog has {ours}, the SDK {sdk}" in compare(old, new)


def test_a_new_field_of_the_sdk_is_found_with_its_type(compare):
    new = "self.size = m.get('size')\n        if m.get('cost') is not None:\n            self.cost = m.get('cost')"
    models = MODELS.replace("size: int = None", "size: int = None, cost: float = None").replace(
        "self.size = m.get('size')", new
    )
    assert compare(MODELS, models) == ["shop_carts: fields.cost: the catalog has nothing, the SDK number"]


def test_a_difference_that_is_written_down_is_no_finding(compare):
    assert compare("size: int", "size: str", ours=(OWNER, f"{OWNER}\n{DIFFERENCE.replace('integer', 'string')}")) == []


def test_a_written_difference_holds_for_what_the_sdk_had_only(compare):
    found = compare("size: int", "size: str", ours=(OWNER, f"{OWNER}\n{DIFFERENCE.replace('integer', 'number')}"))
    assert found == ["shop_carts: fields.size: the catalog has integer, the SDK string"]


def test_a_difference_that_is_none_any_more_is_found(compare):
    found = compare(ours=(OWNER, f"{OWNER}\n{DIFFERENCE}"))
    assert found == ["shop_carts: [differences] fields.size: the catalog has a difference, the SDK none"]


def test_a_host_that_differs_may_be_written_down_in_the_products_file():
    """F92: a region of the vendor's table that the SDK's map lacks, with the reason; a stale one is found."""
    catalog = load_catalog()
    product = catalog.products["fc-open"]
    sdk = open_package(product.sdk)
    assert product.differences.keys() == {
        f"endpoints.{region}" for region in product.endpoints.keys() - sdk.hosts.keys()
    }
    bare = replace(product, differences={})
    assert len(check_product(catalog, bare, sdk)) == len(product.differences) == 3
    stale = replace(product, differences={**product.differences, "endpoints.cn-beijing": DeclaredDifference("", "x")})
    assert [finding.where for finding in check_product(catalog, stale, sdk)] == ["[differences] endpoints.cn-beijing"]


def test_a_missing_package_is_a_sentence():
    with pytest.raises(ConfigError, match=r"^the SDK package no_such_sdk isn't installed; name "):
        open_package("no_such_sdk")


def test_trees_differ_where_one_has_what_the_other_lacks():
    ours = {"a": "string", "b": [{"c": "integer"}], "t": "timestamp", "m": {"*": "json"}}
    sdk = {"a": "string", "b": [{"c": "number", "d": "string"}], "t": "integer", "m": {"x": "json"}}
    assert list(differences(ours, sdk, "fields")) == [
        ("fields.b[].c", "integer", "number"),
        ("fields.b[].d", "", "string"),
        ("fields.m", "map<json>", "struct"),
    ]
