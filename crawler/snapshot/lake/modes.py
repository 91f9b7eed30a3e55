"""The modes of the files that the lakes' libraries make: those of `[output] umask`, as of all files of the output."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.snapshot.lake.base import LakeSettings

# The process has one umask: blocks that set it take turns.
_turn = threading.Lock()


@contextmanager
def output_umask(settings: LakeSettings) -> Iterator[None]:
    """Make the umask of a local output that of the process, for the block.

    The libraries write files by themselves, with the modes that the process gives. `mkdir` then passes on the
    set-group-ID bit of a folder, which a later `chmod` would remove.
    """
    if not isinstance(settings.root, Path):
        yield
        return
    with _turn:
        before = os.umask(settings.umask)
        try:
            yield
        finally:
            os.umask(before)
