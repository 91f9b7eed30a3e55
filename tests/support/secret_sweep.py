"""Finds markers in bytes in all encodings: plain, Base64, percent-encoded, escaped or hex.

A marker is `canary` and 24 hex digits, as the emulator plants them; other needles are named texts.
"""

from __future__ import annotations

import base64
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pyarrow.parquet as pq

MARKER = re.compile(rb"canary[0-9a-f]{24}", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{28,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{24,}")
_ESCAPED = re.compile(rb"\\+(?:u00|x)([0-9A-Fa-f]{2})")
# Nested encodings are searched, too.
DEPTH = 3


def readings(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """Yield the data, and its contents in each possible encoding."""
    yield data
    if depth == 0:
        return
    for other in {_unquoted(data), _unescaped(data), _unwidened(data), _from_hex(data), _from_base64(data)}:
        if other and other != data:
            yield from readings(other, depth - 1)


def _unquoted(data: bytes) -> bytes:
    return unquote_to_bytes(data) if b"%" in data else b""


def _unescaped(data: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), data) if b"\\" in data else b""


def _unwidened(data: bytes) -> bytes:
    """Convert UTF-16 of ASCII text to ASCII."""
    return data.replace(b"\0", b"") if b"c\0a\0n\0" in data.lower() else b""


def _from_hex(data: bytes) -> bytes:
    runs = _HEX.findall(data)
    return b"\n".join(bytes.fromhex(run[at : at + (len(run) - at) // 2 * 2].decode()) for run in runs for at in (0, 1))


def _from_base64(data: bytes) -> bytes:
    runs = [run.translate(bytes.maketrans(b"-_", b"+/")) for run in _BASE64.findall(data)]
    return b"\n".join(base64.b64decode(run[at:] + b"A" * (-len(run[at:]) % 4)) for run in runs for at in range(4))


class Sweep:
    """Searches for markers, and for these texts."""

    def __init__(self, *needles: str) -> None:
        self._needles = [needle.lower().encode() for needle in needles if needle]

    def found(self, data: bytes) -> set[str]:
        """Return all markers and needles in the data, in any encoding."""
        hits: set[str] = set()
        for reading in readings(data):
            hits |= {match.lower().decode() for match in MARKER.findall(reading)}
            lower = reading.lower()
            hits |= {needle.decode() for needle in self._needles if needle in lower}
        return hits

    def found_in_folder(self, folder: Path) -> dict[str, set[str]]:
        """Return file → findings in its bytes, its values or its members; only files with findings."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        hits = {str(path.relative_to(folder)): self._found_in_file(path) for path in files}
        hits["names"] = self.found("\n".join(str(path) for path in folder.rglob("*")).encode())
        return {name: found for name, found in hits.items() if found}

    def _found_in_file(self, path: Path) -> set[str]:
        hits = self.found(path.read_bytes())
        if path.suffix == ".parquet":
            table = pq.read_table(path, partitioning=None)
            hits |= self.found("\0".join(texts(table.to_pylist())).encode("utf-8", "surrogatepass"))
            hits |= self.found(repr(table.schema.metadata).encode())
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as book:
                hits |= self.found(b"\0".join(book.read(name) for name in book.namelist()))
        return hits


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in nested values, including names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
