"""The files of an SDK package: of an installed distribution, or of a wheel, as text.

Only files that a caller names are read. Nothing is extracted, imported or run.
"""

from __future__ import annotations

import ast
import re
import warnings
import zipfile
import zlib
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Protocol

from crawler.errors import ConfigError
from crawler.extras import install_command
from crawler.local_files import read_regular, reason_of

# The largest file of an official SDK has 3 MB (the models of an older generation, all in one file).
_LARGEST_FILE_BYTES = 32 * 1024 * 1024
_LARGEST_WHEEL_BYTES = 128 * 1024 * 1024
_MOST_WHEEL_FILES = 50_000
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,40}")
_CLIENT = "client.py"
_HOW_TO_NAME = "name an installed package, such as alibabacloud-vpc20160428, or the path of its wheel"


class Source(Protocol):
    """One package. `package` is its import name, `version` the distribution's."""

    package: str
    version: str

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes by its path below the package's folder; None if there is none."""
        ...


class InstalledSource:
    """An installed distribution, found by the name of the distribution or of the import."""

    def __init__(self, name: str) -> None:
        self.package = re.sub(r"[-.]+", "_", name).lower()
        distribution = self.package.replace("_", "-")
        try:
            found = metadata.distribution(distribution)
        except metadata.PackageNotFoundError:
            # To install any other name would run the code of a stranger who took it.
            how = f"run: {install_command(distribution)}" if name.lower().startswith("alibabacloud") else _HOW_TO_NAME
            raise ConfigError(f"the SDK package {self.package} isn't installed; {how}") from None
        self.version = _version_of(found)
        if not self.version:
            raise ConfigError(f"the SDK package {self.package} is damaged: its METADATA has no version")
        self._folder = Path(str(found.locate_file(self.package)))

    def read(self, path: str) -> bytes | None:
        """See `Source`."""
        try:
            return read_regular(self._folder / path, _LARGEST_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{self.package}/{path} {reason_of(error)}") from None


def _version_of(distribution: metadata.Distribution) -> str:
    """Return a distribution's version, "" if its METADATA is absent, damaged, or has none."""
    # A backport of importlib.metadata that another library has loaded raises a FileNotFoundError of its own.
    try:
        version: str | None = distribution.version
    except (KeyError, TypeError, OSError, UnicodeDecodeError):
        return ""
    return version if version and _VERSION.fullmatch(version) else ""


class WheelSource:
    """A wheel. Its files are read from the archive, each up to a bound, whatever size the archive claims."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = _open_archive(path)
        names = self._archive.namelist()
        if len(names) > _MOST_WHEEL_FILES:
            raise ConfigError(f"{path.name} has {len(names):,} files, which no SDK package has")
        clients = [name.split("/")[0] for name in names if re.fullmatch(r"[A-Za-z0-9_]+/client\.py", name)]
        if len(clients) != 1:
            raise ConfigError(f"{path.name} isn't a wheel of an official SDK: it has no one PACKAGE/{_CLIENT}")
        self.package = clients[0]
        self.version = self._read_version(names)

    def _read_version(self, names: list[str]) -> str:
        described = [name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        text = (self._read_member(described[0]) or b"").decode("utf-8", "replace") if described else ""
        found = re.search(rf"^Version: *({_VERSION.pattern})\s*$", text, re.MULTILINE)
        if found is None:
            raise ConfigError(f"{self._path.name} isn't a wheel of an official SDK: its METADATA has no version")
        return found[1]

    def read(self, path: str) -> bytes | None:
        """See `Source`."""
        return self._read_member(f"{self.package}/{path}")

    def _read_member(self, name: str) -> bytes | None:
        try:
            with self._archive.open(name) as member:
                content = member.read(_LARGEST_FILE_BYTES + 1)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise ConfigError(f"{self._path.name}: {name} can't be read: {error}") from None
        if len(content) > _LARGEST_FILE_BYTES:
            raise ConfigError(f"{self._path.name}: {name} is larger than {_LARGEST_FILE_BYTES >> 20} MB")
        return content


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        content = read_regular(path, _LARGEST_WHEEL_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {reason_of(error)}") from None
    try:
        return zipfile.ZipFile(BytesIO(content))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise ConfigError(f"{path} isn't a wheel: it can't be read as a zip archive") from None


def open_source(name: str) -> Source:
    """Return the package that `name` means: the path of a wheel, or an installed one. Raises ConfigError."""
    if name.endswith(".whl") or "/" in name:
        return WheelSource(Path(name))
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} isn't the name of a package; {_HOW_TO_NAME}")
    return InstalledSource(name)


def parse(source: Source, path: str, content: bytes) -> tuple[ast.Module, list[str]]:
    """Return the syntax tree of a file and its lines. Raises ConfigError for a file that isn't Python."""
    try:
        text = content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # docstrings of the SDKs have invalid escapes
            return ast.parse(text), text.split("\n")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        kind = type(error).__name__
        raise ConfigError(f"{source.package}/{path} isn't Python that can be parsed ({kind})") from None
