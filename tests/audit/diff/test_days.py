"""Two days of the emulated cloud: the comparison reports the true differences of every table."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass

import anyio
import pytest

from crawler.audit.database import open_snapshot
from crawler.audit.diff.comparison import compare, table_keys
from crawler.audit.diff.json_output import write_json
from crawler.catalog import load_catalog
from crawler.catalog.columns import snake_case
from crawler.emulator import difference
from crawler.emulator.apis.operation import GLOBAL
from crawler.emulator.apis.operations import BY_NAME
from crawler.emulator.days.days import denied
from tests.support.crawl_runner import SMALL, fast_cloud, scope_statuses, site

CATALOG = load_catalog()
CRAWLED = {table: op for table, op in CATALOG.operations.items() if op.selection != "out"}
# Small places, and a seed with which something happens there to nearly every table.
SEED, REGIONS = 38, ["cn-shanghai", "ap-southeast-1"]

# Lists of the cloud that no crawl requests; see `test_every_operation`.
UNASKED = {
    "opensearch_slow_query_queries": {"1", "2"},
    "opensearch_statistic_report": {"data-quality"},
    "searchengine_advance_config_dir": {"/zones/general"},
}
# Tables with URLs that the service signs again for every answer.
VOLATILE = {"fc_layers", "fc_layer_versions", "fc2_layers", "fc2_layer_versions"}


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Two crawls of every table, on two days: the comparison's report, the truth, and the second crawl's result."""
    folder = tmp_path_factory.mktemp("nights")

    async def night(day):
        async with site(folder, fast_cloud(seed=SEED, day=day)) as here:
            return here.cloud, await here.crawl(here.config(tables=list(CRAWLED), regions=REGIONS))

    (before, first), (after, second) = (anyio.run(night, day) for day in (1, 2))
    old, new = (open_snapshot(folder / "snapshots", result.snapshot_id) for result in (first, second))
    assert re.fullmatch("[0-9a-f]{16}", old.manifest.fingerprint_key_id)
    assert new.manifest.fingerprint_key_id == old.manifest.fingerprint_key_id
    said = []
    with compare(old, new, table_keys(CATALOG)) as tables:
        verdict = write_json(first.snapshot_id, second.snapshot_id, tables, said.append)
    assert (first.exit_code, second.exit_code, verdict.exit_code) == (0, 3, 1)
    return json.loads("".join(said)), difference(before, after), second


@dataclass
class Expected:
    """The expected differences of a table, by account, region and key as text."""

    added: dict
    removed: dict
    changed: dict


def expected(table, truth):
    """The truth of one table where it is known, told apart by the table's own key."""
    operation = CRAWLED[table]
    found = Expected({}, {}, {})
    for (account, region, action), differs in truth.items():
        if action != f"{operation.product}.{operation.action}" or region not in (*REGIONS, GLOBAL):
            continue
        if operation.product == "opensearch" and account == SMALL:  # denied
            continue
        for records, into in ((differs.added, found.added), (differs.removed, found.removed)):
            for one in records.values():
                if not UNASKED.get(table, set()) & {*one.parent}:
                    into[account, region, *key_of(operation, one.parent, one.record)] = one.record
        for one in differs.changed.values():
            found.changed[account, region, *key_of(operation, one.parent, one.new)] = (one.old, one.new)
    # Where the cloud tells records apart by less than the table does.
    for key in found.added.keys() & found.removed.keys():
        found.changed[key] = (found.removed.pop(key), found.added.pop(key))
    return found


def key_of(operation, parent, record):
    parameters = BY_NAME[f"{operation.product}.{operation.action}"].parameters
    values = dict(zip(map(snake_case, parameters), parent, strict=True))
    if isinstance(record, dict):
        values |= {snake_case(name): value for name, value in record.items()}
    else:
        values[snake_case(operation.item)] = record
    return tuple(str(values.get(name.removeprefix("record_"))) for name in operation.key)


def fields_of(change):
    """The columns that a change names; for a path in `_extra`, the column that it belongs to."""
    paths = [path.removeprefix("_extra.") for path in change["columns"]]
    return {snake_case(re.split(r"[.\[]", path)[0]) for path in paths}


def differing_fields(old, new, table):
    names = {*old, *new}
    found = {snake_case(name) for name in names if old.get(name, ...) != new.get(name, ...)}
    return found - ({"code"} if table in VOLATILE else set())


def by_key(operation, items):
    names = ("account_id", "region_id", *operation.key)
    return {tuple(str(item.get(name)) for name in names): item for item in items}


@pytest.mark.parametrize("table", [table for table, op in CRAWLED.items() if op.key])
def test_the_differences_of_a_table_are_the_true_ones(nights, table):
    said, truth, _ = nights
    found, wanted, operation = said["tables"][table], expected(table, truth), CRAWLED[table]
    assert by_key(operation, found["added"]).keys() == wanted.added.keys()
    assert by_key(operation, found["removed"]).keys() == wanted.removed.keys()
    fields = {key: differing_fields(*pair, table) for key, pair in wanted.changed.items()}
    changed = {tuple(map(str, change["key"].values())): fields_of(change) for change in found["changed"]}
    assert changed == {key: names for key, names in fields.items() if names}
    assert "unknown_columns" not in found


@pytest.mark.parametrize("table", [table for table, op in CRAWLED.items() if not op.key])
def test_a_table_without_keys_has_as_many_rows_more_and_less_as_truly_came_and_went(nights, table):
    said, truth, _ = nights
    found, operation = said["tables"][table], CRAWLED[table]
    added, removed = Counter(), Counter()
    for (account, region, action), differs in truth.items():
        if action == f"{operation.product}.{operation.action}" and region in REGIONS and account != SMALL:
            for records, into in ((differs.added, added), (differs.removed, removed)):
                into[account, region] += sum(
                    not UNASKED.get(table, set()) & {*one.parent}
                    for one in [*records.values(), *differs.changed.values()]
                )
    assert Counter((item["account_id"], item["region_id"]) for item in found["added"]) == +added
    assert Counter((item["account_id"], item["region_id"]) for item in found["removed"]) == +removed
    assert found["changed"] == []


def test_there_is_something_to_tell_of_nearly_every_table(nights):
    said, _, _ = nights
    kinds = ("added", "removed", "changed")
    quiet = {table for table in CRAWLED if not any(said["tables"][table][kind] for kind in kinds)}
    assert len(quiet - {"searchengine_cluster_names"}) <= 1  # names that a cluster can have stay the same


def test_the_account_that_is_denied_since_is_unknown_and_nothing_of_it_is_gone(nights):
    said, _, second = nights
    account, product = denied(fast_cloud(day=2).spec)
    assert (account, product) == (SMALL, "opensearch")
    refused = {(where[0], where[1], where[2]) for where in scope_statuses(second)}
    unknown = {
        (scope["account_id"], scope["region_id"], table)
        for table, found in said["tables"].items()
        for scope in found["unknown_scopes"]
        if scope["status"] == "denied"
    }
    tables = [table for table, op in CRAWLED.items() if op.product == "opensearch"]
    assert unknown == refused == {(SMALL, "ap-southeast-1", table) for table in tables}
    for table in tables:
        found = said["tables"][table]
        keys = [*found["added"], *found["removed"], *(change["key"] for change in found["changed"])]
        assert {key["account_id"] for key in keys} <= {"1000000000000001"}


def test_numbers_and_flags_are_told_as_the_cloud_has_them(nights):
    said, truth, _ = nights
    checked = 0
    for table in ("fc_functions", "fc2_functions", "fc2_services", "fc_provision_configs", "fc_concurrency_configs"):
        wanted = expected(table, truth)
        for change in said["tables"][table]["changed"]:
            old, new = wanted.changed[tuple(map(str, change["key"].values()))]
            plain = {snake_case(name): name for name, value in new.items() if isinstance(value, bool | int | float)}
            for path, values in change["columns"].items():
                if path in plain:
                    assert values == [old[plain[path]], new[plain[path]]]
                    checked += 1
    assert checked > 3
