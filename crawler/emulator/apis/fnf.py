"""The operations of CloudFlow (2019-03-15), RPC style. The crawler's catalog doesn't have this product: users add it.

Parameters and bounds: alibabacloud-fnf20190315 2.0.1 and the pages of ListFlows and ListSchedules
(https://www.alibabacloud.com/help/ja/serverless-workflow/latest/api-fnf-2019-03-15-listflows, checked 2026-11-22).
Opaque tokens are an assumption of the emulator: the pages show names.
"""

from __future__ import annotations

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging

OPERATIONS: tuple[EmulatedOperation, ...] = (
    EmulatedOperation(
        product="fnf",
        action="ListFlows",
        path="/",
        paging=EmulatedPaging.TOKEN,
        ram="fnf:ListFlows",
        records="Flows",
        key=("Name",),
        child_namespace="fnf",
        bounds=Bounds("Limit", 1, 999, 60),
        token="NextToken",  # noqa: S106 - the name of a parameter
        request_id="RequestId",
        filters={"ResourceGroupId": ("ResourceGroupId", "equal")},
    ),
    EmulatedOperation(
        product="fnf",
        action="ListSchedules",
        path="/",
        parent_query=("FlowName",),
        paging=EmulatedPaging.TOKEN,
        ram="fnf:ListSchedules",
        records="Schedules",
        key=("ScheduleName",),
        not_found_codes=("FlowNotExists",),
        required=("FlowName",),
        bounds=Bounds("Limit", 1, 1000, 60),
        token="NextToken",  # noqa: S106 - the name of a parameter
        request_id="RequestId",
    ),
)
