"""Open a snapshot for reading: its manifest, its ledger, and a DuckDB connection with one view per table."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.audit.checked_files import CheckedFiles
from crawler.audit.column_order import TableKeys, reader_columns
from crawler.audit.snapshot_files import PREFIX, SnapshotFiles, snapshot_url
from crawler.audit.temporary import process_folder, spill_folder
from crawler.errors import OutputError
from crawler.snapshot import (
    BucketReader,
    Manifest,
    OutputLocation,
    StoredLedger,
    read_ledger,
    resolve_snapshot,
)
from crawler.snapshot import manifest as manifests
from crawler.snapshot.layout import manifest_path
from crawler.snapshot.ledger import LEDGER_SCHEMA
from crawler.snapshot.reader import manifest_text

if TYPE_CHECKING:
    import duckdb

    from crawler.snapshot import PartFile

SCOPES_VIEW = "_scopes"
# By Arrow type: the value of a column that a ledger lacks.
_DEFAULTS = {
    "string": "''",
    "int64": "0::BIGINT",
    "bool": "true",
    "timestamp[us, tz=UTC]": "NULL::TIMESTAMP WITH TIME ZONE",
}

TRACEBACK = "Traceback (most recent call last)"
# Each session's connection, with the results that are being read.
_sessions: list[tuple[duckdb.DuckDBPyConnection, weakref.WeakSet[pa.RecordBatchReader]]] = []
_AT_CONNECTING: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# Unlike DuckDB's defaults: no variables of this process as tables, no spilling into the working folder, no settings
# that `SHOW name` displays, and no proxy from the environment, whose address may have a password.
_SETTINGS = {
    "TimeZone": "UTC",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "show_behavior": "table",
    "http_proxy": "",
}
# From here on, only the files of `SnapshotFiles` and those in `temp_directory` can be opened.
_LOCKS = (
    f"SET allowed_directories = ['{PREFIX}']",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


@dataclass(frozen=True)
class OpenSnapshot:
    """One committed snapshot. `ledger` has one row per scope, including tables that were only read for child lists.

    `manifest_sha256` is that of the manifest's file, in hex. It proves later which snapshot was read. `checked`
    compares each file with the manifest before it is read.

    `root` is the folder of its files: for a bucket, a temporary one, into which `fetch` copies files, and which is
    removed when the process ends.
    """

    root: Path
    manifest: Manifest
    manifest_sha256: str
    ledger: StoredLedger = field(repr=False)
    checked: CheckedFiles = field(repr=False)
    bucket: BucketReader | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all planned scopes are complete; `ledger` says which others there are."""
        return self.manifest.status == "complete"

    @property
    def is_hashed(self) -> bool:
        """Whether each file is hashed before it is read."""
        return self.checked.has_hashes or self.bucket is not None

    def files(self, table: str) -> list[str]:
        """Return the paths of a table's Parquet files. A table without rows has one file with the schema."""
        self.fetch([table])
        return [self.local_path(file) for file in self.manifest.tables[table].files]

    def fetch(self, tables: Iterable[str], *, with_ledger: bool = False) -> None:
        """Fetch all files of these tables, those that the snapshot has, from its bucket, and compare them.

        Side by side in one call. Raises OutputError if one can't be fetched, or isn't what the manifest names.
        """
        entries = [self.manifest.tables[table] for table in tables if table in self.manifest.tables]
        self._fetch([*(file for entry in entries for file in entry.files), *[self.manifest.ledger] * with_ledger])

    def known_columns(self, table: str) -> list[str]:
        """Return the columns of a table; none if its first file can't be read, or is only in the bucket."""
        try:
            return list(pq.read_schema(self.root / self.manifest.tables[table].files[0].path).names)
        except (pa.ArrowException, OSError):
            return []

    def openers(self) -> dict[str, Callable[[], int]]:
        """Return a function per absolute path of a file of the manifest, which opens it: see `CheckedFiles.open`."""
        parts = [file.path for entry in self.manifest.tables.values() for file in entry.files]
        folder = self.root.absolute()
        return {f"{folder}/{path}": partial(self.checked.open, path) for path in [*parts, self.manifest.ledger.path]}

    def local_path(self, file: PartFile) -> str:
        """Return the local path of a file of the manifest.

        Raises OutputError if it can't be fetched, or isn't what the manifest names.
        """
        self._fetch([file])
        return str(self.root / file.path)

    def _fetch(self, files: Sequence[PartFile]) -> None:
        missing = [file for file in files if not (self.root / file.path).exists()] if self.bucket is not None else []
        if self.bucket is not None and missing:
            self.bucket.fetch(missing, self.root)
        self.checked.check(files)


def open_snapshot(root: OutputLocation, snapshot_id: str = "latest", *, check_hashes: bool = True) -> OpenSnapshot:
    """Open a snapshot by its ID or another name, as `resolve_snapshot` understands it.

    Each file is compared with the manifest before it is read: by its SHA-256, without `check_hashes` by its size and
    the rows of its footer. A file of a bucket is always hashed as it arrives. Raises UnknownSnapshotError if there is
    no such snapshot, OutputError if its manifest or ledger was changed after the commit.
    """
    snapshot_id = resolve_snapshot(root, snapshot_id)
    text = manifest_text(root, snapshot_id, needs_checksum=True)
    manifest = manifests.decode_of(snapshot_id, text, manifest_path(snapshot_id))
    ledger = read_ledger(root, manifest)
    folder = _readable_folder(root) if isinstance(root, Path) else process_folder("the files of a bucket")
    checked = CheckedFiles(folder, manifest, has_hashes=check_hashes and isinstance(root, Path))
    sha256 = hashlib.sha256(text).hexdigest()
    return OpenSnapshot(folder, manifest, sha256, ledger, checked, None if isinstance(root, Path) else root)


def _readable_folder(root: Path) -> Path:
    """Return a path of the folder that DuckDB and pyarrow take. Both encode paths as UTF-8 in every locale."""
    path = str(root.absolute())
    try:
        is_same = path.encode() == os.fsencode(path)
    except UnicodeEncodeError:
        is_same = False
    if is_same:
        return root
    link = process_folder("a link to an output whose path is not UTF-8") / "output"
    link.symlink_to(root.absolute(), target_is_directory=True)
    return link


@contextmanager
def session(
    snapshot: OpenSnapshot,
    tables: Iterable[str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    others: Sequence[OpenSnapshot] = (),
    keys: TableKeys = MappingProxyType({}),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection as `connect` returns it. Data beyond memory spills to a private, temporary folder, if any.

    Raises OutputError at the end if a file was changed while it was read.
    """
    with spill_folder() as folder:
        connection = connect(snapshot, tables, {"temp_directory": folder, **settings}, others, keys)
        results = weakref.WeakSet[pa.RecordBatchReader]()
        _sessions.append((connection, results))
        try:
            yield connection
            for found in (snapshot, *others):
                found.checked.check_again()
        finally:
            _sessions.remove((connection, results))
            # A result that isn't read to its end would keep DuckDB's threads, which call into Python, until the exit.
            for reader in tuple(results):
                with suppress(OSError, pa.ArrowException):
                    reader.close()
            connection.close()


def interrupt_sessions() -> None:
    """Make running queries of all sessions fail, from another thread. An idle session fails its next query."""
    import duckdb

    for connection, _ in tuple(_sessions):
        with suppress(duckdb.ConnectionException):  # closed in the meantime
            connection.interrupt()


def open_result(
    connection: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation, batch_rows: int
) -> pa.RecordBatchReader:
    """Start a query and return its result, which the connection's session closes at its end."""
    reader = relation.to_arrow_reader(batch_rows)
    for own, results in _sessions:
        if own is connection:
            results.add(reader)
    return reader


@contextmanager
def parser() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection without any table or file, for parsing."""
    import duckdb

    # Without these settings DuckDB would download an extension that a name seems to need.
    with duckdb.connect(config={**_AT_CONNECTING, "enable_external_access": "false"}) as connection:
        yield connection


def connect(
    snapshot: OpenSnapshot,
    tables: Iterable[str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    others: Sequence[OpenSnapshot] = (),
    keys: TableKeys = MappingProxyType({}),
) -> duckdb.DuckDBPyConnection:
    """Return a new in-memory DuckDB connection: each table of the snapshot is a view, the ledger is `_scopes`.

    Timestamps are shown in UTC. The connection can read the files of the manifest, and those of `others`. It reaches no
    other file, no network, no extension and no variable of this process, and it writes only to the temporary folder.
    `settings` are further DuckDB settings, applied before all are locked. The views of tables in `keys` have their
    columns in the order for readers, see `reader_columns`. Raises OutputError if a file of the snapshot
    can't be read.
    """
    import duckdb

    connection = duckdb.connect(config=_AT_CONNECTING)
    try:
        openers = {path: opener for found in (snapshot, *others) for path, opener in found.openers().items()}
        connection.register_filesystem(SnapshotFiles(openers))
        names = list(snapshot.manifest.tables if tables is None else tables)
        snapshot.fetch(names, with_ledger=True)
        for table in names:
            create_view(connection, table, snapshot.files(table), keys.get(table, ()))
        _create_ledger_view(connection, snapshot.local_path(snapshot.manifest.ledger))
        for name, value in {**_SETTINGS, **settings}.items():
            connection.execute(f"SET {name} = {quote_text(value)}")
        for lock in _LOCKS:
            connection.execute(lock)
    except BaseException:
        connection.close()
        raise
    return connection


def create_view(
    connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[str], key: Sequence[str] = ()
) -> None:
    """Create a view of Parquet files with one schema; the folders' names add no columns.

    With a key, the columns are in the order for readers. Opens only the first file. Raises OutputError if it can't be
    read.
    """
    import duckdb

    scan = scan_sql(files)
    try:
        shown = _ordered_columns(connection, scan, key) if key else "*"
        connection.execute(f"CREATE VIEW {quote_name(name)} AS SELECT {shown} FROM {scan}")  # noqa: S608 - quoted
    except duckdb.Error as error:
        raise unreadable_file(str(error)) from None


def _ordered_columns(connection: duckdb.DuckDBPyConnection, scan: str, key: Sequence[str]) -> str:
    described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()  # noqa: S608 - quoted
    return ", ".join(map(quote_name, reader_columns([name for name, *_ in described], key)))


def _create_ledger_view(connection: duckdb.DuckDBPyConnection, file: str) -> None:
    """Create the view of the ledger. Columns that an early version didn't write have their defaults."""
    import duckdb

    try:
        found = connection.execute(f"SELECT * FROM {scan_sql([file])} LIMIT 0").description  # noqa: S608 - quoted
        known = {column[0] for column in found or ()}
        more = [
            f"{_DEFAULTS[str(field.type)]} AS {quote_name(field.name)}"
            for field in LEDGER_SCHEMA
            if field.name not in known
        ]
        columns = ", ".join(["*", *more])
        connection.execute(f"CREATE VIEW {quote_name(SCOPES_VIEW)} AS SELECT {columns} FROM {scan_sql([file])}")  # noqa: S608
    except duckdb.Error as error:
        raise unreadable_file(str(error)) from None


def scan_sql(files: Iterable[str]) -> str:
    """Return the SQL for FROM that reads files with one schema, with their own columns only."""
    listed = ", ".join(quote_text(snapshot_url(file)) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = false)"


def unreadable_file(reason: str) -> OutputError:
    """Return the error for a missing or damaged file of the snapshot, with DuckDB's reason.

    The reason of an error in `SnapshotFiles` is a traceback, of which only the last line is shown.
    """
    text = reason.partition("\n\nLINE ")[0].strip()
    line = " ".join((text.splitlines()[-1] if TRACEBACK in text else text).removeprefix("IO Error: ").split())
    if TRACEBACK in text and (found := line.partition(f"{OutputError.__name__}: ")[2]):
        return OutputError(found)  # the sentence of `CheckedFiles`
    return OutputError(f"a file of the snapshot can't be read; run `snapshots verify` for details: {line}")


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
