"""Lake tables over few large files: the rows of many accounts share a part, and readers skip what isn't asked for."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from pyiceberg.table.sorting import NullOrder
from pyiceberg.transforms import IdentityTransform

from crawler.errors import UnfinishedCommitError
from crawler.snapshot import LakeSettings, ObjectStore, open_lake, publish_lake
from crawler.snapshot.location import bucket_place
from crawler.snapshot.s3.client import S3Client
from tests.support.lakes import FORMATS, Local
from tests.support.large_parts import write_large_parts
from tests.support.object_stores import KEY_ID, KEY_SECRET, s3_server
from tests.support.snapshot_fakes import NEW, OLD, SCHEMA, SCHEMAS, START, write_snapshot

TABLE = "fc_functions"
KEYS = {TABLE: ("name",)}
ACCOUNTS = [f"100000000000000{number}" for number in range(8)]
REGIONS = ["ap-southeast-1", "cn-hangzhou", "cn-shanghai"]
# An account and a region have this many rows.
NAMES = [f"f{number:03}" for number in range(10)]
SECOND = ACCOUNTS[2]
SETTLED = "20261122T020000Z-0000"
# Sorted as a part is.
WHERE = "account_id = '{}'"


@pytest.fixture(params=FORMATS)
def lake(request, tmp_path):
    return Local(request.param, tmp_path / "out")


def part(accounts, regions=REGIONS, names=NAMES, snapshot_id=NEW, size=1):
    """The rows of one part, in the order that parts have."""
    rows = [
        {
            "account_id": account,
            "region_id": region,
            "snapshot_id": snapshot_id,
            "fetched_at": START,
            "name": name,
            "config": {"size": size + number, "tags": [("k", region)]},
            "_extra": None,
        }
        for account in accounts
        for region in regions
        for number, name in enumerate(names)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


# Four parts of two accounts each; parts that overlap have rows of the same accounts, such as those of two workers.
APART = [ACCOUNTS[at : at + 2] for at in range(0, 8, 2)]
OVERLAPPING = [ACCOUNTS[:5], ACCOUNTS[3:], [ACCOUNTS[0], ACCOUNTS[-1]]]


def publish_parts(lake, parts, snapshot_id=NEW, *, with_statistics=True, group_rows=30, attempt=""):
    made = write_large_parts(lake.root, snapshot_id, {TABLE: parts}, group_rows=group_rows, attempt=attempt)
    manifest, ledger, statistics = made
    found = statistics if with_statistics else {}
    publish_lake(open_lake(lake.settings), manifest, SCHEMAS, ledger, KEYS, found)
    return manifest


def planned(lake, text):
    return [Path(task.file.file_path).name for task in lake.table(TABLE).scan(row_filter=text).plan_files()]


def read_where(lake, account):
    """The names of an account as the format's own library reads them, and as Polars does."""
    table = lake.table(TABLE)
    condition = pl.col("account_id") == account
    if lake.kind == "delta":
        rows = table.to_pyarrow_table(filters=[("account_id", "=", account)])
        frame = pl.scan_delta(str(lake.root / TABLE))
    else:
        rows = table.scan(row_filter=WHERE.format(account)).to_arrow()
        frame = pl.scan_iceberg(table.metadata_location)
    by_polars = frame.filter(condition).select("region_id", "name").collect()
    mine = sorted(zip(rows["region_id"].to_pylist(), rows["name"].to_pylist(), strict=True))
    assert mine == sorted(by_polars.rows())
    return mine


@pytest.mark.filterwarnings("ignore:Iceberg scan planning")  # of Polars, which has a plugin that is faster
@pytest.mark.parametrize("accounts", [APART, OVERLAPPING], ids=["apart", "overlapping"])
def test_each_account_is_read_whole_wherever_its_rows_are(lake, accounts):
    parts = [part(of_part, names=[f"{name}-{number}" for name in NAMES]) for number, of_part in enumerate(accounts)]
    publish_parts(lake, parts)
    for account in ACCOUNTS:
        numbers = [number for number, of_part in enumerate(accounts) if account in of_part]
        wanted = sorted((region, f"{name}-{number}") for region in REGIONS for name in NAMES for number in numbers)
        assert read_where(lake, account) == wanted
    assert lake.rows(TABLE).num_rows == sum(each.num_rows for each in parts)


def test_an_iceberg_table_has_no_partition_and_names_the_order_of_its_rows(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    publish_parts(lake, [part(each) for each in APART])
    table = lake.table(TABLE)
    assert table.spec().fields == ()
    fields = [(table.schema().find_column_name(field.source_id), field) for field in table.sort_order().fields]
    assert [name for name, _ in fields] == ["account_id", "region_id", "name"]
    assert all(field.transform == IdentityTransform() for _, field in fields)
    assert {field.null_order for _, field in fields} == {NullOrder.NULLS_LAST}
    assert {task.file.sort_order_id for task in table.scan().plan_files()} == {None}


def test_an_order_that_another_program_has_set_stays(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    publish_parts(lake, [part(ACCOUNTS, snapshot_id=OLD)], OLD)
    with lake.table(TABLE).update_sort_order() as order:
        order.desc("fetched_at", IdentityTransform())
    publish_parts(lake, [part(ACCOUNTS)])
    table = lake.table(TABLE)
    assert [table.schema().find_column_name(field.source_id) for field in table.sort_order().fields] == ["fetched_at"]


@pytest.mark.parametrize("with_statistics", [True, False], ids=["of the writer", "of the footers"])
def test_iceberg_entries_are_those_that_pyiceberg_makes_from_the_footers(tmp_path, with_statistics):
    """`add_files` reads each file; the entries of another table, made by it, are the witness."""
    lake = Local("iceberg", tmp_path / "out")
    names = ["a" * 40, "ähnlich " * 9, "\U0010ffff" * 40]
    manifest = publish_parts(lake, [part(each, names=names) for each in APART], with_statistics=with_statistics)
    catalog = load_catalog("other", type="sql", uri=f"sqlite:///{tmp_path}/other.db", warehouse=f"file://{tmp_path}/w")
    catalog.create_namespace("n")
    other = catalog.create_table("n.t", schema=SCHEMA)
    other.add_files([f"file://{lake.root}/{file.path}" for file in manifest.tables[TABLE].files])
    assert entries(lake.table(TABLE)) == entries(other)
    assert len(entries(other)) == len(APART)


def entries(table):
    fields = ("file_path", "file_size_in_bytes", "record_count", "column_sizes", "value_counts", "null_value_counts")
    fields += ("nan_value_counts", "lower_bounds", "upper_bounds", "split_offsets", "partition", "sort_order_id")
    files = [task.file for task in table.scan().plan_files()]
    return sorted(
        ({name: getattr(file, name) for name in fields} for file in files), key=lambda each: each["file_path"]
    )


def test_pyiceberg_plans_the_files_of_an_account_alone(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    parts = [part(each) for each in APART] + [part(ACCOUNTS, ["us-west-1"])]
    publish_parts(lake, parts)
    assert sorted(planned(lake, WHERE.format(SECOND))) == ["part-00001.parquet", "part-00004.parquet"]
    assert planned(lake, "region_id = 'us-west-1'") == ["part-00004.parquet"]
    assert planned(lake, f"{WHERE.format(SECOND)} and region_id = 'cn-hangzhou'") == ["part-00001.parquet"]
    assert planned(lake, "name = 'g'") == []
    assert len(planned(lake, "name = 'f001'")) == len(parts)


def test_the_log_of_delta_has_bounds_by_which_its_readers_skip_files(tmp_path):
    lake = Local("delta", tmp_path / "out")
    publish_parts(lake, [part(each, size=100 * number) for number, each in enumerate(APART)])
    table = lake.table(TABLE)
    actions = pa.table(table.get_add_actions(flatten=True)).sort_by("path").to_pylist()
    assert [row["num_records"] for row in actions] == [60] * 4
    assert [(row["min.account_id"], row["max.account_id"]) for row in actions] == [(low, high) for low, high in APART]
    assert [(row["min.region_id"], row["max.region_id"]) for row in actions] == [(REGIONS[0], REGIONS[-1])] * 4
    assert [(row["min.name"], row["max.name"]) for row in actions] == [("f000", "f009")] * 4
    assert [row["min.config.size"] for row in actions] == [0, 100, 200, 300]
    assert [row["max.config.size"] for row in actions] == [9, 109, 209, 309]
    assert {(row["null_count.account_id"], row["null_count._extra"]) for row in actions} == {(0, 60)}
    assert {row["min.fetched_at"] for row in actions} == {row["max.fetched_at"] for row in actions} == {START}
    dataset = table.to_pyarrow_dataset()
    assert len(list(dataset.get_fragments(pc.field("account_id") == SECOND))) == 1
    assert len(list(dataset.get_fragments(pc.field("name") == "g"))) == 0


@pytest.mark.parametrize("with_statistics", [True, False], ids=["of the writer", "of the footers"])
def test_the_log_of_delta_is_the_same_without_the_writers_statistics(tmp_path, with_statistics):
    lake = Local("delta", tmp_path / "out")
    publish_parts(lake, [part(ACCOUNTS, names=["x" * 50])], with_statistics=with_statistics)
    [log] = sorted((lake.root / TABLE / "_delta_log").glob("*.json"))
    [added] = [json.loads(line)["add"] for line in log.read_text().splitlines() if '"add"' in line]
    found = json.loads(added["stats"])
    assert found["minValues"]["name"] == "x" * 32
    assert found["maxValues"]["name"] == "x" * 31 + "y"
    assert found["minValues"]["fetched_at"] == "2026-11-21T02:00:00.000Z"
    assert found["numRecords"] == len(ACCOUNTS) * len(REGIONS)


@pytest.mark.parametrize("with_statistics", [True, False], ids=["of the writer", "of the footers"])
async def test_a_commit_in_a_bucket_takes_few_requests(server, tmp_path, monkeypatch, with_statistics):
    """As many each night. Only without the writer's statistics is a part read: its end, by one request."""
    place = bucket_place(f"s3://inventory/requests-{with_statistics}", server, tmp_path)
    settings = LakeSettings("iceberg", place, f"sqlite:///{tmp_path}/catalog.db")
    sent = []
    for name in ("get", "put", "delete"):
        real = getattr(S3Client, name)

        def counted(self, key, *args, name=name, real=real, **options):
            sent.append(f"{name} {key}")
            return real(self, key, *args, **options)

        monkeypatch.setattr(S3Client, name, counted)
    for snapshot_id in (OLD, NEW, SETTLED):
        manifest, ledger, statistics = write_large_parts(tmp_path / "out", snapshot_id, {TABLE: [part(ACCOUNTS)]})
        await upload(tmp_path / "out", place)
        lake = open_lake(settings)
        sent.clear()
        publish_lake(lake, manifest, SCHEMAS, ledger, KEYS, statistics if with_statistics else {})
        read = [each for each in sent if each.startswith("get") and each.endswith(".parquet")]
        assert len(read) == (0 if with_statistics else 1)
        own = [each for each in sent if "/_lake/" in each or "/acs_inventory/_" in each]
        assert len(sent) - len(read) - len(own) <= 12, sent
        assert len(own) <= 20, own


async def upload(root, place):
    store = ObjectStore(place)
    for path in [each for each in root.rglob("*") if each.is_file()]:
        await store.put(str(path.relative_to(root)), path.read_bytes())


def other_rows(path):
    pq.write_table(part(ACCOUNTS[:1]), path)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def named_pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [other_rows, cut_short, named_pipe, Path.unlink])
def test_a_part_that_was_changed_after_its_commit_does_not_become_content(lake, change):
    """F106: the statistics of another process's parts are read from files that others can reach."""
    publish_parts(lake, [part(ACCOUNTS, snapshot_id=OLD)], OLD)
    manifest, ledger, _ = write_large_parts(lake.root, NEW, {TABLE: [part(ACCOUNTS)]})
    path = manifest.tables[TABLE].files[0].path
    change(lake.root / path)
    with pytest.raises(UnfinishedCommitError, match=rf"table {TABLE} isn't moved to it; .*{path}"):
        publish_lake(open_lake(lake.settings), manifest, SCHEMAS, ledger, KEYS)
    assert lake.commits(TABLE) == [OLD]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_filter_on_an_account_reads_few_row_groups(tmp_path, kind):
    """A part has a row group for each account and region here. DuckDB counts those that it read."""
    lake = Local(kind, tmp_path / "out")
    publish_parts(lake, [part(ACCOUNTS)], group_rows=len(NAMES))
    [path] = [str(lake.root / file) for file in (lake.root / TABLE).rglob("part-*.parquet")]
    groups = pq.read_metadata(path).num_row_groups
    assert groups == len(ACCOUNTS) * len(REGIONS)
    [fragment] = pads.dataset(path).get_fragments()
    asked = (pc.field("account_id") == SECOND) & (pc.field("region_id") == "cn-hangzhou")
    assert len(fragment.subset(asked).row_groups) == 1
    with duckdb.connect() as connection:
        sql = f"SELECT name FROM read_parquet('{path}') WHERE account_id = '{SECOND}' AND region_id = 'cn-hangzhou'"
        assert connection.execute(sql).fetchall() == [(name,) for name in NAMES]
        [[_, plan]] = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").fetchall()
    [scan] = scans_in(json.loads(plan)["operator"])
    assert (scan["row_groups_scanned"], scan["total_row_groups_to_scan"]) == (1, groups)
    assert scan["rows_scanned"] == len(NAMES)


def scans_in(operators):
    for operator in operators:
        yield from [operator] if operator["type"] == "TABLE_SCAN" else scans_in(operator["children"])


async def test_a_snapshot_of_small_files_and_one_of_large_parts_follow_each_other(lake):
    manifest = await write_snapshot(lake.root, OLD)
    lake.publish(OLD)
    publish_parts(lake, [part(each) for each in APART])
    assert lake.rows(TABLE).num_rows == len(ACCOUNTS) * len(REGIONS) * len(NAMES)
    assert lake.rows(TABLE, OLD).num_rows == manifest.tables[TABLE].rows == 3
    await write_snapshot(lake.root, SETTLED)
    lake.publish(SETTLED)
    assert lake.rows(TABLE).num_rows == 3
    assert lake.rows(TABLE, NEW).num_rows == len(ACCOUNTS) * len(REGIONS) * len(NAMES)


def test_a_commit_makes_one_version(lake):
    for number in range(3):
        publish_parts(lake, [part(ACCOUNTS)], f"2026112{number + 1}T020000Z-0000")
    table = lake.table(TABLE)
    versions = table.history() if lake.kind == "delta" else table.snapshots()
    assert len(versions) == 3
    if lake.kind == "iceberg":
        lists = [[manifest.deleted_files_count for manifest in version.manifests(table.io)] for version in versions]
        assert lists == [[0], [0, 1], [0, 1]], "the files of this commit, and those that it removed"
        last = versions[-1].summary
        assert (last["total-data-files"], last["deleted-data-files"], last["added-data-files"]) == ("1", "1", "1")


@pytest.mark.parametrize("has_content", [True, False])
@pytest.mark.parametrize("is_newer", [True, False])
def test_two_crawls_that_move_a_table_at_once_leave_the_rows_of_one(tmp_path, monkeypatch, is_newer, has_content):
    """F104: pyiceberg would repeat an append over what the other crawl has committed meanwhile."""
    monkeypatch.setattr("pyiceberg.table.time.sleep", lambda seconds: None)
    # The other crawl is one of this process here.
    monkeypatch.setattr("crawler.snapshot.lake.modes._turn", threading.RLock())
    lake = Local("iceberg", tmp_path / "out")
    first, second = ("20261122T020000Z-0000", "20261123T020000Z-0000")
    mine, other = (first, second) if is_newer else (second, first)
    if has_content:
        publish_parts(lake, [part(ACCOUNTS, snapshot_id=OLD)], OLD)
    theirs = write_large_parts(lake.root, other, {TABLE: [part(ACCOUNTS[:2], snapshot_id=other)]})
    manifest, ledger, statistics = write_large_parts(lake.root, mine, {TABLE: [part(ACCOUNTS[4:], snapshot_id=mine)]})

    class Interrupted(dict):
        """Lets the other crawl move the table when this one asks for the statistics of its file."""

        def get(self, path, default=None):
            if theirs:
                publish_lake(open_lake(lake.settings), theirs[0], SCHEMAS, theirs[1], KEYS, theirs[2])
                theirs.clear()
            return super().get(path, default)

    theirs = list(theirs)
    publish_lake(open_lake(lake.settings), manifest, SCHEMAS, ledger, KEYS, Interrupted(statistics))
    assert set(lake.rows(TABLE)["snapshot_id"].to_pylist()) == {second}
    assert lake.commits(TABLE) == ([OLD] if has_content else []) + ([second] if is_newer else [first, second])


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as environ:
        yield environ


@pytest.mark.parametrize("with_statistics", [True, False], ids=["of the writer", "of the footers"])
@pytest.mark.parametrize("kind", FORMATS)
async def test_parts_in_a_bucket_have_the_same_bounds(server, tmp_path, monkeypatch, kind, with_statistics):
    """Without the writer's statistics, the end of each part is read: here more than the first request brings."""
    monkeypatch.setattr("crawler.snapshot.lake.footers._TAIL_BYTES", 1024)
    place = bucket_place(f"s3://inventory/{kind}-{with_statistics}", server, tmp_path)
    made = write_large_parts(tmp_path / "out", NEW, {TABLE: [part(each) for each in APART]}, attempt="00c0ffee")
    manifest, ledger, statistics = made
    await upload(tmp_path / "out", place)
    settings = LakeSettings(kind, place, f"sqlite:///{tmp_path}/catalog.db")
    publish_lake(open_lake(settings), manifest, SCHEMAS, ledger, KEYS, statistics if with_statistics else {})
    if kind == "delta":
        options = {"AWS_ENDPOINT_URL": server["AWS_ENDPOINT_URL"], "AWS_ALLOW_HTTP": "true", **server}
        table = DeltaTable(f"{place.uri}/{TABLE}", storage_options=options)
        actions = pa.table(table.get_add_actions(flatten=True)).sort_by("path").to_pylist()
        assert [[row["min.account_id"], row["max.account_id"]] for row in actions] == APART
        return
    names = {"s3.endpoint": place.endpoint, "s3.region": "us-east-1", "s3.access-key-id": KEY_ID}
    catalog = load_catalog(
        "acs-inventory", type="sql", uri=settings.catalog_uri, **names, **{"s3.secret-access-key": KEY_SECRET}
    )
    scan = catalog.load_table(("acs_inventory", TABLE)).scan(row_filter=WHERE.format(SECOND))
    [task] = scan.plan_files()
    assert task.file.file_path.endswith("part-00001-00c0ffee.parquet")
    assert scan.to_arrow().num_rows == len(REGIONS) * len(NAMES)
