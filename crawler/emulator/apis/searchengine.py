"""The operations of OpenSearch's Vector Search and Retrieval Engine editions (searchengine 2021-10-25), one row each.

Paths and parameters: alibabacloud-searchengine20211025 5.2.4. Bounds, defaults and error codes: the operations' pages
and that of the error codes (https://help.aliyun.com/zh/open-search/developer-reference/
api-searchengine-2021-10-25-errorcodes, checked 2026-12-01), which has InstanceNotExist and NodeNotExist with status
400. The codes of other parents, and bounds of 100 where no page names one, are assumptions. ListLogs has the same
entries for any span. Searches and ListSchemas aren't served: they need the user's query or key.
"""

from __future__ import annotations

from functools import partial

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, LastToken

ROOT = "/openapi/ha3"
INSTANCE = ROOT + "/instances/{instanceId}"

IN_INSTANCE = ("InstanceNotExist",)
IN_SOURCE = (*IN_INSTANCE, "DataSourceNotExist")
IN_INDEX = (*IN_INSTANCE, "IndexNotExist")
IN_TABLE = (*IN_INSTANCE, "TableNotExist")
IN_NODE = (*IN_INSTANCE, "NodeNotExist", "ClusterNotExist")
IN_CONFIG = (*IN_INSTANCE, "AdvanceConfigNotExist")

SOURCES, INDEXES, TABLES = "searchengine/data-sources", "searchengine/indexes", "searchengine/tables"
NODES, CONFIGS = "searchengine/nodes/domains", "searchengine/configs"
FLAG = ("", "true", "false", "True", "False")  # the official SDK for Python sends them with a capital
PAGE_SIZE = Bounds("pageSize", 1, 100, 10)

_whole = partial(
    EmulatedOperation,
    product="searchengine",
    root=ROOT,
    paging=EmulatedPaging.NONE,
    records="result",
    request_id="requestId",
    not_found_status=400,
)
_in_instance = partial(_whole, root=INSTANCE, not_found_codes=IN_INSTANCE)
_paged = partial(_in_instance, paging=EmulatedPaging.NUMBER, bounds=PAGE_SIZE)

ROOTS: tuple[EmulatedOperation, ...] = (
    _whole("DescribeRegions", "/regions", ("regionId",)),
    _whole(
        "ListInstances",
        "/instances",
        ("instanceId",),
        paging=EmulatedPaging.NUMBER,
        bounds=Bounds("pageSize", 1, 50, 10),
        child_namespace="searchengine",
        choices={"edition": ("", "vector", "engine")},
        filters={
            "instanceId": ("instanceId", "equal"),
            "description": ("description", "contains"),
            "resourceGroupId": ("resourceGroupId", "equal"),
            "edition": ("edition", "equal"),
        },
    ),
    _whole("ListClusterNames", "/cluster-names", ("name",), envelope="names"),
    _whole(
        "ListTagResources",
        "/resource-tags",
        ("resourceId", "tagKey"),
        records="tagResources",
        paging=EmulatedPaging.TOKEN,
        bounds=Bounds("", 50, 50, 50),  # there is no page size parameter
        last_token=LastToken.EMPTY,
        required=("resourceType",),
    ),
)

OF_INSTANCE: tuple[EmulatedOperation, ...] = (
    _in_instance("ListClusters", "/clusters", ("name",)),
    _in_instance("ListClusterTasks", "/cluster-tasks", ("fsmId",)),
    _in_instance("ListDataSources", "/data-sources", ("name",), child_namespace=SOURCES),
    _in_instance("ListDataSourceTasks", "/data-source-tasks", ("fsmId",)),
    _in_instance("ListDatabases", "/sql-studio/databases", ("database",), records="result.databases"),
    _in_instance(
        "ListIndexes",
        "/indexes",
        ("name",),
        child_namespace=INDEXES,
        choices={"newMode": FLAG},
    ),
    _in_instance(
        "ListInstanceSpecs",
        "/specs",
        parent_query=("type",),
        required=("type",),
        choices={"type": ("qrs", "search", "index", "cluster")},
    ),
    _paged(
        "ListLogs",
        "/logs",
        records="result.result",
        parent_query=("type",),
        choices={"type": ("select", "push")},
        page_parameter="pageNum",
        total="result.totalCount",
    ),
    _paged(
        "ListModels",
        "/models",
        ("name",),
        filters={"name": ("name", "contains"), "type": ("type", "equal")},
    ),
    _in_instance("ListPausePolicys", "/pause-policies", records="", envelope="whole"),
    _in_instance("ListTables", "/tables", ("name",), child_namespace=TABLES, choices={"newMode": FLAG}),
    _in_instance("ListTasks", "/tasks", records="", envelope="whole"),
    _in_instance("ListAliases", "/aliases", ("alias",)),
    _paged(
        "ListAdvanceConfigs",
        "/advanced-configs",
        ("name",),
        parent_query=("type",),
        choices={"type": ("offline", "online"), "newMode": FLAG},
        total="",
    ),
)

BELOW: tuple[EmulatedOperation, ...] = (
    _in_instance(
        "ListDataSourceSchemas",
        "/data-sources/{dataSourceName}/schemas",
        ("name",),
        not_found_codes=IN_SOURCE,
        namespace=SOURCES,
    ),
    _in_instance(
        "ListDateSourceGenerations",
        "/data-sources/{dataSourceName}/generations",
        ("generation",),
        rank="down",
        parent_query=("domainName",),
        not_found_codes=IN_SOURCE,
        namespace=SOURCES,
        required=("domainName",),
        choices={"validStatus": FLAG},
    ),
    _in_instance(
        "ListIndexRecoverRecords",
        "/indexes/{indexName}/actions/list-recover-records",
        records="",
        not_found_codes=IN_INDEX,
        namespace=INDEXES,
        envelope="whole",
    ),
    _in_instance(
        "ListTableGenerations",
        "/tables/{tableName}/index_versions",
        ("generationId",),
        rank="down",
        not_found_codes=IN_TABLE,
        namespace=TABLES,
    ),
    _in_instance(
        "ListOnlineConfigs",
        "/node/{nodeName}/online-configs",
        ("indexName",),
        parent_query=("domain",),
        not_found_codes=IN_NODE,
        namespace=NODES,
        required=("domain",),
    ),
    _in_instance(
        "ListAdvanceConfigDir",
        "/advanced-configs/{configName}/dir",
        ("fullPathName",),
        parent_query=("dirName",),
        not_found_codes=IN_CONFIG,
        namespace=CONFIGS,
        required=("dirName",),
    ),
)

OPERATIONS: tuple[EmulatedOperation, ...] = (*ROOTS, *OF_INSTANCE, *BELOW)
