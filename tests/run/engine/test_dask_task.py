"""What a Dask worker does with the child of a task, without Dask: its lines, its end, and ending it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from crawler.run.engine import dask_task


def attend(code, is_wanted=lambda said: True):
    """Attend a child that runs `code`. Returns its exit code and all that was said."""
    said = []
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as child:
        dask_task._attend(child, lambda **values: said.append(values["data"]), lambda: is_wanted(said))
        child.kill()
        return child.wait(), said


def test_all_that_a_child_writes_is_passed_on_in_order():
    code = "import sys; [sys.stderr.write(f'{i}\\n') for i in range(400_000)]; sys.stderr.write('end'); sys.exit(3)"
    exit_code, said = attend(code)
    assert exit_code == 3
    assert b"".join(said) == b"".join(b"%d\n" % i for i in range(400_000)) + b"end"
    assert max(map(len, said)) <= 2 * dask_task._MOST_BYTES


def test_a_child_that_is_not_wanted_may_end_in_its_own_way():
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('bye', file=sys.stderr), "
        "sys.exit(143))); print('up', file=sys.stderr, flush=True); time.sleep(600)"
    )
    exit_code, said = attend(code, lambda said: not b"".join(said).endswith(b"\n"))
    assert (exit_code, b"".join(said)) == (143, b"up\nbye\n")


def test_a_child_that_does_not_end_is_killed_after_a_grace_period(monkeypatch):
    monkeypatch.setattr(dask_task, "GRACE_S", 0.5)
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('up', file=sys.stderr, flush=True); time.sleep(600)"
    )
    exit_code, said = attend(code, lambda said: not b"".join(said).endswith(b"\n"))
    assert (exit_code, b"".join(said)) == (-signal.SIGKILL, b"up\n")


def test_a_pipe_that_stays_open_does_not_keep_the_task(monkeypatch):
    """A process that the child has left behind holds its stderr."""
    monkeypatch.setattr(dask_task, "_PATIENCE_S", 0.5)
    began = time.monotonic()
    exit_code, _ = attend("import os, time; os.fork() or time.sleep(15); os._exit(5)")
    assert exit_code == 5
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["missing", "killed"])
def test_only_the_child_of_the_task_is_killed(kind):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        dask_task._children["one"] = child
        try:
            dask_task.kill_child("one" if kind == "killed" else "other")
            assert (child.poll() is None) == (kind == "missing") or child.wait() == -signal.SIGKILL
        finally:
            del dask_task._children["one"]
            child.kill()
