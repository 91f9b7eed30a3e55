"""Temporary folders for commands that read snapshots: private, removed at the end, and not needed where possible."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crawler.errors import OutputError
from crawler.local_files import reason_of


def no_room(purpose: str, error: OSError) -> OutputError:
    """Return the error for a temporary file or folder that can't be written."""
    return OutputError(
        f"no temporary folder can be written for {purpose}: {reason_of(error)}; set TMPDIR to a folder that can"
    )


@contextmanager
def spill_folder() -> Iterator[str]:
    """Yield a private temporary folder; "" if none can be made, so that a query has only its memory."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="acs-inventory-")
    except OSError:
        yield ""
        return
    with folder as path:
        yield path


def process_folder(purpose: str) -> Path:
    """Make a private temporary folder, which is removed when the process ends. Raises OutputError."""
    try:
        folder = tempfile.mkdtemp(prefix="acs-inventory-read-")
    except OSError as error:
        raise no_room(purpose, error) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
