"""The operations of Function Compute 2.0 (2021-04-06), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22).
"""

from __future__ import annotations

from crawler.emulator.operation import Bounds, End, Operation, Paging

FUNCTION_PATH = "/2021-04-06/services/{serviceName}/functions/{functionName}"
IN_FUNCTION = ("ServiceNotFound", "FunctionNotFound")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        product="fc-open",
        action="ListServices",
        path="/2021-04-06/services",
        paging=Paging.TOKEN,
        ram="fc:ListServices",
        records="services",
        key=("serviceName",),
        end=End.EMPTY,
        filters={"prefix": ("serviceName", "prefix"), "startKey": ("serviceName", "from")},
    ),
    Operation(
        product="fc-open",
        action="ListFunctions",
        path="/2021-04-06/services/{serviceName}/functions",
        paging=Paging.TOKEN,
        ram="fc:ListFunctions",
        records="functions",
        key=("functionName",),
        missing=("ServiceNotFound",),
        end=End.NULL,
        filters={"prefix": ("functionName", "prefix"), "startKey": ("functionName", "from")},
    ),
    Operation(
        product="fc-open",
        action="ListInstances",
        path=f"{FUNCTION_PATH}/instances",
        paging=Paging.LIMIT,
        ram="fc:ListInstances",
        records="instances",
        key=("instanceId",),
        missing=IN_FUNCTION,
        bounds=Bounds("limit", 0, 1000, 20),
    ),
    Operation(
        product="fc-open",
        action="ListFunctionAsyncInvokeConfigs",
        path=f"{FUNCTION_PATH}/async-invoke-configs",
        paging=Paging.TOKEN,
        ram="fc:ListFunctionAsyncInvokeConfigs",
        records="configs",
        key=("qualifier",),
        missing=IN_FUNCTION,
    ),
    Operation(
        product="fc-open",
        action="ListStatefulAsyncInvocationFunctions",
        path="/2021-04-06/stateful-async-invocation-functions",
        paging=Paging.TOKEN,
        ram="fc:ListStatefulAsyncInvocationFunctions",
        records="data",
        key=("serviceName", "functionName", "qualifier"),
        end=End.QUOTES,
    ),
)
