"""The operations of Function Compute 3.0 (2023-03-30), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22). If a page
gives no bounds for `limit`, those of the other pages apply: 1 to 100, default 20. That versions come newest first is
documented for 2.0 only. The order of tasks and the number of instances per page are not documented.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, Filter, LastToken, OrderParameter

ROOT = "/2023-03-30"
LAYERS = "fc-layers"

# Most lists have tokens.
_list = partial(EmulatedOperation, product="fc", root=ROOT, paging=EmulatedPaging.TOKEN)
_in_function = partial(_list, root=ROOT + "/functions/{functionName}", not_found_codes=("FunctionNotFound",))
_configs = partial(_list, key=("functionArn",), filters={"functionName": ("functionArn", "part")})


def _prefix(name: str) -> dict[str, tuple[str, Filter]]:
    """Return the filter that most lists have, for this field."""
    return {"prefix": (name, "prefix")}


OPERATIONS: tuple[EmulatedOperation, ...] = (
    _list("DescribeRegions", "/regions", ("RegionId",), "Regions.Region", paging=EmulatedPaging.NONE),
    _list(
        "ListFunctions",
        "/functions",
        ("functionName",),
        "functions",
        child_namespace="fc",
        filters={
            "prefix": ("functionName", "prefix"),
            "functionName": ("functionName", "contains"),
            "description": ("description", "contains"),
            "runtime": ("runtime", "equal"),
            "resourceGroupId": ("resourceGroupId", "equal"),
        },
        choices={"fcVersion": ("", "v2", "v3")},
        select="fc_version",
    ),
    _in_function("GetFunction", "", paging=EmulatedPaging.NONE, envelope="object"),
    _in_function("ListAliases", "/aliases", ("aliasName",), "aliases", filters=_prefix("aliasName")),
    _in_function(
        "ListFunctionVersions",
        "/versions",
        ("versionId",),
        "versions",
        rank="down",
        order_parameter=OrderParameter("direction", "BACKWARD", "FORWARD", is_echoed=True),
        last_token=LastToken.EMPTY,
    ),
    _in_function("ListTriggers", "/triggers", ("triggerName",), "triggers", filters=_prefix("triggerName")),
    _in_function(
        "ListInstances",
        "/instances",
        ("instanceId",),
        "instances",
        paging=EmulatedPaging.LIMIT,
        request_id="requestId",
        filters={"startKey": ("instanceId", "from")},
    ),
    _in_function(
        "ListSessions",
        "/sessions",
        ("sessionId",),
        "sessions",
        last_token=LastToken.NULL,
        filters={name: (name, "equal") for name in ("sessionId", "sessionStatus", "qualifier")},
        choices={"sessionStatus": ("", "Active", "Expired")},
    ),
    _in_function(
        "ListAsyncTasks",
        "/async-tasks",
        ("startedTime", "taskId"),
        "tasks",
        rank="down",
        order_parameter=OrderParameter("sortOrderByTime", "desc", "asc"),
        last_token=LastToken.EMPTY,
        filters={"prefix": ("taskId", "prefix"), "status": ("status", "equal"), "qualifier": ("qualifier", "equal")},
        hidden_fields={"includePayload": ("taskPayload",)},
    ),
    _in_function("ListVpcBindings", "/vpc-bindings", records="vpcIds", paging=EmulatedPaging.NONE),
    _configs(
        "ListAsyncInvokeConfigs",
        "/async-invoke-configs",
        records="configs",
        permission="ListFunctionAsyncInvokeConfigs",
    ),
    _configs("ListConcurrencyConfigs", "/concurrency-configs", records="configs"),
    _configs("ListProvisionConfigs", "/provision-configs", records="provisionConfigs"),
    _configs("ListScalingConfigs", "/scaling-configs", records="scalingConfigs", last_token=LastToken.EMPTY),
    _list("ListCustomDomains", "/custom-domains", ("domainName",), "customDomains", filters=_prefix("domainName")),
    _list(
        "ListLayers",
        "/layers",
        ("layerName",),
        "layers",
        child_namespace=LAYERS,
        last_token=LastToken.QUOTES,
        filters={"prefix": ("layerName", "prefix"), "public": ("acl", "flag"), "official": ("official", "flag")},
    ),
    _list(
        "ListLayerVersions",
        "/layers/{layerName}/versions",
        ("version",),
        "layers",
        paging=EmulatedPaging.VERSION,
        rank="up",
        not_found_codes=("LayerNotFound",),
        namespace=LAYERS,
        token="startVersion",  # noqa: S106 - the name of a parameter
        next_key="nextVersion",
    ),
    _list(
        "ListSnapshots",
        "/snapshots",
        ("createdTime", "snapshotId"),
        "snapshots",
        rank="down",
        last_token=LastToken.EMPTY,
        filters={
            "functionName": ("functionName", "equal"),
            "qualifier": ("qualifier", "equal"),
            "sessionId": ("sourceSessionId", "equal"),
        },
        required_with={"sessionId": "functionName"},
    ),
    _list(
        "ListTagResources",
        "/tags-v2",
        ("ResourceId", "TagKey"),
        "TagResources",
        bounds=Bounds("Limit", 1, 100, 20),
        token="NextToken",  # noqa: S106 - the name of a parameter
        last_token=LastToken.EMPTY,
        request_id="RequestId",
        choices={"ResourceType": ("ALIYUN::FC::FUNCTION",)},
        required=("ResourceType",),
    ),
)
