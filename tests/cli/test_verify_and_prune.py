"""`snapshots verify` and `snapshots prune` in real processes: exit codes, text output, JSON output."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.layout import part_path
from tests.support import command_server
from tests.support.odd_files import ends_within, put
from tests.support.snapshot_fakes import NEW, OLD, write_snapshot

ROOT = Path(__file__).parents[2]
PART = part_path("fc_functions", NEW, 0)


@pytest.fixture
async def root(tmp_path):
    """An output with two complete snapshots."""
    await write_snapshot(tmp_path / "out", OLD)
    await write_snapshot(tmp_path / "out")
    return tmp_path / "out"


def snapshots(*arguments, root):
    """Exit code, stdout and stderr of a `snapshots` command on an output."""
    environ = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    done = command_server.run(["snapshots", *arguments, "--output", root], cwd=root.parent, env=environ)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_verify_says_by_its_exit_code_whether_all_is_whole_and_names_what_is_not(root):
    code, out, err = snapshots("verify", root=root)
    assert (code, err) == (0, "")
    assert out.count("✓") == 2
    assert "All files are as committed." in out
    [sha256] = [line.split()[0] for line in (root / f"_snapshots/{NEW}.json.sha256").read_text().splitlines()]
    assert sha256 in out
    (root / PART).write_bytes(b"")
    code, out, _ = snapshots("verify", "--all", root=root)
    assert code == 1
    assert f"{PART} has 0 bytes, its manifest says" in out
    assert "1 file isn't as committed." in out
    assert snapshots("verify", OLD, root=root)[0] == 0
    assert snapshots("verify", "latest", root=root)[0] == 1


def test_verify_is_exit_1_for_what_belongs_to_no_snapshot_alone(root):
    (root / "_snapshots/LATEST").write_text(f"{OLD}\n")
    code, out, _ = snapshots("verify", root=root)
    assert code == 1
    assert "_snapshots/LATEST names" in out
    assert out.count("✓") == 2


def test_verify_for_programs(root):
    (root / PART).unlink()
    code, out, _ = snapshots("verify", "--json", root=root)
    said = json.loads(out)
    assert (code, said["is_whole"], said["bad_files"]) == (1, False, [])
    newest, oldest = said["snapshots"]
    assert newest["bad_files"] == [{"path": PART, "reason": "is missing"}]
    assert (oldest["snapshot_id"], oldest["is_whole"], oldest["rows"], oldest["bad_files"]) == (OLD, True, 3, [])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["verify", "20200101T000000Z-0000"], 2, "has no snapshot 20200101T000000Z-0000"),
        (["verify", "--all", OLD], 2, "either snapshot IDs or --all"),
        (["prune"], 2, "at least one --keep-"),
        (["prune", "--keep-last", "0"], 2, "'0' is neither a whole number from 1 nor `unlimited`"),
        (["prune", "--keep-within", "1w"], 2, "invalid duration '1w'"),
    ],
)
def test_bad_input_is_a_sentence(root, arguments, code, said):
    found, out, err = snapshots(*arguments, root=root)
    assert (found, out) == (code, "")
    assert said in err


def test_an_output_without_snapshots_can_not_be_verified(tmp_path):
    (tmp_path / "out").mkdir()
    code, _, err = snapshots("verify", root=tmp_path / "out")
    assert code == 2, "1 is damage only"
    assert "no snapshot to verify" in err


def test_prune_says_what_it_would_do_and_then_does_it(root):
    code, out, _ = snapshots("prune", "--keep-daily", "1", "--dry-run", "--json", root=root)
    said = json.loads(out)
    assert (code, said["dry_run"], said["unfinished_removed"]) == (0, True, [])
    assert [(entry["snapshot_id"], entry["reasons"]) for entry in said["kept"]] == [(NEW, ["daily", "newest complete"])]
    assert [entry["snapshot_id"] for entry in said["removed"]] == [OLD]
    code, out, _ = snapshots("prune", "--keep-daily", "1", "--dry-run", root=root)
    assert "Would be removed: 1" in out
    assert (root / f"_snapshots/{OLD}.json").exists()
    code, out, _ = snapshots("prune", "--keep-daily", "1", root=root)
    assert code == 0
    assert "Removed: 1" in out
    assert not (root / f"_snapshots/{OLD}.json").exists()
    code, out, _ = snapshots("prune", "--keep-daily", "unlimited", root=root)
    assert "Nothing to remove." in out
    assert snapshots("verify", root=root)[0] == 0


def test_prune_beside_a_crawl_is_exit_11(root):
    disk = Disk(root)
    lock = OutputLock.acquire(disk, datetime.fromisoformat("2026-11-22T02:00:00+00:00"))
    code, _, err = snapshots("prune", "--keep-last", "1", root=root)
    assert code == 11
    assert f"process {os.getpid()}" in err
    assert snapshots("prune", "--keep-last", "1", "--dry-run", root=root)[0] == 0
    lock.release()
    disk.close_root()


def test_prune_that_cannot_complete_a_removal_removes_the_others_and_says_so(root):
    """F75: exit 4, as for an output that can't be written, and 0 again when a user has cleared it away."""
    staged = root / "_staging/prune-20261119T020000Z-0000"
    staged.mkdir()
    (staged / "manifest.json").write_text("{}")
    for removed in ([OLD], []):
        code, out, err = snapshots("prune", "--keep-last", "1", "--json", root=root)
        assert code == 4
        assert err.startswith("acs-inventory: the removal of 20261119T020000Z-0000 can't be completed: ")
        done = json.loads(out)
        assert [entry["snapshot_id"] for entry in done["removed"]] == removed
        assert len(done["stuck"]) == 1
    shutil.rmtree(staged)
    assert snapshots("prune", "--keep-last", "1", root=root)[::2] == (0, "")


COMMANDS = {
    "snapshots list": ["snapshots", "list"],
    "snapshots show": ["snapshots", "show"],
    "snapshots verify": ["snapshots", "verify"],
    "snapshots prune": ["snapshots", "prune", "--keep-last", "1"],
    "query": ["query", "SELECT count(*) FROM fc_functions"],
    "export": ["export", "fc_functions", "--to", "x.csv"],
    "report": ["report", "--to", "x.html"],
    "diff": ["diff"],
}


@pytest.mark.parametrize("path", [PART, f"_snapshots/{NEW}.json", "_snapshots/LATEST"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_whatever_lies_in_a_files_place(root, name, path):
    """F72: a named pipe that no process writes to, in the real command."""
    put(root / path, "a named pipe")
    with ends_within(60):
        done = command_server.run([*COMMANDS[name], "--output", root], cwd=root.parent, env=dict(os.environ))
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "defect" not in said
    assert done.returncode in (0, 1, 4)
    if name == "snapshots verify":
        assert done.returncode == 1
        assert f"{path} is a named pipe, not a regular file" in done.stdout
    if done.returncode == 4 or (name, path) == ("query", PART):
        assert "is a named pipe, not a regular file" in done.stderr
