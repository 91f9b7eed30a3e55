"""The Iceberg catalog of a lake: a REST catalog, a SQL catalog, or a SQLite file in a local output."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from crawler.errors import ConfigError, CrawlError, OutputError
from crawler.snapshot.disk import Disk, make_folders
from crawler.snapshot.lake.base import ICEBERG
from crawler.snapshot.lake.identity import CatalogRecord
from crawler.snapshot.reader import check_regular
from crawler.text import LOOPBACK_HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog import Catalog
    from sqlalchemy import URL

    from crawler.snapshot.lake.base import LakeSettings

CATALOG_NAME = "acs-inventory"
OWN_FILE = f"{ICEBERG}/catalog.db"
_IN_MEMORY = ("", ":memory:")
# The address in DLF's documentation. It is reached from inside of a VPC only, and requests to it are signed.
_DLF_IN_VPC = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*-vpc\.dlf\.aliyuncs\.com")
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def open_catalog(settings: LakeSettings, *, is_new: bool) -> Catalog:
    """Connect to the catalog. `is_new`: make the namespace, and the SQLite file of an output, if they are missing.

    Raises ConfigError.
    """
    from crawler.snapshot.lake.bound_catalogs import open_bound

    properties = _address(settings, is_new=is_new)
    try:
        catalog = open_bound(CATALOG_NAME, properties, settings)
        if is_new:
            catalog.create_namespace_if_not_exists(settings.namespace)
    except Exception as error:  # noqa: BLE001 - of SQLAlchemy, requests or pyiceberg
        problem = "refused the sign-in" if _is_refused(error) else "can't be reached"
        raise ConfigError(f"[output.iceberg] the catalog {problem} ({reason_of(error)}); {_advice(error)}") from None
    return catalog


def _advice(error: Exception) -> str:
    if _is_refused(error):
        # pyiceberg's own variables of a catalog.
        variables = f"PYICEBERG_CATALOG__{CATALOG_NAME.upper().replace('-', '_')}__"
        return f"set {variables}CREDENTIAL or {variables}TOKEN, and {variables}OAUTH2_SERVER_URI if it needs one"
    return "try again when it has ended" if _is_locked(error) else "check catalog_uri and warehouse"


def _is_refused(error: Exception) -> bool:
    from pyiceberg.exceptions import AuthorizationExpiredError, ForbiddenError, OAuthError, UnauthorizedError

    return isinstance(error, AuthorizationExpiredError | ForbiddenError | OAuthError | UnauthorizedError)


def catalog_record(settings: LakeSettings) -> CatalogRecord | None:
    """Return the record of a catalog outside of the output; None for the output's own. Raises ConfigError."""
    uri = settings.catalog_uri
    if not uri:
        return None
    if _is_rest(uri):
        parts = _split(uri)
        place = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"
        return CatalogRecord(f"{place} {settings.warehouse}".strip(), settings.namespace)
    url = _parse(uri)
    backend = url.get_backend_name()
    if backend == "sqlite":
        return CatalogRecord(f"sqlite {sqlite_file(settings) or url.database}", settings.namespace)
    port = f":{url.port}" if url.port else ""
    return CatalogRecord(f"{backend}://{url.host or ''}{port}/{url.database or ''}", settings.namespace)


def sqlite_file(settings: LakeSettings) -> Path | None:
    """Return the file of a configured SQLite catalog; None for another catalog. Raises ConfigError."""
    if not settings.catalog_uri or _is_rest(settings.catalog_uri):
        return None
    url = _parse(settings.catalog_uri)
    is_file = url.get_backend_name() == "sqlite" and not (url.database or "").startswith("file:")
    return Path(url.database or "").absolute() if is_file else None


def own_tables(root: Path) -> dict[str, list[str]]:
    """Return namespace → tables of the catalog in an output, without changing it. Raises OutputError."""
    file = root.resolve() / OWN_FILE
    check_own_file(root)
    try:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        try:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return {}  # of a crawl that ended when it had just made the file
            query = "SELECT table_namespace, table_name FROM iceberg_tables WHERE catalog_name = ? ORDER BY 1, 2"
            rows = connection.execute(query, (CATALOG_NAME,)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise OutputError(f"the Iceberg catalog {file} can't be read ({reason_of(error)})") from None
    found: dict[str, list[str]] = {}
    for namespace, table in rows:
        found.setdefault(str(namespace), []).append(str(table))
    return found


def check_own_file(root: Path) -> None:
    """Raise OutputError if the catalog in an output isn't a regular file: SQLite would wait for a named pipe."""
    for suffix in ("", "-journal", "-wal"):
        check_regular(root, f"{OWN_FILE}{suffix}")


def reason_of(error: BaseException) -> str:
    """Return the reason of a library's error, without its text, which may hold a URL with a password."""
    return "it is locked by another process" if _is_locked(error) else type(error).__name__


@contextmanager
def translate_errors(participle: str) -> Iterator[None]:
    """Raise OutputError for the errors of the libraries: the catalog can't be read, or changed."""
    try:
        yield
    except CrawlError:
        raise
    except Exception as error:  # noqa: BLE001 - of SQLAlchemy, requests or pyiceberg
        raise OutputError(f"the Iceberg catalog can't be {participle} ({reason_of(error)})") from None


def _is_locked(error: BaseException) -> bool:
    """Return whether SQLite waited in vain for the lock of another process."""
    found = getattr(error, "orig", error)
    # The lowest byte is the primary code.
    return isinstance(found, sqlite3.Error) and getattr(found, "sqlite_errorcode", 0) & 0xFF in _LOCKED


def _is_rest(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        raise ConfigError("[output.iceberg] catalog_uri has an invalid host or port; write https://host/path") from None
    return parts


def _parse(uri: str) -> URL:
    """Parse a SQL catalog's URI. Messages don't show it: it may contain a password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(uri)
    except (SQLAlchemyError, ValueError):
        raise ConfigError(
            "[output.iceberg] catalog_uri can't be read; write https://…, or SQL such as sqlite:////path/catalog.db"
        ) from None
    if url.get_backend_name() == "sqlite" and (url.database or "") in _IN_MEMORY:
        raise ConfigError(
            "[output.iceberg] catalog_uri names no file, so that SQLite would keep the catalog in memory; "
            "write a path such as sqlite:////var/lib/acs-inventory/catalog.db"
        )
    return url


def _address(settings: LakeSettings, *, is_new: bool) -> dict[str, Any]:
    """Return pyiceberg's properties of the catalog. A URL is an object, so that no path is read as a part of one."""
    uri, warehouse = settings.catalog_uri, settings.warehouse
    if _is_rest(uri):
        parts = _split(uri)
        host = parts.hostname or ""
        if parts.scheme == "http" and not LOOPBACK_HOST.fullmatch(host) and not _DLF_IN_VPC.fullmatch(host):
            raise ConfigError(
                "[output.iceberg] catalog_uri must be https; plain http is for this machine, and for the endpoint of "
                "DLF in a VPC, http://REGION-vpc.dlf.aliyuncs.com"
            )
        return {"type": "rest", "uri": uri, **({"warehouse": warehouse} if warehouse else {})}
    warehouse = warehouse or f"{settings.base}/{ICEBERG}"
    if uri:
        return {"type": "sql", "uri": _parse(uri), "warehouse": warehouse}
    if not isinstance(settings.root, Path):
        raise ConfigError(
            "[output.iceberg] catalog_uri is missing; an output in a bucket needs a separate catalog: REST such as "
            "https://…, or SQL such as sqlite:////var/lib/acs-inventory/catalog.db"
        )
    from sqlalchemy import URL

    root = settings.root.resolve()
    try:
        check_own_file(root)
    except OutputError as error:
        verb = "made" if is_new else "opened"
        raise ConfigError(f"the catalog {root / OWN_FILE} can't be {verb}: {error}") from None
    if is_new:
        _make_own_file(root, settings.umask)
    url = URL.create("sqlite", database=str(root / OWN_FILE))
    return {"type": "sql", "uri": url, "warehouse": warehouse, "init_catalog_tables": str(is_new).lower()}


def _make_own_file(root: Path, umask: int) -> None:
    """Make the SQLite file with the modes of the output, if it is missing. No link is followed."""
    try:
        disk = Disk(root, umask)
        try:
            make_folders(disk, ICEBERG)
            os.close(disk.open_for_update(OWN_FILE))
        finally:
            disk.close_root()
    except OutputError as error:
        raise ConfigError(f"the catalog {root / OWN_FILE} can't be made: {error}") from None
