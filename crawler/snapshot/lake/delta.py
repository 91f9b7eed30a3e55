"""Delta tables: the log is in the table's own folder, `_delta_log`, and names files of that folder by relative paths.

So a copy of an output has tables of its own, and nothing needs to say to which output a table belongs.
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

from crawler.errors import OutputError
from crawler.snapshot.lake.base import SNAPSHOT_PROPERTY
from crawler.snapshot.lake.delta_statistics import encode_statistics
from crawler.snapshot.lake.modes import output_umask
from crawler.snapshot.lake.places import check_folders
from crawler.snapshot.layout import snapshot_in_path
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
        """See `Lake.check`."""
        check_folders(self.settings, [path for name in tables for path in (name, f"{name}/{LOG}")])

    def move(self, content: TableContent) -> None:
        """See `Lake.move`. Raises OutputError if other programs keep changing the table."""
        from deltalake.exceptions import CommitFailedError

        for _ in range(_ATTEMPTS):
            try:
                with output_umask(self.settings):
                    self._commit(content)
            except CommitFailedError:
                continue
            return
        raise OutputError("other programs keep changing it")

    def named(self, tables: Iterable[str], expiring: Collection[str]) -> dict[str, set[str]]:  # noqa: ARG002
        """See `Lake.named`: the snapshots of the current content, since the log's older versions aren't kept."""
        files = {name: self._files(name) for name in tables}
        return {name: {snapshot_in_path(path) for path in paths} - {""} for name, paths in files.items()}

    def missing(self, tables: Iterable[str]) -> list[tuple[str, str]]:
        """See `Lake.missing`: the files of the current content."""
        return [(name, path) for name in tables for path in self._files(name) if not Path(path).is_file()]

    def expire(self, tables: Iterable[str], snapshot_ids: Collection[str]) -> None:
        """Do nothing: the log keeps its versions until its own retention ends; they can't be opened."""

    def _files(self, table: str) -> list[str]:
        """Return the paths of the current content; none if there is no such table. Raises OutputError."""
        from deltalake import DeltaTable

        place = f"{self._base}/{table}"
        try:
            if not DeltaTable.is_deltatable(place, self._options):
                return []
            return [unquote(path) for path in DeltaTable(place, storage_options=self._options).file_uris()]
        except Exception as error:  # noqa: BLE001 - of deltalake, whose texts may contain keys
            raise OutputError(f"the Delta table {table} can't be read ({type(error).__name__})") from None

    def _commit(self, content: TableContent) -> None:
        from deltalake import CommitProperties, DeltaTable, Schema
        from deltalake.transaction import create_table_with_add_actions

        place = f"{self._base}/{content.table}"
        found = None
        if DeltaTable.is_deltatable(place, self._options):
            found = DeltaTable(place, storage_options=self._options)
            if content.is_reached(_current(found)):
                return
        actions = [_add(content, file) for file in content.files]
        properties = CommitProperties(custom_metadata={SNAPSHOT_PROPERTY: content.snapshot_id})
        columns = Schema.from_arrow(content.schema)
        if found is not None:
            found.create_write_transaction([*actions], "overwrite", columns, commit_properties=properties)
        else:
            create_table_with_add_actions(
                place, columns, actions, storage_options=self._options, commit_properties=properties
            )


def _add(content: TableContent, file: PartFile) -> AddAction:
    from deltalake.transaction import AddAction

    return AddAction(
        path=file.path.removeprefix(f"{content.table}/"),
        size=file.bytes,
        partition_values={},
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
