"""What became of each scope: the ledger's row, the order of statuses, and the ledger as a table."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Status(enum.StrEnum):
    """How a scope ended, from best to worst."""

    COMPLETE = "complete"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    UNSTABLE = "unstable"
    NOT_ATTEMPTED = "not_attempted"
    DENIED = "denied"
    FAILED = "failed"


_SEVERITY = {status: severity for severity, status in enumerate(Status)}
_WITH_ROWS = frozenset({Status.COMPLETE, Status.TRUNCATED, Status.UNSTABLE})
_WHOLE = frozenset({Status.COMPLETE, Status.UNSUPPORTED})


def worst(statuses: Iterable[Status]) -> Status:
    """The status that counts where several lists, or a parent and its child, meet; of none, complete."""
    return max(statuses, key=_SEVERITY.__getitem__, default=Status.COMPLETE)


def has_rows(status: Status) -> bool:
    """Whether the scope's rows are in the snapshot."""
    return status in _WITH_ROWS


def is_whole(status: Status) -> bool:
    """Whether the scope leaves nothing unknown: what a complete snapshot has throughout."""
    return status in _WHOLE


@dataclass(slots=True)
class ScopeRow:
    """One row of the ledger: one table in one account and region.

    `rows` counts what the snapshot holds, `rows_seen` what the API gave; `requests` counts HTTP attempts, retries
    included. Texts are empty where there is nothing to say; the instants are UTC, None where no list was begun.
    """

    account_id: str
    region_id: str
    table: str
    status: Status
    written: bool = True
    rows: int = 0
    rows_seen: int = 0
    lists: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    duplicates: int = 0
    conflicts: int = 0
    coerced: int = 0
    misfits: int = 0
    vanished: int = 0
    walk: str = ""
    error_code: str = ""
    error_message: str = ""
    request_id: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


_BATCH_ROWS = 10_000
_INSTANT = pa.timestamp("us", tz="UTC")
_ARROW_TYPES = {
    "str": pa.string(),
    "Status": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "datetime | None": _INSTANT,
}

LEDGER_SCHEMA = pa.schema(
    [
        pa.field(field.name, _ARROW_TYPES[str(field.type)], nullable=field.type == "datetime | None")
        for field in dataclasses.fields(ScopeRow)
    ]
)


def sorted_ledger(rows: Iterable[ScopeRow]) -> list[ScopeRow]:
    """By table, account and region: the order in the file and in the manifest."""
    return sorted(rows, key=lambda row: (row.table, row.account_id, row.region_id))


def ledger_batch(rows: Sequence[ScopeRow]) -> pa.RecordBatch:
    """The rows in `LEDGER_SCHEMA`, in the order given."""
    columns = [pa.array([getattr(row, field.name) for row in rows], type=field.type) for field in LEDGER_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=LEDGER_SCHEMA)


def decode_ledger(content: bytes, name: str) -> list[ScopeRow]:
    """The rows of a ledger's file. Columns of later versions are passed over, those that it lacks have their defaults.

    Raises OutputError, which names `name`, for anything that isn't a ledger.
    """
    try:
        batches = pq.ParquetFile(pa.BufferReader(content)).iter_batches(batch_size=_BATCH_ROWS)
        return [row for batch in batches for row in msgspec.convert(batch.to_pylist(), list[ScopeRow])]
    except (pa.ArrowException, OSError, msgspec.ValidationError) as error:
        raise OutputError(f"{name} is not a readable ledger: {error}") from error
