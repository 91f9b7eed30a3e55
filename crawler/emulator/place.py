"""One account's resources in one region: lists of wire records, by operation and by the path parameters of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator.operation import order
from crawler.emulator.operations import BY_NAME

Record = dict[str, Any]
Parent = tuple[str, ...]


@dataclass(slots=True)
class Place:
    """The lists, each in the order in which it is served, and the names that a path may use."""

    lists: dict[str, dict[Parent, list[Record]]] = field(default_factory=dict)
    names: set[Parent] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)

    def put(self, key: str, records: Sequence[Record], parent: Parent = ()) -> None:
        """Set one list; also what the edit of a living cloud calls."""
        operation = BY_NAME[key.partition("/")[0]]
        ordered = sorted(records, key=lambda record: order(operation, record))
        self.lists.setdefault(key, {})[parent] = ordered
