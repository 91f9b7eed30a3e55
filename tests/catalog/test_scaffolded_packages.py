"""Ten official packages that no built-in table was made from: all of each is scaffolded, loaded and crawled.

The cloud answers from the SDKs' own models. Each row is the record that was served, field by field, and nothing is in
`_extra`, although nobody has looked at the files.
"""

from __future__ import annotations

from datetime import date
from typing import get_origin

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.catalog.scaffold import propose, write_files
from crawler.catalog.sdk import open_package
from tests.support.model_crawls import crawl_models
from tests.support.model_rows import ENVELOPE, compare, marked_texts, records_of, secret_texts
from tests.support.model_server import (
    FLAGS,
    NUMBERS,
    ON_PAGE,
    PACKAGES,
    SIZES,
    TOKENS,
    TOTALS,
    ModelCloud,
    folded,
)
from tests.support.model_values import fields_of, wire_name

DAY = date(2026, 12, 1)
QUICK = ("alibabacloud_actiontrail20200706", "alibabacloud_cs20151215", "alibabacloud_kms20160120")
# Fields of an answer that are no record's: those of paging, and those that say how the request went.
ABOUT_THE_ANSWER = {*NUMBERS, *SIZES, *TOKENS, *TOTALS, *ON_PAGE, *FLAGS, *ENVELOPE, "errorcode", "errormessage"}
MANY = 4


@pytest.fixture(
    scope="module",
    params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.trust) for name in PACKAGES],
)
def crawled(request, tmp_path_factory):
    """The proposal, the catalog with its files, and one crawl of every table."""
    folder = tmp_path_factory.mktemp("scaffolded")
    proposal = propose(open_package(request.param), (), DAY)
    write_files(proposal, folder / "tables", may_replace=False)
    catalog = load_catalog([folder / "tables"])
    cloud = ModelCloud(request.param)
    operations = {name: op for name, op in catalog.operations.items() if op.product == proposal.product}
    regions = catalog.products[proposal.product].regions
    tables = tuple(name for name, operation in operations.items() if operation.selection != "out")
    done = anyio.run(crawl_models, cloud, proposal.product, folder / "tables", folder / "snapshots", tables)
    return proposal, operations, done, {regions.action} if regions else set()


def test_every_operation_is_a_table_or_has_a_reason(crawled):
    proposal, operations, done, asked_for_regions = crawled
    actions = {operation.action for operation in operations.values()} | asked_for_regions
    assert actions.isdisjoint(proposal.uncovered)
    assert actions | set(proposal.uncovered) >= done.cloud.calls.keys()
    assert all(proposal.uncovered.values())
    assert not any(done.cloud.calls[action].required for action in asked_for_regions)


def test_every_list_is_complete(crawled):
    _, operations, done, _ = crawled
    odd = [
        (row.table, row.status, row.error_code, row.error_message)
        for row in done.result.ledger
        if row.status != "complete"
    ]
    assert odd == []
    assert {row.table for row in done.result.ledger} == {
        name for name, operation in operations.items() if operation.selection != "out"
    }
    assert done.cloud.refused == []
    assert (done.result.unknown_fields, done.result.misfit_fields) == ({}, {})


def test_every_row_is_a_record_of_the_models(crawled):
    _, operations, done, _ = crawled
    for table, operation in operations.items():
        if operation.selection != "out":
            assert compare(done, operation), table


def test_no_text_of_a_secret_column_or_of_a_field_named_like_a_secret_is_written(crawled):
    _, operations, done, _ = crawled
    secrets = {text for found in done.cloud.lists.values() for text in secret_texts(found.answer)}
    for operation in operations.values():
        for found in done.cloud.lists.values():
            if found.action == operation.action:
                for record in records_of(operation, found):
                    secrets |= marked_texts(record, operation.columns)
    written = done.text()
    assert [secret for secret in secrets if secret in written] == []


def test_a_record_around_a_list_is_the_record_or_the_list_is_marked(crawled):
    proposal, operations, done, _ = crawled
    texts = {text.partition('action = "')[2].partition('"')[0]: text for text in proposal.texts.values()}
    for operation in operations.values():
        own = fields_around(done.cloud.calls[operation.action].body, operation.records)
        own = [name for name in own if folded(name) not in ABOUT_THE_ANSWER]
        if len(own) > MANY:
            said = texts[operation.action].partition("\nrecords = ")[2].partition("\nram = ")[0]
            assert "# check:" in said, (operation.action, own)


def fields_around(model, path):
    """Return the names of the scalars beside each step of a path to a list; none if it leads to an object."""
    found = []
    for step in path:
        if step in {"$", "$[]"}:
            return []
        hints = {wire_name(model, name): hint for name, hint in fields_of(model).items()}
        found += [name for name, hint in hints.items() if hint in (str, int, float, bool)]
        model = hints[step]
    return found if get_origin(model) is list else []
