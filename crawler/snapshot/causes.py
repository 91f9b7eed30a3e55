"""Groups the scopes that aren't whole by their cause, in one pass and in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.errors import UNANSWERED_CODES, UNREACHABLE_CODE
from crawler.snapshot.status import Status

if TYPE_CHECKING:
    from crawler.snapshot.ledger import ScopeRow

# A service that answers each scope with a text of its own must not fill the memory.
MOST_CAUSES = 1000
_PARENT = re.compile(r"Its parent \w+ is \w+: ")


@dataclass(slots=True)
class Cause:
    """The scopes that aren't whole for the same reason.

    `message` has `<account>` and `<region>` in place of a scope's own. `messages` counts the different messages: a
    denied permission has one for each operation. `accounts`: ID → name.
    """

    status: Status
    error_code: str
    message: str
    scopes: int = 0
    messages: int = 1
    accounts: dict[str, str] = field(default_factory=dict)
    regions: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)

    @property
    def is_unanswered(self) -> bool:
        """Whether no service has judged the requests, so that another attempt may get an answer."""
        return self.error_code in UNANSWERED_CODES or self.error_code == UNREACHABLE_CODE


class Causes:
    """Collects the causes of scopes that aren't whole. From `MOST_CAUSES` on, a new message joins the others."""

    def __init__(self, rows: Iterable[ScopeRow] = ()) -> None:
        self._found: dict[tuple[str, str, str], Cause] = {}
        self._others: dict[tuple[str, str], Cause] = {}
        for row in rows:
            self.add(row)

    def add(self, row: ScopeRow) -> None:
        """Add a scope that isn't whole. One that a rule accepts is no news, and is left out."""
        if row.accepted_until:
            return
        message = plain_reason(row)
        key = (row.status, row.error_code, message)
        cause = self._found.get(key)
        if cause is None:
            if len(self._found) < MOST_CAUSES:
                cause = self._found[key] = Cause(row.status, row.error_code, message)
            else:
                code = row.error_code if len(self._others) < MOST_CAUSES else ""
                cause = self._others.setdefault((row.status, code), Cause(row.status, code, message))
                cause.messages += message != cause.message
        cause.scopes += 1
        cause.accounts[row.account_id] = row.account_name
        cause.regions.add(row.region_id)
        cause.tables.add(row.table)

    def __iter__(self) -> Iterator[Cause]:
        """Yield the causes, the most scopes first. Those that differ by table and message only are one."""
        return iter(sorted(self._merged(), key=lambda cause: (-cause.scopes, cause.status, cause.error_code)))

    def _merged(self) -> Iterable[Cause]:
        merged: dict[tuple[object, ...], Cause] = {}
        for cause in (*self._found.values(), *self._others.values()):
            key = (cause.status, cause.error_code, frozenset(cause.accounts), frozenset(cause.regions))
            known = merged.get(key)
            if known is None:
                merged[key] = Cause(
                    cause.status,
                    cause.error_code,
                    cause.message,
                    cause.scopes,
                    cause.messages,
                    dict(cause.accounts),
                    set(cause.regions),
                    set(cause.tables),
                )
            else:
                known.scopes += cause.scopes
                known.messages += cause.messages
                known.tables |= cause.tables
        return merged.values()


def plain_reason(row: ScopeRow) -> str:
    """Return the message of a scope without its account, its region and the name of its parent."""
    message = row.error_message
    if message.startswith("Its parent "):
        message = _PARENT.sub("", message, count=1)
    return _without(_without(message, row.account_id, "<account>"), row.region_id, "<region>")


def _without(message: str, name: str, place: str) -> str:
    """Return the message with `place` for each `name` that stands by itself. A pattern per account would be slower."""
    if not name or name not in message:
        return message
    first, *others = message.split(name)
    found = first
    for other in others:
        found += (name if _is_inside(found[-1:]) or _is_inside(other[:1]) else place) + other
    return found


def _is_inside(character: str) -> bool:
    """Return whether a character continues a name; False for the begin and the end of a text."""
    return bool(character) and (character.isalnum() or character in "_-")
