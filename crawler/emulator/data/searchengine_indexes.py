"""Seeded data sources, indexes, tables, databases and models of the search engine's instances.

Fields and shapes: see `searchengine`. The samples' access key of a data source is in plain text.
"""

from __future__ import annotations

from typing import Any

import orjson

from crawler.emulator.data import seeded
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s
from crawler.emulator.records import Record

FIELDS = (("id", "INT64"), ("title", "TEXT"), ("vector", "FLOAT"), ("price", "DOUBLE"))


def put(context: SeedContext, instance: str, number: int, domains: list[str]) -> list[str]:
    """Put the lists below one instance; return the names of its data sources. `number` counts the instances."""
    rng, parent = context.rng("indexes", number), (instance,)
    count = 3 if number == 0 else rng.integer(0, 2)
    names = [f"{seeded.name(rng, turn, longest=30).lower()}_api" for turn in range(count)]
    sources = [_source(rng, name, domains[turn % len(domains)]) for turn, name in enumerate(names)]
    context.put("ListDataSources", sources, parent)
    for turn, source in enumerate(sources):
        below = (instance, source["name"])
        context.put("ListDataSourceSchemas", _schema(rng, turn), below)
        generations = [_generation(rng, index) for index in range(3 if turn == 0 else turn)]
        context.put("ListDateSourceGenerations", generations, (*below, source["domain"]))
    indexes = [_index(rng, f"general_{turn}", sources[turn % count]) for turn in range(count)]
    context.put("ListIndexes", indexes, parent)
    for index in indexes:
        context.put("ListIndexRecoverRecords", [_recovery(rng)], (instance, index["name"]))
    _put_tables(context, instance, rng, indexes)
    context.put("ListDatabases", _databases(context, rng, number), parent)
    context.put("ListModels", [_model(rng, turn) for turn in range(12 if number == 0 else number % 3)], parent)
    context.put("ListPausePolicys", [{"result": _policies(rng, number)}], parent)
    return names


def source_config(rng: SeededRandom) -> Record:
    """Return where a data source's data are, with the ID of its access key."""
    return {
        "accessKey": rng.secret("LTAI{}"),
        "bucket": "ha3test-oss",
        "catalog": f"clg-paimon-{rng.hex(8)}",
        "database": "dlf_test",
        "endpoint": "http://service.cn-hangzhou.maxcompute.aliyun-inc.com/api",
        "namespace": "TEST_dump_demo",
        "ossPath": "/test_opensearch/sift_oss_test.data",
        "partition": f"ds={rng.digits(5)}",
        "path": "hdfs://test_opensearch/sift_oss_test.data",
        "project": "tisplus_dev",
        "table": "dump_odps_demo",
        "tag": "v1",
    }


def _source(rng: SeededRandom, name: str, domain: str) -> Record:
    return {
        "name": name,
        "type": rng.choice(("odps", "swift", "saro", "oss")),
        "domain": domain,
        "indexes": ["general_0", "general_1"][: rng.integer(1, 2)],
        "lastFulTime": epoch_s(rng.moment()),
        "status": rng.choice(("new", "publish")),
    }


def _schema(rng: SeededRandom, turn: int) -> list[Record]:
    return [
        {
            "name": name,
            "type": kind,
            **{flag: rng.chance(0.5) for flag in ("addIndex", "attribute", "custom", "summary")},
            "primaryKey": {
                "hasPrimaryKeyAttribute": name == "id",
                "isPrimaryKey": name == "id",
                "isPrimaryKeySorted": False,
            },
        }
        for name, kind in FIELDS[: 4 - turn]
    ]


def _generation(rng: SeededRandom, index: int) -> Record:
    began = epoch_s(rng.moment())
    return {
        "generation": 1_626_143_930 + index,
        "buildDeployId": rng.integer(1, 999),
        "createTime": began,
        "timestamp": began - rng.integer(0, 900),
        "dataDumpRoot": f"hdfs://dump/{rng.hex(8)}",
        "outPutType": rng.choice(("api", "oss", "odps")),
        "partition": {"general_0": rng.integer(1, 8), "general_1": 1},
        "status": "RUNNING" if index == 2 else "STOPPED",
    }


def _index(rng: SeededRandom, name: str, source: Record) -> Record:
    content: Any = {
        "table_name": name,
        "fields": [{"field_name": field, "field_type": kind, "compress_type": "uniq"} for field, kind in FIELDS],
        "indexs": [{"index_name": "id", "index_type": "PRIMARYKEY64", "index_fields": "id"}],
        "attributes": [{"field_name": "id", "file_compress": "no_compressor"}],
        "summarys": {"summary_fields": ["id"], "parameter": {"file_compressor": "zstd"}},
    }
    return {
        "name": name,
        "content": orjson.dumps(content).decode(),
        "description": seeded.description(rng) or name,
        "dataSource": source["name"],
        "domain": source["domain"],
        **{
            field: rng.moment().strftime("%Y-%m-%d %H:%M:%S")
            for field in ("createTime", "updateTime", "fullUpdateTime", "incUpdateTime")
        },
        "fullVersion": 1_688_523_414 + rng.integer(0, 999),
        "indexSize": rng.integer(1, 2**40),
        "indexStatus": rng.choice(("NEW", "PUBLISH", "IN_USE")),
        "partition": rng.integer(1, 4),
        "dataSourceInfo": {
            "name": source["name"],
            "type": source["type"],
            "domain": source["domain"],
            "autoBuildIndex": rng.chance(0.5),
            "processPartitionCount": rng.integer(1, 4),
            "config": {**source_config(rng), "accessSecret": rng.secret(), "format": rng.choice(("ha3", "json"))},
            "saroConfig": {"namespace": "TEST_dump_demo", "tableName": "dump_odps_demo"},
        },
        "versions": [_version(rng, number) for number in range(2)],
    }


def _version(rng: SeededRandom, number: int) -> Record:
    """Make a version of an index. That which is being edited has no ID."""
    return {
        "name": f"index_config_v{number}" if number else "index_config_edit",
        "desc": "Index Note",
        "status": rng.choice(("PUBLISH", "IN_USE", "NOT_USE")),
        "updateTime": epoch_s(rng.moment()) * 1000,
        "versionId": number or None,
        "files": [
            {"name": "schemas", "fullPathName": "/schemas", "isDir": True, "isTemplate": False},
            {"name": "schema.json", "fullPathName": "/schemas/schema.json", "isDir": False, "isTemplate": True},
        ],
    }


def _recovery(rng: SeededRandom) -> Record:
    return {
        "generationId": str(1_708_674_867 + rng.integer(0, 999)),
        "desc": "Custom Configuration",
        "finishedTime": rng.moment().strftime("%Y-%m-%d %H:%M:%S"),
    }


def _put_tables(context: SeedContext, instance: str, rng: SeededRandom, indexes: list[Record]) -> None:
    names = [index["name"] for index in indexes]
    statuses = ("NEW", "PUBLISH", "IN_USE", "NOT_USE", "STOP_USE", "RESTORE_USE", "FAIL")
    tables = [{"name": name, "indexStatus": rng.choice(statuses), "status": rng.choice(statuses)} for name in names]
    context.put("ListTables", tables, (instance,))
    for turn, name in enumerate(names):
        generations = [{"generationId": 1_708_674_867 + index} for index in range(3 - turn)]
        context.put("ListTableGenerations", generations, (instance, name))
    aliases = [{"alias": f"{name}_current", "index": name} for name in names]
    context.put("ListAliases", aliases, (instance,))


def _databases(context: SeedContext, rng: SeededRandom, number: int) -> list[Record]:
    count = 3 if number == 0 else number % 2
    return [
        {
            "database": f"database_{turn}",
            "functions": {"scalar": [{"name": "hamming", "signatures": "(string, string) -> int"}]},
            "tables": [_node(context, rng, "table")],
            "sqlInstances": [_node(context, rng, "instance")],
            "templates": [_node(context, rng, "template")],
        }
        for turn in range(count)
    ]


def _node(context: SeedContext, rng: SeededRandom, kind: str) -> Record:
    is_dir: Any = True if kind == "template" and not context.fits_sdk_models else 1
    return {
        "id": rng.integer(1, 99_999),
        "name": f"general_{kind}",
        "type": kind,
        "parent": -1,
        "children": [{"id": rng.integer(1, 99_999), "name": "new", "children": []}, 1],
        "isDir": is_dir,
        "instanceId": rng.integer(1, 9),
        "templateId": rng.integer(1, 9),
    }


def _model(rng: SeededRandom, turn: int) -> Record:
    host = f"{rng.text(8)}.platform-cn-shanghai.opensearch.aliyuncs.com"
    url = f"http://{host}/v3/openapi/workspaces/default/text-embedding/ops-text-embedding-001"
    kind = rng.choice(("text_embedding", "text_sparse_embedding", "image_embedding", "image_analyze"))
    return {
        "name": f"model_{turn:02d}",
        "type": kind,
        "status": rng.choice(("ok", "forbidden")),
        "dimension": rng.choice((128, 512, 1536)),
        "url": url,
        "createTime": rng.moment().strftime("%Y-%m-%d %H:%M:%S"),
        "updateTime": rng.moment().strftime("%Y-%m-%d %H:%M:%S"),
        "content": {
            "method": "POST",
            "modelName": f"model_{turn:02d}",
            "modelType": kind,
            "url": url,
            "request": {
                "header": {"Authorization": rng.secret("Bearer OS-{}"), "Content-Type": "application/json"},
                "parameters": {"build": {"input_type": "document"}, "search": {"input_type": "query"}},
                "requestBody": rng.secret('{{"input": ["%{{input}}"], "key": "{}"}}'),
                "urlParams": {"build": {"api_key": rng.secret()}, "search": {"api_key": rng.secret(), "top": 3}},
            },
            "response": {"embeddings": "$.result.embeddings[*].embedding"},
        },
    }


def _policies(rng: SeededRandom, number: int) -> Record:
    flags = ("pauseAll", "pauseIndex", "pauseIndexBatch", "pauseBiz", "pauseRuntime")
    return {name: {flag: rng.chance(0.3) for flag in flags} for name in ("general", "vpc_domain_1")[: 2 - number % 2]}
