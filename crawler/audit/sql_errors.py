"""What DuckDB's errors become: one sentence each, with the place in the SQL, and the nearest names for a wrong one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from crawler.audit.database import SCOPES_VIEW, unreadable_file
from crawler.errors import ConfigError, CrawlError, QueryError

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.query import Statement

_LONGEST_REASON = 600


@dataclass(frozen=True, slots=True)
class TableNames:
    """What a table's name could have meant. `catalog` gives the names of all that can be crawled; asked when needed."""

    snapshot: OpenSnapshot
    catalog: Callable[[], Collection[str]]

    def explain_missing(self, name: str) -> str:
        """Why the snapshot has no table of this name: a sentence without its end."""
        snapshot_id, wanted = self.snapshot.manifest.snapshot_id, name.lower()
        statuses = Counter(str(row.status) for row in self.snapshot.ledger if row.table == wanted)
        if statuses:
            counts = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in sorted(statuses.items()))
            what = "only walked for its children" if self._is_parent(wanted) else f"read in no scope: {counts}"
            return f"snapshot {snapshot_id} has no table {wanted}, which was {what}"
        known = self.catalog()
        if wanted in known:
            return f"snapshot {snapshot_id} has no table {wanted}: it can be crawled, and this crawl wasn't asked to"
        return f"there is no table {name[:80]!r}{self._nearest(wanted, known)}"

    def _is_parent(self, table: str) -> bool:
        return not any(row.written for row in self.snapshot.ledger if row.table == table)

    def _nearest(self, name: str, known: Collection[str]) -> str:
        own = sorted(self.snapshot.manifest.tables)
        near = get_close_matches(name, [*own, SCOPES_VIEW], n=3) or get_close_matches(name, sorted(known), n=3)
        return f": did you mean {' or '.join(near)}?" if near else f"; SHOW TABLES lists all {len(own) + 1}"


def translate_rejection(error: Exception, statement: Statement, tables: TableNames) -> CrawlError:
    """The error of ours for SQL that DuckDB doesn't take."""
    kind, found = _parse(str(error))
    if found.get("type") == "Table" and found.get("error_subtype") == "MISSING_ENTRY":
        reason = tables.explain_missing(str(found.get("name", "")))
    elif kind == "Permission":
        reason = f"{_reason(found).partition(' - ')[0]}: nothing but the snapshot can be read from here"
    elif kind == "IO":
        return unreadable_file(_reason(found))
    else:
        reason = _reason(found)
    return ConfigError(f"{statement.label}: {_location(found, statement)}{reason}")


def translate_failure(error: Exception, statement: Statement, tables: TableNames) -> CrawlError:
    """The error of ours for SQL that failed while it ran; DuckDB's own, or what Arrow's stream over it made of that."""
    kind, found = _parse(str(error))
    reason = _reason(found)
    # A damaged file shows as any of these, and only some name it.
    if kind in {"IO", "Invalid", "Serialization"} or str(tables.snapshot.root) in reason:
        return unreadable_file(reason)
    if kind == "Out of Memory":
        return QueryError(f"{statement.label} needs more memory than there is: ask for less at once")
    return QueryError(f"{statement.label} failed: {_location(found, statement)}{reason}")


def _reason(found: Mapping[str, Any]) -> str:
    return " ".join(str(found["exception_message"]).split())[:_LONGEST_REASON]


def _parse(text: str) -> tuple[str, Mapping[str, Any]]:
    """The kind of an error and what it says of itself; some say it in plain text with the line below it."""
    _, brace, rest = text.partition("{")
    try:
        found = json.loads(brace + rest)
        return str(found["exception_type"]), found
    except (ValueError, LookupError, TypeError):
        kind, _, message = text.partition(":")
        return kind.removesuffix(" Error"), {"exception_message": message.partition("\n\nLINE ")[0]}


def _location(found: Mapping[str, Any], statement: Statement) -> str:
    position = str(found.get("position", ""))
    if not position.isdecimal():
        return ""
    place = statement.locate(int(position))
    return f"{place}: " if place else ""
