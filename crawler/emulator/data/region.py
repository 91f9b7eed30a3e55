"""The resources of one account in one region: lists of wire records, by operation and path parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator.apis.operation import EmulatedOperation, order
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS
from crawler.emulator.data.seeded import LocalSeededRandom, SeedPath
from crawler.emulator.records import Item, Parent


@dataclass(slots=True)
class RegionData:
    """The lists in the order served, the known names (`EmulatedOperation.ancestors`), and the markers of secrets."""

    lists: dict[str, dict[Parent, list[Any]]] = field(default_factory=dict)
    names: set[Parent] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)

    def rng(self, where: SeedPath, *path: object) -> LocalSeededRandom:
        """Return random values for one list or record; the markers of their secrets are added to `secrets`."""
        rng = LocalSeededRandom(*where, *path)
        rng.secrets = self.secrets
        return rng

    def put(self, key: str, records: Sequence[Item], parent: Parent = ()) -> None:
        """Set one list, also in a cloud that is being served. Its records become parents if the operation says so."""
        operation = BY_NAME[key.partition("/")[0]]
        ordered = sorted(records, key=lambda record: order(operation, record))
        before = self.lists.setdefault(key, {}).get(parent, [])
        self.lists[key][parent] = ordered
        if operation.child_namespace and key == operation.name:
            after = {_name(operation, parent, record) for record in ordered}
            self._forget(operation, {_name(operation, parent, record) for record in before} - after)
            self.names.update((operation.child_namespace, *name) for name in after)

    def _forget(self, operation: EmulatedOperation, gone: Iterable[Parent]) -> None:
        """Remove the lists and names below removed parents."""
        for name in gone:
            depth = len(name)
            self.names -= {known for known in self.names if _is_below(known, operation.child_namespace, name)}
            for child in OPERATIONS:
                lists = self.lists.get(child.name, {})
                for parent in [parent for parent in lists if parent[:depth] == name]:
                    if child.namespace_at(depth) == operation.child_namespace:
                        del lists[parent]


def _name(operation: EmulatedOperation, parent: Parent, record: Item) -> Parent:
    return (*parent, str(record.get(operation.key[0])))


def _is_below(known: Parent, space: str, name: Parent) -> bool:
    return known[1 : len(name) + 1] == name and f"{known[0]}/".startswith(f"{space}/")
