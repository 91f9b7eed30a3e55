"""The operations of Function Compute 2.0 (2021-04-06), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22).
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, Filter, LastToken, OrderParameter

ROOT = "/2021-04-06"
SERVICE_PATH = ROOT + "/services/{serviceName}"
LAYERS = "fc-open-layers"

# Most lists have tokens.
_list = partial(EmulatedOperation, product="fc-open", root=ROOT, paging=EmulatedPaging.TOKEN)
_in_service = partial(_list, root=SERVICE_PATH, not_found_codes=("ServiceNotFound",))
_in_function = partial(
    _list, root=SERVICE_PATH + "/functions/{functionName}", not_found_codes=("ServiceNotFound", "FunctionNotFound")
)


def _by(name: str) -> dict[str, tuple[str, Filter]]:
    """Return the two filters that most lists have, for this field."""
    return {"prefix": (name, "prefix"), "startKey": (name, "from")}


OPERATIONS: tuple[EmulatedOperation, ...] = (
    _list(
        "ListServices",
        "/services",
        ("serviceName",),
        "services",
        child_namespace="fc-open",
        last_token=LastToken.EMPTY,
        filters=_by("serviceName"),
    ),
    _in_service("ListAliases", "/aliases", ("aliasName",), "aliases", filters=_by("aliasName")),
    _in_service(
        "ListServiceVersions",
        "/versions",
        ("versionId",),
        "versions",
        rank="down",
        order_parameter=OrderParameter("direction", "BACKWARD", "FORWARD", is_echoed=True),
        last_token=LastToken.EMPTY,
    ),
    _in_service("ListVpcBindings", "/bindings", records="vpcIds", paging=EmulatedPaging.NONE),
    _in_service(
        "ListFunctions",
        "/functions",
        ("functionName",),
        "functions",
        child_namespace="fc-open",
        last_token=LastToken.NULL,
        filters=_by("functionName"),
    ),
    _in_function(
        "ListInstances",
        "/instances",
        ("instanceId",),
        "instances",
        paging=EmulatedPaging.LIMIT,
        bounds=Bounds("limit", 0, 1000, 20),
    ),
    _in_function("ListFunctionAsyncInvokeConfigs", "/async-invoke-configs", ("qualifier",), "configs"),
    _in_function("ListTriggers", "/triggers", ("triggerName",), "triggers", filters=_by("triggerName")),
    _in_function("ListEventSources", "/event-sources", ("sourceArn",), "eventSources", paging=EmulatedPaging.NONE),
    _in_function(
        "ListStatefulAsyncInvocations",
        "/stateful-async-invocations",
        ("startedTime", "invocationId"),
        "invocations",
        rank="down",
        order_parameter=OrderParameter("sortOrderByTime", "desc", "asc"),
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
        "ListStatefulAsyncInvocationFunctions",
        "/stateful-async-invocation-functions",
        ("serviceName", "functionName", "qualifier"),
        "data",
        last_token=LastToken.QUOTES,
    ),
    _list("ListOnDemandConfigs", "/on-demand-configs", ("resource",), "configs", filters=_by("resource")),
    _list(
        "ListProvisionConfigs",
        "/provision-configs",
        ("resource",),
        "provisionConfigs",
        filters={"serviceName": ("resource", "part"), "qualifier": ("resource", "part")},
        required_with={"qualifier": "serviceName"},
    ),
    _list(
        "ListCustomDomains",
        "/custom-domains",
        ("domainName",),
        "customDomains",
        bounds=Bounds("limit", 0, 100, 20),
        filters=_by("domainName"),
    ),
    _list(
        "ListLayers",
        "/layers",
        ("layerName",),
        "layers",
        child_namespace=LAYERS,
        filters={**_by("layerName"), "public": ("acl", "flag"), "official": ("official", "flag")},
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
        last_token=LastToken.ZERO,
    ),
    _list(
        "ListReservedCapacities",
        "/reserved-capacities",
        ("instanceId",),
        "reservedCapacities",
        last_token=LastToken.EMPTY,
    ),
    _list("ListTaggedResources", "/tags", ("resourceArn",), "resources"),
)
