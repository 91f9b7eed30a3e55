"""The records of a journal as bytes, read without the product's reader."""

from __future__ import annotations

import json
import zlib


def records(content: bytes) -> list[tuple[dict, bytes]]:
    """Return each record's JSON and the rows behind it, up to a record whose line is incomplete."""
    found, at = [], 0
    while end := content.find(b"\n", at) + 1:
        record = json.loads(content[at:end].partition(b" ")[2])
        size = sum(block[3] for block in record.get("blocks", ())) if record.get("type") == "rows" else 0
        found.append((record, content[end : end + size]))
        at = end + size
    return found


def encoded(record: dict, rows: bytes = b"", size: int = 0) -> bytes:
    """Return a record with a right checksum, as anyone can compute it. It has at least `size` bytes before the rows."""
    text = json.dumps(record, separators=(",", ":")).encode()
    text = text.ljust(size - 10)
    return b"%08x %s\n%s" % (zlib.crc32(text), text, rows)


def ends(content: bytes) -> list[tuple[int, bool]]:
    """Return where each record ends, and whether it is a scope's."""
    found, at = [], 0
    for record, rows in records(content):
        at = content.index(b"\n", at) + 1 + len(rows)
        found.append((at, record.get("type") == "scope"))
    return found
