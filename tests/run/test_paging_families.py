"""Each family of paging of the vendor's products: what a list is called that the service doesn't show whole.

The answers are those of official SDKs' models, changed in one place; the schema files are written by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from tests.support.model_crawls import crawl_models
from tests.support.model_server import ModelCloud

PRODUCT = """
product = "trial"
version = "{version}"
prefix = "trial_"
style = "{style}"
endpoint = "https://trial.{{region}}.aliyuncs.com"
"""
TABLE = """
source = "the official SDK's models"
checked = 2026-12-01
[operation]
action = "{action}"
{operation}
ram = "trial:{action}"
[paging]
{paging}
[table]
name = "trial_records"
title = "Records"
key = ["{key}"]
[columns]
{column} = "string"
"""
BY_NUMBER = 'style = "page-number"\npage_key = "PageNumber"\nlimit_key = "PageSize"\nlimit = 50\ntotal = "TotalCount"'
BY_TOKEN = 'style = "token"\ninput_token = "NextToken"\noutput_token = "{}"\nlimit_key = "MaxResults"\nlimit = 50'


@dataclass(frozen=True)
class Family:
    """A way of paging, on one operation that has it. `wrapper`: what is around the list in an answer."""

    package: str
    action: str
    style: str
    operation: str
    wrapper: str
    paging: str
    column: str
    key: str


NUMBER = Family(
    "alibabacloud_vpc20160428",
    "DescribeVpcs",
    "RPC",
    'path = "/"\nmethod = "POST"\nrecords = "Vpcs.Vpc"\nquery = { RegionId = "{region_id}" }',
    "Vpcs",
    BY_NUMBER,
    "VpcId",
    "vpc_id",
)
NESTED_TOTAL = Family(
    "alibabacloud_cs20151215",
    "DescribeEvents",
    "ROA",
    'path = "/events"\nrecords = "events"',
    "",
    'style = "page-number"\npage_key = "page_number"\nlimit_key = "page_size"\nlimit = 50\n'
    'total = "page_info.total_count"',
    "event_id",
    "event_id",
)
TOKEN = Family(
    "alibabacloud_vpc20160428",
    "ListPrefixLists",
    "RPC",
    'path = "/"\nmethod = "POST"\nrecords = "PrefixLists"\nquery = { RegionId = "{region_id}" }',
    "",
    BY_TOKEN.format("NextToken"),
    "PrefixListId",
    "prefix_list_id",
)
NESTED_TOKEN = Family(
    "alibabacloud_actiontrail20200706",
    "ListDataEventSelectors",
    "RPC",
    'path = "/"\nmethod = "POST"\nrecords = "Data.DataEventSelectorInfos"',
    "Data",
    BY_TOKEN.format("Data.NextToken"),
    "TrailArn",
    "trail_arn",
)
MARKER = Family(
    "alibabacloud_ram20150501",
    "ListRoles",
    "RPC",
    'path = "/"\nmethod = "POST"\nrecords = "Roles.Role"',
    "Roles",
    'style = "token"\ninput_token = "Marker"\noutput_token = "Marker"\nlimit_key = "MaxItems"\nlimit = 100\n'
    'more = "IsTruncated"',
    "RoleName",
    "role_name",
)
WITHOUT_NAME = Family(
    "alibabacloud_cs20151215",
    "DescribeClusters",
    "ROA",
    'path = "/clusters"\nrecords = "$[]"',
    "",
    'style = "none"',
    "cluster_id",
    "cluster_id",
)
FAMILIES = {
    "number": NUMBER,
    "nested total": NESTED_TOTAL,
    "token": TOKEN,
    "nested token": NESTED_TOKEN,
    "marker": MARKER,
}

Edit = Callable[[int, Any], None]


def crawl(folder, family, *edits: Edit, answer: Any = ...):
    """Crawl the family's list once; each edit gets the number of an answer, from 1 on, and changes the answer.

    `answer` replaces each answer.
    """
    numbers = itertools.count(1)

    def edit(call, parameters, page):
        number = next(numbers)
        for change in edits:
            change(number, page)
        return page if answer is ... else answer

    cloud = ModelCloud(family.package, edit=edit)
    version = cloud.calls[family.action].version
    root = folder / "tables" / "trial" / version
    root.mkdir(parents=True)
    (root / "product.toml").write_text(PRODUCT.format(version=version, style=family.style))
    parts = {name: getattr(family, name) for name in ("action", "operation", "paging", "column", "key")}
    (root / "records.toml").write_text(TABLE.format(**parts))
    done = anyio.run(crawl_models, cloud, "trial", folder / "tables", folder / "snapshots", ("trial_*",))
    [row] = done.result.ledger
    return done, row


def put(*path: str, value: Any, on: Callable[[int], bool] = lambda number: True) -> Edit:
    """Return an edit that sets a field; `...` removes it."""

    def edit(number: int, page: Any) -> None:
        if not on(number):
            return
        for step in path[:-1]:
            page = page[step]
        if value is ...:
            page.pop(path[-1], None)
        else:
            page[path[-1]] = value

    return edit


def first(number: int) -> bool:
    return number == 1


def later(number: int) -> bool:
    return number > 1


@pytest.mark.parametrize("name", FAMILIES)
def test_a_list_of_two_pages_is_read_whole(tmp_path, name):
    family = FAMILIES[name]
    done, row = crawl(tmp_path, family)
    assert (row.status, row.rows, row.error_code) == ("complete", 3, "")
    assert done.result.exit_code == 0
    [served] = done.cloud.lists.values()
    records = served.answer
    for step in family.operation.partition('records = "')[2].partition('"')[0].split("."):
        records = records[step]
    assert {found[family.key] for found in done.rows("trial_records")} == {item[family.column] for item in records}
    assert done.cloud.refused == []


UNWRAPPED = {
    "number": "Vpcs",
    "nested total": "events",
    "token": "PrefixLists",
    "nested token": "Data",
    "marker": "Roles",
}


@pytest.mark.parametrize(
    ("name", "value"), [*((name, ...) for name in FAMILIES), ("number", None), ("nested token", "text"), ("token", 7)]
)
def test_a_first_answer_without_the_list_fails(tmp_path, name, value):
    done, row = crawl(tmp_path, FAMILIES[name], put(UNWRAPPED[name], value=value, on=first))
    assert (row.status, row.error_code, row.rows) == ("failed", "ListMissing", 0)
    assert done.result.exit_code == 1


@pytest.mark.parametrize(
    ("name", "path"), [("number", ("Vpcs", "Vpc")), ("nested token", ("Data", "DataEventSelectorInfos"))]
)
def test_null_in_place_of_the_first_list_fails(tmp_path, name, path):
    _, row = crawl(tmp_path, FAMILIES[name], put(*path, value=None))
    assert (row.status, row.error_code) == ("failed", "ListMissing")


@pytest.mark.parametrize(("name", "path"), [("number", ("Vpcs", "Vpc")), ("nested total", ("events",))])
def test_null_after_the_last_page_is_its_end(tmp_path, name, path):
    _, row = crawl(tmp_path, FAMILIES[name], put(*path, value=None, on=lambda number: number in (3, 6)))
    assert (row.status, row.rows) == ("complete", 3)


@pytest.mark.parametrize(
    ("name", "path"), [("token", ("NextToken",)), ("nested token", ("Data", "NextToken")), ("marker", ("Marker",))]
)
def test_a_token_that_comes_again_fails(tmp_path, name, path):
    given = []

    def repeat(number, page):
        for step in path[:-1]:
            page = page[step]
        given.append(page[path[-1]])
        page[path[-1]] = given[0]

    keep = put("IsTruncated", value=True) if name == "marker" else put("unused", value=...)
    _, row = crawl(tmp_path, FAMILIES[name], repeat, keep)
    assert (row.status, row.error_code) == ("failed", "TokenRepeated")


@pytest.mark.parametrize(("name", "path"), [("token", ("NextToken",)), ("nested token", ("Data", "NextToken"))])
@pytest.mark.parametrize("value", [{}, True])
def test_a_token_that_is_none_fails(tmp_path, name, path, value):
    _, row = crawl(tmp_path, FAMILIES[name], put(*path, value=value))
    assert (row.status, row.error_code) == ("failed", "TokenInvalid")


TOTALS = {"number": ("TotalCount",), "nested total": ("page_info", "total_count")}


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        ("4", "unstable", "page-number (2 readings, total said 4, had 3)"),
        (0, "complete", "page-number (2 readings, total said 0, had 3)"),
        ({}, "complete", "page-number (2 readings)"),
        (..., "complete", "page-number (2 readings)"),
    ],
)
def test_a_total_that_does_not_agree(tmp_path, name, value, status, said):
    done, row = crawl(tmp_path, FAMILIES[name], put(*TOTALS[name], value=value))
    assert (row.status, row.rows, row.walk) == (status, 3, said)
    assert done.result.exit_code == (0 if status == "complete" else 1)


@pytest.mark.parametrize("value", ["text", ...])
def test_a_nested_total_without_its_object_is_no_total(tmp_path, value):
    _, row = crawl(tmp_path, NESTED_TOTAL, put("page_info", value=value))
    assert (row.status, row.rows, row.walk) == ("complete", 3, "page-number (2 readings)")


@pytest.mark.parametrize("name", TOTALS)
def test_a_total_that_changes_with_each_answer_is_unstable(tmp_path, name):
    def grow(number, page):
        for step in TOTALS[name][:-1]:
            page = page[step]
        page[TOTALS[name][-1]] = 3 + number

    _, row = crawl(tmp_path, FAMILIES[name], grow)
    assert (row.status, row.rows) == ("unstable", 3)
    assert "no two readings in a row were the same" in row.walk


def test_a_service_that_ignores_the_number_fails(tmp_path):
    whole: list[Any] = []

    def same(number, page):
        whole.append(page["Vpcs"])
        page["Vpcs"] = whole[0]

    _, row = crawl(tmp_path, NUMBER, same)
    assert (row.status, row.error_code) == ("failed", "PageRepeated")


@pytest.mark.parametrize(
    ("edit", "status", "rows", "code"),
    [
        (put("IsTruncated", value=True), "failed", 0, "TokenMissing"),
        (put("Marker", value=...), "failed", 0, "TokenMissing"),
        (put("Marker", value=None), "failed", 0, "TokenMissing"),
        (put("IsTruncated", value=False), "complete", 2, ""),
        (put("IsTruncated", value="False"), "complete", 2, ""),
        (put("IsTruncated", value=...), "complete", 3, ""),
        (put("IsTruncated", value="maybe"), "failed", 0, "FlagInvalid"),
        (put("IsTruncated", value=1), "failed", 0, "FlagInvalid"),
    ],
)
def test_the_flag_for_another_page_decides(tmp_path, edit, status, rows, code):
    _, row = crawl(tmp_path, MARKER, edit)
    assert (row.status, row.rows, row.error_code) == (status, rows, code)


@pytest.mark.parametrize(
    ("answer", "status", "rows", "code"),
    [
        (..., "complete", 3, ""),
        ([], "complete", 0, ""),
        (None, "failed", 0, "ListMissing"),
        ("text", "failed", 0, "ListMissing"),
        ({"clusters": []}, "failed", 0, "ListMissing"),
    ],
)
def test_a_list_with_nothing_around_it(tmp_path, answer, status, rows, code):
    done, row = crawl(tmp_path, WITHOUT_NAME, answer=answer)
    assert (row.status, row.rows, row.error_code) == (status, rows, code)
    [served] = done.cloud.lists.values()
    if answer is ...:
        assert {row["cluster_id"] for row in done.rows("trial_records")} == {
            item["cluster_id"] for item in served.answer
        }
