"""Rules for requests to OpenSearch that the rows of `apis.opensearch` can't express.

Parameters and their values: the official SDK's request models and the operations' documentation pages
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from crawler.emulator.apis.operation import PAGE_SIZE, EmulatedOperation, EmulatedPaging
from crawler.emulator.responses import invalid_argument

Query = Mapping[str, str]
BY_NUMBER, BY_TOKEN = ("pageNumber", "pageSize"), ("nextToken", "maxResults")
# Seconds since 1970 have ten digits until 2286, milliseconds thirteen.
SECONDS, MILLISECONDS = re.compile(r"[0-9]{1,11}"), re.compile(r"[0-9]{1,14}")
BASIC = ("InstanceName", "FunctionName", "FunctionType", "ModelType", "VersionId", "Status", "Source", "Description")
SIMPLE = (*BASIC, "CreateTime", "Belongs")
# The fields of a function instance by the query's output; an empty tuple means all fields.
LEVELS = {"simple": SIMPLE, "normal": (*SIMPLE, "Cron", "CreateParameters", "UsageParameters"), "detail": ()}
DICTIONARY_TYPES = ("stopword", "synonym", "correction", "category_prediction", "ner", "term_weighting")


def resolve_operation(operation: EmulatedOperation, parent: tuple[str, ...], query: Query) -> EmulatedOperation:
    """Return the operation for one request: elastic plans by numbers or tokens, a report with or without pages.

    Raises `InvalidArgument` if a request uses both paging styles.
    """
    if operation.envelope == "plans" and any(name in query for name in BY_NUMBER):
        if any(name in query for name in BY_TOKEN):
            raise invalid_argument("pageNumber and pageSize don't go with nextToken and maxResults")
        return replace(operation, paging=EmulatedPaging.NUMBER, bounds=PAGE_SIZE)
    if operation.action == "ListStatisticReport" and parent[-1] == "data-quality":
        return replace(operation, paging=EmulatedPaging.NONE, envelope="counted")
    return operation


def check(action: str, query: Query, *, is_older: bool) -> None:
    """Raise `InvalidArgument` for parameters that the operation doesn't accept.

    ListQueryProcessorNers requires a domain in every second account: one page says required, another optional.
    """
    for parameter, pattern in TIMES.get(action, {}).items():
        if parameter in query and not pattern.fullmatch(query[parameter]):
            raise invalid_argument(f"{parameter} must be a Unix time in the documented unit")
    if action in {"ListSlowQueryCategories", "ListSlowQueryQueries"} and int(query["start"]) >= int(query["end"]):
        raise invalid_argument("start must be before end")
    if action == "ListQueryProcessorNers" and is_older and not query.get("domain"):
        raise invalid_argument("domain is required")
    if action == "ListTagResources":
        _check_tags(query)
    if action in {"ListDataSourceTables", "ListDataSourceTableFields"} and not isinstance(_json(query, "params"), dict):
        raise invalid_argument("params must be a JSON object")


def _check_tags(query: Query) -> None:
    if not json_list(query, "resourceId") and not json_list(query, "tag"):
        raise invalid_argument("resourceId or tag is required")
    check_sizes(query)


def check_sizes(query: Query) -> None:
    """Raise `InvalidArgument` for more resources or tags than ListTagResources accepts."""
    ids, tags = json_list(query, "resourceId"), json_list(query, "tag")
    for name, items, most in (("resourceId", ids, 50), ("tag", tags, 20)):
        if len(items) > most:
            raise invalid_argument(f"{name} may have at most {most} items")


def _json(query: Query, parameter: str) -> Any:
    try:
        return orjson.loads(query.get(parameter) or "null")
    except orjson.JSONDecodeError:
        raise invalid_argument(f"{parameter} must be JSON") from None


def json_list(query: Query, parameter: str) -> list[Any]:
    """Return a list that is encoded as JSON, as the official SDK sends it."""
    found = _json(query, parameter)
    if found is not None and not isinstance(found, list):
        raise invalid_argument(f"{parameter} must be a JSON list")
    return found or []


def _has_tag(tags: list[Any], key: object, value: object) -> bool:
    return any(tag.get("key") == key and tag.get("value", value) == value for tag in tags)


def filter_by_tag(records: list[Any], query: Query) -> list[Any]:
    """Return the tags of the requested resources, and those that the query names."""
    ids, tags = json_list(query, "resourceId"), json_list(query, "tag")
    return [
        record
        for record in records
        if (not ids or record["resourceId"] in ids)
        and (not tags or _has_tag(tags, record["tagKey"], record["tagValue"]))
    ]


def filter_tagged(records: list[Any], query: Query) -> list[Any]:
    """Return the records with one of the query's tags."""
    tags = json_list(query, "tags")
    return [
        record
        for record in records
        if not tags or any(_has_tag(tags, tag["key"], tag["value"]) for tag in record.get("tags") or ())
    ]


def _filter_instances(records: list[Any], query: Query) -> list[Any]:
    """Return the records of a source, with the fields of a level of detail."""
    source, fields = query.get("source", "user"), LEVELS[query.get("output", "normal")]
    found = records if source == "all" else [record for record in records if record["Source"] == source]
    return [{name: record[name] for name in fields or record if name in record} for record in found]


def _filter_by_type(records: list[Any], query: Query) -> list[Any]:
    types = json_list(query, "types")
    if any(kind not in DICTIONARY_TYPES for kind in types):
        raise invalid_argument(f"types must be among {', '.join(DICTIONARY_TYPES)}")
    return [record for record in records if record["type"] in types] if types else records


def _filter_by_activity(records: list[Any], query: Query) -> list[Any]:
    wanted = {"1": True, "2": False}.get(query.get("isActive", "0"))
    return records if wanted is None else [record for record in records if record["active"] is wanted]


TIMES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "ListSlowQueryCategories": {"start": SECONDS, "end": SECONDS},
    "ListSlowQueryQueries": {"start": SECONDS, "end": SECONDS},
    "ListStatisticLogs": {"startTime": SECONDS, "stopTime": SECONDS},
    "ListStatisticReport": {"startTime": SECONDS, "endTime": SECONDS},
    "ListFunctionTasks": {"startTime": MILLISECONDS, "endTime": MILLISECONDS},
}
# The filters that the operations' rows can't express.
RECORD_FILTERS: Mapping[str, Callable[[list[Any], Query], list[Any]]] = {
    "opensearch.ListAppGroups": filter_tagged,
    "opensearch.ListFunctionInstances": _filter_instances,
    "opensearch.ListInterventionDictionaries": _filter_by_type,
    "opensearch.ListQueryProcessors": _filter_by_activity,
    "opensearch.ListTagResources": filter_by_tag,
}
