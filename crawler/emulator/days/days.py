"""What a day does to the emulated cloud: some records come, some go, some change, in every product.

It is as deterministic as the seeds are: the same recipe on the same day is the same cloud. Children come and go with
their parents, and so do the configurations and tags of a whole region that name them. What has changed between two
days is in `differences`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import orjson

from crawler.emulator.apis.operation import EmulatedOperation
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS
from crawler.emulator.data.fc import put_details
from crawler.emulator.data.fc_open import put_second_generation
from crawler.emulator.data.region import Parent, RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeededRandom
from crawler.emulator.days.rules import (
    ALSO_NEW,
    ENVELOPES_OF_ONE,
    NEVER_ADDED,
    ONLY_CHANGED,
    REFERENCES,
    SIGNED,
    STILL,
    identity,
    names,
)
from crawler.emulator.days.values import MARKER, Copy, changed, copier, fresh_key, has_first, signed_anew
from crawler.emulator.faults.effects import Deny
from crawler.emulator.faults.script import Rule
from crawler.emulator.spec import CloudSpec

Record = Any

DENIED_PRODUCT = "opensearch"
# How many of the small places' lists take part in a day; in the first account's first region all do.
_SHARE = 0.4
# Nor do more take part in a day, however large the cloud is.
_MOST = 25
_TRIES = 12
# What names a parent elsewhere than in the path.
_FOLLOWERS = frozenset(name for references in REFERENCES.values() for name, _, _ in references)
# Parents before whatever hangs on them or names them: what came with a new one stays for its first day.
_LISTS = tuple(
    sorted(
        (op for op in OPERATIONS if op.is_inventory and op.name not in STILL),
        key=lambda op: (op.name in _FOLLOWERS, len(op.parameters), op.name),
    )
)


def denied(spec: CloudSpec) -> tuple[str, str] | None:
    """The account and the product that it may no longer list: on every second day."""
    odd = spec.organization.named if spec.organization is not None else set()
    sound = [account for account in spec.accounts if account not in odd]
    return (sound[-1], DENIED_PRODUCT) if spec.day % 2 == 0 else None


def faults(spec: CloudSpec) -> list[Rule]:
    """What the day makes go wrong: 403 for whatever `denied` names. Where the product is may still be asked."""
    refused = denied(spec)
    if refused is None:
        return []
    account, product = refused
    return [Rule(effect=Deny(), account=account, product=product, action=name) for name in ("List*", "DescribeApps")]


def pass_day(place: RegionData, spec: CloudSpec, account_id: str, region_id: str, day: int) -> None:
    """Bring what an account has in a region from the day before to this one."""
    is_first = (account_id, region_id) == (spec.accounts[0], spec.regions[0])
    newcomers: set[str] = set()
    for operation in _LISTS:
        dice = LocalSeededRandom(spec.seed, account_id, region_id, "day", day, operation.name)
        _Turn(place, operation, dice, day, newcomers).run(1.0 if is_first else _SHARE)
    for name in sorted(SIGNED):
        dice = LocalSeededRandom(spec.seed, account_id, region_id, "signature", day, name)
        for parent, records in place.lists.get(name, {}).items():
            place.lists[name][parent] = [signed_anew(record, dice) for record in records]
    put_details(place)
    put_second_generation(place)
    place.secrets[:] = _markers(place)


class _Turn:
    """One operation's lists on one day. `newcomers` are the names of parents that came today: they stay as they are."""

    def __init__(
        self, place: RegionData, operation: EmulatedOperation, dice: SeededRandom, day: int, newcomers: set[str]
    ) -> None:
        self._place = place
        self._operation = operation
        self._dice = dice
        self._day = day
        self._newcomers = newcomers

    def run(self, share: float) -> None:
        """Take some records away, change some, add some; each of these with a chance of `share`."""
        name = self._operation.name
        moves = self._operation.envelope not in ENVELOPES_OF_ONE and name not in ONLY_CHANGED
        if self._dice.chance(share) and moves:
            for parent, record in self._some(least=3):
                self._remove(parent, record)
        if self._dice.chance(share):
            for turn, (parent, record) in enumerate(self._some(least=1, every=20, for_change=True)):
                self._change(parent, record, turn)
        if self._dice.chance(share) and moves and name not in NEVER_ADDED:
            for parent, record in self._some(least=1):
                self._add(parent, record)

    def _some(self, least: int, every: int = 40, *, for_change: bool = False) -> Iterator[tuple[Parent, Record]]:
        """One record and another for every so many, none of fewer than `least`.

        Of a few by chance the one with the least below it: the big ones stay, and nothing doubles in a day. Where it is
        to change, one that has what this turn changes.
        """
        lists = self._place.lists.get(self._operation.name, {})
        all_records = [(parent, record) for parent in sorted(lists) for record in lists[parent]]
        found = [one for one in all_records if _is_plain(one[1]) and not self._is_new(*one)]
        if len(found) < least:
            return
        for turn in range(1 + min(len(found) // every, _MOST)):
            picked = [self._dice.integer(0, len(found) - 1) for _ in range(_TRIES if for_change else 3)]
            if for_change:
                wanted = [number for number in picked if has_first(self._operation, found[number][1], turn)]
                yield found.pop((wanted or picked)[0])
            else:
                yield found.pop(min(picked, key=lambda number: self._below(*found[number])))

    def _is_new(self, parent: Parent, record: Record) -> bool:
        words = set(parent)
        if isinstance(record, dict):
            words.update(*(re.split("[:/#.]", str(record.get(field))) for field in identity(self._operation)))
        return not self._newcomers.isdisjoint(words)

    def _below(self, parent: Parent, record: Record) -> int:
        """How many records hang on this one."""
        if not self._operation.names:
            return 0
        name = (*parent, str(record[self._operation.key[0]]))
        return sum(len(self._place.lists[child.name][where]) for child, where in self._children(name))

    def _children(self, name: Parent) -> list[tuple[EmulatedOperation, Parent]]:
        """The lists below one parent."""
        depth = len(name)
        return [
            (child, parent)
            for child in OPERATIONS
            if child.space_at(depth) == self._operation.names
            for parent in self._place.lists.get(child.name, {})
            if parent[:depth] == name
        ]

    def _references(self, parent: Parent, record: Record) -> list[tuple[str, Parent, Callable[[Record], bool]]]:
        """The lists that name a record: operation, parent, and whether one of its records does."""
        return [
            (name, outer, partial(names, field=field, wanted=str(record[own])))
            for name, field, own in REFERENCES.get(self._operation.name, ())
            for outer in list(self._place.lists.get(name, {}))
            if len(outer) != len(parent) or outer == parent
        ]

    def _list(self, parent: Parent) -> list[Record]:
        return self._place.lists[self._operation.name][parent]

    def _remove(self, parent: Parent, record: Record) -> None:
        rest = [other for other in self._list(parent) if other is not record]
        self._place.put(self._operation.name, rest, parent)
        for name, outer, is_about in self._references(parent, record):
            self._place.put(name, [other for other in self._place.lists[name][outer] if not is_about(other)], outer)

    def _change(self, parent: Parent, record: Record, turn: int) -> None:
        if isinstance(record, dict):
            other = changed(self._operation, record, self._dice, self._day, turn)
            self._place.put(
                self._operation.name, [other if one is record else one for one in self._list(parent)], parent
            )

    def _add(self, parent: Parent, record: Record) -> None:
        """A record like this one, and with it copies of all that hangs on this one or names it."""
        if isinstance(record, str):
            kind, _, rest = record.partition("-")
            fresh = f"{kind}-{self._dice.text(len(rest))}" if rest else self._dice.hex(len(record)).upper()
            self._place.put(self._operation.name, [*self._list(parent), fresh], parent)
            return
        field, also = (identity(self._operation) or ("",))[-1], ALSO_NEW.get(self._operation.name, ())
        renamed = {name: (record[name], self._fresh(name, record[name], parent)) for name in (field, *also) if name}
        copy = copier(self._dice, renamed.values())
        made = {**copy(record), **{name: new for name, (_, new) in renamed.items()}}
        self._place.put(self._operation.name, [*self._list(parent), made], parent)
        if self._operation.names:
            key = self._operation.key[0]
            self._newcomers.add(str(made[key]))
            self._copy_below((*parent, str(record[key])), (*parent, str(made[key])), copy)
        for name, outer, is_about in self._references(parent, record):
            records = self._place.lists[name][outer]
            self._place.put(name, [*records, *(copy(other) for other in records if is_about(other))], outer)

    def _dicts(self, parent: Parent) -> list[dict[str, Any]]:
        return [record for record in self._list(parent) if isinstance(record, dict)]

    def _fresh(self, field: str, value: Any, parent: Parent) -> Any:
        taken = {str(other.get(field)) for other in self._dicts(parent)}
        return fresh_key(self._operation, self._dice, self._day, value, taken)

    def _copy_below(self, old: Parent, new: Parent, copy: Copy) -> None:
        """The lists and the names below one parent, for another."""
        place, depth = self._place, len(old)
        for known in [known for known in place.names if known[1 : depth + 1] == old and len(known) > depth + 1]:
            if f"{known[0]}/".startswith(f"{self._operation.names}/"):
                place.names.add((known[0], *new, *known[depth + 1 :]))
        for child, parent in self._children(old):
            copies = [copy(record) for record in place.lists[child.name][parent]]
            place.put(child.name, copies, (*new, *parent[depth:]))


def _is_plain(record: Record) -> bool:
    """An object, or a text; not the odd things that are once in place of one."""
    return isinstance(record, str) or (isinstance(record, dict) and bool(record))


def _markers(place: RegionData) -> Sequence[str]:
    """The markers of secrets that are in the place, each once, in the order of the lists."""
    tables = [name for name in place.lists if name in BY_NAME and BY_NAME[name].is_inventory]
    lists = [list(place.lists[name].values()) for name in tables]
    return list(dict.fromkeys(MARKER.findall(orjson.dumps(lists).decode())))
