"""What OpenSearch puts around the records of a list, by the name that an operation has for it.

The documentation shows more than one shape for some operations without saying which comes when. Here every second
account gets the older one, as with errors; see `answers.Style`. Samples and structures: the operations' pages
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.emulator.answers import Style, camel_keys, function_envelope


@dataclass(frozen=True, slots=True)
class Around:
    """A page and what goes around it.

    `extra` is what paging adds, `total` the number of records of the whole list, `request_key` the name that the
    operation has for the request's ID.
    """

    records: list[Any]
    extra: Mapping[str, object]
    total: int
    query: Mapping[str, str]
    style: Style
    request_key: str
    request_id: str


def _result(around: Around) -> dict[str, Any]:
    """Most lists."""
    return {around.request_key: around.request_id, "result": around.records, **around.extra}


def _counted(around: Around) -> dict[str, Any]:
    """A list without pages that tells its length all the same."""
    return {**_result(around), "totalCount": around.total}


def _single(around: Around) -> dict[str, Any]:
    """`result` is one object, the only record; `{}` where there is none."""
    return {around.request_key: around.request_id, "result": around.records[0] if around.records else {}}


def _bare(around: Around) -> dict[str, Any]:
    """Nothing but the request's ID, as the samples are, where there is no record; else `result`, one record or all.

    ListSearchStrategies shows a strategy beside its sample, and the SDK has a model of a proceeding that no answer of
    it uses: that both are in `result` is the emulator's assumption.
    """
    if not around.records:
        return {around.request_key: around.request_id}
    return _single(around) if around.style.is_older and around.total == 1 else _result(around)


def _entries(around: Around) -> dict[str, Any]:
    """ListUserAnalyzerEntries: declared an object, shown as a list; the request's ID in Pascal or in camel case."""
    if not around.style.is_older:
        return {"result": around.records, "RequestId": around.request_id}
    if around.total > 1:
        return {"requestId": around.request_id, "result": around.records}
    return {"requestId": around.request_id, "result": around.records[0] if around.records else {}}


def _plans(around: Around) -> dict[str, Any]:
    """ListElasticPlans: paged both ways, so it tells the token, the size and the total."""
    return {
        "requestId": around.request_id,
        "httpCode": 200,
        "code": "",
        "message": "",
        "result": around.records,
        "nextToken": "",
        "maxResults": int(around.query.get("maxResults") or around.query.get("pageSize") or 10),
        "totalCount": around.total,
        **around.extra,
    }


def _function(around: Around) -> dict[str, Any]:
    """ListFunctionInstances, ListFunctionResources and ListFunctionTasks, in Pascal or in camel case."""
    wire = camel_keys(around.records) if around.style.is_older else around.records
    return function_envelope(wire, around.extra["totalCount"], around.style, around.request_id)


ENVELOPES: Mapping[str, Callable[[Around], dict[str, Any]]] = {
    "result": _result,
    "counted": _counted,
    "single": _single,
    "bare": _bare,
    "entries": _entries,
    "plans": _plans,
    "function": _function,
}
