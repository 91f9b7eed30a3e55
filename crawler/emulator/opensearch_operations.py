"""The operations of OpenSearch (2017-12-25), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22).
"""

from __future__ import annotations

from crawler.emulator.operation import PAGE_SIZE, Operation, Paging

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        product="opensearch",
        action="DescribeRegions",
        path="/v4/openapi/regions",
        paging=Paging.NONE,
        ram="opensearch:DescribeRegions",
        records="result",
        key=("regionId",),
        envelope="result",
    ),
    Operation(
        product="opensearch",
        action="ListAppGroups",
        path="/v4/openapi/app-groups",
        paging=Paging.NUMBER,
        ram="opensearch:ListAppGroup",
        records="result",
        key=("name",),
        bounds=PAGE_SIZE,
        filters={
            "name": ("name", "contains"),
            "type": ("type", "equal"),
            "instanceId": ("instanceId", "equal"),
        },
        envelope="result",
    ),
    Operation(
        product="opensearch",
        action="DescribeApps",
        path="/v4/openapi/app-groups/{appGroupIdentity}/apps",
        paging=Paging.NONE,
        ram="opensearch:ListApp",
        records="result",
        key=("id",),
        missing=("AppGroup.NotExist",),
        envelope="result",
    ),
    Operation(
        product="opensearch",
        action="ListFunctionInstances",
        path="/v4/openapi/app-groups/{appGroupIdentity}/functions/{functionName}/instances",
        paging=Paging.NUMBER,
        ram="opensearch:DescribeFunction",
        records="Result",
        key=("InstanceName",),
        missing=("AppGroup.NotExist", "Instance.NotExist"),
        bounds=PAGE_SIZE,
        filters={"functionType": ("FunctionType", "equal"), "modelType": ("ModelType", "equal")},
        select="source",
        envelope="function",
    ),
)
