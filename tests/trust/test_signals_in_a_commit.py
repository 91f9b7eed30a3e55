"""A signal at each step of a crawl's end: the exit code and the words say which of the two it was."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.support.small_crawls import assert_clean, assert_old_or_new
from tests.support.snapshot_fakes import manifest_ids


def calls_of(small, root, *more):
    """The changes that an undisturbed crawl makes, in order."""
    found = []

    def judge(_, call):
        found.append(call)

    assert small.judged(small.copy(root), judge, *more).returncode == 0
    return found


def stopped_at(small, root, place, number=signal.SIGTERM, more=()):
    """A crawl that gets a signal before its call at this place, which then goes on. None: it made fewer calls."""
    sent = []

    def judge(index, call):
        if index == place and not sent:
            sent.append(call)
            os.kill(call.pid, number)

    ended = small.judged(small.copy(root), judge, "--log-format", "json", *more)
    return ended if sent else None


def assert_told(small, root, ended, code):
    """Check that the code, the last line and the output agree."""
    last = json.loads(ended.stderr.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("summary", ended.returncode)
    new = manifest_ids(root) - {small.old_id}
    if ended.returncode == 0:
        assert {last["snapshot_id"]} == new
        assert_clean(root, manifest_ids(root))
    else:
        assert (ended.returncode, new) == (code, set())
        assert last["error"].startswith("Stopped; nothing was committed.")
        assert_old_or_new(small, root)


def test_a_signal_during_the_commit_is_told_as_what_was_done(small, tmp_path):
    """F62: SIGTERM while lists are written, before the decisive rename, after it, and before the last call."""
    root = tmp_path / "out"
    calls = calls_of(small, root)
    [decisive] = [place for place, call in enumerate(calls, 1) if ".json.partial -> " in call.path]
    codes = []
    for place in (len(calls) // 3, decisive, decisive + 1, len(calls)):
        ended = stopped_at(small, root, place)
        assert_told(small, root, ended, 143)
        codes.append(ended.returncode)
    assert codes[0] == 143
    assert codes[2:] == [0, 0], "once it is committed it stays so"


def test_a_signal_after_the_commit_of_a_run_is_told_as_what_was_done(small, tmp_path):
    """F62: the last process of a run joins it; SIGTERM before the decisive rename, after it, and at the end."""
    root, run = tmp_path / "out", ("--shard", "0/1", "--run", "night")
    calls = calls_of(small, root, *run)
    [decisive] = [place for place, call in enumerate(calls, 1) if ".json.partial -> " in call.path]
    codes = []
    for place in (decisive, decisive + 1, len(calls)):
        ended = stopped_at(small, root, place, more=run)
        codes.append(ended.returncode)
        last = json.loads(ended.stderr.splitlines()[-1])
        assert (last["event"], last["exit_code"]) == ("summary", ended.returncode)
        new = manifest_ids(root) - {small.old_id}
        if ended.returncode == 0:
            assert {last["run"]["snapshot_id"]} == new
        else:
            assert ended.returncode == 143
            words = f"Stopped. Snapshot {min(new)} is committed." if new else "Stopped; nothing was committed."
            assert last["error"].startswith(words)
    assert codes[1:] == [0, 0], "once it is committed it stays so"


@pytest.mark.trust
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_at_any_call_is_told_as_what_was_done(small, tmp_path, number, code):
    """F62"""
    root = tmp_path / "out"
    codes = []
    calls = len(calls_of(small, root))
    for place in range(1, calls + 1):
        ended = stopped_at(small, root, place, number)
        if ended is None:  # groups of a journal are flushed together, more or less often
            assert place > calls - 5
            break
        assert_told(small, root, ended, code)
        codes.append(ended.returncode)
    assert set(codes) == {0, code}
