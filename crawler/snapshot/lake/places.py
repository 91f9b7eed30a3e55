"""The location of an output as the lakes' libraries read it.

Iceberg's locations are URIs, and pyiceberg ends a path at `#` and `?`. deltalake does so in some of its functions; in
others it decodes percent signs and takes a backslash for a slash (both tried on 2026-11-30, with 0.12.0 and 1.6.6). A
folder that a library would read as another one is refused before anything is made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from crawler.errors import ConfigError
from crawler.snapshot.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.snapshot.lake.base import LakeSettings

_NAMESPACE = re.compile(r"[\w -]+(?:\.[\w -]+)*")


def check_place(settings: LakeSettings) -> None:
    """Raise ConfigError if the format's library would read the output's folder as another one."""
    if settings.format == "iceberg" and not _NAMESPACE.fullmatch(settings.namespace):
        raise ConfigError(
            f"[output.iceberg] namespace {settings.namespace[:80]!a} can't be used; "
            "write letters, digits, _, - and spaces, with single dots between them"
        )
    if settings.format == "iceberg":
        _check_warehouse(settings)
    if not isinstance(settings.root, Path):
        return
    folder = str(settings.root.resolve())
    found = _as_read(settings, folder)
    if found != folder:
        raise ConfigError(
            f"[output] uri can't hold {settings.format} tables: their library reads the folder {folder!a} as "
            f"{found!a}; use a folder without #, ?, %, backslashes and control characters in its path"
        )


def _check_warehouse(settings: LakeSettings) -> None:
    """Raise ConfigError for a warehouse of a SQL catalog that is read as another place, or depends on the folder."""
    warehouse = settings.warehouse
    if not warehouse or settings.catalog_uri.startswith(("http://", "https://")):
        return
    parts = urlsplit(warehouse)
    is_absolute = bool(parts.scheme) or warehouse.startswith("/")
    if not is_absolute or (parts.scheme and (parts.query or parts.fragment)):
        raise ConfigError(
            f"[output.iceberg] warehouse {warehouse[:200]!a} can't be used; write a URI or an absolute path, "
            "without # and ?"
        )


def check_folders(settings: LakeSettings, paths: Iterable[str]) -> None:
    """Raise ConfigError for a link or file in place of a folder of a local output: the libraries would follow it.

    `paths` are relative to the output, outer folders first. A folder that doesn't exist is made by the library.
    """
    if not isinstance(settings.root, Path):
        return
    disk = Disk(settings.root.resolve(), settings.umask)
    try:
        for path in paths:
            if disk.has(path) and not disk.is_folder(path):
                raise ConfigError(f"{path} of the output {settings.root} is a link or file, not a folder; remove it")
    finally:
        disk.close_root()


def _as_read(settings: LakeSettings, folder: str) -> str:
    try:
        folder.encode()
    except UnicodeEncodeError:
        return folder.encode(errors="replace").decode()
    if settings.format == "delta":
        return unquote(urlsplit(f"file://{folder}").path).replace("\\", "/")
    from pyiceberg.io.pyarrow import PyArrowFileIO

    return PyArrowFileIO.parse_location(settings.base)[2]
