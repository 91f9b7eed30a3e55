"""Name the resource of each row of a finding, and give the row an ID that stays the same in later snapshots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawler.audit.findings.files import Finding

FindingValue = str | int | float | bool | None

_ACCOUNT, _REGION = "account_id", "region_id"
_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource that a row of a finding is about.

    `account_id` and `region_id` are empty if the finding's rows have none. `owner` is the value of the owner tag.
    Without an owner, `is_owner_known` says whether the tags were read and there is none.
    """

    account_id: str
    region_id: str
    resource: str
    owner: str | None = None
    is_owner_known: bool = False

    def row_id(self, finding: str) -> str:
        """Return the ID of this resource's row in a finding: hex digits, equal in every snapshot."""
        parts = json.dumps([finding, self.account_id, self.region_id, self.resource])
        return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()[:_ID_DIGITS]


def resource_columns(finding: Finding, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns whose values name a row's resource: those of the header, else the first after the region."""
    named = tuple(name for name in finding.resource if name in columns)
    return named or tuple(name for name in columns if name not in (_ACCOUNT, _REGION))[:1]


def subject_of(
    columns: Sequence[str],
    names: Sequence[str],
    row: Sequence[FindingValue],
    owner: str | None = None,
    *,
    is_owner_known: bool = False,
) -> Subject:
    """Return the subject of a row with these columns, of which `names` name the resource."""
    values = dict(zip(columns, row, strict=True))
    resource = " / ".join(str(values[name]) for name in names if values[name] not in (None, ""))
    account, region = (str(values.get(name) or "") for name in (_ACCOUNT, _REGION))
    return Subject(account, region, resource, owner, is_owner_known)
