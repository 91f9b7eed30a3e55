"""F55, F57, F60, T14, T22, T23: the real command when it is told to stop, killed for its size, or misled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crawler.errors import ConfigError
from tests.support.crawl_runner import BIG, fast_cloud, site
from tests.support.small_crawls import assert_clean, assert_old_or_new, decided
from tests.support.snapshot_fakes import manifest_ids
from tests.support.supervision import HOLD


def requests(small):
    return small.cloud.requests.count()


def a_file(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")


def a_link(path):
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(path.parent.parent)


@pytest.mark.parametrize("place", ["", "_staging", "_snapshots", "fc_layers"])
@pytest.mark.parametrize("make", [a_file, a_link])
async def test_an_output_that_can_not_be_stops_a_crawl_before_anything_is_asked(tmp_path, place, make):
    """F55, T23: a file or a link in the output's place, or in that of a folder in it."""
    async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
        make(here.output / place)
        before = sorted(path for path in tmp_path.rglob("*") if "_staging" not in path.parts)
        with pytest.raises(ConfigError, match=r"^\[output\] uri can't be used: "):
            await here.crawl(here.config(tables='["fc_layers"]'))
        assert here.cloud.requests.count() == 0
        assert sorted(path for path in tmp_path.rglob("*") if "_staging" not in path.parts) == before


@pytest.mark.trust
def test_an_output_with_too_long_a_name_is_exit_2_before_anything_is_asked(small, tmp_path):
    """F55"""
    before = requests(small)
    done = small.crawl(tmp_path / ("x" * 256))
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert done.stderr.startswith("acs-inventory: [output] uri can't be used: can't make the output folder ")
    assert done.stderr.endswith(": File name too long\n")
    assert requests(small) == before


OTHER_DEVICES = """
import json, os, subprocess, sys
from pathlib import Path
root, command = Path({root!r}), {command!r}
def mount(*options):
    subprocess.run(["mount", *options], check=True)
found = []
def crawl():
    done = subprocess.run(command, capture_output=True, text=True)
    found.append((done.returncode, done.stderr))
(root / "fc_layers").mkdir(exist_ok=True)
mount("-t", "tmpfs", "tmpfs", root / "fc_layers")
crawl()
subprocess.run(["umount", root / "fc_layers"], check=True)
mount("--bind", root, root)
mount("-o", "remount,bind,ro", root)
crawl()
print(json.dumps(found))
"""


@pytest.mark.trust
def test_another_device_or_one_that_is_read_only_is_exit_2_before_anything_is_asked(small, tmp_path):
    """F55: real mounts, in a namespace of their own."""
    root = small.copy(tmp_path / "out")
    before = requests(small)
    script = OTHER_DEVICES.format(root=str(root), command=[str(part) for part in small.command(root)])
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script],
        cwd=small.folder, env=small.environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (device, on_device), (read_only, on_read_only) = json.loads(done.stdout)
    assert (device, read_only) == (2, 2)
    assert "fc_layers of the output" in on_device
    assert "is on another device than _staging; put them on one" in on_device
    assert "Read-only file system (EROFS)" in on_read_only
    assert requests(small) == before


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.trust)]
)
def test_a_second_signal_ends_at_once_what_the_first_can_not(small, tmp_path, number, code):
    """F57: a flush never comes back, and the crawl waits for it."""
    root = small.copy(tmp_path / "out")
    threads, was_alive, ended_at = [], [], []

    def stop(pid):
        os.kill(pid, number)
        time.sleep(2)
        was_alive.append(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX")
        os.kill(pid, number)
        ended_at.append(time.monotonic())

    def judge(_, call):
        if call.name != "fsync" or not call.path.endswith("/next.partial"):
            return None
        if not threads:
            threads.append(threading.Thread(target=stop, args=[call.pid]))
            threads[0].start()
        return HOLD

    ended = small.judged(root, judge)
    took_s = time.monotonic() - ended_at[0]
    threads[0].join()
    assert was_alive == [True]
    assert took_s < 5
    assert (ended.returncode, ended.stderr) == (code, "")
    assert_old_or_new(small, root)
    assert (manifest_ids(root), decided(root)) == ({small.old_id}, None)


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.trust
def test_killed_by_a_watcher_of_its_size_it_is_as_killed_anywhere(small, tmp_path):
    """F60: limits at every tenth of the peak memory, and just below it."""
    peak = watched(small, tmp_path / "whole", float("inf"))[1]
    deaths = 0
    for share in (0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 0.99):
        root = small.copy(tmp_path / "out")
        returncode, _ = watched(small, root, peak * share)
        assert_old_or_new(small, root)
        deaths += returncode == -signal.SIGKILL
        new = decided(root)
        ids = manifest_ids(root) | ({new.snapshot_id} if new else set())
        done = small.crawl(root)
        assert (done.returncode, done.stderr) == (0, "")
        assert ids < manifest_ids(root)
        assert_clean(root, manifest_ids(root))
    assert deaths >= 5


def watched(small, root, most_bytes):
    """A crawl that is killed as soon as it has more resident: its exit code, and the most that it had."""
    process = subprocess.Popen(
        small.command(root), cwd=small.folder, env=small.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    most = 0
    while process.poll() is None:
        try:
            most = max(most, resident_bytes(process.pid))
        except (FileNotFoundError, ProcessLookupError):
            break
        if most > most_bytes:
            process.kill()
        time.sleep(0.002)
    return process.wait(), most


def test_all_that_a_crawl_makes_is_its_owners_alone(small, tmp_path):
    """T14: with a umask of 0, and at every moment: modes are looked at before each call of the crawl."""
    odd = set()
    root = tmp_path / "out"

    def judge(_, call):
        for path in root.rglob("*"):
            try:
                mode = path.lstat().st_mode & 0o777
            except FileNotFoundError:
                continue
            if mode & 0o077:
                odd.add((str(path.relative_to(root)), oct(mode)))
        return

    previous = os.umask(0)
    try:
        ended = small.judged(root, judge)
    finally:
        os.umask(previous)
    assert ended.returncode == 0, ended.stderr
    assert odd == set()
    assert {oct(path.stat().st_mode & 0o777) for path in root.rglob("*")} == {"0o600", "0o700"}


def test_a_link_that_is_planted_while_a_crawl_runs_is_not_followed(small, tmp_path):
    """T23: in the place of a folder, just before something is made in it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root = small.copy(tmp_path / "out")
    planted = []

    def judge(_, call):
        if (
            call.name == "mkdirat"
            and call.path.endswith("fc_layers")
            and call.path.startswith("_staging")
            and not planted
        ):
            [staging] = root.glob("_staging/2*")
            (staging / "fc_layers").symlink_to(outside)
            planted.append(call)
        return

    ended = small.judged(root, judge)
    assert planted
    assert ended.returncode == 4
    assert "links are not followed in the output" in ended.stderr
    assert list(outside.iterdir()) == []
    assert_old_or_new(small, root)
