"""F44, F56, P1, P3: the real command, killed before every call that changes the output or flushes it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections import Counter
from itertools import count

import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.snapshot.disk import Disk
from crawler.snapshot.journal import read_journals
from tests.support.small_crawls import ACCOUNT, TABLES, assert_clean, assert_old_or_new, decided, rows, staged_ids
from tests.support.snapshot_fakes import manifest_ids
from tests.support.supervision import KILL, NUMBERS, plain

SHARDS = 6
OPERATIONS = load_catalog().operations
# Calls that change a file or a folder, by strace's names; read-only opens are not among them.
CHANGES = (
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,fchmod,"
    "fchmodat,chmod,mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "mknod,mknodat,open,openat,openat2,creat,copy_file_range,sendfile,splice,utimensat,fsetxattr,io_uring_setup"
)


def killed_at(small, root, at):
    """A crawl that is killed before its call of this number, or that call; None where it makes fewer."""

    def judge(number, call):
        return KILL if (number == at if isinstance(at, int) else str(call) == at) else None

    ended = small.judged(root, judge)
    if ended.returncode == 0:
        return None
    assert ended.returncode == -signal.SIGKILL, (ended.calls[-1:], ended.stderr)
    return ended


def then_crawls(small, root):
    """The next crawl, without manual repair, completes a decided snapshot and removes an undecided one."""
    assert_old_or_new(small, root)
    new = decided(root)
    ids = manifest_ids(root) | ({new.snapshot_id} if new is not None else set())
    done = small.crawl(root)
    assert (done.returncode, done.stderr) == (0, "")
    assert_clean(root, {*ids, json.loads(done.stdout)["snapshot_id"]})


def noted(root):
    """The operations of the scopes that the unfinished crawl had finished."""
    for snapshot_id in staged_ids(root):
        disk = Disk(root)
        found = read_journals(disk, snapshot_id)
        disk.close_root()
        if found is not None:
            tables = [record.row.table for record in found.entries]
            return {f"{OPERATIONS[table].product}.{OPERATIONS[table].action}" for table in tables}
    return set()


def asked(small):
    return Counter(f"{entry.product}.{entry.action}" for entry in small.cloud.requests.entries)


NOTHING_TO_RESUME = re.compile(
    r"--resume: (.* has no unfinished crawl|the unfinished crawl .* ended before it requested a list"
    r"|snapshot .* was whole already, and is in place now)"
)


def then_resumes(small, root):
    """`--resume` continues without requesting complete scopes again, or says why it cannot resume."""
    assert_old_or_new(small, root)
    whole, before, was_decided = noted(root), asked(small), decided(root)
    done = small.crawl(root, "--resume")
    again = set(asked(small) - before)
    if done.returncode == 0:
        said = json.loads(done.stdout)
        assert said["resumed_scopes"] == len(whole)
        assert not whole & again
        assert_clean(root, {small.old_id, said["snapshot_id"]})
        assert rows(root, said["snapshot_id"]) == rows(small.old, small.old_id)
        return
    assert done.returncode == 2
    assert NOTHING_TO_RESUME.search(done.stderr), done.stderr
    assert not whole or was_decided
    if was_decided is not None:
        assert_clean(root, {small.old_id, was_decided.snapshot_id})
        assert rows(root, was_decided.snapshot_id) == rows(small.old, small.old_id)
    done = small.crawl(root)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.trust
@pytest.mark.parametrize("shard", range(SHARDS))
def test_killed_before_every_call_readers_see_old_or_new_and_the_next_crawl_is_well(small, tmp_path, shard):
    """F44: every k."""
    deaths = 0
    for k in count(shard + 1, SHARDS):
        root = small.copy(tmp_path / "out")
        if killed_at(small, root, k) is None:
            break
        then_crawls(small, root)
        deaths += 1
    assert deaths > 100 // SHARDS


@pytest.mark.trust
@pytest.mark.parametrize("shard", range(SHARDS))
def test_killed_at_every_third_call_it_is_gone_on_with(small, tmp_path, shard):
    """F56, in the lists, in the commit and after it."""
    for k in count(3 * shard + 1, 3 * SHARDS):
        root = small.copy(tmp_path / "out")
        if killed_at(small, root, k) is None:
            break
        then_resumes(small, root)


DECIDES = "renameat _staging/ID/_snapshots/ID.json.partial -> _staging/ID/_snapshots/ID.json"
SHOWS = "renameat _staging/ID/_snapshots/ID.json -> _snapshots/ID.json"


def test_killed_when_only_its_manifest_is_missing_the_next_crawl_completes_it(small, tmp_path):
    """F44."""
    root = small.copy(tmp_path / "out")
    assert killed_at(small, root, SHOWS) is not None
    assert decided(root) is not None
    then_crawls(small, root)


def test_killed_in_its_commit_it_is_gone_on_with_and_nothing_is_asked_again(small, tmp_path):
    """F56."""
    root = small.copy(tmp_path / "out")
    assert killed_at(small, root, DECIDES) is not None
    assert noted(root) == {"fc.ListFunctions", "fc.ListLayers"}
    then_resumes(small, root)


@pytest.mark.trust
def test_strace_sees_no_change_that_is_not_asked_for(small, tmp_path):
    """The list of calls from strace proves that "every call" above means every call."""
    assert shutil.which("strace"), "Debian's strace is needed"
    trace = tmp_path / "trace"
    root = small.copy(tmp_path / "out")
    command = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", trace, "-e", f"trace={CHANGES}", *small.command(root)]
    done = subprocess.run(command, cwd=small.folder, env=small.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = Counter(filter(None, (by_strace(line, f"{root}") for line in trace.read_text().splitlines())))
    judged = small.judged(small.copy(tmp_path / "out"))
    assert judged.returncode == 0
    known = Counter(str(call) for call in judged.calls)
    assert set(seen) == set(known)
    # Two scopes that end together are noted together.
    assert {call for call in known if seen[call] != known[call]} <= {
        "write _staging/ID/journal",
        "fsync _staging/ID/journal",
    }


_LINE = re.compile(r"[0-9]+ +([a-z0-9_]+)\((.*)")
_FD = re.compile(r"[0-9]+<(/[^>]*)>")
_IN_FOLDER = re.compile(r'(?:[0-9]+|AT_FDCWD)<(/[^>]*)>, "([^"]*)"')


def by_strace(line, root):
    """A line of strace as a call's text; empty if it isn't about the output, or only opens."""
    found = _LINE.match(line)
    if found is None or (found[1].startswith("open") and "O_CREAT" not in found[2]):
        return ""
    name, said = found[1], found[2]
    in_folders = [f"{folder}/{leaf}" for folder, leaf in _IN_FOLDER.findall(said)]
    paths = in_folders if name.endswith(("at", "at2")) else _FD.findall(said)[:1]
    if not any(f"{path}/".startswith(f"{root}/") for path in paths):
        return ""
    assert name in NUMBERS, line
    return f"{name} {' -> '.join(plain(path.removeprefix(root).lstrip('/')) for path in paths)}"


def test_the_small_crawl_is_of_two_tables_with_a_part_each(small):
    parts = {path.relative_to(small.old).parts[0]: path for path in small.old.glob("*/snapshot_date=*/*/*.parquet")}
    assert sorted(parts) == sorted(TABLES)
    assert sum(rows(small.old, small.old_id).values()) > 2
    assert {*pq.read_table(parts["fc_layers"])["account_id"].to_pylist()} == {ACCOUNT}
