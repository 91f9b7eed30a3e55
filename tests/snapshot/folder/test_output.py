"""The output folder: one writer (P12), checks before any request (F55), planted links (T23), paths (T22)."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot import FolderDestination, check_output
from crawler.snapshot import layout as paths
from crawler.snapshot.disk import Disk, is_trusted_owner
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.retention import KeepRules
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    SCHEMAS,
    START,
    FaultyDisk,
    begin,
    die,
    write_snapshot,
)

HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.lock import OutputLock
held = OutputLock.acquire(Disk(Path(sys.argv[1])), datetime(2026, 11, 21, 2, tzinfo=UTC))
print("held", flush=True)
sys.stdin.read()
"""


async def test_second_crawl_leaves_at_once_and_a_killed_one_leaves_no_lock(tmp_path):
    """F51"""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "held\n"
        asked = time.monotonic()
        with pytest.raises(OutputBusyError, match=rf"\(process {child.pid}, since 2026-11-21T02:00:00Z\) holds the"):
            await begin(tmp_path)
        assert time.monotonic() - asked < 1
        child.send_signal(signal.SIGKILL)
        child.wait()
    await (await begin(tmp_path)).abandon()


async def test_second_crawl_in_the_same_process_is_refused_too(tmp_path):
    writer = await begin(tmp_path)
    with pytest.raises(OutputBusyError, match=f"process {os.getpid()}"):
        await begin(tmp_path, OLD)
    await writer.abandon()


@pytest.mark.parametrize("note", [b"\x1b[31m 99 evil\n", b"\xff\xfe 2026-11-21T02:00:00Z\n", b""])
async def test_unreadable_note_in_the_lock_does_not_matter(tmp_path, note):
    writer = await begin(tmp_path)
    (tmp_path / "_staging/lock").write_bytes(note)
    with pytest.raises(OutputBusyError, match="another crawl holds"):
        await begin(tmp_path, OLD)
    await writer.abandon()


async def test_note_in_the_lock_that_can_not_be_written_does_not_matter(tmp_path, monkeypatch):
    """F48: the note is optional; a required write reports that the disk is full, and how full."""

    def pwrite(fd, data, offset):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", pwrite)
    writer = await begin(tmp_path)
    with pytest.raises(OutputBusyError, match="another crawl holds"):
        await begin(tmp_path, OLD)
    await writer.abandon()


def test_a_lock_is_let_go_once_whatever_the_number_of_its_descriptor(monkeypatch):
    """It is 0 where a crawl was begun with its standard input closed."""
    closed = []
    monkeypatch.setattr(os, "close", closed.append)
    lock = OutputLock(0)
    lock.release()
    lock.release()
    assert closed == [0]


async def test_commit_lets_the_output_go(tmp_path):
    await write_snapshot(tmp_path, OLD)
    await write_snapshot(tmp_path, NEW)


def test_preflight_makes_the_folder_private_and_leaves_nothing_else(tmp_path):
    root = tmp_path / "a" / "b"
    check_output(root, ["fc_functions"])
    assert [str(path.relative_to(root)) for path in root.rglob("*")] == ["_staging"]
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("take", ["crawl", "resume", "prune"])
async def test_what_a_killed_preflight_left_is_cleared_an_hour_later(tmp_path, take):
    """F44: a younger probe may belong to a crawl that is starting; folders and links are not probes."""
    await write_snapshot(tmp_path, OLD)
    writer = await begin(tmp_path, NEW)
    await writer.open_journal("ab" * 32, {}, dict.fromkeys(SCHEMAS, ()))
    die(writer)
    staging = tmp_path / "_staging"
    old = [f"probe-{digit * 16}" for digit in "01"]
    old[1] += "-renamed"
    others = [f"probe-{'2' * 16}", "probe-mine", f"probe-{'3' * 16}", f"probe-{'4' * 16}"]
    for name in [*old, *others[:2]]:
        (staging / name).write_text("acs-inventory\n")
    (staging / others[2]).mkdir()
    (staging / others[3]).symlink_to(tmp_path / "_snapshots")
    for name in (*old, *others[1:]):
        os.utime(staging / name, (START.timestamp() - 3601,) * 2, follow_symlinks=False)
    os.utime(staging / others[0], (START.timestamp() - 3599,) * 2)
    if take == "prune":
        prune(tmp_path, KeepRules(last=1), START)
    else:
        acquire = FolderDestination.resume if take == "resume" else FolderDestination.begin
        given = () if take == "resume" else ("20261122T020000Z-0000",)
        acquired = await acquire(tmp_path, *given, START)
        await acquired.abandon()
    left = {path.name for path in staging.iterdir() if path.name.startswith("probe-")}
    assert left == set(others)


def make_file(root, outside):
    root.write_text("")


def make_link(root, outside):
    root.symlink_to(outside)


def make_link_to_nothing(root, outside):
    root.symlink_to(outside / "nowhere")


@pytest.mark.parametrize("make", [make_file, make_link, make_link_to_nothing])
@pytest.mark.parametrize("place", ["", "_staging", "_snapshots", "fc_functions"])
def test_link_or_file_in_a_folders_place_is_refused(tmp_path, place, make):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "out"
    if place:
        root.mkdir()
    make(root / place, outside)
    with pytest.raises(OutputError, match=place or "the output .* is (a symbolic link|not a folder)"):
        check_output(root, ["fc_functions"])
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("place", ["_snapshots", "fc_functions", "fc_functions/snapshot_date=2026-11-21"])
async def test_planted_link_is_not_followed_by_a_commit(tmp_path, place):
    root, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(outside)
    with pytest.raises(OutputError, match="links are not followed"):
        await write_snapshot(root)
    assert list(outside.iterdir()) == []
    assert not list((root / "_staging" / NEW).glob("_snapshots/*.json"))


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_planted_lock_is_not_written_through(tmp_path, link):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "out/_staging").mkdir(parents=True)
    link(victim, tmp_path / "out/_staging/lock")
    with pytest.raises(OutputError, match="can't open _staging/lock"):
        await begin(tmp_path / "out")
    assert victim.read_text() == "precious"


async def test_planted_pointer_is_replaced_and_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text(f"{OLD}\n")
    (tmp_path / "out/_snapshots").mkdir(parents=True)
    os.link(victim, tmp_path / "out/_snapshots/LATEST")
    await write_snapshot(tmp_path / "out")
    assert victim.read_text() == f"{OLD}\n"
    assert (tmp_path / "out/_snapshots/LATEST").read_text() == f"{NEW}\n"


def test_name_that_is_too_long_is_one_clear_error(tmp_path):
    with pytest.raises(OutputError, match=r"can't make the output folder .*: File name too long"):
        check_output(tmp_path / ("x" * 256))


def test_output_that_cannot_be_written_is_one_clear_error():
    with pytest.raises(OutputError, match="can't make the output folder /proc/acs-inventory"):
        check_output(Path("/proc/acs-inventory"))


@pytest.mark.parametrize("step", ["create", "write", "fsync", "rename", "fsync_folder", "make_folder"])
def test_preflight_tries_all_that_a_commit_does(tmp_path, monkeypatch, step):
    def refuse(self, *args):
        with self._translate_errors(step, str(args[-1] if step != "write" else args[1])):
            raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(Disk, step, refuse)
    with pytest.raises(OutputError, match=r"Read-only file system \(EROFS\)"):
        check_output(tmp_path)
    monkeypatch.undo()
    check_output(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["_staging"]


def test_other_device_for_a_table_is_refused(tmp_path, monkeypatch):
    (tmp_path / "fc_functions").mkdir()
    real = Disk.stat

    def stat_elsewhere(self, path):
        found = real(self, path)
        if path != "fc_functions":
            return found
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]])

    monkeypatch.setattr(Disk, "stat", stat_elsewhere)
    with pytest.raises(OutputError, match=r"fc_functions of the output .* is on another device"):
        check_output(tmp_path, ["fc_functions"])


def test_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    """T23: whose folder it is can change it under our feet."""
    assert is_trusted_owner(1000, 1000)
    assert is_trusted_owner(0, 1000)
    assert is_trusted_owner(1000, 0)
    assert not is_trusted_owner(1001, 1000)
    disk = Disk(tmp_path)
    disk.make_folder("fc_functions")
    monkeypatch.setattr("crawler.snapshot.disk.is_trusted_owner", lambda owner, own: False)
    with pytest.raises(OutputError, match=r"fc_functions .*belongs to another user"):
        disk.create("fc_functions/x")
    disk.close_root()
    with pytest.raises(OutputError, match="belongs to another user"):
        Disk(tmp_path)


def test_short_writes_are_continued(tmp_path, monkeypatch):
    """F49"""
    real = os.write
    disk = Disk(tmp_path)
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    fd = disk.create("x")
    disk.write(fd, "x", bytes(range(256)))
    disk.close(fd, "x")
    monkeypatch.undo()
    assert disk.read("x", 256) == bytes(range(256))
    disk.close_root()


def test_file_is_never_written_over(tmp_path):
    disk = Disk(tmp_path)
    (tmp_path / "x").write_text("precious")
    with pytest.raises(OutputError, match=r"can't create x: File exists \(EEXIST\)"):
        disk.create("x")
    disk.close_root()


def test_disk_that_was_let_go_does_nothing_more(tmp_path):
    disk = Disk(tmp_path)
    disk.close_root()
    with pytest.raises(OutputError, match="EBADF"):
        disk.make_folder("x")


def test_file_system_that_cannot_lock_is_an_output_error(tmp_path, monkeypatch):
    def flock(fd, operation):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("fcntl.flock", flock)
    disk = FaultyDisk(tmp_path)
    with pytest.raises(OutputError, match="can't lock _staging/lock: No locks available"):
        OutputLock.acquire(disk, START)
    disk.close_root()


@given(table=st.text(max_size=110), number=st.integers(), attempt=st.text(max_size=12))
def test_no_piece_of_a_path_leads_out_of_the_root(table, number, attempt):
    """T22"""
    for pieces in ((table, 0, ""), ("fc_functions", number, ""), ("fc_functions", 0, attempt)):
        try:
            path = paths.part_path(pieces[0], NEW, *pieces[1:])
        except OutputError:
            continue
        assert path.isascii()
        assert path.count("/") == 3
        assert not any(name in ("", ".", "..") or len(name) > 120 for name in path.split("/"))
        assert paths.is_part_path(path, pieces[0], NEW)


@given(number=st.integers(0, 10**7), attempt=st.sampled_from(["", "0123abcd"]))
def test_parts_are_numbered_with_five_digits_or_more(number, attempt):
    path = paths.part_path("fc_functions", NEW, number, attempt)
    name = f"{number:05}-{attempt}" if attempt else f"{number:05}"
    assert path == f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}/part-{name}.parquet"
    assert paths.is_part_path(path, "fc_functions", NEW)
    assert paths.part_number(path) == number
    assert not paths.is_part_path(path, "fc_layers", NEW)
    assert not paths.is_part_path(path, "fc_functions", OLD)


FOLDER = f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}"


@pytest.mark.parametrize(
    "name",
    [
        "part-0.parquet",
        "part-0000.parquet",
        "part-00000-0123.parquet",
        "part-00000-0123ABCD.parquet",
        "part-00000-0123abcde.parquet",
        "part-٠٠٠٠٠.parquet",
        "part-00000.parquet\n",
        "part-00000.parquet/",
        "../part-00000.parquet",
        "a/part-00000.parquet",
        f"account={ACCOUNT}/region=cn-hangzhou/part-0.parquet",
        ".part-00000.parquet",
        "part-00000.parquet.partial",
        "",
    ],
)
def test_any_other_name_is_no_part_of_a_snapshot(name):
    """T22, T31: that of format 1 is one of the other format alone."""
    assert not paths.is_part_path(f"{FOLDER}/{name}", "fc_functions", NEW)
    assert paths.is_scope_part_path(f"{FOLDER}/{name}", "fc_functions", NEW) == name.startswith("account=")


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "1\n", "٣", "A", "_staging", "x" * 256, "1\0"])
def test_piece_that_no_path_can_have_is_refused(text):
    for make in (
        lambda: paths.table_folder(text, NEW),
        lambda: paths.table_folder("fc_functions", text),
        lambda: paths.part_path("fc_functions", NEW, 0, text or "-"),
        lambda: paths.manifest_path(text),
        lambda: paths.ledger_path(text),
        lambda: paths.staged(text),
    ):
        with pytest.raises(OutputError, match="can't be a"):
            make()


@pytest.mark.parametrize("end", ["/../..", "\n", "٣", "\0", "A000", "00aaa", ""])
def test_what_only_begins_like_a_snapshot_is_refused(end):
    """T22"""
    text = f"20261121T020000Z-{end}"
    for make in (
        lambda: paths.table_folder("fc_functions", text),
        lambda: paths.manifest_path(text),
        lambda: paths.checksum_path(text),
        lambda: paths.ledger_path(text),
        lambda: paths.staged(text),
        lambda: paths.pruned(text),
    ):
        with pytest.raises(OutputError, match="can't be a snapshot"):
            make()
