"""The bounds on files, folders and values of an output, so that reading any of them takes bounded memory.

Each is several times larger than a crawl of a thousand accounts needs. A crawl refuses to commit a larger manifest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

_T = TypeVar("_T")

# LATEST has a line with an ID; the file next to a manifest has a line with a hash and a name.
LINE_BYTES = 1024
# Of a file without a bound of its own.
SMALL_BYTES = 1024 * 1024
MANIFEST_BYTES = 1024 * 1024 * 1024
# The plan of a run of 20,000 accounts has about 100 MB.
PLAN_BYTES = 512 * 1024 * 1024
REPORT_BYTES = 64 * 1024 * 1024
JOINED_BYTES = 64 * 1024
LEASE_BYTES = 64 * 1024
# A ledger is read in batches: these bound the time, and the size of a row group the memory.
LEDGER_BYTES = 4 * 1024 * 1024 * 1024
LEDGER_ROWS = 100_000_000
LEDGER_GROUP_BYTES = 256 * 1024 * 1024
# A record of a scope has the names of its child lists.
LINE_OF_JOURNAL_BYTES = 256 * 1024 * 1024
# Rows of one table that are compressed together: those of some pages.
BLOCK_BYTES = 2 * 1024 * 1024 * 1024 - 1
TEXT_CHARACTERS = 64 * 1024
TABLES = 10_000
FOLDER_NAMES = 1_000_000
# A snapshot's own folders are six levels deep under the staging folder.
FOLDER_DEPTH = 64

# Moments of these years are dates in every time zone.
_YEARS = range(1900, 9999)

Count = Annotated[int, Meta(ge=0, lt=1 << 62)]
Words = Annotated[str, Meta(max_length=TEXT_CHARACTERS)]


def is_instant(moment: datetime) -> bool:
    """Return whether a moment has a time zone and is within the years 1900 to 9998, in UTC."""
    if moment.tzinfo is not None and moment.year in _YEARS[1:-1]:
        return True
    try:
        return moment.tzinfo is not None and moment.astimezone(UTC).year in _YEARS
    except OverflowError:
        return False


def decode_json(text: bytes, kind: type[_T]) -> _T:
    """Return the value of this type in a JSON text. Raises ValueError with the reason, whatever the text is."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
