"""Applies a day to the emulated cloud: adds, removes and changes some records of every product.

The result is deterministic: the same spec and day give the same cloud. Children are added and removed with their
parents, and so are the configurations and tags that name them. `differences` computes the changes between two days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import orjson

from crawler.emulator.apis.operation import GLOBAL, EmulatedOperation
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS
from crawler.emulator.data.fc import put_details
from crawler.emulator.data.fc_open import put_second_generation
from crawler.emulator.data.ram import put_derived
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeededRandom
from crawler.emulator.days import rules, values
from crawler.emulator.faults.effects import Deny
from crawler.emulator.faults.script import Rule
from crawler.emulator.records import Item, Parent
from crawler.emulator.spec import CloudSpec

DENIED_PRODUCT = "opensearch"
# The share of lists that change on a day. In the first account's first region, all lists do.
_SHARE = 0.4
# The maximum number of records that change in a list on a day, in addition to the first one.
_MAX_CHANGES = 25
_TRIES = 12
# Lists that name a parent in a field instead of their path.
_FOLLOWERS = frozenset(name for references in rules.REFERENCES.values() for name, _, _ in references)
# Parents before the lists that belong to them or name them: children of a new parent don't change on its first day.
_LISTS = tuple(
    sorted(
        (op for op in OPERATIONS if op.is_inventory and op.name not in rules.UNCHANGED),
        key=lambda op: (op.name in _FOLLOWERS, len(op.parameters), op.name),
    )
)


def denied(spec: CloudSpec) -> tuple[str, str] | None:
    """Return the account and the product that it may not list, on every second day."""
    named = spec.organization.named_accounts if spec.organization is not None else set()
    others = [account for account in spec.accounts if account not in named]
    return (others[-1], DENIED_PRODUCT) if spec.day % 2 == 0 else None


def faults(spec: CloudSpec) -> list[Rule]:
    """Return the faults of the day: 403 for the lists of `denied`. Listing the product's regions still works."""
    refused = denied(spec)
    if refused is None:
        return []
    account, product = refused
    return [Rule(effect=Deny(), account=account, product=product, action=name) for name in ("List*", "DescribeApps")]


def apply_day(data: RegionData, spec: CloudSpec, account_id: str, region_id: str, day: int) -> None:
    """Advance the data of an account in a region from the previous day to this one."""
    is_first = account_id == spec.accounts[0] and region_id in (spec.regions[0], GLOBAL)
    new_parents: set[str] = set()
    for operation in _LISTS:
        rng = LocalSeededRandom(spec.seed, account_id, region_id, "day", day, operation.name)
        _OperationDay(data, operation, rng, day, new_parents).run(1.0 if is_first else _SHARE)
    for name in sorted(rules.SIGNED):
        rng = LocalSeededRandom(spec.seed, account_id, region_id, "signature", day, name)
        for parent, records in data.lists.get(name, {}).items():
            data.lists[name][parent] = [values.renew_signature(record, rng) for record in records]
    if region_id == GLOBAL:
        put_derived(data)
    else:
        put_details(data)
        put_second_generation(data)
    data.secrets[:] = _markers(data)


class _OperationDay:
    """The changes of one operation's lists on one day. `new_parents` are parents added today; they don't change."""

    def __init__(
        self, data: RegionData, operation: EmulatedOperation, rng: SeededRandom, day: int, new_parents: set[str]
    ) -> None:
        self._data = data
        self._operation = operation
        self._dice = rng
        self._day = day
        self._new_parents = new_parents

    def run(self, share: float) -> None:
        """Remove, change and add some records, each of the three with a probability of `share`."""
        name = self._operation.name
        moves = self._operation.envelope not in rules.ENVELOPES_OF_ONE and name not in rules.ONLY_CHANGED
        if self._dice.chance(share) and moves:
            for parent, record in self._chosen(least=3):
                self._remove(parent, record)
        if self._dice.chance(share):
            for turn, (parent, record) in enumerate(self._chosen(least=1, every=20, for_change=True)):
                self._change(parent, record, turn)
        if self._dice.chance(share) and moves and name not in rules.NEVER_ADDED:
            for parent, record in self._chosen(least=1):
                self._add(parent, record)

    def _chosen(self, least: int, every: int = 40, *, for_change: bool = False) -> Iterator[tuple[Parent, Item]]:
        """Yield one record, and another one per `every` records; none if there are fewer than `least`.

        To add or remove, choose from three random records the one with the fewest children, so that a day changes
        sizes little. `for_change`: choose a random record that has the field that this turn changes.
        """
        lists = self._data.lists.get(self._operation.name, {})
        all_records = [(parent, record) for parent in sorted(lists) for record in lists[parent]]
        found = [one for one in all_records if _is_plain(one[1]) and not self._is_new(*one)]
        if len(found) < least:
            return
        for turn in range(1 + min(len(found) // every, _MAX_CHANGES)):
            picked = [self._dice.integer(0, len(found) - 1) for _ in range(_TRIES if for_change else 3)]
            if for_change:
                wanted = [
                    number for number in picked if values.has_first_field(self._operation, found[number][1], turn)
                ]
                yield found.pop((wanted or picked)[0])
            else:
                yield found.pop(min(picked, key=lambda number: self._below(*found[number])))

    def _is_new(self, parent: Parent, record: Item) -> bool:
        words = set(parent)
        if isinstance(record, dict):
            words.update(*(re.split("[:/#.]", str(record.get(field))) for field in rules.identity(self._operation)))
        return not self._new_parents.isdisjoint(words)

    def _below(self, parent: Parent, record: Item) -> int:
        """Return the number of records in the lists below this one."""
        if not self._operation.child_namespace:
            return 0
        name = (*parent, str(record[self._operation.key[0]]))
        return sum(len(self._data.lists[child.name][where]) for child, where in self._children(name))

    def _children(self, name: Parent) -> list[tuple[EmulatedOperation, Parent]]:
        """Return the lists below one parent."""
        depth = len(name)
        return [
            (child, parent)
            for child in OPERATIONS
            if child.namespace_at(depth) == self._operation.child_namespace
            for parent in self._data.lists.get(child.name, {})
            if parent[:depth] == name
        ]

    def _references(self, parent: Parent, record: Item) -> list[tuple[str, Parent, Callable[[Item], bool]]]:
        """Return the lists that may name a record: operation, parent, and a predicate for their records."""
        return [
            (name, outer, partial(rules.names, field=field, wanted=str(record[own])))
            for name, field, own in rules.REFERENCES.get(self._operation.name, ())
            for outer in list(self._data.lists.get(name, {}))
            if len(outer) != len(parent) or outer == parent
        ]

    def _list(self, parent: Parent) -> list[Item]:
        return self._data.lists[self._operation.name][parent]

    def _remove(self, parent: Parent, record: Item) -> None:
        rest = [other for other in self._list(parent) if other is not record]
        self._data.put(self._operation.name, rest, parent)
        for name, outer, is_about in self._references(parent, record):
            self._data.put(name, [other for other in self._data.lists[name][outer] if not is_about(other)], outer)

    def _change(self, parent: Parent, record: Item, turn: int) -> None:
        if isinstance(record, dict):
            other = values.with_changed_field(self._operation, record, self._dice, self._day, turn)
            records = [other if one is record else one for one in self._list(parent)]
            self._data.put(self._operation.name, records, parent)

    def _add(self, parent: Parent, record: Item) -> None:
        """Add a copy of this record, with copies of its child lists and of the records that name it."""
        if isinstance(record, str):
            kind, _, rest = record.partition("-")
            fresh = f"{kind}-{self._dice.text(len(rest))}" if rest else self._dice.hex(len(record)).upper()
            self._data.put(self._operation.name, [*self._list(parent), fresh], parent)
            return
        field, also = (rules.identity(self._operation) or ("",))[-1], rules.ALSO_NEW.get(self._operation.name, ())
        renamed = {name: (record[name], self._fresh(name, record[name], parent)) for name in (field, *also) if name}
        copy = values.make_copier(self._dice, renamed.values(), {name[-1] for name in self._data.names})
        made = {**copy(record), **{name: new for name, (_, new) in renamed.items()}}
        self._data.put(self._operation.name, [*self._list(parent), made], parent)
        if self._operation.child_namespace:
            key = self._operation.key[0]
            self._new_parents.add(str(made[key]))
            self._copy_below((*parent, str(record[key])), (*parent, str(made[key])), copy)
        for name, outer, is_about in self._references(parent, record):
            records = self._data.lists[name][outer]
            self._data.put(name, [*records, *(copy(other) for other in records if is_about(other))], outer)

    def _fresh(self, field: str, value: Any, parent: Parent) -> Any:
        taken = {str(other.get(field)) for other in self._list(parent) if isinstance(other, dict)}
        return values.fresh_key(self._operation, self._dice, self._day, value, taken)

    def _copy_below(self, old: Parent, new: Parent, copy: values.Copy) -> None:
        """Copy the lists and the names below one parent to another."""
        data, depth = self._data, len(old)
        for known in [known for known in data.names if known[1 : depth + 1] == old and len(known) > depth + 1]:
            if f"{known[0]}/".startswith(f"{self._operation.child_namespace}/"):
                data.names.add((known[0], *new, *known[depth + 1 :]))
        for child, parent in self._children(old):
            copies = [copy(record) for record in data.lists[child.name][parent]]
            data.put(child.name, copies, (*new, *parent[depth:]))


def _is_plain(record: Item) -> bool:
    """Return whether the item is a non-empty object or a string. Some seeded lists have other values."""
    return isinstance(record, str) or (isinstance(record, dict) and bool(record))


def _markers(data: RegionData) -> Sequence[str]:
    """Return the markers of the secrets in the data, each once, in the order of the lists."""
    tables = [
        name for name in data.lists if name in BY_NAME and (BY_NAME[name].is_inventory or name in rules.SECRET_DETAILS)
    ]
    lists = [list(data.lists[name].values()) for name in tables]
    return list(dict.fromkeys(values.MARKER.findall(orjson.dumps(lists).decode())))
