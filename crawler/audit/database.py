"""A snapshot opened for reading: its manifest, its ledger, and a DuckDB connection with a view a table."""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

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
from crawler.snapshot.reader import storage_of

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
# Not the process's variables; and nothing is spilled into the working folder, which is DuckDB's default.
_SETTINGS = {"TimeZone": "UTC", "python_enable_replacements": "false", "temp_directory": ""}


@dataclass(frozen=True, slots=True)
class OpenSnapshot:
    """One committed snapshot. `ledger` has a row a scope, those of tables that were only walked too.

    `root` is where its files are. Those of a snapshot in a bucket are fetched there when they are first asked for; the
    folder is a temporary one that goes when the process ends.
    """

    root: Path
    manifest: Manifest
    ledger: Sequence[ScopeRow]
    bucket: BucketReader | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for is in it; where not, `manifest.scopes.not_complete` says what isn't."""
        return self.manifest.status == "complete"

    @property
    def manifest_sha256(self) -> str:
        """The SHA-256 of the manifest's file, in hex: by it anybody can tell later which snapshot was read."""
        path = manifest_path(self.manifest.snapshot_id)
        content = storage_of(self.bucket or self.root).read(path)
        if content is None:
            raise OutputError(f"{path} was removed while it was read")
        return hashlib.sha256(content).hexdigest()

    def files(self, table: str) -> list[str]:
        """The paths of a table's Parquet files. A table without rows has one with the schema."""
        return [self.local_path(file) for file in self.manifest.tables[table].files]

    def local_path(self, file: PartFile) -> str:
        """The path of one of the manifest's files on this machine. Raises OutputError for one that can't be had."""
        place = self.root / file.path
        if self.bucket is not None and not place.exists():
            self.bucket.fetch(file, place)
        return str(place)


def open_snapshot(root: OutputLocation, snapshot_id: str = "latest") -> OpenSnapshot:
    """Open a snapshot by its ID; `latest` is the newest complete one, `newest` the newest of all.

    Raises OutputError where there is none, or where its manifest or ledger isn't what was committed.
    """
    if snapshot_id == "newest":
        snapshot_id = newest_snapshot_id(root)
        if not snapshot_id:
            raise OutputError(f"{root} has no snapshot yet: crawl first")
    manifest = read_manifest(root, snapshot_id)
    ledger = read_ledger(root, manifest)
    if isinstance(root, Path):
        return OpenSnapshot(root, manifest, ledger)
    return OpenSnapshot(_temporary_folder(), manifest, ledger, root)


def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="acs-inventory-read-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def session(
    snapshot: OpenSnapshot,
    tables: Iterable[str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    others: Sequence[OpenSnapshot] = (),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `connect`, for a block. What doesn't fit into memory is spilled to a private folder, which goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="acs-inventory-") as folder:
        connection = connect(snapshot, tables, {"temp_directory": folder, **settings}, others)
        _sessions.append(connection)
        try:
            yield connection
        finally:
            _sessions.remove(connection)
            connection.close()


def interrupt_sessions() -> None:
    """Make whatever is being asked in a `session` fail, from another thread. Where nothing is, the next query does."""
    import duckdb

    for connection in tuple(_sessions):
        with suppress(duckdb.ConnectionException):  # closed meanwhile
            connection.interrupt()


def mentioned_tables(sql: str) -> set[str] | None:
    """The names in small letters that one statement reads from; None where it can't be parsed. Opens nothing."""
    import duckdb

    # Without its own settings it would ask the network for an extension that a name seems to need.
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
    """A DuckDB connection of its own, in memory: each table of the snapshot is a view, the ledger is `_scopes`.

    Instants are shown in UTC. No file outside the snapshot's root can be reached by it, no network, no extension and no
    variable of ours. `settings` are more of DuckDB's own, made before all of them are locked; files of `others` can be
    read as well. Raises OutputError where a file of the snapshot can't be read.
    """
    import duckdb

    connection = duckdb.connect(config=_AT_CONNECTING)
    try:
        for table in snapshot.manifest.tables if tables is None else tables:
            create_view(connection, table, snapshot.files(table))
        create_view(connection, SCOPES_VIEW, [snapshot.local_path(snapshot.manifest.ledger)])
        for name, value in {**_SETTINGS, **settings}.items():
            connection.execute(f"SET {name} = {_quoted(value, chr(39))}")
        roots = [found.root for found in (snapshot, *others)]
        folders = {path for root in roots for path in (str(root.absolute()), str(root.resolve()), _literal(str(root)))}
        allowed = ", ".join(_quoted(folder, "'") for folder in sorted(folders))
        connection.execute(f"SET allowed_directories = [{allowed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def create_view(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[str]) -> None:
    """A view of one snapshot's Parquet files, which have one schema; the folders' names add no columns.

    Opens the first of them only. Raises OutputError where that can't be read.
    """
    import duckdb

    try:
        connection.execute(f"CREATE VIEW {_quoted(name, chr(34))} AS SELECT * FROM {scan_sql(files)}")  # noqa: S608 - quoted
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise unreadable_file(str(error)) from None


def scan_sql(files: Iterable[str]) -> str:
    """What stands after FROM for the rows of files that have one schema, by their own columns."""
    listed = ", ".join(_quoted(_literal(file), "'") for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = false)"


def unreadable_file(reason: str) -> OutputError:
    """The error of a snapshot's file that isn't there or isn't whole, by DuckDB's reason for it."""
    line = " ".join(reason.partition("\n\nLINE ")[0].removeprefix("IO Error: ").split())
    return OutputError(f"a file of the snapshot can't be read; `snapshots verify` says which and how: {line}")


def _literal(file: str) -> str:
    """A path that DuckDB takes as it is: absolute, and what it would take for a pattern in a set of its own."""
    return _PATTERN.sub(r"[\g<0>]", str(Path(file).absolute()))


def _quoted(text: str, mark: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark
