"""Measures the peak memory of a process."""

from __future__ import annotations

import re
from pathlib import Path


def peak_kb(process: int | str) -> int:
    """Return the peak memory of a process since its program started, in kB; 0 if it has ended.

    Not `ru_maxrss`: that includes the memory of the parent process at the start, such as a judge with many rows.
    """
    try:
        text = Path(f"/proc/{process}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0
