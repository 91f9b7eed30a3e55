"""Computes the differences between two clouds, such as one cloud on two days, from their data without any request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from crawler.emulator.apis.operations import BY_NAME, TABLES
from crawler.emulator.days.rules import identity
from crawler.emulator.records import Item, Parent

if TYPE_CHECKING:
    from crawler.emulator.cloud import Cloud

# The path parameters of a record's list, then the fields that identify the record in the list, as text.
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A record and the path parameters of its list."""

    parent: Parent
    record: Item


@dataclass(frozen=True, slots=True)
class ChangedRecord:
    """A record of both clouds. `fields` are the top-level wire names whose values differ."""

    parent: Parent
    old: Item
    new: Item
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpectedChange:
    """The differences of one operation in one account and region. Records without a key never count as changed."""

    added: Mapping[Key, ListedRecord] = field(default_factory=dict)
    removed: Mapping[Key, ListedRecord] = field(default_factory=dict)
    changed: Mapping[Key, ChangedRecord] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether both clouds have the same records."""
        return not (self.added or self.removed or self.changed)


def difference(old: Cloud, new: Cloud) -> dict[tuple[str, str, str], ExpectedChange]:
    """Return {(account, region, "fc.ListFunctions"): differences} for accounts and places of both clouds.

    Operations without differences are left out. Denied permissions have no effect here; see `days.denied`.
    """
    places = [
        (account, region)
        for account in old.spec.accounts
        for region in old.spec.places
        if account in new.spec.accounts and region in new.spec.places
    ]
    found = {(*where, name): _compare(old, new, *where, name) for where in places for name in TABLES}
    return {place: differs for place, differs in found.items() if not differs.is_empty}


def _compare(old: Cloud, new: Cloud, account: str, region: str, name: str) -> ExpectedChange:
    before, after = (_by_key(name, cloud.lists(account, region, name)) for cloud in (old, new))
    both = [key for key in before if key in after and before[key].record != after[key].record]
    return ExpectedChange(
        added={key: found for key, found in after.items() if key not in before},
        removed={key: found for key, found in before.items() if key not in after},
        changed={key: _changed_record(before[key], after[key]) for key in both},
    )


def _by_key(name: str, lists: Mapping[Parent, Iterable[Item]]) -> dict[Key, ListedRecord]:
    """Return records by their key. The key of a record without one is its content and a number among its equals."""
    fields, found, like = identity(BY_NAME[name]), dict[Key, ListedRecord](), Counter[Key]()
    for parent, records in lists.items():
        for record in records:
            names = [_wire_name(record, field) for field in fields] if isinstance(record, dict) else []
            key = (*parent, *(str(record[known]) for known in names if known))
            if not names or None in names or key in found:
                key = (*parent, orjson.dumps(record, option=orjson.OPT_SORT_KEYS).decode())
                like[key] += 1
                key = (*key, str(like[key]))
            found[key] = ListedRecord(parent, record)
    return found


def _wire_name(record: Mapping[str, Any], name: str) -> str | None:
    """Return the field's name in this record: older envelopes start it with a small letter."""
    return next((known for known in (name, name[:1].lower() + name[1:]) if record.get(known) is not None), None)


def _changed_record(old: ListedRecord, new: ListedRecord) -> ChangedRecord:
    names = [*old.record, *(name for name in new.record if name not in old.record)]
    differing = tuple(name for name in names if old.record.get(name, ...) != new.record.get(name, ...))
    return ChangedRecord(old.parent, old.record, new.record, differing)
