"""P3, F56: a resume takes over only parts of a dead crawl that are complete, intact, and have their parents."""

from __future__ import annotations

import errno
import json
import zlib
from datetime import timedelta

import anyio
import pytest

from crawler.errors import ConfigError, OutputBusyError, OutputError
from crawler.snapshot import ChildList, FolderDestination, SnapshotWriter, Status, read_manifest
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.journal import journal_path, read_journal
from crawler.snapshot.layout import staged
from crawler.snapshot.verify import verify_all
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    OTHER,
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
    write_names,
    write_snapshot,
)

PLAN = "ab" * 32
CONDITIONS = {"[output] secrets": "fingerprint", "[crawl] details": ""}
# fc_functions hangs from opensearch_apps, for these tests.
FAMILIES = {"opensearch_apps": (), "fc_functions": ("opensearch_apps",)}
HERE, THERE = (ACCOUNT, "cn-hangzhou"), (OTHER, "cn-shanghai")
SCOPES = {
    ("opensearch_apps", *HERE): ["a1"],
    ("opensearch_apps", *THERE): [],
    ("fc_functions", *HERE): ["f1", "f2"],
    ("fc_functions", *THERE): ["f3"],
}
LISTS = [ChildList(("x",), False), ChildList(("y",), True)]


async def write(writer, scopes=SCOPES, noted=(), lists=LISTS):
    """Each scope that isn't noted yet, kept and noted; the ledger of all."""
    ledger = [record.row for record in noted]
    taken = {record.scope for record in noted}
    for key, names in scopes.items():
        if key in taken:
            continue
        scope = writer.scope(*key)
        reading = scope.list()
        if names:
            await write_names(reading, names, account=key[1], region=key[2], snapshot=writer.snapshot_id)
        reading.finish()
        await scope.keep()
        row = ledger_row(*key, rows=len(names), rows_seen=len(names))
        ledger.append(row)
        below = {"fc_functions": lists} if key[0] == "opensearch_apps" else {}
        await writer.note(row, {"a.b": 1} if names else {}, {}, below)
    return ledger


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
    assert [file.rows for file in first.files] == [1]
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


async def test_a_scope_whose_file_is_gone_or_damaged_is_written_again_and_so_is_what_hangs_from_it(tmp_path):
    def remove(path):
        path.unlink()

    def damage(path):
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    for number, change in enumerate((remove, damage)):
        for table, lost in [
            ("fc_functions", {"fc_functions"}),
            ("opensearch_apps", {"opensearch_apps", "fc_functions"}),
        ]:
            root = tmp_path / f"{table}{number}"
            await dead_crawl(root)
            [part] = root.glob(f"_staging/*/{table}/*/*/account={ACCOUNT}/*/*.parquet")
            change(part)
            taken, _ = await finished(root)
            assert SCOPES.keys() - taken == {(name, *HERE) for name in lost}
            assert_whole(root)


async def test_a_scope_that_was_not_whole_is_written_again(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    await write(writer, {("opensearch_apps", *HERE): ["a1"]})
    scope = writer.scope("fc_functions", *HERE)
    await scope.keep()
    await writer.note(ledger_row("fc_functions", *HERE, Status.TRUNCATED), {}, {}, {})
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
    await writer.note(row, {}, {}, {"fc_functions": []})
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
    assert len(files) == 3 + 1
    assert staging_names(tmp_path) == [NEW]
    await writer.abandon()
    assert staging_names(tmp_path) == []


async def test_a_journal_that_was_cut_or_damaged_anywhere_is_good_up_to_there(tmp_path):
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    text = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(text) if byte == 0x0A]
    disk = Disk(tmp_path)
    for at in range(0, len(text), 7):
        whole = sum(end <= at for end in ends) - 1
        for damaged in (
            text[:at],
            text[:at] + bytes([text[at] ^ 8]) + text[at + 1 :],
            text[:at] + bytes(len(text) - at),
        ):
            path.write_bytes(damaged)
            found = read_journal(disk, NEW)
            assert found is None if whole < 0 else len(found[1]) == whole, at
    disk.close_root()


HOSTILE = {
    "a path that leaves the output": lambda entry: entry["files"][0].update(path="../../../etc/passwd"),
    "a path of another table": lambda entry: entry["files"][0].update(
        path=entry["files"][0]["path"].replace("fc_", "fd_")
    ),
    "a table that is none": lambda entry: entry["row"].update(table="../x"),
    "an instant that no day has": lambda entry: entry["row"].update(started_at="9999-12-31T23:59:59-14:00"),
    "a number below none": lambda entry: entry["files"][0].update(rows=-2),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_record_that_no_crawl_writes_is_a_damaged_line(tmp_path, kind):
    """T31: its checksum is right, as anyone who can write there can compute it."""
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    lines = path.read_bytes().splitlines()
    at = next(number for number, line in enumerate(lines) if b'"table":"fc_functions"' in line)
    entry = json.loads(lines[at].partition(b" ")[2])
    HOSTILE[kind](entry)
    text = json.dumps(entry).encode()
    lines[at] = b"%08x %s" % (zlib.crc32(text), text)
    path.write_bytes(b"\n".join([*lines, b""]))
    reused, _ = await finished(tmp_path)
    assert len(reused) == at - 1
    assert_whole(tmp_path)


async def test_record_of_a_table_that_the_plan_does_not_have_is_left_out(tmp_path):
    """T31"""
    await dead_crawl(tmp_path)
    path = tmp_path / journal_path(NEW)
    lines = path.read_bytes().splitlines()
    for at, line in enumerate(lines[1:], 1):
        text = (
            line.partition(b" ")[2]
            .replace(b"fc_functions/", b"fc_layers/")
            .replace(b'"fc_functions",', b'"fc_layers",')
        )
        lines[at] = b"%08x %s" % (zlib.crc32(text), text)
    path.write_bytes(b"\n".join([*lines, b""]))
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
    assert writer.leave_unfinished()
    await writer.abandon()
    taken, _ = await finished(tmp_path)
    assert taken == {("opensearch_apps", *HERE)}


async def test_one_that_is_stopped_while_it_commits_leaves_no_empty_folders_beside(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    ledger = await write(writer)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await writer.commit(draft(), ledger)
    assert scope.cancelled_caught
    assert (tmp_path / "fc_functions/snapshot_date=2026-11-21").is_dir()
    assert writer.leave_unfinished()
    await writer.abandon()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_staging"]
    taken, _ = await finished(tmp_path)
    assert taken == SCOPES.keys()
    assert_whole(tmp_path)


async def test_a_stopped_crawl_without_a_whole_scope_leaves_nothing(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    assert not writer.leave_unfinished()
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
