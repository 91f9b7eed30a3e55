"""Every List operation, crawled whole: each row is the cloud's record, field by field, and nothing is missing or new.

The emulator does not use `schemas/`: a column that a schema file lacks, misspells or mistypes shows here.
`tests/emulator/test_every_operation.py` checks that the official SDK clients get the same records.
"""

from __future__ import annotations

import re
from collections import defaultdict

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.catalog.columns import snake_case
from crawler.emulator.apis.operations import BY_NAME
from crawler.normalizer.fast import reader
from crawler.normalizer.redaction import Redaction
from tests.support.crawl_runner import site
from tests.support.expected_records import Comparison

CATALOG = load_catalog()
CRAWLED = {table: op for table, op in CATALOG.operations.items() if op.selection != "out"}
KEY = b"the-demo-has-no-secrets-to-protect"
CANARY = re.compile("canary[0-9a-f]{24}")

# Expected fields in `_extra`: the oddities of the documentation's own samples.
IN_EXTRA = {
    "fc_aliases": {"createdTime"},  # 2006-01-02T15:04:05Z07:00, the layout in place of a time
    "fc_async_invoke_configs": {"createdTime"},
    "fc_function_versions": {"createdTime"},
    "fc_triggers": {"triggerConfig"},  # a text that isn't JSON, and JSON in JSON
    "fc2_triggers": {"triggerConfig", "lastModifiedTime"},  # a year that has lost its first digit
    "fc2_functions": {"lastModifiedTime"},
    "opensearch_ab_test_experiments": {"params"},  # a number in place of an object
    "opensearch_ab_test_fixed_flow_dividers": {"flowDivider"},  # a list in the list
    "opensearch_ab_test_scenes": {"values[]"},
    "opensearch_apps": {"isCurrent"},  # 1 for a flag
    "opensearch_intervention_dictionary_related_entities": {"$"},
    "opensearch_scheduled_tasks": {"$"},  # an empty list in place of a task
    "opensearch_statistic_logs": {"$"},
    "opensearch_user_analyzers": {"dicts"},  # one object in place of a list
    "searchengine_databases": {"templates[].isDir"},  # true for an integer
    "searchengine_instances": {"updateTime"},  # a time without a zone
}


# Lists of the cloud that no crawl requests: no page names a query's categories after the first, one report has no
# pages, and only the root of a directory is listed.
UNASKED = {
    "opensearch_slow_query_queries": {"1", "2"},
    "opensearch_statistic_report": {"data-quality"},
    "searchengine_advance_config_dir": {"/zones/general"},
}

# Fields that the cloud has and output=normal leaves out of the answer.
LEFT_OUT = {"opensearch_function_instances": {"ExtendInfo", "extendInfo"}}


def _sorted(values, key_of):
    return sorted(values, key=lambda value: [str(part or "") for part in key_of(value)])


def _key_of(record, names):
    """The values of a record for these columns of the key; that of a record without fields is itself."""
    if not isinstance(record, dict):
        return [record]
    columns = {snake_case(wire): value for wire, value in record.items()}
    return [columns.get(name, columns.get(name.removeprefix("record_"))) for name in names]


def _without(record, names):
    return {name: value for name, value in record.items() if name not in names} if names else record


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One crawl of every table that can be, pages the quick way where they can: the site, the result, the rows."""

    async def main():
        async with site(tmp_path_factory.mktemp("every")) as here:
            config = here.config(tables=list(CRAWLED))
            return here, await here.crawl(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "FAST_FROM_BYTES", 0)
        return anyio.run(main)


def lists_of(cloud, operation):
    """(account, region, parent) → records, of every list that a cloud has; with their details, if they always come."""
    action = f"{operation.product}.{operation.action}"
    return {
        (account, region, parent): [_with_details(cloud, operation, (account, region), record) for record in records]
        for account in cloud.spec.accounts
        for region in cloud.spec.places
        for parent, records in cloud.lists(account, region, action).items()
    }


def _with_details(cloud, operation, place, record):
    details = operation.details
    if details is None or not details.is_always:
        return record
    names = tuple(record[wire] for wire in details.bind)
    [more] = cloud.lists(*place, f"{operation.product}.{details.action}")[names]
    return {**record, **more}


def test_every_scope_is_complete(whole):
    _, result = whole
    odd = {(row.table, row.region_id): (row.status, row.error_code, row.error_message) for row in result.ledger}
    assert {scope: why for scope, why in odd.items() if why[0] not in {"complete", "truncated"}} == {}
    assert result.exit_code == 0


@pytest.mark.parametrize("table", CRAWLED)
def test_rows_are_the_records_of_the_cloud_field_by_field(whole, table):
    here, _ = whole
    operation = CRAWLED[table]
    parameters = [snake_case(name) for name in BY_NAME[f"{operation.product}.{operation.action}"].parameters]
    rows = defaultdict(list)
    for row in here.rows(table):
        rows[row["account_id"], row["region_id"], tuple(row[name] for name in parameters)].append(row)
    left_out = LEFT_OUT.get(table, set())
    comparison = Comparison(
        Redaction("fingerprint", "fingerprint", KEY, scope="account"), lambda text: bool(CANARY.search(text))
    )
    lists = {where: records for where, records in lists_of(here.cloud, operation).items() if records}
    lists = {where: found for where, found in lists.items() if not {*where[2]} & UNASKED.get(table, set())}
    assert {where: len(found) for where, found in rows.items()} == {where: len(found) for where, found in lists.items()}
    for where, records in lists.items():
        key = [name for name in operation.key if name not in parameters]
        # The rows of a scope are in the order of the key, and in that of the list without one.
        in_order = _sorted(rows[where], lambda row, key=key: [row[name] for name in key])
        for record, row in zip(_sorted(records, lambda record, key=key: _key_of(record, key)), in_order, strict=True):
            comparison.check(_without(record, left_out), row, parameters)
    assert comparison.in_extra.keys() == IN_EXTRA.get(table, set())


@pytest.mark.parametrize("table", CRAWLED)
def test_every_table_has_rows_to_compare(whole, table):
    here, _ = whole
    assert any(lists_of(here.cloud, CRAWLED[table]).values())
