"""Translate DuckDB's errors: one sentence each, with the position in the SQL and suggestions for unknown tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from crawler.audit.database import SCOPES_VIEW, TRACEBACK, unreadable_file
from crawler.errors import ConfigError, CrawlError, QueryError

if TYPE_CHECKING:
    from crawler.audit.column_order import TableKeys
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.statement import Statement

_LONGEST_REASON = 600


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names that a query may use. `catalog` returns the keys of all tables that can be crawled."""

    snapshot: OpenSnapshot
    catalog: Callable[[], TableKeys]

    def explain_missing(self, name: str) -> str:
        """Return why the snapshot has no table of this name, without a full stop."""
        snapshot_id, wanted = self.snapshot.manifest.snapshot_id, name.lower()
        if figures := self.snapshot.ledger.by_table.get(wanted):
            statuses = sorted((str(status), number) for status, number in figures.by_status.items())
            counts = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in statuses)
            what = f"not read in any scope: {counts}" if figures.written else "only read for its child lists"
            return f"snapshot {snapshot_id} has no table {wanted}; it was {what}"
        known = self.catalog()
        if wanted in known:
            return f"snapshot {snapshot_id} has no table {wanted}: it can be crawled, but this crawl didn't include it"
        return f"there is no table {name[:80]!r}{self._nearest(wanted, known)}"

    def _nearest(self, name: str, known: Collection[str]) -> str:
        own = sorted(self.snapshot.manifest.tables)
        near = get_close_matches(name, [*own, SCOPES_VIEW], n=3) or get_close_matches(name, sorted(known), n=3)
        return f": did you mean {' or '.join(near)}?" if near else f"; SHOW TABLES lists all {len(own) + 1}"


def translate_rejection(error: Exception, statement: Statement, tables: TableNames) -> CrawlError:
    """Return the error for SQL that DuckDB rejects before it runs."""
    kind, found = _parse(str(error))
    if found.get("type") == "Table" and found.get("error_subtype") == "MISSING_ENTRY":
        reason = tables.explain_missing(str(found.get("name", "")))
    elif kind == "Permission":
        reason = f"{_reason(found).partition(' - ')[0]}: a query can only read the snapshot"
    elif kind == "IO" or TRACEBACK in str(found["exception_message"]):
        return unreadable_file(_reason(found))
    else:
        reason = _reason(found)
    return ConfigError(f"{statement.label}: {_location(found, statement)}{reason}")


def translate_failure(error: Exception, statement: Statement, tables: TableNames) -> CrawlError:
    """Return the error for SQL that failed while running, raised by DuckDB or by Arrow's stream over it."""
    kind, found = _parse(str(error))
    reason = _reason(found)
    # A damaged file causes any of these errors, and only some of them name the file.
    is_ours = TRACEBACK in str(found["exception_message"])
    if kind in {"IO", "Invalid", "Serialization"} or is_ours or str(tables.snapshot.root) in reason:
        return unreadable_file(reason)
    if kind == "Out of Memory":
        return QueryError(f"{statement.label} needs more memory than is available; select less data")
    return QueryError(f"{statement.label} failed: {_location(found, statement)}{reason}")


def _reason(found: Mapping[str, Any]) -> str:
    """Return DuckDB's reason as one line; of an error in our file system, the last line of its traceback."""
    message = str(found["exception_message"]).strip()
    line = message.splitlines()[-1] if TRACEBACK in message else message
    return " ".join(line.split())[:_LONGEST_REASON]


def _parse(text: str) -> tuple[str, Mapping[str, Any]]:
    """Return the type and the fields of an error. Some errors are plain text followed by the SQL line."""
    _, brace, rest = text.partition("{")
    try:
        found = json.loads(brace + rest)
        return str(found["exception_type"]), found
    except (ValueError, LookupError, TypeError):
        if TRACEBACK in text:
            return "Invalid", {"exception_message": text}
        kind, _, message = text.partition(":")
        return kind.removesuffix(" Error"), {"exception_message": message.partition("\n\nLINE ")[0]}


def _location(found: Mapping[str, Any], statement: Statement) -> str:
    position = str(found.get("position", ""))
    if not position.isdecimal():
        return ""
    place = statement.locate(int(position))
    return f"{place}: " if place else ""
