"""Delta tables: the log is in the table's own folder, `_delta_log`, and names files of that folder by relative paths.

So a copy of an output has tables of its own, and nothing needs to say to which output a table belongs.

A table to which each snapshot is added has two partition columns, which are the keys of its folders: `snapshot_date`
and `snapshot`. Their values are in the log and in no file. Each addition replaces the snapshot's partition, so that it
may be repeated, and has a transaction with the snapshot's ID, so that two processes can't add it at once.
"""

from __future__ import annotations

import atexit
import os
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.lake.base import (
    OWN_TABLES,
    SNAPSHOT_DATE,
    SNAPSHOT_PROPERTY,
    SNAPSHOT_TABLE,
    folder_of,
)
from crawler.snapshot.lake.delta_statistics import encode_statistics
from crawler.snapshot.lake.modes import output_umask
from crawler.snapshot.lake.places import check_folders
from crawler.snapshot.layout import parent, snapshot_date, snapshot_in_path
from crawler.snapshot.s3.connection import wait_for
from crawler.snapshot.s3.machine_role import MachineKeys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from deltalake import DeltaTable
    from deltalake.transaction import AddAction

    from crawler.snapshot.lake.base import LakeSettings, TableContent
    from crawler.snapshot.location import BucketLocation
    from crawler.snapshot.manifest import PartFile

LOG = "_delta_log"
PARTITIONS = [SNAPSHOT_DATE, "snapshot"]
_ATTEMPTS = 5
# delta-rs follows redirects, and no option stops it. So every host but the store's is behind this proxy, on a port
# where no program can listen: a redirect to another host ends there.
_RETRIES = {"max_retries": "5", "retry_timeout": "60s"}
_NO_PROXY = "http://127.0.0.1:0"
# Other programs may have committed, too (such as an OPTIMIZE): look for our newest commit in this many.
_LOOKED_AT = 50


class DeltaLake:
    """See `Lake`."""

    def __init__(self, settings: LakeSettings) -> None:
        self.settings = settings
        local = isinstance(settings.root, Path)
        self._base = settings.base.removeprefix("file://") if local else settings.base
        self._options = None if isinstance(settings.root, Path) else _storage(settings.root)

    def check(self, tables: Iterable[str]) -> None:
        """See `Lake.check`. A lake without tables of its own is new, or of a release that replaced all content."""
        folders = [*dict.fromkeys(parent(folder_of(name)) for name in tables), *map(folder_of, tables)]
        check_folders(self.settings, [path for name in filter(None, folders) for path in (name, f"{name}/{LOG}")])
        if self.settings.mode == "replace" and self._opened(SNAPSHOT_TABLE) is not None:
            for name in sorted(set(tables) - set(OWN_TABLES)):
                if (found := self._opened(name)) is not None:
                    _raise_if_history(name, found)
                    break

    def move(self, content: TableContent) -> bool:
        """See `Lake.move`. Raises OutputError if other programs keep changing the table."""
        from deltalake.exceptions import CommitFailedError

        for _ in range(_ATTEMPTS):
            try:
                with output_umask(self.settings):
                    return self._commit(content)
            except CommitFailedError:
                continue
        raise OutputError("other programs keep changing it")

    def added(self, tables: Iterable[str]) -> set[str]:
        """See `Lake.added`."""
        found = [table for table in map(self._opened, tables) if table is not None and _has_history(table)]
        return {snapshot_in_path(path) for table in found for path in _paths(table)} - {""}

    def named(self, tables: Iterable[str], expiring: Collection[str]) -> dict[str, set[str]]:
        """See `Lake.named`: the snapshots of the current content, since the log's older versions aren't kept."""
        found = {}
        for name in tables:
            table = self._opened(name)
            paths = _paths(table) if table is not None else []
            gone = set(expiring) if table is not None and _has_history(table) else set()
            found[name] = {snapshot_in_path(path) for path in paths} - {""} - gone
        return found

    def missing(self, tables: Iterable[str]) -> list[tuple[str, str]]:
        """See `Lake.missing`: the files of the current content."""
        return [(name, path) for name in tables for path in self._files(name) if not Path(path).is_file()]

    def expire(self, tables: Iterable[str], snapshot_ids: Collection[str]) -> None:
        """See `Lake.expire`. The log keeps its versions until its own retention ends; those can't be opened."""
        for name in tables:
            for _ in range(_ATTEMPTS):
                table = self._opened(name)
                if table is None or not _has_history(table) or self._dropped(table, name, snapshot_ids):
                    break
            else:
                raise OutputError(f"the Delta table {name} can't be changed: other programs keep changing it")

    def _dropped(self, table: DeltaTable, name: str, snapshot_ids: Collection[str]) -> bool:
        """Remove the files of snapshots from a table's content. Return False if another program was faster."""
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import RemoveAction

        try:
            actions = pa.table(table.get_add_actions()).to_pylist()
            gone = [action for action in actions if snapshot_in_path(f"/{action['path']}") in snapshot_ids]
            removed: list[AddAction | RemoveAction] = [
                RemoveAction(
                    action["path"],
                    True,
                    0,
                    size=action["size_bytes"],
                    partition_values=_partition_values(snapshot_in_path(f"/{action['path']}")),
                )
                for action in gone
            ]
            if removed:
                with output_umask(self.settings):
                    table.create_write_transaction(removed, "append", table.schema(), partition_by=PARTITIONS)
        except CommitFailedError:
            return False
        except Exception as error:  # noqa: BLE001 - of deltalake, whose texts may contain keys
            raise OutputError(f"the Delta table {name} can't be changed ({type(error).__name__})") from None
        return True

    def _place(self, table: str) -> str:
        return f"{self._base}/{folder_of(table)}"

    def _opened(self, table: str) -> DeltaTable | None:
        """Return a table; None if there is none. Raises OutputError."""
        from deltalake import DeltaTable

        place = self._place(table)
        try:
            if not DeltaTable.is_deltatable(place, self._options):
                return None
            return DeltaTable(place, storage_options=self._options)
        except Exception as error:  # noqa: BLE001 - of deltalake, whose texts may contain keys
            raise OutputError(f"the Delta table {table} can't be read ({type(error).__name__})") from None

    def _files(self, table: str) -> list[str]:
        """Return the paths of the current content; none if there is no such table. Raises OutputError."""
        found = self._opened(table)
        return _paths(found) if found is not None else []

    def _commit(self, content: TableContent) -> bool:
        """Move a table. Return False if there is nothing to do."""
        from deltalake import CommitProperties, DeltaTable, Schema
        from deltalake.transaction import Transaction, create_table_with_add_actions

        place = self._place(content.table)
        found = None
        if DeltaTable.is_deltatable(place, self._options):
            found = DeltaTable(place, storage_options=self._options)
            if _is_reached(content, found):
                return False
        actions = [_add(content, file) for file in content.files]
        properties = {SNAPSHOT_PROPERTY: content.snapshot_id}
        if not content.is_added:
            columns = Schema.from_arrow(content.schema)
            named = CommitProperties(custom_metadata=properties)
            if found is not None:
                found.create_write_transaction([*actions], "overwrite", columns, commit_properties=named)
            else:
                create_table_with_add_actions(
                    place, columns, actions, storage_options=self._options, commit_properties=named
                )
            return True
        named = CommitProperties(
            custom_metadata=properties, app_transactions=[Transaction(_transaction(content.snapshot_id), 1)]
        )
        schema = _with_partitions(content.schema)
        if found is None or not _has_history(found):
            # A table whose content was replaced so far begins anew, with partition columns.
            create_table_with_add_actions(
                place,
                Schema.from_arrow(schema),
                actions,
                mode="error" if found is None else "overwrite",
                partition_by=PARTITIONS,
                storage_options=self._options,
                commit_properties=named,
            )
            return True
        found.create_write_transaction(
            [*actions],
            "overwrite",
            Schema.from_arrow(_joined(pa.schema(found.schema().to_arrow()), schema)),
            partition_by=PARTITIONS,
            partition_filters=[("snapshot", "=", content.snapshot_id)],
            commit_properties=named,
        )
        return True


def _paths(table: DeltaTable) -> list[str]:
    return [unquote(path) for path in table.file_uris()]


def _has_history(table: DeltaTable) -> bool:
    """Return whether a table has the rows of many snapshots."""
    return SNAPSHOT_DATE in table.metadata().partition_columns


def _raise_if_history(name: str, table: DeltaTable) -> None:
    if _has_history(table):
        raise ConfigError(
            f'[output.lake] mode is "replace", and the Delta table {name} has the rows of many snapshots; set it to '
            f'"append", or remove the folder {LOG} of each table to begin with the newest snapshot'
        )


def _is_reached(content: TableContent, table: DeltaTable) -> bool:
    if not content.is_added:
        _raise_if_history(content.table, table)
    elif _has_history(table):
        return table.transaction_version(_transaction(content.snapshot_id)) is not None or not content.files
    return content.is_reached(_current(table))


def _transaction(snapshot_id: str) -> str:
    """Return the ID of the transaction that adds a snapshot."""
    return f"acs-inventory/{snapshot_id}"


def _partition_values(snapshot_id: str) -> dict[str, str | None]:
    return {SNAPSHOT_DATE: snapshot_date(snapshot_id), "snapshot": snapshot_id}


def _with_partitions(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field(SNAPSHOT_DATE, pa.date32())).append(pa.field("snapshot", pa.string()))


def _joined(found: pa.Schema, added: pa.Schema) -> pa.Schema:
    """Return the columns of a table, and those that a release adds."""
    return pa.unify_schemas([found, added], promote_options="permissive")


def _add(content: TableContent, file: PartFile) -> AddAction:
    from deltalake.transaction import AddAction

    return AddAction(
        path=file.path.removeprefix(f"{content.folder}/"),
        size=file.bytes,
        partition_values=_partition_values(content.snapshot_id) if content.is_added else {},
        modification_time=0,
        data_change=True,
        stats=encode_statistics(content.statistics(file), content.schema, content.order),
    )


def _current(table: DeltaTable) -> str:
    """Return the snapshot of our last commit; "" if there is none."""
    found = (str(entry.get(SNAPSHOT_PROPERTY, "")) for entry in table.history(_LOOKED_AT))
    return next(filter(None, found), "")


def _storage(root: BucketLocation) -> dict[str, str]:
    """Return delta-rs's options for the bucket. Commits are create-only: writers can't overwrite each other's."""
    found = {"region": root.region, "endpoint": root.endpoint, "conditional_put": "etag"}
    found["virtual_hosted_style_request"] = str(root.is_virtual_host).lower()
    if root.endpoint.startswith("http://"):
        found["allow_http"] = "true"
    found |= _proxy(root)
    # Without its own search for the machine's role, which would leave for other hosts.
    keys = root.keys or wait_for(MachineKeys(root).get())
    found["access_key_id"] = keys.access_key_id
    found["secret_access_key"] = keys.access_key_secret
    found["session_token"] = keys.security_token
    if root.ca_file is not None:
        _trust(root.ca_file)
    return {**{f"aws_{name}": value for name, value in found.items() if value}, **_RETRIES}


def _proxy(root: BucketLocation) -> dict[str, str]:
    """Return the options for the configured proxy, or those that let no request leave for another host."""
    if root.proxy:
        return {"proxy_url": root.proxy}
    host = urlsplit(root.endpoint).hostname or f"s3.{root.region}.amazonaws.com"
    return {"proxy_url": _NO_PROXY, "proxy_excludes": host}


@cache
def _trust(ca_file: Path) -> None:
    """Trust the authorities of a file beside the system's: delta-rs takes them from a variable alone.

    The variable names a copy of both until the process ends. Raises OutputError if the copy can't be made.
    """
    system = ssl.get_default_verify_paths().cafile
    try:
        known = Path(system).read_bytes() if system else b""
        with tempfile.NamedTemporaryFile(prefix="acs-inventory-ca-", suffix=".pem", delete=False) as copy:
            copy.write(known + b"\n" + ca_file.read_bytes())
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise OutputError(
            f"a temporary copy of {ca_file} can't be made: {reason}; set TMPDIR to a folder that can be written"
        ) from None
    atexit.register(Path(copy.name).unlink, missing_ok=True)
    os.environ["SSL_CERT_FILE"] = copy.name
