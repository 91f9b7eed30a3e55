"""The tables `_scopes` and `_snapshots` of a lake, and tables with the rows of many snapshots (`mode = "append"`)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.expressions import EqualTo

from crawler.errors import ConfigError, UnfinishedCommitError
from crawler.snapshot import (
    BucketDestination,
    BucketReader,
    LakeSettings,
    Ledger,
    ObjectStore,
    SnapshotWriter,
    Status,
    open_lake,
    publish_lake,
    read_ledger,
    read_manifest,
)
from crawler.snapshot.bucket.prune import prune_bucket
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.lake import own_tables
from crawler.snapshot.lake.base import OWN_TABLES, SNAPSHOT_TABLE
from crawler.snapshot.lake.delta import DeltaLake
from crawler.snapshot.lake.iceberg import IcebergLake
from crawler.snapshot.lake.verify import verify_lakes
from crawler.snapshot.layout import snapshot_in_path
from crawler.snapshot.ledger import LEDGER_SCHEMA
from crawler.snapshot.location import bucket_place
from crawler.snapshot.manifest import CrawlSelection
from crawler.snapshot.retention import KeepRules
from tests.support.lakes import FORMATS, Local
from tests.support.object_stores import BUCKET, s3_server
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    OTHER,
    ROWS,
    SCHEMA,
    SCHEMAS,
    START,
    draft,
    ledger_row,
    write_scopes,
    write_snapshot,
)

pytestmark = pytest.mark.filterwarnings("ignore:Iceberg scan planning")  # of Polars, which has a plugin that is faster

LATER = "20261122T020000Z-0000"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FUNCTIONS = {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1"]}
FAILED = ledger_row("fc_functions", OTHER, status=Status.FAILED, error_code="Boom")


@pytest.fixture(params=FORMATS)
def lake(request, tmp_path):
    return Local(request.param, tmp_path / "out")


@pytest.fixture(params=FORMATS)
def history(request, tmp_path):
    return Local(request.param, tmp_path / "out", mode="append")


def rows_of(lake, name):
    """Return the rows of a table as Polars reads them."""
    if lake.kind == "delta":
        folder = f"_lake/{name}" if name in OWN_TABLES else name
        return pl.scan_delta(str(lake.root / folder)).collect().to_dicts()
    return pl.scan_iceberg(lake.table(name).metadata_location).collect().to_dicts()


def ids(lake, name):
    return sorted(row["snapshot_id"] for row in rows_of(lake, name))


def pruned(lake, **rules):
    return prune(lake.root, KeepRules(**rules), NOW, lakes=[open_lake(lake.settings)])


async def test_each_snapshot_has_its_scopes_and_its_row(lake):
    await lake.write(OLD)
    manifest = await lake.write(NEW, FUNCTIONS, [FAILED])
    scopes = [row for row in rows_of(lake, "_scopes") if row["snapshot_id"] == NEW]
    assert {(row["account_id"], row["status"], row["error_code"]) for row in scopes} == {
        (ACCOUNT, "complete", ""),
        (OTHER, "failed", "Boom"),
    }
    assert {row["snapshot_date"] for row in scopes} == {date(2026, 11, 21)}
    assert set(LEDGER_SCHEMA.names) <= set(scopes[0])
    first, second = sorted(rows_of(lake, "_snapshots"), key=lambda row: row["snapshot_id"])
    assert (first["status"], first["published"], first["scopes_failed"]) == ("complete", True, 0)
    assert (second["status"], second["published"], second["scopes_failed"]) == ("partial", False, 1)
    assert (second["started_at"], second["rows"]) == (manifest.started_at, 1)
    text = (lake.root / f"_snapshots/{NEW}.json.sha256").read_text()
    assert second["manifest_sha256"] == text.split()[0]


async def test_the_same_snapshot_is_added_once_however_often_it_is_published(lake):
    await lake.write(NEW)
    lake.publish(NEW)
    lake.publish(NEW)
    assert ids(lake, "_snapshots") == [NEW]
    assert len(rows_of(lake, "_scopes")) == len(ROWS)


class Killed(BaseException):
    """The process ends at this point."""


def kill_at(monkeypatch, kind, at):
    """Let the process end after that many commits of a lake."""
    kind_of_lake = DeltaLake if kind == "delta" else IcebergLake
    real, calls = kind_of_lake.move, []

    def move(self, content):
        calls.append(content.table)
        if len(calls) > at:
            raise Killed
        return real(self, content)

    monkeypatch.setattr(kind_of_lake, "move", move)


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("kind", FORMATS)
async def test_what_a_killed_crawl_left_the_next_one_adds_once(tmp_path, monkeypatch, kind, at, mode):
    """Killed before each of its commits, and with the last one made."""
    lake = Local(kind, tmp_path / "out", mode=mode)
    await lake.write(OLD)
    with monkeypatch.context() as patched:
        kill_at(patched, kind, at)
        with pytest.raises(Killed):
            await lake.write(NEW, {**ROWS, ("fc_functions", ACCOUNT, "cn-hangzhou"): ["missed"]})
    await lake.write(LATER, FUNCTIONS, [FAILED])
    assert ids(lake, "_snapshots") == [OLD, NEW, LATER]
    assert len(rows_of(lake, "_scopes")) == 2 * len(ROWS) + 2
    names = sorted(row["name"] for row in rows_of(lake, "fc_functions"))
    assert names == (["f3", "missed"] if mode == "replace" else ["f1", "f2", "f3", "f3", "missed"])


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("kind", FORMATS)
async def test_no_table_has_a_snapshot_of_a_killed_first_crawl_that_others_lack(tmp_path, monkeypatch, kind, at, mode):
    """Nothing is recorded then. A snapshot from before the lake is not added."""
    lake = Local(kind, tmp_path / "out", mode=mode)
    await write_snapshot(lake.root, OLD)
    kill_at(monkeypatch, kind, at)
    with pytest.raises(Killed):
        await lake.write(NEW)
    monkeypatch.undo()
    await lake.write(LATER)
    is_begun = at >= (1 if mode == "append" else 3)
    expected = [NEW, LATER] if is_begun else [LATER]
    assert ids(lake, "_snapshots") == sorted(set(ids(lake, "_scopes"))) == expected
    assert len(rows_of(lake, "_scopes")) == len(expected) * len(ROWS)
    if mode == "append":
        assert sorted(set(ids(lake, "fc_functions"))) == expected


async def test_a_snapshot_from_the_future_doesnt_end_the_search_for_what_a_killed_crawl_left(lake, monkeypatch):
    await lake.write(OLD)
    await lake.write("20270621T020000Z-0000")
    kill_at(monkeypatch, lake.kind, 0)
    with pytest.raises(Killed):
        await lake.write(NEW)
    monkeypatch.undo()
    await lake.write(LATER)
    assert ids(lake, "_snapshots") == [OLD, NEW, LATER, "20270621T020000Z-0000"]


async def test_a_narrowed_crawl_leaves_every_table_as_it_is(lake):
    await lake.write(OLD)
    manifest = await write_snapshot(lake.root, NEW, FUNCTIONS)
    selected = msgspec.structs.replace(manifest, selection=CrawlSelection(tables=["fc_*"]))
    lake.publish_to(open_lake(lake.settings), selected)
    assert ids(lake, "_snapshots") == [OLD]


async def test_rows_of_a_removed_snapshot_go_with_it(lake):
    for snapshot_id in (OLD, NEW, LATER):
        await lake.write(snapshot_id)
    assert [entry.snapshot_id for entry in pruned(lake, last=1).removed] == [NEW, OLD]
    assert ids(lake, "_snapshots") == [LATER]
    assert set(ids(lake, "_scopes")) == {LATER}
    files = sorted(path.relative_to(lake.root).parts[2:4] for path in (lake.root / "_lake").rglob("part-*.parquet"))
    assert files == [("snapshot_date=2026-11-22", f"snapshot={LATER}")] * 2
    assert verify_lakes(lake.root) == ([], [])


async def test_a_column_that_a_release_adds_is_added(lake, monkeypatch):
    """The ledger of an older release has fewer columns, and its rows stay."""
    known = [name for name in LEDGER_SCHEMA.names if name != "request_id"]
    older = pa.schema([own_tables.SCOPES_SCHEMA.field(name) for name in ("snapshot_id", *known)])
    real = own_tables.scope_rows
    with monkeypatch.context() as patched:
        patched.setattr("crawler.snapshot.lake.publication.SCOPES_SCHEMA", older)
        patched.setattr(
            "crawler.snapshot.lake.publication.scope_rows",
            lambda *given: (batch.select(older.names) for batch in real(*given)),
        )
        await lake.write(OLD)
    assert "request_id" not in rows_of(lake, "_scopes")[0]
    await lake.write(NEW)
    assert {(row["snapshot_id"], row["request_id"]) for row in rows_of(lake, "_scopes")} == {(OLD, None), (NEW, "")}


async def test_append_keeps_the_rows_of_each_snapshot(history):
    await history.write(OLD)
    await history.write(NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f2", "f9"]})
    history.publish(NEW)
    rows = rows_of(history, "fc_functions")
    found = sorted((row["snapshot_date"], row["snapshot_id"], row["name"]) for row in rows)
    old, new = (date(2026, 11, 20), OLD), (date(2026, 11, 21), NEW)
    assert found == [(*old, "f1"), (*old, "f2"), (*old, "f3"), (*new, "f2"), (*new, "f9")]
    if history.kind == "iceberg":
        scan = history.table("fc_functions").scan(row_filter=EqualTo("snapshot_date", "2026-11-21"))
        assert len(list(scan.plan_files())) == 1
        assert sorted(scan.to_arrow()["name"].to_pylist()) == ["f2", "f9"]
    else:
        filtered = history.table("fc_functions").to_pyarrow_table(filters=[("snapshot_date", "=", date(2026, 11, 21))])
        assert sorted(filtered["name"].to_pylist()) == ["f2", "f9"]
    assert all((history.root / path).is_file() for path in paths_of(history))


def paths_of(lake):
    manifest = read_manifest(lake.root, NEW)
    return [file.path for entry in manifest.tables.values() for file in entry.files]


async def test_a_partial_snapshot_adds_no_resources(history):
    await history.write(OLD)
    await history.write(NEW, FUNCTIONS, [FAILED])
    assert set(ids(history, "fc_functions")) == {OLD}
    assert ids(history, "_snapshots") == [OLD, NEW]


async def test_prune_removes_the_rows_of_removed_snapshots_from_a_history(history):
    for snapshot_id in (OLD, NEW, LATER):
        await history.write(snapshot_id)
    assert [entry.snapshot_id for entry in pruned(history, last=2).removed] == [OLD]
    assert set(ids(history, "fc_functions")) == {NEW, LATER}
    history.publish(LATER)
    assert ids(history, "_snapshots") == [NEW, LATER]
    assert verify_lakes(history.root) == ([], [])
    if history.kind == "iceberg":
        assert len(history.table("fc_functions").snapshots()) == 1


async def test_a_tag_of_a_user_keeps_the_snapshots_of_a_history(tmp_path):
    history = Local("iceberg", tmp_path / "out", mode="append")
    await history.write(OLD)
    table = history.table("fc_functions")
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "mine").commit()
    for snapshot_id in (NEW, LATER):
        await history.write(snapshot_id)
    assert [entry.snapshot_id for entry in pruned(history, last=1).removed] == [NEW]
    assert set(ids(history, "fc_functions")) == {OLD, LATER}
    assert history.names("fc_functions", "mine") == ["f1", "f2", "f3"]


async def test_columns_that_a_release_adds_are_added_to_a_history(history):
    await history.write(OLD)
    config = pa.struct([*SCHEMA.field("config").type, pa.field("deep", pa.int64())])
    wide = SCHEMA.set(5, pa.field("config", config)).insert(6, pa.field("added", pa.timestamp("us", tz="UTC")))
    await history.write(NEW, schemas=dict.fromkeys(SCHEMAS, wide))
    await history.write(LATER)
    rows = rows_of(history, "fc_functions")
    assert {row["added"] for row in rows} == {None}
    assert set(rows[0]["config"]) == {"size", "tags", "deep"}
    assert len(rows) == 9


async def test_a_table_whose_content_was_replaced_begins_a_history(tmp_path):
    for kind in FORMATS:
        before = Local(kind, tmp_path / kind)
        await before.write(OLD)
        after = Local(kind, tmp_path / kind, mode="append")
        await after.write(NEW, FUNCTIONS)
        await after.write(LATER, FUNCTIONS)
        assert ids(after, "fc_functions") == [NEW, LATER]
        assert ids(after, "_snapshots") == [OLD, NEW, LATER]
        if kind == "iceberg":
            assert after.names("fc_functions", OLD) == ["f1", "f2", "f3"]


async def test_a_history_isnt_replaced(history):
    """A crawl without the configuration's key would remove it."""
    await history.write(OLD)
    settings = dataclasses.replace(history.settings, mode="replace")
    opened = open_lake(settings)
    with pytest.raises(ConfigError, match=r'\[output.lake\] mode is "replace", and the \w+ table .*fc_functions has'):
        opened.check([*SCHEMAS, *OWN_TABLES])
    manifest = await write_snapshot(history.root, NEW)
    with pytest.raises(UnfinishedCommitError, match="has the rows of many snapshots"):
        publish_lake(opened, manifest, SCHEMAS, read_ledger(history.root, manifest))
    assert set(ids(history, "fc_functions")) == {OLD}


@pytest.mark.parametrize("kind", FORMATS)
def test_the_folder_of_own_tables_is_not_one_of_a_table(kind, tmp_path):
    """A glob over the tables of an output never has the rows of these."""
    assert all(Path(own_tables.folder_of(name)).parts[0] == "_lake" for name in OWN_TABLES)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("kind", FORMATS)
async def test_a_lake_in_a_bucket_adds_and_removes_the_rows_of_snapshots(server, tmp_path, kind, mode):
    place = bucket_place(f"s3://{BUCKET}/{kind}-{mode}", server, tmp_path)
    settings = LakeSettings(kind, place, f"sqlite:///{tmp_path}/catalog.db", mode=mode)
    store = ObjectStore(place)
    for snapshot_id in (OLD, NEW, LATER):
        destination = await BucketDestination.begin(store, snapshot_id, START, SCHEMAS)
        writer = SnapshotWriter(destination, SCHEMAS)
        ledger = await write_scopes(writer, FUNCTIONS, snapshot_id)
        manifest = await writer.commit(draft(), ledger)
        await writer.abandon()
        done = publish_lake(open_lake(settings), manifest, SCHEMAS, Ledger(ledger))
        assert (done.format, done.tables_moved, done.problems) == (kind, 3, ())
    lakes = [open_lake(settings)]
    assert lakes[0].added([SNAPSHOT_TABLE]) == {OLD, NEW, LATER}
    plan = await prune_bucket(store, BucketReader(place), KeepRules(last=2), NOW, lakes)
    assert [entry.snapshot_id for entry in plan.removed] == [OLD]
    paths = [entry.path for entry in await store.list("_lake") if entry.path.endswith(".parquet")]
    assert sorted(snapshot_in_path(path) for path in paths) == [NEW, NEW, LATER, LATER]
    found = lakes[0].named(["fc_functions", *OWN_TABLES], [])
    assert found["_scopes"] == found["_snapshots"] == {NEW, LATER}
    is_one = kind == "delta" and mode == "replace"
    assert found["fc_functions"] == ({LATER} if is_one else {NEW, LATER})
