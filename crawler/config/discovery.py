"""Finds the configuration file: the named one, else the first that exists of the usual places."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crawler.errors import ConfigError
from crawler.local_files import expand_home, xdg_folder
from crawler.validation import Document

FILE_NAME = "config.toml"
FOLDER_NAME = "acs-inventory"
SYSTEM_FOLDER = Path("/etc")

PlaceKind = Literal["named", "working folder", "user", "system"]


@dataclass(frozen=True, slots=True)
class ConfigPlace:
    """A configuration file, and the place in which it was found."""

    path: Path
    kind: PlaceKind

    @property
    def is_shared(self) -> bool:
        """Whether commands of any working folder read the file, so that a relative output would move with it."""
        return self.kind in ("user", "system")

    def check_output(self, document: Document, uri: str) -> None:
        """Raise ConfigError if the file is shared and its output depends on the working folder."""
        if not self.is_shared or "://" in uri or uri.startswith(("/", "~", "file:")):
            return
        given = document.text(("output", "uri"))
        problem = f'is "{given[:60]}", which depends' if given else "isn't set, and its default depends"
        remedy = "write an absolute path or the URI of a bucket, or name the output with --output"
        raise document.error(("output", "uri"), f"{problem} on the working folder; {remedy}")

    def explained(self, error: ConfigError, sections: Collection[str], known: Collection[str]) -> ConfigError:
        """Return an error of the file. One of another program's file also says why the file was taken.

        `sections` are the sections of the file; none if it isn't TOML.
        """
        if self.kind == "named" or (sections and set(sections) <= set(known)):
            return error
        why = "this file was taken because neither --config nor $ACS_INVENTORY_CONFIG names one"
        return ConfigError(f"{error}; {why}")


def find_config(path: Path | None, environ: Mapping[str, str], cwd: Path) -> ConfigPlace:
    """Return the file to read. Raises ConfigError if the named file doesn't exist, or without a name none does."""
    named = environ.get("ACS_INVENTORY_CONFIG", "")
    if path is not None or named:
        place = cwd / expand_home(os.fspath(path) if path is not None else named, environ)
        if not _may_exist(place):
            option = "--config" if path is not None else "$ACS_INVENTORY_CONFIG"
            raise ConfigError(f"Configuration file not found: {place} ({option}).")
        return ConfigPlace(place, "named")
    places = list(usual_places(environ, cwd))
    for found in places:
        if _may_exist(found.path):
            return found
    looked = ", ".join(str(found.path) for found in places)
    raise ConfigError(
        "No configuration: --config isn't given, $ACS_INVENTORY_CONFIG isn't set, and there is no file at "
        f"{looked}. `acs-inventory config init` writes an example; `acs-inventory demo` needs no configuration."
    )


def usual_places(environ: Mapping[str, str], cwd: Path) -> Iterator[ConfigPlace]:
    """Yield the places of a configuration that isn't named, in the order in which they are tried."""
    yield ConfigPlace(cwd / FILE_NAME, "working folder")
    yield ConfigPlace(xdg_folder("XDG_CONFIG_HOME", ".config", environ) / FOLDER_NAME / FILE_NAME, "user")
    yield ConfigPlace(SYSTEM_FOLDER / FOLDER_NAME / FILE_NAME, "system")


def _may_exist(path: Path) -> bool:
    """Return whether a path exists. True also if its folder can't be searched: then reading the file says so."""
    try:
        return path.exists()
    except PermissionError:
        return True
    except OSError:
        return False
