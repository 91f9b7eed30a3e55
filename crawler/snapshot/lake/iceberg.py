"""Iceberg tables: one catalog table per table, partitioned by account and region, with a tag per snapshot ID."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.lake.base import SNAPSHOT_PROPERTY
from crawler.snapshot.location import BucketLocation
from crawler.text import LOOPBACK_HOST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from crawler.snapshot.lake.base import LakeSettings
    from crawler.snapshot.manifest import PartFile

_FOLDER = "_iceberg"
_ATTEMPTS = 5


class IcebergLake:
    """See `Lake`. Without a catalog's URI, the catalog is a SQLite file in a local output."""

    def __init__(self, settings: LakeSettings) -> None:
        self._base = settings.base
        self._namespace = settings.namespace
        self._catalog = _open_catalog(settings)

    def move(self, table: str, schema: pa.Schema, files: Sequence[PartFile], snapshot_id: str) -> None:
        """See `Lake.move`. Raises OutputError if other programs keep changing the table."""
        from pyiceberg.exceptions import CommitFailedException

        found = self._catalog.create_table_if_not_exists((self._namespace, table), schema=schema)
        for _ in range(_ATTEMPTS):
            if found.properties.get(SNAPSHOT_PROPERTY, "") >= snapshot_id:
                return
            try:
                _replace(found, schema, [f"{self._base}/{file.path}" for file in files], snapshot_id)
            except CommitFailedException:
                found.refresh()
            else:
                return
        raise OutputError("other programs keep changing it")

    def heads(self, tables: Iterable[str]) -> dict[str, str]:
        """See `Lake.heads`."""
        with _translate_errors("read"):
            return {
                table.name()[-1]: table.properties.get(SNAPSHOT_PROPERTY, "")
                for table in self._known(tables)
                if _has_files(table.current_snapshot())
            }

    def expire(self, tables: Iterable[str], snapshot_ids: Collection[str]) -> None:
        """See `Lake.expire`: removes the tags, the versions, and the lists of files that only these had."""
        with _translate_errors("changed"):
            for table in self._known(tables):
                _expire(table, snapshot_ids)

    def _known(self, tables: Iterable[str]) -> Iterator[Table]:
        for name in tables:
            if self._catalog.table_exists((self._namespace, name)):
                yield self._catalog.load_table((self._namespace, name))


@contextmanager
def _translate_errors(participle: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of SQLAlchemy, requests or pyiceberg
        raise OutputError(f"the Iceberg catalog can't be {participle} ({type(error).__name__})") from None


def _expire(table: Table, snapshot_ids: Collection[str]) -> None:
    tags = [name for name in table.refs() if name in snapshot_ids]
    if tags:
        with table.manage_snapshots() as change:
            for tag in tags:
                change.remove_tag(tag)
    kept = {reference.snapshot_id for reference in table.refs().values()}
    # A commit that replaces files makes two versions, one of them without a tag: both have the snapshot's ID.
    expired = [
        version
        for version in table.snapshots()
        if version.snapshot_id not in kept and version.summary and version.summary[SNAPSHOT_PROPERTY] in snapshot_ids
    ]
    if expired:
        table.maintenance.expire_snapshots().by_ids([version.snapshot_id for version in expired]).commit()
        _remove_lists(table, expired)


def _remove_lists(table: Table, expired: Sequence[Snapshot]) -> None:
    """Remove the lists of files of expired versions, except those that they share with other versions."""
    shared = {manifest.manifest_path for version in table.snapshots() for manifest in version.manifests(table.io)}
    for version in expired:
        with suppress(FileNotFoundError):  # removed by an interrupted expiry
            for manifest in version.manifests(table.io):
                if manifest.manifest_path not in shared:
                    table.io.delete(manifest.manifest_path)
            table.io.delete(version.manifest_list)


def _replace(table: Table, schema: pa.Schema, paths: list[str], snapshot_id: str) -> None:
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.table.update.snapshot import ManageSnapshots

    properties = {SNAPSHOT_PROPERTY: snapshot_id}
    has_files = _has_files(table.current_snapshot())
    with table.transaction() as change:
        with change.update_schema() as update:
            update.union_by_name(schema)
        if table.spec().is_unpartitioned():
            with change.update_spec() as spec:
                for column in ("account_id", "region_id"):
                    spec.add_identity(column)
        if has_files:
            change.delete(AlwaysTrue(), snapshot_properties=properties)
        if paths:
            change.add_files(paths, snapshot_properties=properties, check_duplicate_files=False)
        elif not has_files:
            with change.update_snapshot(snapshot_properties=properties).fast_append():
                pass
        change.set_properties(properties)
        made = change.table_metadata.current_snapshot_id
        if made is not None:
            ManageSnapshots(change).create_tag(made, snapshot_id).commit()


def _has_files(version: Snapshot | None) -> bool:
    return version is not None and version.summary is not None and version.summary["total-data-files"] != "0"


def _open_catalog(settings: LakeSettings) -> Catalog:
    """Raises ConfigError."""
    from crawler.snapshot.lake.bound_catalogs import open_bound

    properties = {**_location(settings), **_storage(settings.root)}
    try:
        catalog = open_bound("acs-inventory", properties, settings)
        catalog.create_namespace_if_not_exists(settings.namespace)
    except Exception as error:  # noqa: BLE001 - of SQLAlchemy, requests or pyiceberg
        raise ConfigError(
            f"[output.iceberg] the catalog can't be reached ({type(error).__name__}); check catalog_uri and warehouse"
        ) from None
    return catalog


def _location(settings: LakeSettings) -> dict[str, str]:
    uri, warehouse = settings.catalog_uri, settings.warehouse
    if uri.startswith(("http://", "https://")):
        parts = urlsplit(uri)
        if parts.scheme == "http" and not LOOPBACK_HOST.fullmatch(parts.hostname or ""):
            raise ConfigError("[output.iceberg] catalog_uri must be https; plain http is for this machine only")
        return {"type": "rest", "uri": uri, **({"warehouse": warehouse} if warehouse else {})}
    warehouse = warehouse or f"{settings.base}/{_FOLDER}"
    if uri:
        return {"type": "sql", "uri": uri, "warehouse": warehouse}
    if not isinstance(settings.root, Path):
        raise ConfigError(
            "[output.iceberg] catalog_uri is missing; an output in a bucket needs a separate catalog: REST such as "
            "https://…, or SQL such as sqlite:////var/lib/acs-inventory/catalog.db"
        )
    return {"type": "sql", "uri": f"sqlite:///{_own_file(settings.root)}", "warehouse": warehouse}


def _own_file(root: Path) -> Path:
    """Make the SQLite file, private whatever the process's umask, and return its path."""
    folder = root.resolve() / _FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(folder / "catalog.db", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigError(f"the catalog {folder} can't be made: {os.strerror(error.errno or 0)}") from None
    return folder / "catalog.db"


def _storage(root: Path | BucketLocation) -> dict[str, str]:
    """Return pyiceberg's properties for the bucket."""
    if isinstance(root, Path):
        return {}
    found = {"s3.region": root.region, "s3.endpoint": root.endpoint}
    if root.endpoint and root.is_virtual_host:
        found |= {"s3.endpoint": root.endpoint.replace(f"{root.bucket}.", "", 1), "s3.force-virtual-addressing": "true"}
    if root.keys is not None:
        found["s3.access-key-id"] = root.keys.access_key_id
        found["s3.secret-access-key"] = root.keys.access_key_secret
        found["s3.session-token"] = root.keys.security_token
    return {name: value for name, value in found.items() if value}
