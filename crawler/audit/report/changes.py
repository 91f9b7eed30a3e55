"""Changes since another snapshot: counts per table, and one row per change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.audit.diff.comparison import ChangeKind, Difference, TableChanges, compare, table_keys
from crawler.audit.report.coverage import status_text
from crawler.audit.report.tables import Row
from crawler.catalog.model import EXTRA_COLUMN
from crawler.text import account_label

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.catalog.model import Catalog

CHANGE_KINDS: tuple[ChangeKind, ...] = ("added", "removed", "changed")
COLUMNS = ("what", "table", "account_id", "region_id", "resource", "column", "before", "now")
UNKNOWN_COLUMNS = ("table", "account_id", "region_id", "before", "now")
NOT_COMPARED_COLUMNS = ("table", "column", "why")
# These parts of a key have their own columns.
_TARGET_COLUMNS = ("account_id", "region_id")
_ROOT = re.compile(r"[.\[]")
_HIDDEN = "not shown here"


@dataclass(frozen=True, slots=True)
class HiddenColumns:
    """Columns that the page doesn't show: unknown fields, and secrets that a snapshot has in clear text.

    `secret` is table → columns that hold secrets; None if neither snapshot has secrets in clear text.
    """

    secret: Mapping[str, frozenset[str]] | None

    def hides(self, table: str, column: str) -> bool:
        """Return whether a column, or a path below one, is hidden. In an unknown table, any column may be secret."""
        root = _ROOT.split(column, maxsplit=1)[0]
        if self.secret is None or root == EXTRA_COLUMN:
            return root == EXTRA_COLUMN
        return table not in self.secret or root in self.secret[table]


@dataclass(frozen=True, slots=True)
class Changes:
    """The comparison of two snapshots, by table. `names`: account ID → name. `short_lived` tables come last."""

    before: str
    now: str
    tables: Sequence[TableChanges]
    hidden: HiddenColumns
    names: Mapping[str, str]
    short_lived: frozenset[str] = frozenset()

    def total(self, kind: ChangeKind) -> int:
        """Return how many resources were added, removed or changed."""
        return sum(table.counts.get(kind, 0) for table in self.tables)

    def account(self, account_id: str) -> str:
        """Return an account's name and ID."""
        return account_label(account_id, self.names.get(account_id, ""))

    @property
    def unknown_scopes(self) -> int:
        """The number of scopes with possibly unreported additions or removals."""
        return sum(len(table.unknown_scopes) for table in self.tables)

    @property
    def differing(self) -> list[TableChanges]:
        """The tables with known changes."""
        return [table for table in self._ordered() if table.total]

    def _ordered(self) -> list[TableChanges]:
        return sorted(self.tables, key=lambda table: table.table in self.short_lived)

    def rows(self) -> list[Row]:
        """Return a row of `COLUMNS` for each added or removed resource, and for each changed column."""
        found = ((table.table, change) for table in self._ordered() for change in table.shown)
        return [row for table, change in found for row in _rows(table, change, self)]

    def unknown(self) -> list[Row]:
        """Return a row of `UNKNOWN_COLUMNS` for each unknown scope."""
        return [
            (
                table.table,
                self.account(scope.account_id),
                scope.region_id,
                status_text(scope.old),
                status_text(scope.new),
            )
            for table in self.tables
            for scope in table.unknown_scopes
        ]

    def not_compared(self) -> list[Row]:
        """Return a row of `NOT_COMPARED_COLUMNS` for each column that can't be compared."""
        found = [(table.table, {**table.not_compared, **table.unknown_columns}) for table in self.tables]
        return [(name, path, why) for name, columns in found for path, why in sorted(columns.items())]


def changes_between(old: OpenSnapshot, new: OpenSnapshot, catalog: Catalog, max_rows: int) -> Changes:
    """Compare two snapshots; keeps the first `max_rows` differences of each table."""
    with compare(old, new, table_keys(catalog)) as tables:
        read = [table.read(max_rows) for table in tables.values()]
    secret = {
        name: frozenset(column.name for column in operation.columns if column.has_secret)
        for name, operation in catalog.operations.items()
    }
    hidden = HiddenColumns(secret if "keep" in (old.manifest.secrets, new.manifest.secrets) else None)
    names = {**old.manifest.account_names, **new.manifest.account_names}
    short_lived = frozenset(table for table, operation in catalog.operations.items() if operation.short_lived)
    return Changes(old.manifest.snapshot_id, new.manifest.snapshot_id, read, hidden, names, short_lived)


def _rows(table: str, change: Difference, changes: Changes) -> Iterator[Row]:
    hidden, resource = changes.hidden, _resource(table, change.key, changes)
    if change.kind != "changed":
        yield (change.kind, table, *resource, None, None, None)
    for column, values in change.columns.items():
        before, now = (_HIDDEN, _HIDDEN) if hidden.hides(table, column) else map(_value_text, values)
        yield (change.kind, table, *resource, column, before, now)


def _resource(table: str, key: Mapping[str, Any], changes: Changes) -> tuple[str, str, str]:
    """Return a resource's account, region, and the rest of its key as one text."""
    names = [
        name
        for name in key
        if name not in _TARGET_COLUMNS and key[name] is not None and not changes.hidden.hides(table, name)
    ]
    rest = " / ".join(_value_text(key[name]) for name in names)
    return changes.account(str(key.get("account_id", ""))), str(key.get("region_id", "")), rest


def _value_text(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
