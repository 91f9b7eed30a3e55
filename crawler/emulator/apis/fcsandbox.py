"""The operations of Function Compute's sandboxes (2026-05-09), one row each.

Paths, parameters and fields: alibabacloud-fcsandbox20260509 1.6.1 (checked 2026-12-01). Its comments bound `pageSize`
of ListTeams (1 to 50, default 20) and `maxResults` of ListTemplateCache (to 100, default 20); the other operations have
the bounds of their kind here. Templates, their caches and volumes belong to one team
(https://help.aliyun.com/en/functioncompute/create-team, checked 2026-12-01), and the operations for one of them take
the team, too: that their lists need it is an assumption.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, Filter, LastToken

_list = partial(
    EmulatedOperation,
    product="fcsandbox",
    root="/pop/2026-05-09",
    paging=EmulatedPaging.TOKEN,
    bounds=Bounds("maxResults", 1, 100, 20),
    last_token=LastToken.EMPTY,
    envelope="sandbox",
)
_numbered = partial(_list, paging=EmulatedPaging.NUMBER, bounds=Bounds("pageSize", 1, 50, 20), total="total")
_in_team = partial(_list, parent_query=("teamID",), not_found_codes=("TeamNotFound",))


def _equal(*names: str) -> dict[str, tuple[str, Filter]]:
    """Return filters whose parameters have the names of the fields."""
    return {name: (name, "equal") for name in names}


OPERATIONS: tuple[EmulatedOperation, ...] = (
    _numbered(
        "ListTeams",
        "/teams",
        ("teamID",),
        "teams",
        child_namespace="fcsandbox",
        choices={"plan": ("", "eco", "std", "pro")},
        filters=_equal("plan", "resourceGroupID", "teamName"),
    ),
    _numbered(
        "ListApiKeys",
        "/api-keys",
        ("apiKeyID",),
        "apiKeys",
        choices={"status": ("", "active", "inactive")},
        filters=_equal("apiKeyName", "resourceGroupID", "status", "teamID", "userID"),
    ),
    _list("ListQuota", "/quotas", ("tagValue",), "quotas"),
    _in_team("ListTemplates", "/templates", ("templateID",), "templates"),
    _in_team(
        "ListTemplateCache",
        "/template-caches",
        ("templateID",),
        "templateCaches",
        choices={"status": ("", "InProgress", "Success", "Failed", "Deleting", "Evicted")},
        filters=_equal("status", "templateID"),
    ),
    _in_team(
        "ListVolumes",
        "/volumes",
        ("volumeID",),
        "volumes",
        choices={"status": ("", "CREATING", "AVAILABLE", "ERROR", "DELETING")},
        filters=_equal("resourceGroupID", "status", "userID", "volumeName"),
    ),
)
