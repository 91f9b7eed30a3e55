"""Catalogs of pyiceberg that reach a store as the crawler does, and that follow no redirect.

A REST catalog may say in its answers which library reads the files, at which endpoint and with which keys. Here the
library is always `BucketIO`, and the user's keys go to the user's endpoint only.

The classes are made when they are needed: pyiceberg is an extra, and its import opens a socket.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from crawler.snapshot.location import BucketLocation
from crawler.snapshot.s3.machine_role import MachineKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from requests import Session

    from crawler.snapshot.lake.base import LakeSettings

_BUNDLE = "cabundle"


def open_bound(name: str, properties: dict[str, Any], settings: LakeSettings) -> Catalog:
    """Return the catalog of these properties, with those of pyiceberg's own file and variables as `load_catalog` does.

    Raises the errors of the libraries.
    """
    from pyiceberg.utils.config import Config, merge_config

    from crawler.snapshot.lake.bucket_io import KEYS, PLACE, BucketIO

    found: dict[str, Any] = {**merge_config(Config().get_catalog_config(name) or {}, {**properties})}
    if isinstance(settings.root, BucketLocation):
        # pyiceberg's SQL catalog makes its reader of metadata from these, without a call of `_load_file_io`.
        found |= {PLACE: settings.root, "py-io-impl": f"{BucketIO.__module__}.{BucketIO.__name__}"}
        # One source for all tables: each would ask for the machine's role by itself.
        found[KEYS] = settings.keys or MachineKeys(settings.root).get
    else:
        # A folder is read as `places` has checked, whatever pyiceberg's own configuration says.
        found["py-io-impl"] = "pyiceberg.io.pyarrow.PyArrowFileIO"
    if settings.ca_file is not None:
        found["ssl"] = {**found.get("ssl", {}), _BUNDLE: str(settings.ca_file)}
    kinds = {"rest": _rest_catalog, "sql": _sql_catalog}
    return kinds[properties["type"]]()(name, **found)


@cache
def _sql_catalog() -> Callable[..., Catalog]:
    from pyiceberg.catalog.sql import SqlCatalog

    class DatabaseCatalog(SqlCatalog):
        """A catalog in a SQL database."""

        def _load_file_io(self, properties: Any = None, location: str | None = None) -> FileIO:  # noqa: ARG002
            return _file_io(self.properties, properties or {})

    return DatabaseCatalog


@cache
def _rest_catalog() -> Callable[..., Catalog]:
    from pyiceberg.catalog.rest import RestCatalog
    from requests.utils import get_environ_proxies

    class RestfulCatalog(RestCatalog):
        """A REST catalog."""

        def _config_headers(self, session: Session) -> None:
            """Prepare a session before its first request, which may have the client's secret."""
            session.max_redirects = 0
            if _BUNDLE in self.properties.get("ssl", {}):
                # Variables such as REQUESTS_CA_BUNDLE would replace the configured authorities.
                session.proxies.update(get_environ_proxies(self.uri))
                session.trust_env = False
            super()._config_headers(session)

        def _load_file_io(self, properties: Any = None, location: str | None = None) -> FileIO:  # noqa: ARG002
            return _file_io(self.properties, properties or {})

    return RestfulCatalog


def _file_io(own: dict[str, Any], given: dict[str, Any]) -> FileIO:
    from pyiceberg.io.pyarrow import PyArrowFileIO

    from crawler.snapshot.lake.bucket_io import KEYS, PLACE, BucketIO

    if PLACE in own:
        return BucketIO({**own, **given, PLACE: own[PLACE], KEYS: own[KEYS]}, given)
    # Local files need none of what a catalog may say.
    return PyArrowFileIO({name: value for name, value in own.items() if isinstance(value, str)})
