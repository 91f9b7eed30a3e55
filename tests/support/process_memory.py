"""The peak memory of a process."""

from __future__ import annotations

import re
from pathlib import Path


def peak_kb(process: int | str) -> int:
    """The most memory that a process has held since its program began; 0 where it has ended.

    Not `ru_maxrss`: that counts what whoever started the process held at that moment, such as a judge with many rows.
    """
    try:
        text = Path(f"/proc/{process}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0
