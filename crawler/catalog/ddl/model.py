"""The input of a script: tables, their place, and the snapshot that it may be for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# The schema (database, dataset) of the tables; that of the lake's tables, too.
DEFAULT_SCHEMA = "acs_inventory"


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table of the catalog. `comments`: column → description, on one line as `title` is.

    `order` are all columns as a reader wants them, `key` those that identify a row within its account and region,
    `optional_key` those of the key that may be null. `files` are the table's files in the snapshot, relative to the
    output; none without a snapshot.
    """

    name: str
    title: str
    schema: pa.Schema
    comments: Mapping[str, str]
    order: Sequence[str]
    key: Sequence[str]
    optional_key: frozenset[str] = frozenset()
    files: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ScriptRequest:
    """The content of a script. `location` is the output as the engine reaches it, without a slash at its end.

    `snapshot_id` and `snapshot_date` are those of the snapshot that the views show; "" for none. `ledger` is the path
    of its ledger. `schema` is "" for names without one.
    """

    tables: Sequence[DescribedTable]
    location: str
    schema: str = DEFAULT_SCHEMA
    snapshot_id: str = ""
    snapshot_date: str = ""
    ledger: str = ""
    version: str = ""
