"""The tables of a namespace in an Iceberg catalog, by the lake's names for them.

Some catalogs refuse a name that begins with an underscore, such as that of S3 Tables. There the lake's own tables have
the same names without it. What a catalog has decides; then its refusal to make a table does. So a catalog that begins
to take such names goes on with the tables that it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.snapshot.lake.base import OWN_TABLES

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

# The place of the output to which a table belongs: each table that the crawler makes has this property from its start.
PLACE_PROPERTY = "acs-inventory.output"
# Own table → its name in a catalog that refuses the underscore.
_PLAIN = {name: name.removeprefix("_") for name in OWN_TABLES}


class CatalogTables:
    """The tables of one namespace. Methods raise the errors of the libraries."""

    def __init__(self, catalog: Catalog, namespace: str) -> None:
        self._catalog = catalog
        self._namespace = namespace

    def find(self, name: str) -> Table | None:
        """Return a table; None if the catalog doesn't have it. Raises FileNotFoundError without its metadata.

        Where a catalog takes underscores, a table with the plain name may be any user's. It is ours by its property.
        """
        if name not in _PLAIN:
            return self._loaded(name)
        is_refused = False
        try:
            found = self._loaded(name)
        except Exception as error:
            if not _is_refusal(error):
                raise
            found, is_refused = None, True
        if found is None:
            found = self._loaded(_PLAIN[name])
            if found is not None and not is_refused and is_stray(found):
                found = None
        return found

    def make(self, name: str, schema: pa.Schema, properties: dict[str, str]) -> Table:
        """Make a table, or return the one that another process has made."""
        try:
            return self._made(name, schema, properties)
        except Exception as error:
            if name not in _PLAIN or not _is_refusal(error):
                raise
            return self._made(_PLAIN[name], schema, properties)

    def _loaded(self, name: str) -> Table | None:
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        try:
            return self._catalog.load_table((self._namespace, name))
        except (NoSuchNamespaceError, NoSuchTableError):
            return None

    def _made(self, name: str, schema: pa.Schema, properties: dict[str, str]) -> Table:
        return self._catalog.create_table_if_not_exists((self._namespace, name), schema, properties=properties)


def is_stray(table: Table) -> bool:
    """Return whether another program made a table with the name of one of the lake's own tables."""
    name = table.name()[-1]
    return (name in _PLAIN or name in _PLAIN.values()) and PLACE_PROPERTY not in table.properties


def _is_refusal(error: Exception) -> bool:
    """Return whether a REST catalog has refused a request for its content: 400, or 422.

    pyiceberg has classes of their own for other statuses that a catalog has a reason to answer.
    """
    from pyiceberg.exceptions import BadRequestError, RESTError

    return isinstance(error, BadRequestError) or type(error) is RESTError
