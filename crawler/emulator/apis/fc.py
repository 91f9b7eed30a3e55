"""The operations of Function Compute 3.0 (2023-03-30), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22). If a page
gives no bounds for `limit`, those of the other pages apply: 1 to 100, default 20. That versions come newest first is
documented for 2.0 only. The order of tasks and the number of instances per page are not documented.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, LastToken, OrderParameter

FUNCTION_PATH = "/2023-03-30/functions/{functionName}"
IN_FUNCTION = ("FunctionNotFound",)
LAYERS = "fc-layers"

# Most lists have tokens.
_list = partial(EmulatedOperation, product="fc", paging=EmulatedPaging.TOKEN)

OPERATIONS: tuple[EmulatedOperation, ...] = (
    _list(
        action="DescribeRegions",
        path="/2023-03-30/regions",
        paging=EmulatedPaging.NONE,
        ram="fc:DescribeRegions",
        records="Regions.Region",
        key=("RegionId",),
    ),
    _list(
        action="ListFunctions",
        path="/2023-03-30/functions",
        ram="fc:ListFunctions",
        records="functions",
        key=("functionName",),
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
    _list(
        action="GetFunction",
        path=FUNCTION_PATH,
        paging=EmulatedPaging.NONE,
        ram="fc:GetFunction",
        not_found_codes=IN_FUNCTION,
        envelope="object",
    ),
    _list(
        action="ListAliases",
        path=f"{FUNCTION_PATH}/aliases",
        ram="fc:ListAliases",
        records="aliases",
        key=("aliasName",),
        not_found_codes=IN_FUNCTION,
        filters={"prefix": ("aliasName", "prefix")},
    ),
    _list(
        action="ListFunctionVersions",
        path=f"{FUNCTION_PATH}/versions",
        ram="fc:ListFunctionVersions",
        records="versions",
        key=("versionId",),
        rank="down",
        order_parameter=OrderParameter("direction", "BACKWARD", "FORWARD", is_echoed=True),
        not_found_codes=IN_FUNCTION,
        last_token=LastToken.EMPTY,
    ),
    _list(
        action="ListTriggers",
        path=f"{FUNCTION_PATH}/triggers",
        ram="fc:ListTriggers",
        records="triggers",
        key=("triggerName",),
        not_found_codes=IN_FUNCTION,
        filters={"prefix": ("triggerName", "prefix")},
    ),
    _list(
        action="ListInstances",
        path=f"{FUNCTION_PATH}/instances",
        paging=EmulatedPaging.LIMIT,
        ram="fc:ListInstances",
        records="instances",
        key=("instanceId",),
        not_found_codes=IN_FUNCTION,
        request_id="requestId",
        filters={"startKey": ("instanceId", "from")},
    ),
    _list(
        action="ListSessions",
        path=f"{FUNCTION_PATH}/sessions",
        ram="fc:ListSessions",
        records="sessions",
        key=("sessionId",),
        not_found_codes=IN_FUNCTION,
        last_token=LastToken.NULL,
        filters={
            "sessionId": ("sessionId", "equal"),
            "sessionStatus": ("sessionStatus", "equal"),
            "qualifier": ("qualifier", "equal"),
        },
        choices={"sessionStatus": ("", "Active", "Expired")},
    ),
    _list(
        action="ListAsyncTasks",
        path=f"{FUNCTION_PATH}/async-tasks",
        ram="fc:ListAsyncTasks",
        records="tasks",
        key=("startedTime", "taskId"),
        rank="down",
        order_parameter=OrderParameter("sortOrderByTime", "desc", "asc"),
        not_found_codes=IN_FUNCTION,
        last_token=LastToken.EMPTY,
        filters={
            "prefix": ("taskId", "prefix"),
            "status": ("status", "equal"),
            "qualifier": ("qualifier", "equal"),
        },
        hidden_fields={"includePayload": ("taskPayload",)},
    ),
    _list(
        action="ListVpcBindings",
        path=f"{FUNCTION_PATH}/vpc-bindings",
        paging=EmulatedPaging.NONE,
        ram="fc:ListVpcBindings",
        records="vpcIds",
        not_found_codes=IN_FUNCTION,
    ),
    _list(
        action="ListAsyncInvokeConfigs",
        path="/2023-03-30/async-invoke-configs",
        ram="fc:ListFunctionAsyncInvokeConfigs",
        records="configs",
        key=("functionArn",),
        filters={"functionName": ("functionArn", "part")},
    ),
    _list(
        action="ListConcurrencyConfigs",
        path="/2023-03-30/concurrency-configs",
        ram="fc:ListConcurrencyConfigs",
        records="configs",
        key=("functionArn",),
        filters={"functionName": ("functionArn", "part")},
    ),
    _list(
        action="ListProvisionConfigs",
        path="/2023-03-30/provision-configs",
        ram="fc:ListProvisionConfigs",
        records="provisionConfigs",
        key=("functionArn",),
        filters={"functionName": ("functionArn", "part")},
    ),
    _list(
        action="ListScalingConfigs",
        path="/2023-03-30/scaling-configs",
        ram="fc:ListScalingConfigs",
        records="scalingConfigs",
        key=("functionArn",),
        last_token=LastToken.EMPTY,
        filters={"functionName": ("functionArn", "part")},
    ),
    _list(
        action="ListCustomDomains",
        path="/2023-03-30/custom-domains",
        ram="fc:ListCustomDomains",
        records="customDomains",
        key=("domainName",),
        filters={"prefix": ("domainName", "prefix")},
    ),
    _list(
        action="ListLayers",
        path="/2023-03-30/layers",
        ram="fc:ListLayers",
        records="layers",
        key=("layerName",),
        child_namespace=LAYERS,
        last_token=LastToken.QUOTES,
        filters={"prefix": ("layerName", "prefix"), "public": ("acl", "flag"), "official": ("official", "flag")},
    ),
    _list(
        action="ListLayerVersions",
        path="/2023-03-30/layers/{layerName}/versions",
        paging=EmulatedPaging.VERSION,
        ram="fc:ListLayerVersions",
        records="layers",
        key=("version",),
        rank="up",
        not_found_codes=("LayerNotFound",),
        namespace=LAYERS,
        token="startVersion",  # noqa: S106 - the name of a parameter
        next_key="nextVersion",
    ),
    _list(
        action="ListSnapshots",
        path="/2023-03-30/snapshots",
        ram="fc:ListSnapshots",
        records="snapshots",
        key=("createdTime", "snapshotId"),
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
        action="ListTagResources",
        path="/2023-03-30/tags-v2",
        ram="fc:ListTagResources",
        records="TagResources",
        key=("ResourceId", "TagKey"),
        bounds=Bounds("Limit", 1, 100, 20),
        token="NextToken",  # noqa: S106 - the name of a parameter
        last_token=LastToken.EMPTY,
        request_id="RequestId",
        choices={"ResourceType": ("ALIYUN::FC::FUNCTION",)},
        required=("ResourceType",),
    ),
)
