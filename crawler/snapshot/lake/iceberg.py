"""Iceberg tables: one catalog table per table.

A table whose content each snapshot replaces has no partitions, and a tag per snapshot ID. One to which each snapshot is
added is described in `iceberg_history`.

A part has the rows of many accounts and regions, in their order: the column bounds of its entry, and the statistics of
its row groups, let readers skip what isn't asked for. A table of release 0.1.0 was partitioned by account and region.
The next commit ends that; older versions keep their partitions.

Each table has the place and the ID of its output as properties, set by the commit that gives it its content. A table of
another output is never changed. A table without these properties is of an earlier release: its files show its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.lake.base import (
    FOLDER,
    ICEBERG,
    OWN_TABLES,
    SNAPSHOT_DATE,
    SNAPSHOT_PROPERTY,
    folder_of,
)
from crawler.snapshot.lake.catalog import open_catalog, translate_errors
from crawler.snapshot.lake.catalog_tables import PLACE_PROPERTY, CatalogTables, is_stray
from crawler.snapshot.lake.data_files import data_files
from crawler.snapshot.lake.iceberg_history import (
    MARKED,
    added_text,
    added_to,
    drop_snapshots,
    has_history,
    partition_by_date,
)
from crawler.snapshot.lake.modes import output_umask
from crawler.snapshot.lake.places import check_folders
from crawler.snapshot.lake.versions import (
    entries_of,
    is_marked,
    missing_files,
    remove_tags,
    remove_versions,
    snapshot_of,
    snapshots_named,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.snapshots import Snapshot

    from crawler.snapshot.lake.base import LakeSettings, TableContent

_ID_PROPERTY = "acs-inventory.output-id"
_ATTEMPTS = 5


class IcebergLake:
    """See `Lake`. Without a catalog's URI, the catalog is a SQLite file in a local output."""

    def __init__(self, settings: LakeSettings, *, is_new: bool = True) -> None:
        """`is_new` as for `open_catalog`."""
        self.settings = settings
        self._base = settings.base
        self._namespace = settings.namespace
        self._tables = CatalogTables(open_catalog(settings, is_new=is_new), settings.namespace)

    def check(self, tables: Iterable[str]) -> None:
        """See `Lake.check`."""
        names = list(tables)
        folders = [f"{ICEBERG}/{self._namespace}/{name}" for name in names]
        inner = [f"{folder}/{name}" for folder in folders for name in ("metadata", "data")]
        check_folders(self.settings, [ICEBERG, f"{ICEBERG}/{self._namespace}", *folders, *inner])
        for name in names:
            if (table := self._load(name)) is None:
                continue
            self._raise_if_foreign(table)
            if self.settings.mode == "replace" and name not in OWN_TABLES:
                self._raise_if_history(table)

    def move(self, content: TableContent) -> bool:
        """See `Lake.move`. Raises OutputError if other programs keep changing the table, ConfigError as `check`."""
        from pyiceberg.exceptions import CommitFailedException, ValidationException

        owner = {PLACE_PROPERTY: self._base}
        owner |= {_ID_PROPERTY: self.settings.output_id} if self.settings.output_id else {}
        with output_umask(self.settings):
            # Not asked to make it at once: pyiceberg would write the metadata of a new table before it looks.
            found = self._tables.find(content.table) or self._tables.make(content.table, content.schema, owner)
            for _ in range(_ATTEMPTS):
                self._raise_if_foreign(found)
                if self._is_reached(found, content):
                    return False
                try:
                    _commit(found, content, self._base, owner)
                except (CommitFailedException, ValidationException):
                    found.refresh()
                else:
                    return True
        raise OutputError("other programs keep changing it")

    def _is_reached(self, table: Table, content: TableContent) -> bool:
        if not content.is_added:
            self._raise_if_history(table)
        elif has_history(table.metadata):
            return content.snapshot_id in added_to(table) or not content.files
        elif not content.files and table.current_snapshot() is None:
            return True
        return content.is_reached(table.properties.get(SNAPSHOT_PROPERTY, ""))

    def added(self, tables: Iterable[str]) -> set[str]:
        """See `Lake.added`."""
        found = [table for table in map(self._load, tables) if table is not None and has_history(table.metadata)]
        return set().union(*map(added_to, found))

    def named(self, tables: Iterable[str], expiring: Collection[str]) -> dict[str, set[str]]:
        """See `Lake.named`. Raises ConfigError if the tables belong to the place that this output is a copy of."""
        found = {}
        with translate_errors("read"):
            for name, table in self._reachable(tables):
                removed = {version.snapshot_id for version in self._expired(table, expiring)}
                kept = [version for version in table.snapshots() if version.snapshot_id not in removed]
                named = {version.snapshot_id: snapshots_named(table, version) for version in kept}
                if (current := self._dropped_from(table)) is not None:
                    named[current] -= set(expiring)
                found[name] = set().union(*named.values())
        return found

    def missing(self, tables: Iterable[str]) -> list[tuple[str, str]]:
        """See `Lake.missing`: the metadata, and the files of the content and of each tag with their lists."""
        found = []
        for name in tables:
            with translate_errors("read"):
                try:
                    table = self._tables.find(name)
                except FileNotFoundError:
                    found.append((name, "its metadata"))
                    continue
                if table is not None and not is_stray(table):
                    self._raise_if_foreign(table)
                    found += [(name, path) for path in sorted(missing_files(table))]
        return found

    def expire(self, tables: Iterable[str], snapshot_ids: Collection[str]) -> None:
        """See `Lake.expire`: removes the tags, the versions, and the lists of files that only these had."""
        with translate_errors("changed"), output_umask(self.settings):
            for _, table in self._reachable(tables):
                if self._is_own(table):
                    if self._dropped_from(table) is not None:
                        drop_snapshots(table, snapshot_ids)
                    remove_tags(table, snapshot_ids)
                    remove_versions(table, self._expired(table, snapshot_ids))

    def _load(self, name: str) -> Table | None:
        """Find a table. Raises ConfigError without the table's metadata, OutputError for other errors."""
        with translate_errors("read"):
            try:
                return self._tables.find(name)
            except FileNotFoundError:
                raise ConfigError(self._without_metadata(name)) from None

    def _reachable(self, tables: Iterable[str]) -> Iterator[tuple[str, Table]]:
        """Yield the tables that may name files of this output, by name. Raises ConfigError if that can't be told."""
        for name in tables:
            if (table := self._load(name)) is None:
                continue
            place, output_id = _owner(table)
            if place in ("", self._base):
                yield name, table
            elif not output_id or output_id == self.settings.output_id:
                raise ConfigError(self._foreign(table))

    def _is_own(self, table: Table) -> bool:
        place, output_id = _owner(table)
        is_same = output_id in ("", self.settings.output_id) or self.settings.has_own_catalog
        return place in ("", self._base) and is_same and not is_stray(table)

    def _raise_if_foreign(self, table: Table) -> None:
        if not self._is_own(table):
            raise ConfigError(self._foreign(table))

    def _dropped_from(self, table: Table) -> int | None:
        """Return the current version of our own table from which expired snapshots are dropped; None for others."""
        is_kept_elsewhere = any(
            reference.snapshot_id == table.metadata.current_snapshot_id and name != "main"
            for name, reference in table.refs().items()
        )
        has_rows = self._is_own(table) and has_history(table.metadata) and not is_kept_elsewhere
        return table.metadata.current_snapshot_id if has_rows else None

    def _expired(self, table: Table, snapshot_ids: Collection[str]) -> list[Snapshot]:
        """Return the versions of these snapshots that no reference keeps, apart from the snapshots' own tags.

        A commit of release 0.1.0 made two versions, one of them without a tag: both have the snapshot's ID. Of a table
        with the rows of many snapshots, the current version has all rows that the older ones have.
        """
        if not self._is_own(table):
            return []
        kept = {reference.snapshot_id for name, reference in table.refs().items() if name not in snapshot_ids}
        return [
            version
            for version in table.snapshots()
            if version.snapshot_id not in kept and (snapshot_of(version) in snapshot_ids or is_marked(version))
        ]

    def _raise_if_history(self, table: Table) -> None:
        if has_history(table.metadata):
            raise ConfigError(
                f'[output.lake] mode is "replace", and the Iceberg table {".".join(table.name())} has the rows of many '
                'snapshots; set it to "append", or drop the tables of this namespace to begin with the newest snapshot'
            )

    def _foreign(self, table: Table) -> str:
        place, _ = _owner(table)
        if is_stray(table):
            return (
                f"[output.iceberg] the table {'.'.join(table.name())} of the catalog was made by another program; "
                "set another namespace, or rename the table"
            )
        if self.settings.has_own_catalog:
            return (
                f"the Iceberg tables in {self._base}/{ICEBERG} belong to {place}, of which this output is a copy; "
                f"remove the folders {FOLDER} and {ICEBERG} from it to make tables of its own"
            )
        other = f"another output, {place}" if place != self._base else f"an earlier output at the same place, {place}"
        return (
            f"[output.iceberg] the table {'.'.join(table.name())} of the catalog belongs to {other}; "
            "set another namespace, or drop the table if that output is gone"
        )

    def _without_metadata(self, name: str) -> str:
        if self.settings.has_own_catalog:
            return (
                f"the metadata of the Iceberg table {name} isn't where {self._base}/{ICEBERG} says: the output was "
                f"moved, or files were removed; remove the folders {FOLDER} and {ICEBERG} from it to make tables anew"
            )
        return (
            f"[output.iceberg] the metadata of the table {name} isn't where the catalog says; if that is on another "
            "machine, set another namespace; else restore its files, or drop the table"
        )


def _commit(table: Table, content: TableContent, base: str, owner: dict[str, str]) -> None:
    """Make this the table's content, or add it, by one commit, with the snapshot's ID, and `owner` on the table.

    A table whose content was replaced so far begins anew where content is added.
    """
    from pyiceberg.table.update.snapshot import ManageSnapshots

    from crawler.snapshot.lake.transactions import Addition, QuickTransaction, Replacement

    is_kept = content.is_added and has_history(table.metadata)
    properties = {SNAPSHOT_PROPERTY: content.snapshot_id}
    marks = MARKED if content.is_added else {}
    with QuickTransaction(table) as change:
        with change.update_schema() as update:
            update.union_by_name(_with_date(content.schema) if content.is_added else content.schema)
        _describe(change, content.order, is_added=content.is_added)
        kind = Addition if is_kept else Replacement
        with kind.of(change, table.io, {**properties, **marks}) as made:
            parts = ((file, content.statistics(file)) for file in content.files)
            for entry in data_files(change.table_metadata, base, parts, content.snapshot_id):
                made.append_data_file(entry)
        if content.is_added:
            before = added_to(table) & set(content.committed) if is_kept else set()
            properties = {SNAPSHOT_PROPERTY: max({*before, content.snapshot_id})}
            properties |= added_text({*before, content.snapshot_id})
        else:
            ManageSnapshots(change).create_tag(made.snapshot_id, content.snapshot_id).commit()
        change.set_properties({**owner, **properties})


def _with_date(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return schema.append(pa.field(SNAPSHOT_DATE, pa.date32()))


def _describe(change: Transaction, order: Sequence[str], *, is_added: bool) -> None:
    """Prepare a table for files without field IDs, of many accounts each, and name the order of their rows.

    The order is a wish for whoever rewrites files. A table on which another program has set one keeps it. `is_added`:
    the table has the rows of many snapshots.
    """
    from pyiceberg.table import TableProperties
    from pyiceberg.transforms import IdentityTransform, VoidTransform

    metadata = change.table_metadata
    fields = [field for field in metadata.spec().fields if not isinstance(field.transform, VoidTransform)]
    if partitions := [field for field in fields if field.name != SNAPSHOT_DATE]:
        with change.update_spec() as spec:
            for partition in partitions:
                spec.remove_field(partition.name)
    if is_added:
        partition_by_date(change)
    if metadata.sort_order().is_unsorted:
        with change.update_sort_order() as sorting:
            for column in order:
                sorting.asc(column, IdentityTransform())
    if metadata.name_mapping() is None:
        names = metadata.schema().name_mapping.model_dump_json()
        change.set_properties({TableProperties.DEFAULT_NAME_MAPPING: names})


def _owner(table: Table) -> tuple[str, str]:
    """Return the place and the ID of the output that a table belongs to; empty if nothing tells them."""
    place, output_id = table.properties.get(PLACE_PROPERTY, ""), table.properties.get(_ID_PROPERTY, "")
    if place:
        return place, output_id
    version, location = table.current_snapshot(), table.location()
    marker = f"/{folder_of(table.name()[-1])}/snapshot_date="
    entries = entries_of(table, version) if version is not None else iter(())
    place = next((entry.file_path.partition(marker)[0] for entry in entries if marker in entry.file_path), "")
    return place or (location.partition(f"/{ICEBERG}/")[0] if f"/{ICEBERG}/" in location else ""), output_id
