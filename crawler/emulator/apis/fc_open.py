"""The operations of Function Compute 2.0 (2021-04-06), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22).
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, LastToken, OrderParameter

SERVICE_PATH = "/2021-04-06/services/{serviceName}"
FUNCTION_PATH = f"{SERVICE_PATH}/functions/{{functionName}}"
IN_SERVICE = ("ServiceNotFound",)
IN_FUNCTION = ("ServiceNotFound", "FunctionNotFound")
LAYERS = "fc-open-layers"

# Most lists have tokens.
_list = partial(EmulatedOperation, product="fc-open", paging=EmulatedPaging.TOKEN)

OPERATIONS: tuple[EmulatedOperation, ...] = (
    _list(
        action="ListServices",
        path="/2021-04-06/services",
        ram="fc:ListServices",
        records="services",
        key=("serviceName",),
        child_namespace="fc-open",
        last_token=LastToken.EMPTY,
        filters={"prefix": ("serviceName", "prefix"), "startKey": ("serviceName", "from")},
    ),
    _list(
        action="ListAliases",
        path=f"{SERVICE_PATH}/aliases",
        ram="fc:ListAliases",
        records="aliases",
        key=("aliasName",),
        not_found_codes=IN_SERVICE,
        filters={"prefix": ("aliasName", "prefix"), "startKey": ("aliasName", "from")},
    ),
    _list(
        action="ListServiceVersions",
        path=f"{SERVICE_PATH}/versions",
        ram="fc:ListServiceVersions",
        records="versions",
        key=("versionId",),
        rank="down",
        order_parameter=OrderParameter("direction", "BACKWARD", "FORWARD", is_echoed=True),
        not_found_codes=IN_SERVICE,
        last_token=LastToken.EMPTY,
    ),
    _list(
        action="ListVpcBindings",
        path=f"{SERVICE_PATH}/bindings",
        paging=EmulatedPaging.NONE,
        ram="fc:ListVpcBindings",
        records="vpcIds",
        not_found_codes=IN_SERVICE,
    ),
    _list(
        action="ListFunctions",
        path=f"{SERVICE_PATH}/functions",
        ram="fc:ListFunctions",
        records="functions",
        key=("functionName",),
        not_found_codes=IN_SERVICE,
        child_namespace="fc-open",
        last_token=LastToken.NULL,
        filters={"prefix": ("functionName", "prefix"), "startKey": ("functionName", "from")},
    ),
    _list(
        action="ListInstances",
        path=f"{FUNCTION_PATH}/instances",
        paging=EmulatedPaging.LIMIT,
        ram="fc:ListInstances",
        records="instances",
        key=("instanceId",),
        not_found_codes=IN_FUNCTION,
        bounds=Bounds("limit", 0, 1000, 20),
    ),
    _list(
        action="ListFunctionAsyncInvokeConfigs",
        path=f"{FUNCTION_PATH}/async-invoke-configs",
        ram="fc:ListFunctionAsyncInvokeConfigs",
        records="configs",
        key=("qualifier",),
        not_found_codes=IN_FUNCTION,
    ),
    _list(
        action="ListTriggers",
        path=f"{FUNCTION_PATH}/triggers",
        ram="fc:ListTriggers",
        records="triggers",
        key=("triggerName",),
        not_found_codes=IN_FUNCTION,
        filters={"prefix": ("triggerName", "prefix"), "startKey": ("triggerName", "from")},
    ),
    _list(
        action="ListEventSources",
        path=f"{FUNCTION_PATH}/event-sources",
        paging=EmulatedPaging.NONE,
        ram="fc:ListEventSources",
        records="eventSources",
        key=("sourceArn",),
        not_found_codes=IN_FUNCTION,
    ),
    _list(
        action="ListStatefulAsyncInvocations",
        path=f"{FUNCTION_PATH}/stateful-async-invocations",
        ram="fc:ListStatefulAsyncInvocations",
        records="invocations",
        key=("startedTime", "invocationId"),
        rank="down",
        order_parameter=OrderParameter("sortOrderByTime", "desc", "asc"),
        not_found_codes=IN_FUNCTION,
        bounds=Bounds("limit", 1, 100, 50),
        last_token=LastToken.EMPTY,
        filters={
            "invocationIdPrefix": ("invocationId", "prefix"),
            "status": ("status", "equal"),
            "qualifier": ("qualifier", "equal"),
        },
        hidden_fields={"includePayload": ("invocationPayload",)},
    ),
    _list(
        action="ListStatefulAsyncInvocationFunctions",
        path="/2021-04-06/stateful-async-invocation-functions",
        ram="fc:ListStatefulAsyncInvocationFunctions",
        records="data",
        key=("serviceName", "functionName", "qualifier"),
        last_token=LastToken.QUOTES,
    ),
    _list(
        action="ListOnDemandConfigs",
        path="/2021-04-06/on-demand-configs",
        ram="fc:ListOnDemandConfigs",
        records="configs",
        key=("resource",),
        filters={"prefix": ("resource", "prefix"), "startKey": ("resource", "from")},
    ),
    _list(
        action="ListProvisionConfigs",
        path="/2021-04-06/provision-configs",
        ram="fc:ListProvisionConfigs",
        records="provisionConfigs",
        key=("resource",),
        filters={"serviceName": ("resource", "part"), "qualifier": ("resource", "part")},
        required_with={"qualifier": "serviceName"},
    ),
    _list(
        action="ListCustomDomains",
        path="/2021-04-06/custom-domains",
        ram="fc:ListCustomDomains",
        records="customDomains",
        key=("domainName",),
        bounds=Bounds("limit", 0, 100, 20),
        filters={"prefix": ("domainName", "prefix"), "startKey": ("domainName", "from")},
    ),
    _list(
        action="ListLayers",
        path="/2021-04-06/layers",
        ram="fc:ListLayers",
        records="layers",
        key=("layerName",),
        child_namespace=LAYERS,
        filters={
            "prefix": ("layerName", "prefix"),
            "startKey": ("layerName", "from"),
            "public": ("acl", "flag"),
            "official": ("official", "flag"),
        },
    ),
    _list(
        action="ListLayerVersions",
        path="/2021-04-06/layers/{layerName}/versions",
        paging=EmulatedPaging.VERSION,
        ram="fc:ListLayerVersions",
        records="layers",
        key=("version",),
        rank="up",
        not_found_codes=("LayerNotFound",),
        namespace=LAYERS,
        token="startVersion",  # noqa: S106 - the name of a parameter
        next_key="nextVersion",
        last_token=LastToken.ZERO,
    ),
    _list(
        action="ListReservedCapacities",
        path="/2021-04-06/reserved-capacities",
        ram="fc:ListReservedCapacities",
        records="reservedCapacities",
        key=("instanceId",),
        last_token=LastToken.EMPTY,
    ),
    _list(
        action="ListTaggedResources",
        path="/2021-04-06/tags",
        ram="fc:ListTaggedResources",
        records="resources",
        key=("resourceArn",),
    ),
)
