"""Open a snapshot for reading: its manifest, its ledger, and a DuckDB connection with one view per table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from crawler.audit.temporary import process_folder, spill_folder
from crawler.errors import OutputError
from crawler.snapshot import (
    BucketReader,
    Manifest,
    OutputLocation,
    ScopeRow,
    newest_snapshot_id,
    read_ledger,
    read_manifest,
)
from crawler.snapshot.layout import manifest_path
from crawler.snapshot.limits import MANIFEST_BYTES
from crawler.snapshot.reader import check_regular, storage_of

if TYPE_CHECKING:
    import duckdb

    from crawler.snapshot import PartFile

SCOPES_VIEW = "_scopes"

_sessions: list[duckdb.DuckDBPyConnection] = []
_PATTERN = re.compile(r"[*?\[]")
_AT_CONNECTING: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# No variables of this process as tables, and no spilling into the working folder, unlike DuckDB's defaults.
_SETTINGS = {"TimeZone": "UTC", "python_enable_replacements": "false", "temp_directory": ""}


@dataclass(frozen=True, slots=True)
class OpenSnapshot:
    """One committed snapshot. `ledger` has one row per scope, including tables that were only read for child lists.

    `root` is the folder of its files: for a bucket, a temporary one, into which files are fetched on first use. It is
    removed when the process ends.
    """

    root: Path
    manifest: Manifest
    ledger: Sequence[ScopeRow]
    bucket: BucketReader | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all planned scopes are complete; `manifest.scopes.not_complete` lists the others."""
        return self.manifest.status == "complete"

    @property
    def manifest_sha256(self) -> str:
        """The SHA-256 of the manifest's file, in hex. It proves later which snapshot was read."""
        path = manifest_path(self.manifest.snapshot_id)
        content = storage_of(self.bucket or self.root).read(path, MANIFEST_BYTES)
        if content is None:
            raise OutputError(f"{path} was removed during reading")
        return hashlib.sha256(content).hexdigest()

    def files(self, table: str) -> list[str]:
        """Return the paths of a table's Parquet files. A table without rows has one file with the schema."""
        return [self.local_path(file) for file in self.manifest.tables[table].files]

    def local_path(self, file: PartFile) -> str:
        """Return the local path of a file of the manifest.

        Raises OutputError if it can't be fetched, or if something else than a regular file is in its place.
        """
        path = self.root / file.path
        if self.bucket is None:
            check_regular(self.root, file.path)
        elif not path.exists():
            self.bucket.fetch(file, path)
        return str(path)


def open_snapshot(root: OutputLocation, snapshot_id: str = "latest") -> OpenSnapshot:
    """Open a snapshot by its ID; `latest` is the newest complete one, `newest` the newest of all.

    Raises OutputError if there is none, or if its manifest or ledger was changed after the commit.
    """
    if snapshot_id == "newest":
        snapshot_id = newest_snapshot_id(root)
        if not snapshot_id:
            raise OutputError(f"{root} has no snapshot yet; run a crawl first")
    manifest = read_manifest(root, snapshot_id)
    ledger = read_ledger(root, manifest)
    if isinstance(root, Path):
        return OpenSnapshot(root, manifest, ledger)
    return OpenSnapshot(process_folder("the files of a bucket"), manifest, ledger, root)


@contextmanager
def session(
    snapshot: OpenSnapshot,
    tables: Iterable[str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    others: Sequence[OpenSnapshot] = (),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection as `connect` returns it. Data beyond memory spills to a private, temporary folder, if any."""
    with spill_folder() as folder:
        connection = connect(snapshot, tables, {"temp_directory": folder, **settings}, others)
        _sessions.append(connection)
        try:
            yield connection
        finally:
            _sessions.remove(connection)
            connection.close()


def interrupt_sessions() -> None:
    """Make running queries of all sessions fail, from another thread. An idle session fails its next query."""
    import duckdb

    for connection in tuple(_sessions):
        with suppress(duckdb.ConnectionException):  # closed in the meantime
            connection.interrupt()


def mentioned_tables(sql: str) -> set[str] | None:
    """Return the lowercase names that one statement reads from; None if it can't be parsed. Opens no file."""
    import duckdb

    # Without these settings DuckDB would download an extension that a name seems to need.
    with duckdb.connect(config={**_AT_CONNECTING, "enable_external_access": "false"}) as connection:
        try:
            return {name.lower() for name in connection.get_table_names(sql)}
        except duckdb.Error:
            return None


def connect(
    snapshot: OpenSnapshot,
    tables: Iterable[str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    others: Sequence[OpenSnapshot] = (),
) -> duckdb.DuckDBPyConnection:
    """Return a new in-memory DuckDB connection: each table of the snapshot is a view, the ledger is `_scopes`.

    Timestamps are shown in UTC. The connection can't reach files outside of the snapshot's root, the network,
    extensions, or variables of this process. `settings` are further DuckDB settings, applied before all are locked.
    Files of `others` can be read, too. Raises OutputError if a file of the snapshot can't be read.
    """
    import duckdb

    connection = duckdb.connect(config=_AT_CONNECTING)
    try:
        for table in snapshot.manifest.tables if tables is None else tables:
            create_view(connection, table, snapshot.files(table))
        create_view(connection, SCOPES_VIEW, [snapshot.local_path(snapshot.manifest.ledger)])
        for name, value in {**_SETTINGS, **settings}.items():
            connection.execute(f"SET {name} = {quote_text(value)}")
        roots = [found.root for found in (snapshot, *others)]
        folders = {path for root in roots for path in (str(root.absolute()), str(root.resolve()), _literal(str(root)))}
        allowed = ", ".join(quote_text(folder) for folder in sorted(folders))
        connection.execute(f"SET allowed_directories = [{allowed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def create_view(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[str]) -> None:
    """Create a view of Parquet files with one schema; the folders' names add no columns.

    Opens only the first file. Raises OutputError if it can't be read.
    """
    import duckdb

    try:
        connection.execute(f"CREATE VIEW {quote_name(name)} AS SELECT * FROM {scan_sql(files)}")  # noqa: S608 - quoted
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise unreadable_file(str(error)) from None


def scan_sql(files: Iterable[str]) -> str:
    """Return the SQL for FROM that reads files with one schema, with their own columns only."""
    listed = ", ".join(quote_text(_literal(file)) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = false)"


def unreadable_file(reason: str) -> OutputError:
    """Return the error for a missing or damaged file of the snapshot, with DuckDB's reason."""
    line = " ".join(reason.partition("\n\nLINE ")[0].removeprefix("IO Error: ").split())
    return OutputError(f"a file of the snapshot can't be read; run `snapshots verify` for details: {line}")


def _literal(file: str) -> str:
    """Return the absolute path with the pattern characters escaped, so that DuckDB takes it literally."""
    return _PATTERN.sub(r"[\g<0>]", str(Path(file).absolute()))


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
