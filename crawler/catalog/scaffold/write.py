"""Writes proposed files, and never over others unless the caller allows it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crawler.catalog.scaffold.proposal import Proposal
from crawler.errors import ConfigError
from crawler.local_files import reason_of

_PRODUCT = "product.toml"


@dataclass(frozen=True, slots=True)
class Written:
    """The result: `folder` with the `names` written. `kept`: the product.toml is the one that was there."""

    folder: Path
    names: Sequence[str]
    kept: bool


def write_files(proposal: Proposal, root: Path, *, may_replace: bool) -> Written:
    """Write a proposal below `root`.

    A product.toml that exists stays, so that tables can be added one by one; other files aren't replaced either. With
    `may_replace` all are. Raises ConfigError before the first write if a table's file exists, and if one can't be
    written.
    """
    folder = root / proposal.folder
    names = list(proposal.texts)
    kept = not may_replace and os.path.lexists(folder / _PRODUCT)
    if kept:
        names.remove(_PRODUCT)
    existing = [name for name in names if os.path.lexists(folder / name)]
    if existing and not may_replace:
        more = f" and {len(existing) - 1} more files exist" if len(existing) > 1 else " exists"
        raise ConfigError(f"{folder / existing[0]}{more} already; --overwrite replaces them")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            _write(folder / name, proposal.texts[name])
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {reason_of(error)}") from None
    return Written(folder, names, kept)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, so that no half of one is left."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
