"""Runs the command as a user does: exit code, stdout and stderr; and `emulate` in its own process."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path

from tests.support import command_server

ROOT = Path(__file__).parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "COLUMNS": "140", "NO_COLOR": "1"}


def acs_inventory(*arguments, cwd, env=None):
    """Run the command; return its exit code, stdout and stderr."""
    done = command_server.run(arguments, cwd=cwd, env={**ENVIRON, "HOME": str(cwd), **(env or {})})
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@contextmanager
def emulated(folder, faults="", options=()):
    """Run `emulate` in its own process; yield the configuration that it wrote."""
    config = folder / "emulated.toml"
    arguments = ["--write-config", str(config), *options]
    if faults:
        (folder / "faults.toml").write_text(faults)
        arguments += ["--faults", str(folder / "faults.toml")]
    ours, theirs = os.pipe()
    try:
        environ = {**ENVIRON, "HOME": str(folder)}
        process = command_server.start(["emulate", *arguments], cwd=folder, env=environ, files=(theirs, theirs, 2))
    finally:
        os.close(theirs)
    with process, open(ours) as said:
        try:
            assert any(line.startswith("Crawl it:") for line in said)
            yield config
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
