"""Groups the scopes that aren't whole by their cause, in one pass and in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from crawler.errors import UNANSWERED_CODES, UNREACHABLE_CODE
from crawler.snapshot.status import Status
from crawler.text import account_label

if TYPE_CHECKING:
    from crawler.snapshot.ledger import ScopeRow

# A service that answers each scope with a text of its own must not fill the memory.
MOST_CAUSES = 1000
# In place of an account and a region while messages are compared. No service sends these characters.
_ACCOUNT_MARK, _REGION_MARK = "\ue000", "\ue001"
_PARENT = re.compile(r"Its parent \w+ is \w+: ")


@dataclass(slots=True)
class Cause:
    """The scopes that aren't whole for the same reason.

    `message` is that of the first of the scopes. `messages` counts those that differ by more than account and region: a
    denied permission has one for each operation. `accounts` has the name of each account by its ID. `incomplete_since`
    is that of the oldest of the gaps, None before they are marked.
    """

    status: Status
    error_code: str
    message: str
    scopes: int = 0
    messages: int = 1
    accounts: dict[str, str] = field(default_factory=dict)
    regions: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    incomplete_since: datetime | None = None

    @property
    def labels(self) -> list[str]:
        """The accounts by ID, each with its name."""
        return [account_label(account_id, name) for account_id, name in sorted(self.accounts.items())]

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
        """Add a scope that isn't whole."""
        plain = plain_reason(row)
        key = (row.status, row.error_code, plain)
        cause = self._found.get(key)
        if cause is None:
            message = own_reason(row)
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
        cause.incomplete_since = _earlier(cause.incomplete_since, row.incomplete_since)

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
                    cause.incomplete_since,
                )
            else:
                known.scopes += cause.scopes
                known.messages += cause.messages
                known.tables |= cause.tables
                known.incomplete_since = _earlier(known.incomplete_since, cause.incomplete_since)
        return merged.values()


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


def own_reason(row: ScopeRow) -> str:
    """Return the message of a scope without the name of its parent."""
    return (
        _PARENT.sub("", row.error_message, count=1)
        if row.error_message.startswith("Its parent ")
        else row.error_message
    )


def plain_reason(row: ScopeRow) -> str:
    """Return the message of a scope, with marks in place of its account and region, and without its parent's name."""
    return _without(_without(own_reason(row), row.account_id, _ACCOUNT_MARK), row.region_id, _REGION_MARK)


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
