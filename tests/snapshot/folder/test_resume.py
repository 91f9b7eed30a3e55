"""P3, P27, F56, F111, F112: a resume takes over only scopes that are whole and intact, with their parents."""

from __future__ import annotations

import errno
import os
import zlib
from datetime import timedelta

import anyio
import anyio.from_thread
import pyarrow.parquet as pq
import pytest

from crawler.errors import ConfigError, OutputBusyError, OutputError
from crawler.snapshot import FolderDestination, SnapshotWriter, Status, read_manifest
from crawler.snapshot.disk import Disk
from crawler.snapshot.journal import journal_path, read_journals
from crawler.snapshot.layout import staged
from crawler.snapshot.verify import verify_all
from tests.support.journals import encoded, ends, records
from tests.support.noted_scopes import CONDITIONS, FAMILIES, HERE, LISTS, PLAN, SCOPES, THERE, note_long_list, write
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import (
    NEW,
    OLD,
    ROWS,
    SCHEMAS,
    START,
    Crash,
    FaultyDisk,
    UnpromotedDisk,
    begin,
    die,
    draft,
    ledger_row,
    manifest_ids,
    staging_names,
    write_snapshot,
)


async def resume(root, now=START, disk=None):
    return SnapshotWriter(await FolderDestination.resume(root, now, disk=disk), SCHEMAS)


async def open_journal(writer, plan=PLAN, conditions=CONDITIONS):
    return await writer.open_journal(plan, conditions, FAMILIES)


async def dead_crawl(root, scopes=SCOPES, **changes):
    """A crawl that died with these scopes noted."""
    writer = await begin(root)
    await open_journal(writer)
    await write(writer, scopes, **changes)
    die(writer)
    return writer


async def finished(root, disk=None):
    """Go on and commit: the scopes that were taken over, and the manifest."""
    writer = await resume(root, disk=disk)
    noted = await open_journal(writer)
    manifest = await writer.commit(draft(), await write(writer, noted=noted))
    return {record.scope for record in noted}, manifest


def assert_whole(root, snapshot_ids=(NEW,)):
    verdicts, loose = verify_all(root)
    assert (sorted(v.snapshot_id for v in verdicts), loose) == (sorted(snapshot_ids), [])
    assert all(verdict.is_whole for verdict in verdicts)
    assert staging_names(root) == []


async def test_what_was_noted_is_taken_over_and_the_rest_is_written(tmp_path):
    first = dict(list(SCOPES.items())[:3])
    await dead_crawl(tmp_path, first)
    taken, manifest = await finished(tmp_path)
    assert taken == first.keys()
    assert {table: entry.rows for table, entry in manifest.tables.items()} == {"fc_functions": 3, "opensearch_apps": 1}
    assert manifest == read_manifest(tmp_path, NEW)
    assert_whole(tmp_path)


async def test_a_record_says_all_that_the_crawl_knew(tmp_path):
    await dead_crawl(tmp_path)
    writer = await resume(tmp_path)
    records = {record.scope: record for record in await open_journal(writer)}
    first = records["opensearch_apps", *HERE]
    assert first.row == ledger_row("opensearch_apps", *HERE, rows=1, rows_seen=1)
    assert first.unknown == {"a.b": 1}
    assert first.lists == {"fc_functions": LISTS}
    assert (first.files, [at.rows for at in first.rows_at]) == ([], [1])
    assert records["fc_functions", *HERE].lists == {}
    await writer.abandon()


async def test_after_the_last_scope_only_the_commit_is_left(tmp_path):
    await dead_crawl(tmp_path)
    taken, _ = await finished(tmp_path)
    assert taken == SCOPES.keys()
    assert_whole(tmp_path)


async def test_another_crawl_that_does_not_go_on_sweeps_it_away(tmp_path):
    await dead_crawl(tmp_path)
    await write_snapshot(tmp_path, OLD)
    assert_whole(tmp_path, [OLD])
    with pytest.raises(ConfigError, match="no unfinished crawl"):
        await resume(tmp_path)


# --- parts that are not taken over ------------------------------------------------------------------------------------


async def write_long_list(root):
    """A crawl that died with a parent, and below it a list with parts of its own and some rows more."""
    writer = await begin(root, part_bytes=16_000)
    await open_journal(writer)
    found = await note_long_list(writer)
    die(writer)
    return found


async def test_parts_of_a_long_list_are_taken_over_with_the_rest_of_its_rows(tmp_path):
    ledger, names = await write_long_list(tmp_path)
    writer = await resume(tmp_path)
    records = await open_journal(writer)
    assert [record.scope for record in records] == [(row.table, *HERE) for row in ledger]
    assert len(records[1].files) > 1
    manifest = await writer.commit(draft(), ledger)
    files = manifest.tables["fc_functions"].files
    assert len({file.path for file in files}) == len(files)
    found = [name for file in files for name in pq.read_table(tmp_path / file.path)["name"].to_pylist()]
    assert sorted(found) == names
    assert_whole(tmp_path)


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
async def test_a_scope_whose_own_part_is_gone_or_damaged_is_requested_again(tmp_path, change):
    await write_long_list(tmp_path)
    change(next(tmp_path.glob("_staging/*/fc_functions/*/*/part-00000.parquet")))
    writer = await resume(tmp_path)
    assert [record.scope for record in await open_journal(writer)] == [("opensearch_apps", *HERE)]
    assert not list(tmp_path.glob("_staging/*/fc_functions/**/*.parquet")), "the others are of no use"
    await writer.abandon()


async def test_rows_of_scopes_that_are_requested_again_leave_the_blocks_that_they_share(tmp_path):
    """Rows of four scopes of a table were written together. Two of them have no parent that is taken over."""
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    found = records(path.read_bytes())
    assert len([block for record, _ in found for block in record.get("blocks", ()) if block[0] == "fc_functions"]) == 1
    lost = ("opensearch_apps", *THERE)
    for record, _ in found:
        row = record.get("row", {})
        if (row.get("table"), row.get("account_id"), row.get("region_id")) == lost:
            record["lists"]["fc_functions"] = None
    path.write_bytes(b"".join(encoded(*each) for each in found))
    taken, manifest = await finished(tmp_path)
    assert taken == {("opensearch_apps", *HERE), ("fc_functions", *HERE)}
    [file] = manifest.tables["fc_functions"].files
    assert pq.read_table(tmp_path / file.path)["name"].to_pylist() == ["f1", "f2", "f3"]
    assert_whole(tmp_path)


async def test_a_scope_that_was_not_whole_is_written_again(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    await write(writer, {("opensearch_apps", *HERE): ["a1"]})
    scope = writer.scope("fc_functions", *HERE)
    scope.keep()
    writer.note(ledger_row("fc_functions", *HERE, Status.TRUNCATED), {}, {}, {})
    await writer.flush()
    die(writer)
    taken, _ = await finished(tmp_path)
    assert taken == {("opensearch_apps", *HERE)}


async def test_a_parent_whose_rows_did_not_say_every_list_is_written_again(tmp_path):
    await dead_crawl(tmp_path, lists=None)
    taken, _ = await finished(tmp_path)
    assert taken == set()
    assert_whole(tmp_path)


async def test_one_that_is_unsupported_is_taken_over_without_files(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    row = ledger_row("opensearch_apps", *HERE, Status.UNSUPPORTED)
    await writer.scope("opensearch_apps", *HERE).drop()
    writer.note(row, {}, {}, {"fc_functions": []})
    await writer.flush()
    die(writer)
    writer = await resume(tmp_path)
    [record] = await open_journal(writer)
    assert record.row == row
    rest = {key: names for key, names in SCOPES.items() if key[1:] == THERE}
    manifest = await writer.commit(draft(), await write(writer, rest, noted=[record]))
    assert manifest.scopes.by_status["unsupported"] == 1
    assert_whole(tmp_path)


async def test_whatever_else_was_staged_is_removed(tmp_path):
    await dead_crawl(tmp_path)
    folder = tmp_path / staged(NEW)
    strays = ["fc_functions/half/1.partial", "_snapshots/x.scopes.parquet", "journal.partial", "LATEST"]
    for name in strays:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (tmp_path / staged(OLD)).mkdir()
    writer = await resume(tmp_path)
    await open_journal(writer)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files.isdisjoint(strays)
    assert files == {"journal", "journal-1"}
    assert staging_names(tmp_path) == [NEW]
    await writer.abandon()
    assert staging_names(tmp_path) == []


async def test_a_journal_that_was_cut_or_damaged_anywhere_is_good_up_to_there(tmp_path):
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    text = path.read_bytes()
    found = ends(text)
    disk = Disk(tmp_path)
    for at in range(0, len(text), 7):
        for damaged in (
            text[:at],
            text[:at] + bytes([text[at] ^ 8]) + text[at + 1 :],
            text[:at] + bytes(len(text) - at),
        ):
            path.write_bytes(damaged)
            read = read_journals(disk, NEW)
            if at < found[0][0]:
                assert read is None
            else:
                assert len(read.entries) == sum(is_scope and end <= at for end, is_scope in found), at
    disk.close_root()


def part(path, rows=1):
    return {"path": path, "rows": rows, "bytes": 9, "sha256": "ab" * 32}


OWN = f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}/part-00000.parquet"
HOSTILE = {
    "a path that leaves the output": lambda entry: entry.update(files=[part("../../../etc/passwd")]),
    "a path of another table": lambda entry: entry.update(files=[part(OWN.replace("fc_", "fd_"))]),
    "a table that is none": lambda entry: entry["row"].update(table="../x"),
    "an instant that no day has": lambda entry: entry["row"].update(started_at="9999-12-31T23:59:59-14:00"),
    "a number below none": lambda entry: entry.update(files=[part(OWN, -2)]),
    "an offset below none": lambda entry: entry["rows_at"].append([0, -1, 1]),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_record_that_no_crawl_writes_is_a_damaged_line(tmp_path, kind):
    """T31: its checksum is right, as anyone who can write there can compute it."""
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    found = records(path.read_bytes())
    scopes = [record for record, _ in found if record.get("type") == "scope"]
    at = next(number for number, record in enumerate(scopes) if record["row"]["table"] == "fc_functions")
    HOSTILE[kind](scopes[at])
    path.write_bytes(b"".join(encoded(*each) for each in found))
    reused, _ = await finished(tmp_path)
    assert len(reused) == at
    assert_whole(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda block: block.__setitem__(0, "../x"),
        lambda block: block.__setitem__(1, 7),
        lambda block: block.__setitem__(2, 9999),
        lambda block: block.__setitem__(2, 5),
        lambda block: block.__setitem__(5, [None]),
        lambda block: block.__setitem__(5, [1, 2, 3]),
        lambda block: block.__setitem__(0, "opensearch_apps" if block[0] == "fc_functions" else "fc_functions"),
    ],
)
async def test_block_that_no_crawl_writes_is_one_clear_error_or_requested_again(tmp_path, change):
    """T31, T50"""
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    found = records(path.read_bytes())
    sizes = [len(encoded(record)) for record, _ in found]  # the places of the rows stay as they are
    for record, _ in found:
        for block in record.get("blocks", ()):
            change(block)
    path.write_bytes(b"".join(encoded(*each, size) for each, size in zip(found, sizes, strict=True)))
    error = None
    try:
        await finished(tmp_path)
    except OutputError as caught:
        error = caught
    if error is None:
        assert_whole(tmp_path)
    else:
        assert "crawl without --resume" in str(error)


async def test_record_of_a_table_that_the_plan_does_not_have_is_left_out(tmp_path):
    """T31"""
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    found = records(path.read_bytes())
    for record, _ in found:
        if record.get("row", {}).get("table") == "fc_functions":
            record["row"]["table"] = "fc_layers"
    path.write_bytes(b"".join(encoded(*each) for each in found))
    reused, _ = await finished(tmp_path)
    assert {scope[0] for scope in reused} <= {"opensearch_apps"}
    assert_whole(tmp_path)


@pytest.mark.parametrize("kind", ODD)
async def test_journal_that_is_not_a_regular_file_is_refused(tmp_path, kind):
    """F72"""
    await dead_crawl(tmp_path)
    put(tmp_path / journal_path(NEW), kind)
    with ends_within(20), pytest.raises(OutputError, match=f"journal is {kind}, not a regular file"):
        await resume(tmp_path)


async def test_nested_without_end_a_journal_says_nothing(tmp_path):
    """T31"""
    await dead_crawl(tmp_path)
    text = b'{"snapshot_id": ' + b"[" * 100_000
    (tmp_path / journal_path(NEW)).write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    with pytest.raises(ConfigError, match="ended before it requested a list"):
        await resume(tmp_path)


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_without_an_unfinished_crawl_there_is_nothing_to_go_on_with(tmp_path):
    await write_snapshot(tmp_path)
    with pytest.raises(ConfigError, match=r"has no unfinished crawl; crawl without --resume"):
        await resume(tmp_path)
    assert_whole(tmp_path)


async def test_a_crawl_that_died_before_its_lists_began_is_none_to_go_on_with(tmp_path):
    die(await begin(tmp_path))
    with pytest.raises(ConfigError, match=f"{NEW} ended before it requested a list"):
        await resume(tmp_path)


async def test_one_of_more_than_six_hours_ago_is_too_old(tmp_path):
    await dead_crawl(tmp_path)
    with pytest.raises(ConfigError, match=rf"{NEW} began 6\.5 h ago, more than 6 h"):
        await resume(tmp_path, START + timedelta(hours=6, minutes=30))
    await (await resume(tmp_path, START + timedelta(hours=6))).abandon()
    assert staging_names(tmp_path) == [NEW], "nobody has gone on with it yet"


@pytest.mark.parametrize(
    ("plan", "conditions", "reason"),
    [
        ("cd" * 32, CONDITIONS, "other accounts, regions, tables or columns"),
        (PLAN, {**CONDITIONS, "[output] secrets": "keep"}, r"another \[output\] secrets;"),
        (PLAN, {"[output] secrets": "mask"}, r"another \[crawl\] details, another \[output\] secrets;"),
    ],
)
async def test_with_other_terms_it_says_which_and_leaves_everything(tmp_path, plan, conditions, reason):
    await dead_crawl(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "_staging").rglob("*") if path.is_file()}
    writer = await resume(tmp_path)
    with pytest.raises(ConfigError, match=f"{NEW} was begun with {reason}"):
        await open_journal(writer, plan, conditions)
    await writer.abandon()
    assert {path: path.read_bytes() for path in before} == before
    taken, _ = await finished(tmp_path)
    assert taken == SCOPES.keys()


async def test_one_that_was_decided_is_put_in_place_instead(tmp_path):
    writer = await begin(tmp_path, disk=UnpromotedDisk(tmp_path))
    await open_journal(writer)
    ledger = await write(writer)
    with pytest.raises(Crash):
        await writer.commit(draft(), ledger)
    die(writer)
    with pytest.raises(ConfigError, match=f"snapshot {NEW} was whole already, and is in place now"):
        await resume(tmp_path)
    assert_whole(tmp_path)


async def test_while_another_crawl_holds_the_output_nobody_goes_on(tmp_path):
    await dead_crawl(tmp_path)
    writer = await resume(tmp_path)
    with pytest.raises(OutputBusyError):
        await resume(tmp_path)
    await writer.abandon()


# --- leaving something to go on with ---------------------------------------------------------------------------------


async def test_what_a_stopped_crawl_leaves_can_be_gone_on_with(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    await write(writer, dict(list(SCOPES.items())[:1]))
    assert await writer.leave_unfinished()
    await writer.abandon()
    taken, _ = await finished(tmp_path)
    assert taken == {("opensearch_apps", *HERE)}


class CancelledAtFolders(Disk):
    """A disk on which a crawl is cancelled when the folders of its tables have been made."""

    def make_folder(self, path):
        if path.startswith("opensearch_apps/snapshot_date="):
            anyio.from_thread.run_sync(self.scope.cancel)
        return super().make_folder(path)


async def test_one_that_is_stopped_while_it_commits_leaves_no_empty_folders_beside(tmp_path):
    disk = CancelledAtFolders(tmp_path)
    writer = await begin(tmp_path, disk=disk)
    await open_journal(writer)
    ledger = await write(writer)
    with anyio.CancelScope() as disk.scope:
        await writer.commit(draft(), ledger)
    assert disk.scope.cancelled_caught
    assert (tmp_path / "fc_functions/snapshot_date=2026-11-21").is_dir()
    assert await writer.leave_unfinished()
    await writer.abandon()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_staging"]
    taken, _ = await finished(tmp_path)
    assert taken == SCOPES.keys()
    assert_whole(tmp_path)


async def test_a_stopped_crawl_without_a_whole_scope_leaves_nothing(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    assert not await writer.leave_unfinished()
    await writer.abandon()
    assert staging_names(tmp_path) == []


# --- crashes and failures --------------------------------------------------------------------------------------------


async def crawl(root, step, **fault):
    """A crawl, or one that goes on, on a disk with this fault: how many scopes had been noted."""
    disk = FaultyDisk(root, **fault)
    noted, writer = 0, None
    try:
        writer = await step(disk)
        records = await open_journal(writer)
        noted = len(records)
        for key, names in SCOPES.items():
            if key not in {record.scope for record in records}:
                await write(writer, {key: names})
                noted += 1
        die(writer)
    except Crash:
        if writer is not None:
            die(writer)
    return disk, noted


def distinct(steps):
    """Numbers of the steps before which the disk isn't as it was before the last one: flushing changes nothing."""
    return [n for n in range(1, len(steps) + 1) if n == 1 or not steps[n - 2].startswith(("fsync", "close"))]


async def test_before_whichever_step_a_crawl_dies_another_goes_on_with_all_that_was_noted(tmp_path):
    async def new(disk):
        return await begin(disk.root, disk=disk)

    (tmp_path / "all").mkdir()
    disk, _ = await crawl(tmp_path / "all", new)
    for step in distinct(disk.steps):
        root = tmp_path / f"step{step}"
        root.mkdir()
        _, noted = await crawl(root, new, crash_at=step)
        if noted:
            taken, _ = await finished(root)
            assert noted <= len(taken) <= noted + 1, step
            assert_whole(root)


async def test_before_whichever_step_the_one_that_goes_on_dies_a_third_does(tmp_path):
    first = dict(list(SCOPES.items())[:2])

    async def again(disk):
        return await resume(disk.root, disk=disk)

    await dead_crawl(tmp_path / "all", first)
    (tmp_path / "all" / staged(NEW, "stray")).write_text("")
    disk, _ = await crawl(tmp_path / "all", again)
    for step in distinct(disk.steps):
        root = tmp_path / f"step{step}"
        await dead_crawl(root, first)
        (root / staged(NEW, "stray")).write_text("")
        await crawl(root, again, crash_at=step)
        taken, _ = await finished(root)
        assert taken >= first.keys(), step
        assert_whole(root)


async def test_a_journal_that_can_not_be_written_ends_the_crawl(tmp_path):
    writer = await begin(tmp_path, disk=JournalFull(tmp_path))
    await open_journal(writer)
    with pytest.raises(OutputError, match="ENOSPC"):
        await write(writer)
    with pytest.raises(OutputError, match="the output failed earlier"):
        await writer.commit(draft(), [])
    await writer.abandon()
    assert staging_names(tmp_path) == []
    assert manifest_ids(tmp_path) == set()


class JournalFull(Disk):
    """A disk that has no room for another entry of a journal that is open."""

    def write(self, fd, path, data):
        if path.endswith("/journal"):
            raise OutputError(errno.errorcode[errno.ENOSPC])
        super().write(fd, path, data)


def test_the_shapes_of_these_tests_are_those_of_the_fakes():
    assert {table for table, *_ in SCOPES} == {table for table, *_ in ROWS} == SCHEMAS.keys() == FAMILIES.keys()


async def test_a_resumed_crawl_leaves_no_file_open(tmp_path):
    await dead_crawl(tmp_path, dict(list(SCOPES.items())[:2]))
    writer = await resume(tmp_path)
    await open_journal(writer)
    die(writer)
    before = len(os.listdir("/proc/self/fd"))
    await finished(tmp_path)
    assert len(os.listdir("/proc/self/fd")) <= before
