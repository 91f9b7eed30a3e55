"""The example configuration, which the package contains: its text, and the comment of each key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path

FILE_NAME = "config.example.toml"
_HEADER = re.compile(r"(?:# )?\[{1,2}([\w.]+)\]{1,2} *(?:# (.*))?")
_KEY = re.compile(r'(?:# )?("[\w.-]+"|[\w-]+) = (.*?)(?: +# (.*))?')


@dataclass(frozen=True, slots=True)
class ExampleEntry:
    """A key or a section in the example: its value there and its comment."""

    value: str
    comment: str


def example_text() -> str:
    """Return the text of the example: the checkout's, else the wheel's."""
    checkout = Path(__file__).parents[2] / FILE_NAME
    if checkout.is_file():
        return checkout.read_text("utf-8")
    return (resources("crawler") / FILE_NAME).read_text("utf-8")


def example_entries(example: str) -> Mapping[str, ExampleEntry]:
    """Return the entries of an example by their path, such as `output.iceberg.namespace`, in the order of the file.

    The first entry of a path that has a comment counts.
    """
    entries: dict[str, ExampleEntry] = {}
    for path, entry in _read_lines(example):
        if path not in entries or not entries[path].comment:
            entries[path] = entry
    return entries


def _read_lines(example: str) -> Iterator[tuple[str, ExampleEntry]]:
    path = ""
    for line in example.splitlines():
        if found := _HEADER.fullmatch(line):
            path = found[1]
            yield path, ExampleEntry("", found[2] or "")
        elif found := _KEY.fullmatch(line):
            yield f"{path}.{found[1]}", ExampleEntry(found[2], found[3] or "")
