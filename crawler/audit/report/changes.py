"""What changed since another snapshot, for the page: counts by table, and a row for each change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.audit.diff.comparison import Difference, Kind, TableChanges, compare, keyings
from crawler.audit.report.coverage import words
from crawler.audit.report.tables import Row
from crawler.catalog.model import EXTRA_COLUMN

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.catalog.model import Catalog

CHANGE_KINDS: tuple[Kind, ...] = ("added", "removed", "changed")
COLUMNS = ("what", "table", "account_id", "region_id", "resource", "column", "before", "now")
UNKNOWN_COLUMNS = ("table", "account_id", "region_id", "before", "now")
NOT_COMPARED_COLUMNS = ("table", "column", "why")
# Which account and region a row is in has columns of its own.
_PLACE = ("account_id", "region_id")
_ROOT = re.compile(r"[.\[]")
_HIDDEN = "not shown here"


@dataclass(frozen=True, slots=True)
class Veil:
    """Which values stay away from the page: fields that nobody knows, and secrets, where a snapshot has kept them.

    `secret` is table → columns that hold secrets; None where no snapshot has any in clear.
    """

    secret: Mapping[str, frozenset[str]] | None

    def hides(self, table: str, column: str) -> bool:
        """Whether a column, or a path below one, isn't shown. Of a table that nobody knows, any may hold a secret."""
        root = _ROOT.split(column, maxsplit=1)[0]
        if self.secret is None or root == EXTRA_COLUMN:
            return root == EXTRA_COLUMN
        return table not in self.secret or root in self.secret[table]


@dataclass(frozen=True, slots=True)
class Changes:
    """Two snapshots compared, table by table."""

    before: str
    now: str
    tables: Sequence[TableChanges]
    veil: Veil

    def total(self, kind: Kind) -> int:
        """How many resources were added, removed or changed."""
        return sum(table.counts.get(kind, 0) for table in self.tables)

    @property
    def unknown_scopes(self) -> int:
        """In how many scopes something may have come or gone that isn't told."""
        return sum(len(table.unknown_scopes) for table in self.tables)

    @property
    def differing(self) -> list[TableChanges]:
        """The tables in which anything is known to have changed."""
        return [table for table in self.tables if table.total]

    def rows(self) -> list[Row]:
        """A row of `COLUMNS` for each resource that came or went, and for each changed column."""
        found = ((table.table, change) for table in self.tables for change in table.shown)
        return [row for table, change in found for row in _rows(table, change, self.veil)]

    def unknown(self) -> list[Row]:
        """A row of `UNKNOWN_COLUMNS` for each scope that isn't known."""
        return [
            (table.table, scope.account_id, scope.region_id, words(scope.old), words(scope.new))
            for table in self.tables
            for scope in table.unknown_scopes
        ]

    def not_compared(self) -> list[Row]:
        """A row of `NOT_COMPARED_COLUMNS` for each column that can't be compared."""
        found = [(table.table, {**table.not_compared, **table.unknown_columns}) for table in self.tables]
        return [(name, path, why) for name, columns in found for path, why in sorted(columns.items())]


def changes_between(old: OpenSnapshot, new: OpenSnapshot, catalog: Catalog, most: int) -> Changes:
    """What changed from the one to the other, of each table the first `most` differences."""
    with compare(old, new, keyings(catalog)) as tables:
        read = [table.read(most) for table in tables.values()]
    secret = {
        name: frozenset(column.name for column in operation.columns if column.has_secret)
        for name, operation in catalog.operations.items()
    }
    veil = Veil(secret if "keep" in (old.manifest.secrets, new.manifest.secrets) else None)
    return Changes(old.manifest.snapshot_id, new.manifest.snapshot_id, read, veil)


def _rows(table: str, change: Difference, veil: Veil) -> Iterator[Row]:
    resource = _resource(table, change.key, veil)
    if change.kind != "changed":
        yield (change.kind, table, *resource, None, None, None)
    for column, values in change.columns.items():
        before, now = (_HIDDEN, _HIDDEN) if veil.hides(table, column) else map(_value, values)
        yield (change.kind, table, *resource, column, before, now)


def _resource(table: str, key: Mapping[str, Any], veil: Veil) -> tuple[str, str, str]:
    """A resource's account, region, and the rest of its key in one text."""
    names = [name for name in key if name not in _PLACE and key[name] is not None and not veil.hides(table, name)]
    rest = " / ".join(_value(key[name]) for name in names)
    return str(key.get("account_id", "")), str(key.get("region_id", "")), rest


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
