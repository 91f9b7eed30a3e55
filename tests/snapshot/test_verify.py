"""P13, P19, F54: verify finds and names every difference from the commit, in any bit, file or name."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import random
import shutil

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from crawler.errors import OutputError
from crawler.snapshot import Status, manifest, read_manifest, verify
from crawler.snapshot.layout import checksum_path, ledger_path, manifest_path, pruned, staged
from crawler.snapshot.verify import verify_all, verify_snapshot
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import ACCOUNT, NEW, OLD, OTHER, ledger_row, write_snapshot

MANIFEST, CHECKSUM, LEDGER, LATEST = manifest_path(NEW), checksum_path(NEW), ledger_path(NEW), "_snapshots/LATEST"
FOLDER = f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}"
PART, OTHER_PART = f"{FOLDER}/part-00000.parquet", f"{FOLDER}/part-00001.parquet"


def duckdb_rows(root):
    glob = f"{root}/fc_functions/snapshot_date=*/**/*.parquet"
    sql = f"SELECT count(*) FROM read_parquet('{glob}', hive_partitioning = false, union_by_name = true)"
    return duckdb.sql(sql).fetchall()[0][0]


def polars_rows(root):
    glob = f"{root}/fc_functions/**/*.parquet"
    return pl.scan_parquet(glob, hive_partitioning=False).select(pl.len()).collect().item()


def pyarrow_rows(root):
    return pyarrow.dataset.dataset(root / "fc_functions", format="parquet").count_rows()


# As in README and docs/reading.md.
READERS = {"duckdb": duckdb_rows, "polars": polars_rows, "pyarrow": pyarrow_rows}


@pytest.fixture
async def root(tmp_path):
    """An output with two complete snapshots. Each has two parts of `fc_functions`."""
    await write_snapshot(tmp_path, OLD, part_bytes=1)
    await write_snapshot(tmp_path, part_bytes=1)
    return tmp_path


def files_of(root):
    """Every committed file, as text, with its content."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != "lock"}


def bad(root):
    """{path: reason} of all that is wrong."""
    verdicts, loose = verify_all(root)
    return {file.path: file.reason for file in [*loose, *(file for v in verdicts for file in v.bad_files)]}


def test_what_was_committed_is_whole(root):
    verdicts, loose = verify_all(root)
    assert [(v.snapshot_id, v.status, v.files, v.rows, v.is_whole) for v in verdicts] == [
        (NEW, "complete", 4, 3, True),
        (OLD, "complete", 4, 3, True),
    ]
    assert loose == []
    assert (root / CHECKSUM).read_text().startswith(verdicts[0].manifest_sha256)


async def test_one_flipped_bit_at_any_of_a_thousand_positions_is_found(tmp_path):
    """Positions are spread over all bytes of all files; each file has some."""
    root = tmp_path
    await write_snapshot(root, rows={("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1", "f2"]})
    contents = files_of(root)
    assert len(contents) == 1 + 3 + 1
    dice = random.Random(20261121)
    places = [(path, position) for path, content in contents.items() for position in range(len(content))]
    chosen = dice.sample(places, 1000 - len(contents))
    chosen += [(path, dice.randrange(len(content))) for path, content in contents.items()]
    for path, position in chosen:
        damaged = bytearray(contents[path])
        damaged[position] ^= 1 << dice.randrange(8)
        (root / path).write_bytes(damaged)
        found = bad(root)
        assert path in found or path.rpartition("/")[2] in found.get(path.removesuffix(".sha256"), ""), (path, position)
        assert len(found) == 1 or path.endswith(".json"), "a manifest that was changed accuses others"
        (root / path).write_bytes(contents[path])
    assert bad(root) == {}


@pytest.mark.parametrize("path", [PART, OTHER_PART, MANIFEST, CHECKSUM, LEDGER, LATEST])
def test_a_missing_file_is_named(root, path):
    (root / path).unlink()
    assert bad(root) == {path: "is missing"}


@pytest.mark.parametrize("path", [PART, LEDGER])
def test_a_cut_file_is_named_with_both_sizes(root, path):
    content = (root / path).read_bytes()
    (root / path).write_bytes(content[:-1])
    assert bad(root) == {path: f"has {len(content) - 1} bytes, its manifest says {len(content)}"}


def test_a_cut_manifest_is_named_once_for_each_thing_that_is_wrong(root):
    content = (root / MANIFEST).read_bytes()
    (root / MANIFEST).write_bytes(content[:-5])
    reasons = [file.reason for file in verify_snapshot(root, NEW).bad_files]
    assert ["is not a readable manifest" in reason for reason in reasons] == [True, False]
    assert "doesn't match" in reasons[1]
    assert bad(root).keys() == {MANIFEST}


def test_swapped_parts_are_both_named_with_where_they_belong(root):
    first, second = (root / PART).read_bytes(), (root / OTHER_PART).read_bytes()
    (root / PART).write_bytes(second)
    (root / OTHER_PART).write_bytes(first)
    assert bad(root) == {PART: f"has the content of {OTHER_PART}", OTHER_PART: f"has the content of {PART}"}


def test_swapped_manifests_are_found(root):
    for name in (manifest_path, checksum_path):
        first, second = root / name(OLD), root / name(NEW)
        contents = first.read_bytes(), second.read_bytes()
        first.write_bytes(contents[1])
        second.write_bytes(contents[0])
    reasons = {file.path: file.reason for file in verify_snapshot(root, OLD).bad_files}
    assert f"is the manifest of another snapshot, {NEW}" == reasons[manifest_path(OLD)]


def test_a_file_that_cannot_be_read_is_named_with_why(root):
    (root / PART).unlink()
    (root / PART).mkdir()
    assert bad(root)[PART] == "is a folder, not a regular file"


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENOMEM, "x"), pa.ArrowMemoryError("x")]
)
def test_a_shortage_is_no_damage(root, monkeypatch, error):
    """F66: a machine without memory or open files says nothing about the files."""

    def refuse(*_):
        raise error

    monkeypatch.setattr(verify, "_opened", refuse)
    with pytest.raises(type(error)):
        verify_snapshot(root, NEW)


def recommit(root, change):
    """Write a changed manifest with its checksum again, so that only its content differs."""
    found = change(root, read_manifest(root, NEW))
    text = manifest.encode(found)
    (root / MANIFEST).write_bytes(text)
    (root / CHECKSUM).write_bytes(manifest.checksum_line(text, NEW))


def sealed(root, file):
    """A manifest's entry for a file as it is now."""
    content = (root / file.path).read_bytes()
    return dataclasses.replace(file, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def with_part(root, found):
    entry = found.tables["fc_functions"]
    files = [sealed(root, file) if file.path == PART else file for file in entry.files]
    return msgspec.structs.replace(
        found, tables={**found.tables, "fc_functions": msgspec.structs.replace(entry, files=files)}
    )


def with_ledger(root, found):
    return msgspec.structs.replace(found, ledger=sealed(root, found.ledger))


def test_a_part_that_was_written_wrongly_is_found_though_its_hash_is_right(root):
    """Not Parquet; other rows; another schema."""
    table = pq.read_table(root / PART, partitioning=None)
    for write, reason in [
        (lambda path: path.write_bytes(b"PAR1 and no more"), "isn't readable Parquet"),
        (lambda path: pq.write_table(table.slice(0, 1), path), "has 1 rows, its manifest says 2"),
        (lambda path: pq.write_table(table.drop_columns("name"), path), "has another schema"),
    ]:
        write(root / PART)
        recommit(root, with_part)
        assert reason in bad(root)[PART]


def test_a_ledger_of_another_snapshot_is_found_though_its_hash_is_right(root):
    table = pq.read_table(root / LEDGER, partitioning=None)
    column = pa.array(["denied", *table["status"].to_pylist()[1:]])
    changed = table.set_column(table.schema.names.index("status"), table.schema.field("status"), column)
    for content, reason in [(changed, "has other scopes than"), (table.slice(1), "has 2 rows, its manifest says 3")]:
        pq.write_table(content, root / LEDGER)
        recommit(root, with_ledger)
        assert reason in bad(root)[LEDGER]


def test_a_status_that_the_ledger_contradicts_is_found(root):
    """A gap that no rule accepts can't be in a complete snapshot."""
    recommit(root, lambda _, found: msgspec.structs.replace(found, status="partial"))
    assert bad(root)[LEDGER] == "makes the snapshot complete, its manifest says partial"


def test_sums_that_do_not_add_up_are_found(root):
    def change(_, found):
        entry = msgspec.structs.replace(found.tables["fc_functions"], rows=7)
        return msgspec.structs.replace(found, tables={**found.tables, "fc_functions": entry})

    recommit(root, change)
    assert "fc_functions" in bad(root)[MANIFEST]


DATE = FOLDER.rpartition("/")[0]
INSIDE = f"account={ACCOUNT}/region=cn-hangzhou"
ORPHANS = [
    f"{FOLDER}/part-00002.parquet",
    f"{FOLDER}/part-00000-7f3a7f3a.parquet",
    f"{FOLDER}/._part-00000.parquet",
    f"{FOLDER}/_extra.parquet",
    f"{FOLDER}/part-00000.parquet.bak",
    f"{FOLDER}/{INSIDE}/part-0.parquet",
    f"{FOLDER}/{INSIDE}/extra.parquet",
    f"{FOLDER}/account={ACCOUNT}/.region/extra.parquet",
    f"{FOLDER}/account={ACCOUNT}/extra.parquet",
    "fc_functions/extra.parquet",
    f"{DATE}/extra.parquet",
    f"{FOLDER} (copy)/part-00000.parquet",
    f"{DATE} (copy)/snapshot={NEW}/part-00000.parquet",
    f"fc_functions/snapshot_date=2026-11-20/snapshot={NEW}/part-00000.parquet",
    f"{DATE}/.snapshot={NEW}/part-00000.parquet",
    "fc_functions/a/b/c/d/extra.parquet",
    "fc_functions/.a/_b/c/d/e/f/extra.parquet",
    "fc_functions/extra",
    f"{FOLDER.replace('fc_functions', 'fc_functions (copy)')}/part-00000.parquet",
    "fc_old/snapshot_date=2025-01-01/part-00000.parquet",
]


def put_part(root, path):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / PART, root / path)


@pytest.mark.parametrize("path", ORPHANS)
def test_orphan_that_a_reader_takes_along_is_named(root, path):
    """F74: below a table's folder at any depth, under any name, and in another folder that looks like a table's."""
    put_part(root, path)
    assert bad(root).keys() == {path}


@pytest.mark.parametrize("path", [path for path in ORPHANS if path.startswith("fc_functions/")])
def test_no_reader_of_the_documentation_takes_along_what_is_not_named(root, path):
    """F74: DuckDB's and Polars' globs and pyarrow's folder have the rows of the orphan; each of them is a witness."""
    counts = {name: count(root) for name, count in READERS.items()}
    assert set(counts.values()) == {6}
    put_part(root, path)
    witnesses = {name for name, count in READERS.items() if count(root) != counts[name]}
    assert witnesses, "no reader takes it along"


def test_link_that_a_reader_follows_is_named(root):
    """F74: a link to a folder or a file; the table's own link is not searched, and leads nowhere."""
    before = READERS["polars"](root)
    (root / f"{DATE}/copy").symlink_to(root / FOLDER)
    assert READERS["polars"](root) > before
    (root / f"{FOLDER}/link.parquet").symlink_to("part-00000.parquet")
    (root / "fc_linked").symlink_to("fc_functions")
    (root / "fc_functions/up").symlink_to(root)
    assert bad(root).keys() == {
        f"{DATE}/copy",
        f"{FOLDER}/link.parquet",
        "fc_linked",
        "fc_functions/up",
    }


def test_what_no_reader_takes_along_is_not_named(root):
    """F74: files of the Delta log, of the staging folder, of other programs, and beside the tables."""
    for path in (
        f"{FOLDER}/.inprogress",
        f"{FOLDER}/_SUCCESS",
        "notes.txt",
        "extra.parquet",
        "exports/extra.parquet",
        "fc_functions/_delta_log/00000000000000000010.checkpoint.parquet",
        "fc_functions/.DS_Store",
        "_iceberg/acs_inventory/fc_functions/snapshot_date=x/metadata.parquet",
        f"_staging/{OLD.replace('00aa', '00bb')}/{PART}",
        f"_staging/prune-{OLD.replace('00aa', '00bb')}/fc_functions/part-00000.parquet",
    ):
        put_part(root, path)
    (root / "fc_functions/readme.md").write_text("About this table")
    (root / "fc_functions/.#readme.md").symlink_to("nowhere")
    assert bad(root) == {}


def test_snapshot_in_a_folder_of_a_table_that_it_does_not_have_is_an_orphan(root):
    """F74: whatever its path looks like, a file that no manifest lists is one."""
    orphan = PART.replace("fc_functions", "fc_layers")
    put_part(root, orphan)
    assert bad(root).keys() == {orphan}
    assert bad(root)[orphan] == "is in no snapshot's manifest, but a reader with a glob pattern reads it"


def test_folders_without_end_are_named_and_not_followed(root):
    """F74"""
    (root / "fc_functions" / "/".join("d" * 80)).mkdir(parents=True)
    [(path, reason)] = bad(root).items()
    assert path.startswith("fc_functions/d/d/")
    assert "nested more than 64 deep" in reason


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("path", [PART, MANIFEST, CHECKSUM, LEDGER, LATEST])
def test_file_that_is_not_regular_is_named_and_verify_ends(root, path, kind):
    """F72"""
    put(root / path, kind)
    with ends_within(10):
        found = bad(root)
    assert found[path] == f"is {kind}, not a regular file"
    assert {verdict.snapshot_id for verdict in verify_all(root)[0] if verdict.is_whole} >= {OLD}


@pytest.mark.parametrize("path", [PART, MANIFEST, CHECKSUM, LEDGER, LATEST])
def test_file_of_a_terabyte_is_not_read(root, path):
    """F72: a file with holes takes no space on the disk."""
    with (root / path).open("r+b") as file:
        file.truncate(1 << 40)
    with ends_within(10):
        assert path in bad(root)


@pytest.mark.parametrize("folder", ["_snapshots", "fc_functions", FOLDER])
def test_link_in_place_of_a_folder_is_not_followed(root, folder):
    """T32"""
    (root / folder).rename(root / "moved")
    (root / folder).symlink_to(root / "moved")
    if folder == "_snapshots":
        with pytest.raises(OutputError, match="_snapshots is a symbolic link, not a folder"):
            verify_all(root)
    else:
        assert f"{folder.rpartition('/')[2]} is a symbolic link" in bad(root)[PART]


def test_manifest_that_cannot_be_read_does_not_keep_the_others_from_being_verified(root):
    """F75"""
    text = (root / MANIFEST).read_bytes().replace(b'"started_at": "2026', b'"started_at": "0001')
    (root / MANIFEST).write_bytes(text)
    (root / CHECKSUM).write_bytes(manifest.checksum_line(text, NEW))
    verdicts, loose = verify_all(root)
    assert loose == []
    assert [(verdict.snapshot_id, verdict.is_whole) for verdict in verdicts] == [(NEW, False), (OLD, True)]
    assert "not in the years 1900 to 9998" in verdicts[0].bad_files[0].reason


def test_a_snapshot_whose_own_files_are_all_gone_is_found_by_its_folders(root):
    for path in (MANIFEST, CHECKSUM, LEDGER):
        (root / path).unlink()
    (root / LATEST).write_text(f"{OLD}\n")
    assert bad(root).keys() == {FOLDER, FOLDER.replace("fc_functions", "opensearch_apps")}


async def test_latest_must_name_the_newest_complete_snapshot(root):
    (root / LATEST).write_text(f"{OLD}\n")
    assert bad(root) == {LATEST: f"names {OLD}, and the newest complete snapshot is {NEW}"}
    (root / LATEST).write_bytes(b"\x1b[31m\n")
    assert bad(root) == {LATEST: "names '\\x1b[31m', which is not a complete snapshot here"}
    (root / LATEST).write_text(f"{NEW}\n")
    denied = ledger_row("opensearch_apps", OTHER, "cn-shanghai", Status.DENIED)
    await write_snapshot(root, "20261122T020000Z-7f3a", extra_rows=[denied])
    assert bad(root) == {}, "LATEST stays on the last complete one"


def test_what_is_on_its_way_in_or_out_is_passed_over(root):
    """A crawl between its tables and its manifest; a prune between the manifest and the tables."""
    content = (root / MANIFEST).read_bytes()
    (root / LATEST).write_text(f"{OLD}\n")
    for place in (staged(NEW), pruned(NEW)):
        (root / MANIFEST).unlink()
        (root / place).mkdir()
        assert bad(root) == {}
        with pytest.raises(OutputError, match=f"no snapshot {NEW}"):
            verify_snapshot(root, NEW)
        (root / place).rmdir()
        (root / MANIFEST).write_bytes(content)
    (root / staged(NEW)).mkdir()
    assert bad(root) == {}, "the manifest is in place, LATEST comes next"


def test_a_snapshot_that_is_pruned_while_it_is_read_is_no_finding(root, monkeypatch):
    def prune_then_check(*given):
        for path in (MANIFEST, CHECKSUM, LEDGER):
            (root / path).unlink(missing_ok=True)
        shutil.rmtree(root / "fc_functions")
        return original(*given)

    original = verify._check_files
    monkeypatch.setattr(verify, "_check_files", prune_then_check)
    with pytest.raises(OutputError, match="was removed while it was read"):
        verify_snapshot(root, NEW)


def test_among_all_one_that_is_pruned_while_it_is_read_is_passed_over(root, monkeypatch):
    def prune_then_check(where, manifest):
        if manifest.snapshot_id == OLD:
            for path in (manifest_path(OLD), checksum_path(OLD), ledger_path(OLD)):
                (root / path).unlink()
            for folder in list(root.glob(f"*/*/snapshot={OLD}")):
                shutil.rmtree(folder)
        return original(where, manifest)

    original = verify._check_files
    monkeypatch.setattr(verify, "_check_files", prune_then_check)
    verdicts, loose = verify_all(root)
    assert ([verdict.snapshot_id for verdict in verdicts], loose) == ([NEW], [])


@pytest.mark.parametrize("name", ["20260101T000000Z-0000", "../../etc/passwd", "LATEST"])
def test_a_snapshot_that_is_not_there_is_an_error(root, name):
    with pytest.raises(OutputError, match="snapshot"):
        verify_snapshot(root, name)


def test_an_output_without_snapshots_has_nothing_to_verify(tmp_path):
    assert verify_all(tmp_path) == ([], [])
