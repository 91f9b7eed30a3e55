"""F47, F48, F49: the real command on a disk that fails, fills up, lies or takes things in pieces."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.commit import recover
from tests.support.small_crawls import TABLES, assert_clean, assert_old_or_new, decided, rows, staged_ids
from tests.support.snapshot_fakes import manifest_ids
from tests.support.supervision import LIE, SHORT

SHARDS = 4
# Calls that take room: a full disk allows removals, and changes that need no room.
TAKES_ROOM = ("write", "pwrite64", "mkdirat", "openat", "renameat")


def is_flush(call):
    return call.name == "fsync"


def takes_room(call):
    return call.name in TAKES_ROOM


def failing(which, at, code, *, for_good=False):
    """A judge that fails the n-th of some calls, and all later ones if `for_good`; and the list of failed calls."""
    seen, failed = [], []

    def judge(number, call):
        if which(call):
            seen.append(call)
            if len(seen) == at or (for_good and len(seen) > at):
                failed.append(call)
                return code
        return None

    return judge, failed


def assert_told(small, root, ended, failed):
    """Check the exit code and the message of a failed call; the output is unchanged or will be completed."""
    assert "Traceback" not in ended.stderr
    assert_old_or_new(small, root)
    new = decided(root)
    if ended.returncode == 0:
        assert new is not None or manifest_ids(root) != {small.old_id}
        return
    place = next(n for n, call in enumerate(ended.calls) if call is failed[0])
    preflight_until = max(n for n, call in enumerate(ended.calls) if "probe" in call.path)
    assert ended.returncode == (2 if place <= preflight_until else 4), ended.stderr
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert line.startswith("acs-inventory: ")
    if new is None:
        assert manifest_ids(root) == {small.old_id}
        assert (root / "_snapshots/LATEST").read_text().strip() == small.old_id
        assert staged_ids(root) == []
    else:
        assert "is committed but not all in place; the next crawl completes it" in line


def assert_recovers(small, root):
    """The first step of the next crawl recovers the output."""
    new = decided(root)
    ids = manifest_ids(root) | ({new.snapshot_id} if new is not None else set())
    disk = Disk(root)
    recover(disk)
    disk.close_root()
    assert_clean(root, ids)


@pytest.mark.trust
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_flush_that_fails_is_never_tried_again_into_a_success(small, tmp_path, shard):
    """F47: every one, of a file or a folder. The same file isn't flushed again, and doesn't get its name."""
    for k in count(shard + 1, SHARDS):
        root = small.copy(tmp_path / "out")
        judge, failed = failing(is_flush, k, errno.EIO)
        ended = small.judged(root, judge)
        if not failed:
            break
        assert_told(small, root, ended, failed)
        assert ended.returncode != 0
        assert_never_again(ended.calls, failed[0])
        assert_recovers(small, root)


def assert_never_again(calls, flush):
    """After the failure of a file's flush that file is only removed."""
    place = next(n for n, call in enumerate(calls) if call is flush)
    if "." in flush.path.rpartition("/")[2]:
        later = [call for call in calls[place + 1 :] if flush.path in call.path.split(" -> ")]
        assert {call.name for call in later} <= {"unlinkat"}, later


def test_a_flush_that_fails_ends_the_crawl(small, tmp_path):
    """F47: one that lies comes first."""
    root = small.copy(tmp_path / "out")
    flushed = []

    def liar(number, call):
        if call.name == "fsync" and call.path.endswith("/next.partial"):
            flushed.append(call)
            return LIE if len(flushed) == 1 else errno.EIO
        return None

    ended = small.judged(root, liar)
    assert ended.returncode == 4
    assert re.fullmatch(
        r"acs-inventory: can't flush _staging/.*/next\.partial: Input/output error \(EIO\)\n", ended.stderr
    ), ended.stderr
    assert len(flushed) == 2
    assert_never_again(ended.calls, flushed[1])
    assert (manifest_ids(root), staged_ids(root)) == ({small.old_id}, [])


@pytest.mark.trust
@pytest.mark.parametrize("for_good", [True, False], ids=["for_good", "once"])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_disk_that_is_full_from_any_call_on_keeps_the_old_snapshot(small, tmp_path, shard, for_good):
    """F48: at every call that takes room, the manifest's and the pointer's too."""
    for k in count(shard + 1, SHARDS):
        root = small.copy(tmp_path / "out")
        judge, failed = failing(takes_room, k, errno.ENOSPC if for_good else errno.EDQUOT, for_good=for_good)
        ended = small.judged(root, judge)
        if not failed:
            break
        assert_told(small, root, ended, failed)
        if ended.returncode:
            assert_says_how_much(ended.stderr)
        if ended.returncode and decided(root) is None:
            files = [path for path in root.rglob("*") if path.is_file()]
            extra = [path for path in files if not (small.old / path.relative_to(root)).exists()]
            assert sum(path.stat().st_size for path in extra) <= 4096, extra
        assert_recovers(small, root)


def assert_says_how_much(said):
    assert re.search(
        r"(No space left on device \(ENOSPC\)|Disk quota exceeded \(EDQUOT\)); "
        r"[0-9]+ bytes to write, [0-9]+ bytes free; free some space",
        said,
    ), said


def test_a_full_disk_is_exit_4_and_says_how_much_is_free(small, tmp_path):
    """F48: at the manifest."""
    root = small.copy(tmp_path / "out")
    ended = small.judged(
        root, lambda number, call: errno.ENOSPC if str(call) == "write _staging/ID/_snapshots/ID.json.partial" else None
    )
    assert ended.returncode == 4
    assert_says_how_much(ended.stderr)
    assert_clean(root, {small.old_id})


IN_A_SMALL_ROOM = """
import json, os, subprocess, sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.support.snapshot_fakes import assert_manifest_holds, manifest_ids
room, command = Path({room!r}), {command!r}
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", room], check=True)
def crawl():
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr
assert crawl() == (0, ""), crawl()
[old] = manifest_ids(room / "out")
def free():
    found = os.statvfs(room)
    return found.f_bavail * found.f_frsize
codes = []
filler = 0
for left in range(8192, 400_000, 16384):
    with open(room / "filler", "wb") as file:
        file.write(bytes(max(0, free() - left)))
    code, said = crawl()
    codes.append(code)
    assert_manifest_holds(room / "out", old)
    assert code in (0, 2, 4), (code, said)
    if code == 0:
        break
    assert "No space left on device (ENOSPC)" in said and "bytes free; free some space" in said, said
    assert manifest_ids(room / "out") == {{old}}, code
    assert [p.name for p in (room / "out/_staging").iterdir() if p.name[0] == "2"] == []
    (room / "filler").unlink()
assert codes[-1] == 0 and 4 in codes, codes
print(json.dumps(codes))
"""


@pytest.mark.trust
def test_in_a_file_system_that_is_too_small(small, tmp_path):
    """F48: a real one, with a little more room for each crawl until it is enough."""
    room = tmp_path / "room"
    room.mkdir()
    script = IN_A_SMALL_ROOM.format(
        root=str(Path(__file__).parents[2]),
        room=str(room),
        command=[str(part) for part in small.command(room / "out")],
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script],
        cwd=small.folder, env=small.environ, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).count(0) == 1


@pytest.mark.trust
def test_writes_that_are_cut_short_are_continued(small, tmp_path):
    """F49: every one of them is, by half."""
    root = small.copy(tmp_path / "out")
    whole = small.judged(small.copy(tmp_path / "whole"))
    ended = small.judged(root, lambda number, call: SHORT if call.name == "write" and call.bytes > 1 else None)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.calls) > len(whole.calls) + 50
    new = json.loads(ended.stdout)["snapshot_id"]
    assert_clean(root, {small.old_id, new})
    assert rows(root, new) == rows(small.old, small.old_id)


@pytest.mark.trust
@pytest.mark.parametrize(("code", "returncode"), [(errno.EINTR, 0), (errno.EAGAIN, 4)], ids=["EINTR", "EAGAIN"])
def test_a_write_that_is_interrupted_is_done_again_and_one_that_would_block_is_an_error(
    small, tmp_path, code, returncode
):
    """F49: full data, or an error."""
    for table in TABLES:
        root = small.copy(tmp_path / "out")
        judge, failed = failing(lambda call, table=table: call.name == "write" and table in call.path, 1, code)
        ended = small.judged(root, judge)
        assert failed
        assert ended.returncode == returncode, ended.stderr
        assert_clean(root, manifest_ids(root))
        assert len(manifest_ids(root)) == (2 if returncode == 0 else 1)
