"""Writes proposed files, and never over others unless the caller allows it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crawler.catalog.scaffold.proposal import Proposal
from crawler.errors import ConfigError
from crawler.local_files import reason_of


@dataclass(frozen=True, slots=True)
class Written:
    """The result: `folder` with the `names` written. `kept`: files that were there and that nobody asked for."""

    folder: Path
    names: Sequence[str]
    kept: Sequence[str]


def write_files(proposal: Proposal, root: Path, *, may_replace: bool, keeps_companions: bool = True) -> Written:
    """Write a proposal below `root`.

    A file that exists is replaced with `may_replace` only. With `keeps_companions`, a product.toml and a parent's file
    stay in any case: a person may have corrected them, and tables are added one by one. Raises ConfigError before the
    first write if another file exists, and if one can't be written.
    """
    folder = root / proposal.folder
    there = [name for name in proposal.texts if os.path.lexists(folder / name)]
    existing = [name for name in there if name in proposal.companions] if keeps_companions else []
    refused = [name for name in there if name not in existing]
    if refused and not may_replace:
        others = len(refused) - 1
        what = f"and {others} more files exist already; --overwrite replaces them"
        what = what if others else "exists already; --overwrite replaces it"
        raise ConfigError(f"{folder / refused[0]} {what}")
    names = [name for name in proposal.texts if name not in existing]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            _write(folder / name, proposal.texts[name])
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {reason_of(error)}") from None
    return Written(folder, names, existing)


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, so that no half of one is left."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
