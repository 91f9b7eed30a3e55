"""The operations of CloudFlow (2019-03-15), RPC style. The crawler's catalog doesn't have this product: users add it.

Parameters and bounds: alibabacloud-fnf20190315 2.0.1 and the pages of ListFlows and ListSchedules
(https://www.alibabacloud.com/help/ja/serverless-workflow/latest/api-fnf-2019-03-15-listflows, checked 2026-11-22).
Opaque tokens are an assumption of the emulator: the pages show names.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging

_list = partial(
    EmulatedOperation,
    tail="/",
    product="fnf",
    paging=EmulatedPaging.TOKEN,
    token="NextToken",  # noqa: S106 - the name of a parameter
    request_id="RequestId",
)

OPERATIONS: tuple[EmulatedOperation, ...] = (
    _list(
        "ListFlows",
        key=("Name",),
        records="Flows",
        child_namespace="fnf",
        bounds=Bounds("Limit", 1, 999, 60),
        filters={"ResourceGroupId": ("ResourceGroupId", "equal")},
    ),
    _list(
        "ListSchedules",
        key=("ScheduleName",),
        records="Schedules",
        parent_query=("FlowName",),
        not_found_codes=("FlowNotExists",),
        required=("FlowName",),
        bounds=Bounds("Limit", 1, 1000, 60),
    ),
)
