"""A committed snapshot for its readers: its files, manifest and ledger, in several reading programs."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, BrokenBarrierError

import anyio
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from crawler.errors import OutputError
from crawler.snapshot import (
    LEDGER_SCHEMA,
    DirectoryEntry,
    Status,
    has_rows,
    list_snapshots,
    new_snapshot_id,
    parts,
    read_manifest,
    schema_sha256,
    worst,
)
from crawler.snapshot import layout as paths
from crawler.snapshot import manifest as manifests
from crawler.snapshot.manifest import SkippedMember
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    OTHER,
    ROWS,
    SCHEMA,
    assert_manifest_holds,
    begin,
    draft,
    ledger_row,
    table_files,
    write_names,
    write_scopes,
    write_snapshot,
)

FUNCTIONS = f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}"


@pytest.fixture
async def root(tmp_path):
    """One complete snapshot: see `ROWS`."""
    await write_snapshot(tmp_path)
    return tmp_path


def test_layout_is_the_documented_one(root):
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert found == [
        f"_snapshots/{NEW}.json",
        f"_snapshots/{NEW}.json.sha256",
        f"_snapshots/{NEW}.scopes.parquet",
        "_snapshots/LATEST",
        "_staging/lock",
        f"{FUNCTIONS}/part-00000.parquet",
        f"opensearch_apps/snapshot_date=2026-11-21/snapshot={NEW}/part-00000.parquet",
    ]


def test_manifest_says_all_that_is_promised(root):
    text = (root / f"_snapshots/{NEW}.json").read_text()
    manifest = json.loads(text)
    assert text.endswith("}\n")
    assert list(manifest) == [
        "format", "snapshot_id", "status", "started_at", "finished_at", "version",
        "secrets", "fingerprint_key_id", "fingerprint_scope", "clock_skew_s", "plan_sha256",
        "tables", "scopes", "unknown_fields",
        "overhead", "directory", "left_out", "selection", "shards", "accounts", "accepted", "ledger",
    ]  # fmt: skip
    assert (manifest["format"], manifest["snapshot_id"], manifest["status"]) == (2, NEW, "complete")
    assert (manifest["started_at"], manifest["finished_at"]) == ("2026-11-21T02:00:00Z", "2026-11-21T02:05:00Z")
    assert {name: entry["rows"] for name, entry in manifest["tables"].items()} == {
        "fc_functions": 3,
        "opensearch_apps": 0,
    }
    first = manifest["tables"]["fc_functions"]["files"][0]
    assert set(first) == {"path", "rows", "bytes", "sha256"}
    assert first["sha256"] == hashlib.sha256((root / first["path"]).read_bytes()).hexdigest()
    assert manifest["scopes"]["total"] == 3
    assert manifest["scopes"]["by_status"]["complete"] == 3
    assert manifest["scopes"]["not_complete"] == []
    assert manifest["ledger"]["rows"] == 3
    assert_manifest_holds(root, NEW)


def test_checksum_is_what_sha256sum_checks(root):
    line = (root / f"_snapshots/{NEW}.json.sha256").read_text()
    assert line == f"{hashlib.sha256((root / f'_snapshots/{NEW}.json').read_bytes()).hexdigest()}  {NEW}.json\n"


def test_manifest_encodes_and_decodes_to_itself(root):
    text = (root / f"_snapshots/{NEW}.json").read_bytes()
    assert manifests.encode(manifests.decode(text, "it")) == text


def test_a_manifest_of_before_there_were_organizations_is_read(root):
    value = json.loads((root / f"_snapshots/{NEW}.json").read_text())
    assert (value.pop("directory"), value.pop("left_out")) == (None, [])
    manifest = manifests.decode(json.dumps(value).encode(), "it")
    assert (manifest.directory, manifest.left_out) == (None, [])


@pytest.mark.parametrize(
    ("directory", "snapshot"),
    [
        (None, "complete"),
        ("complete", "complete"),
        ("unstable", "partial"),
        ("denied", "partial"),
        ("failed", "partial"),
    ],
)
async def test_a_directory_that_is_not_known_whole_makes_the_snapshot_partial(tmp_path, directory, snapshot):
    entry = directory and DirectoryEntry(account_id=ACCOUNT, status=Status(directory), members=3)
    left_out = [SkippedMember(OTHER, "other", "It isn't active.")]
    writer = await begin(tmp_path)
    ledger = await write_scopes(writer)
    manifest = await writer.commit(draft(directory=entry, left_out=left_out), ledger)
    assert manifest.status == snapshot
    found = read_manifest(tmp_path, NEW)
    assert (found.directory, found.left_out) == (entry, left_out)
    assert (tmp_path / "_snapshots/LATEST").exists() == (snapshot == "complete")


def test_ledger_has_a_row_for_each_scope(root):
    table = pq.read_table(root / f"_snapshots/{NEW}.scopes.parquet")
    assert table.schema.equals(LEDGER_SCHEMA)
    assert list(table.column_names) == [
        "account_id", "region_id", "table", "status", "written", "rows", "rows_seen", "lists", "pages", "requests",
        "retries", "throttled", "duplicates", "conflicts", "coerced", "misfits", "vanished", "walk", "error_code",
        "error_message", "request_id", "started_at", "finished_at", "account_name", "accepted_reason",
        "accepted_until", "incomplete_since",
    ]  # fmt: skip
    rows = {(r["table"], r["account_id"], r["region_id"]): r["rows"] for r in table.to_pylist()}
    assert rows == {scope: len(names) for scope, names in ROWS.items()}


def test_account_id_stays_text_for_every_reader(root):
    """The path's keys have names of their own, so no reader takes a column's type from a path."""
    with duckdb.connect() as connection:
        relation = connection.sql(
            f"select account_id, typeof(account_id), name, config.tags['a'], region_id from "
            f"read_parquet('{root}/fc_functions/**/*.parquet', hive_partitioning = true) order by name"
        )
        assert relation.fetchall() == [
            (ACCOUNT, "VARCHAR", "f1", "b", "cn-hangzhou"),
            (ACCOUNT, "VARCHAR", "f2", "b", "cn-hangzhou"),
            (OTHER, "VARCHAR", "f3", "b", "cn-shanghai"),
        ]
        empty = f"select count(*) from read_parquet('{root}/opensearch_apps/**/*.parquet', hive_partitioning = true)"
        assert connection.sql(empty).fetchall() == [(0,)]
    dataset = ds.dataset(root / "fc_functions", partitioning="hive")
    assert dataset.to_table().sort_by("name")["account_id"].to_pylist() == [ACCOUNT, ACCOUNT, OTHER]
    assert dataset.schema.field("account_id").type == pa.string()
    frame = pl.read_parquet(root / "fc_functions/**/*.parquet", hive_partitioning=True)
    assert frame.sort("name")["account_id"].to_list() == [ACCOUNT, ACCOUNT, OTHER]
    assert pl.read_parquet(root / "opensearch_apps/**/*.parquet").height == 0


async def test_parts_that_are_named_at_the_same_moment_have_names_of_their_own(tmp_path, monkeypatch):
    """P5: a flush names the own parts of a long list while a part of other scopes is written."""
    at_once = Barrier(2)

    def part_path(*arguments):
        with suppress(BrokenBarrierError):
            at_once.wait(5)
        return paths.part_path(*arguments)

    writer = await begin(tmp_path, memory_bytes=1, part_bytes=1)
    ledger = []
    for account, names in ((ACCOUNT, ["f1"]), (OTHER, ["f2", "f3"])):
        scope = writer.scope("fc_functions", account, "cn-hangzhou", has_one_list=True)
        reading = scope.list()
        for name in names:
            await write_names(reading, [name], account=account)
        reading.finish()
        scope.keep()
        ledger.append(ledger_row("fc_functions", account, rows=len(names), rows_seen=len(names)))
        if account == ACCOUNT:
            await writer.flush()
    monkeypatch.setattr("crawler.snapshot.rows.table_writer.part_path", part_path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.write_due_parts)
        tasks.start_soon(writer.flush)
    assert not at_once.broken
    manifest = await writer.commit(draft(), ledger)
    assert [file.path[-18:] for file in parts(manifest, "fc_functions")] == ["part-00000.parquet", "part-00001.parquet"]
    assert_manifest_holds(tmp_path, NEW)


async def test_empty_table_has_one_file_without_rows(tmp_path):
    writer = await begin(tmp_path)
    ledger = [
        ledger_row("opensearch_apps", account="3", status=Status.COMPLETE),
        ledger_row("opensearch_apps", account="2", region="cn-b", status=Status.COMPLETE),
        ledger_row("opensearch_apps", account="2", region="cn-a", status=Status.UNSUPPORTED),
        ledger_row("opensearch_apps", account="1", status=Status.TRUNCATED),
        ledger_row("fc_functions", account="1", status=Status.DENIED),
        ledger_row("fc_functions", account="2", status=Status.UNSUPPORTED),
    ]
    manifest = await writer.commit(draft(), ledger)
    assert manifest.status == "partial"
    files = parts(manifest, "opensearch_apps")
    assert [(file.path, file.rows) for file in files] == [
        (f"opensearch_apps/snapshot_date=2026-11-21/snapshot={NEW}/part-00000.parquet", 0)
    ]
    assert pq.read_schema(tmp_path / files[0].path).equals(SCHEMA)
    # A table without any known scope is absent, not empty.
    assert set(manifest.tables) == {"opensearch_apps"}
    assert not (tmp_path / "fc_functions").exists()
    assert not (tmp_path / "_snapshots/LATEST").exists()
    with pytest.raises(OutputError, match="has no table 'fc_functions'; it has: opensearch_apps"):
        parts(manifest, "fc_functions")


async def test_parent_that_was_not_asked_for_is_in_the_ledger_and_has_no_file(tmp_path):
    manifest = await write_snapshot(tmp_path, extra_rows=[ledger_row("fc2_services", written=False, rows_seen=4)])
    assert "fc2_services" not in manifest.tables
    assert manifest.scopes.total == len(ROWS) + 1
    assert {path.split("/")[0] for path in table_files(tmp_path)} == {"fc_functions", "opensearch_apps"}
    ledger = pq.read_table(tmp_path / manifest.ledger.path).to_pylist()
    assert [row["table"] for row in ledger if not row["written"]] == ["fc2_services"]


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: ledger[1:],
        lambda ledger: [*ledger[1:], ledger_row("fc_functions", rows=1)],
        lambda ledger: [*ledger[1:], ledger_row("fc_functions", status=Status.FAILED)],
        lambda ledger: [*ledger, ledger_row("fc2_services", rows=5)],
        lambda ledger: [],
    ],
    ids=["scope missing", "other row count", "rows of a failed scope", "rows without a file", "no scope"],
)
async def test_ledger_that_contradicts_the_files_is_not_committed(tmp_path, change):
    """P5: a scope's status in the manifest always agrees with its files."""
    writer = await begin(tmp_path)
    ledger = await write_scopes(writer)
    with pytest.raises(OutputError, match=r"disagree about 1 scopes|without any scope"):
        await writer.commit(draft(), change(ledger))
    await writer.abandon()
    assert table_files(tmp_path) == {}


async def test_scope_that_was_dropped_is_not_committed_as_empty(tmp_path):
    """P5: a failure never looks like a deletion."""
    writer = await begin(tmp_path)
    await writer.scope("fc_functions", ACCOUNT, "cn-hangzhou").drop()
    with pytest.raises(OutputError, match="disagree about 1 scopes"):
        await writer.commit(draft(), [ledger_row("fc_functions", status=Status.COMPLETE)])
    await writer.abandon()


async def test_scope_that_still_runs_is_not_committed(tmp_path):
    writer = await begin(tmp_path)
    ledger = await write_scopes(writer)
    await write_names(writer.scope("fc_functions", "7", "cn-beijing").list(), ["x"])
    with pytest.raises(OutputError, match=r"\('fc_functions', '7', 'cn-beijing'\)"):
        await writer.commit(draft(), ledger)
    await writer.abandon()


async def test_history_is_newest_first_and_shows_what_cannot_be_read(root):
    await write_snapshot(root, OLD)
    broken = "20261119T020000Z-0001"
    (root / f"_snapshots/{broken}.json").write_text('{"format": 1')
    (root / "_snapshots/notes.json").write_text("{}")
    new, old, unreadable = list_snapshots(root)
    assert (new.snapshot_id, new.is_latest, new.rows, new.files, new.tables, new.scopes) == (NEW, True, 3, 2, 2, 3)
    assert (old.snapshot_id, old.is_latest, old.status) == (OLD, False, "complete")
    assert (unreadable.snapshot_id, unreadable.status) == (broken, "")
    assert "is not a readable manifest" in unreadable.error


def test_history_of_nothing_is_empty(tmp_path):
    assert list_snapshots(tmp_path) == []
    with pytest.raises(OutputError, match="no complete snapshot"):
        read_manifest(tmp_path, "latest")


def test_reading_a_manifest_by_a_wrong_name_says_so(root):
    with pytest.raises(OutputError, match="unknown snapshot ID"):
        read_manifest(root, "../../etc/passwd")
    with pytest.raises(OutputError, match=f"has no snapshot {OLD}"):
        read_manifest(root, OLD)


@pytest.mark.parametrize("position", [10, 200, -3])
def test_changed_manifest_is_seen(root, position):
    path = root / f"_snapshots/{NEW}.json"
    text = bytearray(path.read_bytes())
    text[position] ^= 1
    path.write_bytes(text)
    with pytest.raises(OutputError, match="doesn't match its checksum"):
        read_manifest(root, NEW)


def at(manifest, *keys):
    for key in keys:
        manifest = manifest[key]
    return manifest


def gap(**fields):
    """A scope in `not_complete`."""
    return {"account_id": "1", "region_id": "cn-hangzhou", "table": "fc_layers", "status": "denied", **fields}


MALFORMED = {
    "no json": b"PAR1",
    "not utf-8": b'{"format": 1, "snapshot_id": "\xff"}',
    "empty": b"",
    "a list": b"[]",
    "no format": b"{}",
    "deep": b'{"format": 1, "tables": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_malformed_manifest_is_one_clear_error(text):
    with pytest.raises(OutputError, match=r"^it is not a readable manifest: ."):
        manifests.decode(text, "it")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=3), "it has format 3, this version reads 1 and 2"),
        (lambda m: m.update(status="fine"), r"Invalid enum value 'fine' - at `\$\.status`"),
        (lambda m: m.update(started_at="2026-11-21T02:00:00"), r"timezone.* - at `\$\.started_at`"),
        (lambda m: m.pop("ledger"), "missing required field `ledger`"),
        (lambda m: m.update(snapshot_id="../x"), "'../x' is not a snapshot ID"),
        (lambda m: at(m, "tables", "fc_functions", "files", 0).update(path="../../etc/passwd"), "not a path of its"),
        (lambda m: at(m, "tables", "fc_functions", "files", 0).update(path=f"{FUNCTIONS}/../x/y"), "not a path of its"),
        (lambda m: at(m, "tables", "fc_functions", "files", 0).update(rows="3"), "Expected `int`, got `str`"),
        (lambda m: at(m, "ledger").update(path="/etc/passwd"), "not a path of its snapshot"),
        (lambda m: m["tables"].update({"../x": m["tables"]["fc_functions"]}), "'../x' can't be a table's name"),
        (
            lambda m: m["tables"].update({"../x": {**m["tables"]["fc_functions"], "files": []}}),
            "can't be a table's name",
        ),
        (lambda m: m["unknown_fields"].update({"A\n": {}}), r"'A\\n' can't be a table's name"),
        (lambda m: m.update(started_at="0001-01-01T00:00:00+14:00"), "not in the years 1900 to 9998"),
        (lambda m: m.update(finished_at="9999-12-31T23:59:59-12:00"), "not in the years 1900 to 9998"),
        (lambda m: m.update(started_at="1899-12-31T23:59:59Z"), "not in the years 1900 to 9998"),
        (
            lambda m: m["scopes"]["not_complete"].append(gap(started_at="9999-12-31T23:59:59Z")),
            "the start or the end of",
        ),
        (
            lambda m: m["scopes"]["not_complete"].append(gap(finished_at="2026-11-21T02:00:00")),
            "the start or the end of",
        ),
        (lambda m: m["scopes"]["not_complete"].append(gap(table="../x")), "'../x' can't be a table's name"),
        (lambda m: m.update(snapshot_id="20261399T020000Z-7f3a"), "'20261399T020000Z-7f3a' is not a snapshot ID"),
        (lambda m: m.update(snapshot_id="99991231T020000Z-7f3a"), "'99991231T020000Z-7f3a' is not a snapshot ID"),
        (
            lambda m: at(m, "tables", "fc_functions", "files").append(at(m, "tables", "fc_functions", "files", 0)),
            "twice",
        ),
        (lambda m: at(m, "tables", "fc_functions").update(rows=-1), "Expected `int` >= 0"),
        (lambda m: at(m, "tables", "fc_functions").update(bytes=10**4000), "Expected `int` <= "),
        (lambda m: m.update(clock_skew_s=1e300), "clock_skew_s"),
        (lambda m: m.update(version="x" * 70_000), r"length <= 65536 - at `\$\.version`"),
        (lambda m: m["overhead"].update({str(i): 1 for i in range(101)}), r"length <= 100 - at `\$\.overhead`"),
    ],
)
def test_manifest_that_is_not_of_its_format_is_one_clear_error(root, change, message):
    """T31: also with what no snapshot has: other tables' names, paths that leave it, instants that no day has."""
    manifest = json.loads((root / f"_snapshots/{NEW}.json").read_bytes())
    change(manifest)
    with pytest.raises(OutputError, match=message):
        manifests.decode(json.dumps(manifest).encode(), "it")


def test_manifest_of_a_later_version_with_more_fields_is_read(root):
    manifest = json.loads((root / f"_snapshots/{NEW}.json").read_bytes())
    manifest["shard"] = {"i": 1}
    assert manifests.decode(json.dumps(manifest).encode(), "it").snapshot_id == NEW


def test_schema_hash_is_of_names_types_and_nullability():
    base = schema_sha256(SCHEMA)
    assert base == schema_sha256(SCHEMA.with_metadata({"k": "v"}))
    others = [
        SCHEMA.remove(0),
        SCHEMA.set(0, pa.field("account", pa.string())),
        SCHEMA.set(0, pa.field("account_id", pa.int64())),
        SCHEMA.set(0, pa.field("account_id", pa.string(), nullable=False)),
        pa.schema([SCHEMA.field(1), SCHEMA.field(0), *list(SCHEMA)[2:]]),
        SCHEMA.set(5, pa.field("config", pa.struct([pa.field("size", pa.int64())]))),
        SCHEMA.set(5, pa.field("config", pa.list_(pa.int64()))),
        SCHEMA.set(5, pa.field("config", pa.list_(pa.field("item", pa.int64(), nullable=False)))),
    ]
    assert len({base, *map(schema_sha256, others)}) == len(others) + 1


def test_schema_hash_survives_the_file(root):
    manifest = read_manifest(root, "latest")
    for table in manifest.tables.values():
        assert schema_sha256(pq.read_schema(root / table.files[0].path)) == table.schema_sha256


def test_snapshot_id_is_the_start_in_utc_and_four_digits():
    cest = datetime.fromisoformat("2026-11-21T03:00:00+01:00")
    assert new_snapshot_id(cest, lambda: 0.49) == "20261121T020000Z-7d70"
    assert new_snapshot_id(datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=0.9), float) == "20260102T000000Z-0000"
    assert new_snapshot_id(cest, lambda: 1 - 2**-53).endswith("-ffff")


def test_worst_status_counts():
    order = ["failed", "denied", "not_attempted", "unstable", "truncated", "unsupported", "complete"]
    for n in range(len(order)):
        assert worst(Status(text) for text in reversed(order[n:])) == order[n]
    assert worst([]) is Status.COMPLETE
    assert [status.value for status in Status if has_rows(status)] == ["complete", "truncated", "unstable"]
