"""Rules for requests to the search engine that the rows of `apis.searchengine` can't express.

Parameters: the request models of alibabacloud-searchengine20211025 5.2.4 and the operations' pages
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-12-01). No page names the statuses of a
generation: that RUNNING ones are the unfinished ones is an assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crawler.emulator.server.opensearch_rules import Query, check_sizes, filter_by_tag, filter_tagged

# The query parameters that are fields of a data source's configuration.
SOURCE_FIELDS = ("catalog", "database", "table")


def _has_source(source: Any, query: Query) -> bool:
    """Return whether a data source has the values of the query. Tests serve sources of other types, too."""
    wanted = {field: query[field] for field in SOURCE_FIELDS if query.get(field)}
    config = source.get("config") if isinstance(source, dict) else None
    return not wanted or (isinstance(config, dict) and wanted.items() <= config.items())


def _filter_instances(records: list[Any], query: Query) -> list[Any]:
    """Return the instances with the query's tags and with a data source as the query describes it."""
    found, kind = filter_tagged(records, query), query.get("dataSourceType")
    if not kind and not any(query.get(field) for field in SOURCE_FIELDS):
        return found
    return [
        record
        for record in found
        if any(
            (not kind or source.get("type") == kind) and _has_source(source, query)
            for source in record.get("dataSourceDetails") or ()
        )
    ]


def _filter_indexes(records: list[Any], query: Query) -> list[Any]:
    return [record for record in records if _has_source(record.get("dataSourceInfo"), query)]


def _filter_generations(records: list[Any], query: Query) -> list[Any]:
    """Return all generations if validStatus is false; else those that are complete."""
    if query.get("validStatus", "").lower() == "false":
        return records
    return [record for record in records if record.get("status") != "RUNNING"]


def _filter_tags(records: list[Any], query: Query) -> list[Any]:
    check_sizes(query)
    return filter_by_tag(records, query)


RECORD_FILTERS: Mapping[str, Callable[[list[Any], Query], list[Any]]] = {
    "searchengine.ListInstances": _filter_instances,
    "searchengine.ListIndexes": _filter_indexes,
    "searchengine.ListDateSourceGenerations": _filter_generations,
    "searchengine.ListTagResources": _filter_tags,
}
