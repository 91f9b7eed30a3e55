"""A case of a finding: rows of a snapshot, and what its result must and must not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Case:
    """The cases of one finding. `found` are texts that a result row has, `passed` texts that none has."""

    rows: Rows
    found: Sequence[str]
    passed: Sequence[str]
