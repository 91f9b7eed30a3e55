"""CloudFlow (2019-03-15), a product that the crawler's own catalog doesn't have: for tables of users' own. RPC style.

Parameters and bounds: alibabacloud-fnf20190315 2.0.1 and the pages of ListFlows and ListSchedules
(https://www.alibabacloud.com/help/ja/serverless-workflow/latest/api-fnf-2019-03-15-listflows, checked 2026-11-22).
That tokens are opaque is the emulator's assumption: the pages show names.
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
        names="fnf",
        bounds=Bounds("Limit", 1, 999, 60),
        token="NextToken",  # noqa: S106 - the name of a parameter
        request_id="RequestId",
        filters={"ResourceGroupId": ("ResourceGroupId", "equal")},
    ),
    EmulatedOperation(
        product="fnf",
        action="ListSchedules",
        path="/",
        asks=("FlowName",),
        paging=EmulatedPaging.TOKEN,
        ram="fnf:ListSchedules",
        records="Schedules",
        key=("ScheduleName",),
        missing=("FlowNotExists",),
        required=("FlowName",),
        bounds=Bounds("Limit", 1, 1000, 60),
        token="NextToken",  # noqa: S106 - the name of a parameter
        request_id="RequestId",
    ),
)
