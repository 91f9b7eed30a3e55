"""A command in a fork has the same result as in a new process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support import command_server

ENVIRON = {
    **os.environ,
    "PYTHONPATH": str(command_server.ROOT),
    "PYTHONWARNINGS": "error",
    "COLUMNS": "90",
    "NO_COLOR": "1",
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["tables"],
        ["policy", "--table", "fc_*"],
        ["no-such-command"],
        ["crawl", "--config", "missing.toml"],
        ["query", "SELECT 1", "--output", "nowhere"],
    ],
    ids=" ".join,
)
def test_a_command_says_the_same_and_ends_the_same(tmp_path, arguments):
    command = [sys.executable, "-m", "crawler", *arguments]
    started = subprocess.run(command, cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, check=False)
    forked = command_server.run(arguments, cwd=tmp_path, env=ENVIRON)
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_each_has_its_own_environment_and_folder(tmp_path):
    for name in ("one.toml", "other.toml"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(f"{folder.stem} = 1\n")
        done = command_server.run(["crawl"], cwd=folder, env={**ENVIRON, "ACS_INVENTORY_CONFIG": name})
        assert done.returncode == 2
        assert done.stderr.startswith(f"acs-inventory: {folder / name}: {folder.stem} isn't a known key")


def test_one_that_is_killed_says_by_what(tmp_path):
    ours, theirs = os.pipe()
    arguments = ["emulate", "--write-config", tmp_path / "config.toml"]
    child = command_server.start(arguments, cwd=tmp_path, env=ENVIRON, files=(theirs, theirs, 2))
    os.close(theirs)
    with child, open(ours) as said:
        assert said.readline()
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL


def test_one_whose_test_fails_does_not_outlive_it(tmp_path):
    ours, theirs = os.pipe()
    arguments = ["emulate", "--write-config", tmp_path / "config.toml"]
    child = command_server.start(arguments, cwd=tmp_path, env=ENVIRON, files=(theirs, theirs, 2))
    os.close(theirs)
    with open(ours) as said:
        assert said.readline()
        child.__exit__(KeyError)
    assert child.returncode == -signal.SIGKILL
