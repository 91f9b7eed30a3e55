"""The envelopes of OpenSearch's and the search engine's lists, by the operation's `envelope`.

The documentation shows several shapes for some operations and doesn't say when each is used. Here every second
account gets the older one, as with errors; see `responses.EnvelopeStyle`. Samples and structures: the operations'
pages (https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.emulator.responses import EnvelopeStyle, camel_keys, function_envelope


@dataclass(frozen=True, slots=True)
class EnvelopeContext:
    """A page and the values for its envelope.

    `extra` are the fields that paging adds, `total` is the number of records in the whole list, `request_key` the key
    of the request ID.
    """

    records: list[Any]
    extra: Mapping[str, object]
    total: int
    query: Mapping[str, str]
    style: EnvelopeStyle
    request_key: str
    request_id: str


def _result(context: EnvelopeContext) -> dict[str, Any]:
    """Wrap a list as most operations do."""
    return {context.request_key: context.request_id, "result": context.records, **context.extra}


def _counted(context: EnvelopeContext) -> dict[str, Any]:
    """Wrap a list without pages, with its length."""
    return {**_result(context), "totalCount": context.total}


def _single(context: EnvelopeContext) -> dict[str, Any]:
    """Wrap the only record as an object; `{}` if there is none."""
    return {context.request_key: context.request_id, "result": context.records[0] if context.records else {}}


def _bare(context: EnvelopeContext) -> dict[str, Any]:
    """Without records, return only the request ID, as the samples do; else `result`, one record or all.

    The page of ListSearchStrategies shows a strategy outside of its sample. The SDK has a model of a proceeding that
    none of its responses uses. That both are in `result` is an assumption of the emulator.
    """
    if not context.records:
        return {context.request_key: context.request_id}
    return _single(context) if context.style.is_older and context.total == 1 else _result(context)


def _entries(context: EnvelopeContext) -> dict[str, Any]:
    """ListUserAnalyzerEntries: declared as an object, shown as a list; the key of the request ID has either case."""
    if not context.style.is_older:
        return {"result": context.records, "RequestId": context.request_id}
    return _result(context) if context.total > 1 else _single(context)


def _plans(context: EnvelopeContext) -> dict[str, Any]:
    """ListElasticPlans: has both paging styles, so the response has token, size and total."""
    return {
        "requestId": context.request_id,
        "httpCode": 200,
        "code": "",
        "message": "",
        "result": context.records,
        "nextToken": "",
        "maxResults": int(context.query.get("maxResults") or context.query.get("pageSize") or 10),
        "totalCount": context.total,
        **context.extra,
    }


def _function(context: EnvelopeContext) -> dict[str, Any]:
    """ListFunctionInstances, ListFunctionResources and ListFunctionTasks, in PascalCase or camelCase."""
    wire = camel_keys(context.records) if context.style.is_older else context.records
    return function_envelope(wire, context.extra["totalCount"], context.style, context.request_id)


def _names(context: EnvelopeContext) -> dict[str, Any]:
    """ListClusterNames of the search engine: declared as an object, shown as an object and as a list."""
    return _single(context) if context.total == 1 else _result(context)


def _whole(context: EnvelopeContext) -> dict[str, Any]:
    """Return the record as the response itself, with the request ID."""
    return {context.request_key: context.request_id, **(context.records[0] if context.records else {})}


ENVELOPES: Mapping[str, Callable[[EnvelopeContext], dict[str, Any]]] = {
    "result": _result,
    "counted": _counted,
    "single": _single,
    "bare": _bare,
    "entries": _entries,
    "plans": _plans,
    "function": _function,
    "names": _names,
    "whole": _whole,
}
