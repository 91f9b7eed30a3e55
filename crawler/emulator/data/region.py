"""One account's resources in one region: lists of wire records, by operation and by the path parameters of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator.apis.operation import EmulatedOperation, order
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS

Record = Any  # an object; in lists of IDs and the like, what is in the list
Parent = tuple[str, ...]


@dataclass(slots=True)
class RegionData:
    """The lists in the order in which they are served, and the paths (see `EmulatedOperation.ancestors`)."""

    lists: dict[str, dict[Parent, list[Any]]] = field(default_factory=dict)
    names: set[Parent] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)

    def put(self, key: str, records: Sequence[Record], parent: Parent = ()) -> None:
        """Set one list; also what the edit of a living cloud calls. Its records become parents where they can."""
        operation = BY_NAME[key.partition("/")[0]]
        ordered = sorted(records, key=lambda record: order(operation, record))
        before = self.lists.setdefault(key, {}).get(parent, [])
        self.lists[key][parent] = ordered
        if operation.names and key == operation.name:
            after = {_name(operation, parent, record) for record in ordered}
            self._forget(operation, {_name(operation, parent, record) for record in before} - after)
            self.names.update((operation.names, *name) for name in after)

    def _forget(self, operation: EmulatedOperation, gone: Iterable[Parent]) -> None:
        """Drop what hangs on parents that are gone."""
        for name in gone:
            depth = len(name)
            self.names -= {known for known in self.names if _is_below(known, operation.names, name)}
            for child in OPERATIONS:
                lists = self.lists.get(child.name, {})
                for parent in [parent for parent in lists if parent[:depth] == name]:
                    if child.space_at(depth) == operation.names:
                        del lists[parent]


def _name(operation: EmulatedOperation, parent: Parent, record: Record) -> Parent:
    return (*parent, str(record.get(operation.key[0])))


def _is_below(known: Parent, space: str, name: Parent) -> bool:
    return known[1 : len(name) + 1] == name and f"{known[0]}/".startswith(f"{space}/")
