"""The operations of Function Compute 3.0 (2023-03-30), one row each.

Paths, parameters and bounds: the official SDK package and the documentation pages (checked 2026-11-22).
"""

from __future__ import annotations

from crawler.emulator.operation import Operation, Paging

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        product="fc",
        action="DescribeRegions",
        path="/2023-03-30/regions",
        paging=Paging.NONE,
        ram="fc:DescribeRegions",
        records="Regions.Region",
        key=("RegionId",),
    ),
    Operation(
        product="fc",
        action="ListFunctions",
        path="/2023-03-30/functions",
        paging=Paging.TOKEN,
        ram="fc:ListFunctions",
        records="functions",
        key=("functionName",),
        filters={
            "prefix": ("functionName", "prefix"),
            "functionName": ("functionName", "contains"),
            "description": ("description", "contains"),
            "runtime": ("runtime", "equal"),
            "resourceGroupId": ("resourceGroupId", "equal"),
        },
        select="fc_version",
    ),
)
