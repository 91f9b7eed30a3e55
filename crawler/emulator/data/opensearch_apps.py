"""Seeded app groups and their apps, as opensearch ListAppGroups and DescribeApps (2017-12-25) return them.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values, oddities among them: the
operations' documentation pages (https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22):
strings that hold quotation marks, an integer for a boolean, times as epoch seconds.
"""

from __future__ import annotations

from crawler.emulator.data import seeded
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s, epochs
from crawler.emulator.records import Record

# The documented names of an app group's functions.
FUNCTIONS = ("ctr", "pop", "hot", "hint", "suggest", "category_prediction")
# Applications of the smallest specification have no sort scripts.
SMALL = "opensearch.share.junior"
SPECS = (SMALL, "opensearch.share.common", "opensearch.private.compute")


def groups(context: SeedContext, count: int) -> list[Record]:
    """Put and return `count` app groups, in the order in which they were made."""
    made = [_group(context.rng(number), number) for number in range(count)]
    if not context.fits_sdk_models:
        for number, group in enumerate(made):
            _add_to_group(group, number)
    context.put("ListAppGroups", made)
    return made


def apps(context: SeedContext, group: str, number: int) -> list[Record]:
    """Put and return the apps of a group; all report the same functions. Some groups have no app."""
    rng = context.rng("apps", number)
    algorithms = _algorithms(rng, number)
    count = rng.integer(1, 2) if algorithms else number % 2
    made = [_app(rng, group, algorithms, turn) for turn in range(max(count, 2 if number == 0 else 0))]
    if not context.fits_sdk_models:
        for turn, app in enumerate(made):
            app |= {"created": 1_590_977_140 + turn, "algoDeploymentId": turn}
    context.put("DescribeApps", made, (group,))
    return made


def _algorithms(rng: SeededRandom, number: int) -> list[str]:
    if number == 0:
        return [*FUNCTIONS[:5], "custom_rank"]
    return [function for function in FUNCTIONS if rng.chance(0.3)] if rng.chance(0.6) else []


def _group(rng: SeededRandom, number: int) -> Record:
    created = epoch_s(rng.moment())
    version = rng.digits(9)
    record: Record = {
        "name": seeded.name(rng, number, longest=30),
        "id": version,
        "currentVersion": version,
        "instanceId": f"ops-cn-{rng.text(14)}",
        "type": rng.choice(("standard", "enhanced")),
        "status": rng.choice(("normal", "producing", "config_pending")),
        "chargeType": rng.choice(("PREPAY", "POSTPAY")),
        "chargingWay": rng.integer(1, 2),
        "commodityCode": rng.choice(("opensearch", "opensearch_post")),
        **epochs(rng, created),
        "switchedTime": created + 3600 if number == 0 else rng.choice((0, created + 3600)),
        "produced": 1 if number == 0 else rng.integer(0, 1),
        "description": '""' if number == 0 else rng.choice((seeded.description(rng), '""', '"', "-")),
        "hasPendingQuotaReviewTask": 1 if number == 0 else rng.integer(0, 1),
        "lockMode": rng.choice(("Unlock", "LockByExpiration", "ManualLock")),
        "lockedByExpiration": 1 if number == 0 else 0,
    }
    if number < 2 or rng.chance(0.6):
        record |= {
            "domain": rng.choice(("general", "ecommerce", "it_content")),
            "engineType": "ha3",
            "expireOn": rng.choice(("2027-01-01T00:00:00Z", '""', "")) if number else '""',
            "projectId": f'"{rng.digits(6)}"',
            "quota": {
                "docSize": rng.integer(1, 100),
                "computeResource": rng.integer(1, 900),
                "spec": SPECS[1],
            },
            "tags": [{"key": "部门", "value": rng.choice(("搜索", "ads"))}, {"key": "env", "value": "prod"}],
        }
    return record


def _add_to_group(record: Record, number: int) -> None:
    """Add the fields that the page ListAppGroups shows and the SDK's model lacks."""
    version = record["currentVersion"]
    record |= {
        "versions": [version, *([str(int(version) + 1)] if number == 0 else [])],
        "resourceGroupId": f"rg-acfm{version}",
        "processingOrderId": version if number == 1 else "",
        **dict.fromkeys(
            ("firstRankAlgoDeploymentId", "secondRankAlgoDeploymentId", "pendingSecondRankAlgoDeploymentId"), number
        ),
    }
    if "quota" in record:
        record["quota"]["qps"] = 5 + number


def _app(rng: SeededRandom, group: str, algorithms: list[str], turn: int) -> Record:
    identity = rng.digits(9)
    schema = _schema(rng, group)
    return {
        "id": identity,
        "description": seeded.description(rng),
        "status": rng.choice(("ok", "indexing", "draft")),
        "type": "standard",
        # The documentation declares a boolean and shows an integer.
        "isCurrent": turn == 0 if rng.chance(0.5) else int(turn == 0),
        **{name: rng.chance(0.5) for name in ("autoSwitch", "realtimeShared")},
        "progressPercent": rng.integer(0, 100),
        "clusterName": f"cluster-{rng.text(4)}",
        "cluster": {"maxQueryClauseLength": 1024, "maxTimeoutMS": 500},
        "quota": {
            "docSize": 1,
            "computeResource": 20,
            "qps": rng.integer(1, 500),
            "spec": SMALL if turn else rng.choice(SPECS[1:]),
        },
        "fetchFields": ["id", "title", "price"],
        "domain": {
            "name": "ecommerce",
            "category": "general",
            "functions": {"algo": list(algorithms), "qp": ["spell_check", "term_weighting"], "service": ["ops"]},
        },
        "dataSources": [_data_source(rng)],
        "schema": schema,
        "schemas": [schema],
        "firstRanks": [
            {"name": "default", "active": True, "description": '""', "type": "STRUCT", "meta": [{"weight": 1}]}
        ],
        "secondRanks": [
            {"name": "default", "active": rng.chance(0.5), "description": '""', "meta": "text_relevance()"}
        ],
        "queryProcessors": [_query_processor(rng)],
        "summaries": [
            {
                "name": "default",
                "meta": [
                    {"field": "title", "element": "em", "ellipsis": "…", "snippet": "1", "len": rng.integer(10, 50)}
                ],
            }
        ],
        "interpretations": {"language": "zh", "depth": 2},
        "prompts": [{"text": "hello", "order": 1}],
    }


def _data_source(rng: SeededRandom) -> Record:
    return {
        "type": "rds",
        "keyField": "id",
        "schemaName": "main",
        "tableName": "items",
        "fields": [
            {"id": {"name": "id", "type": "INT", "primaryKey": True}},
            {"title": {"name": "title", "type": "TEXT"}},
        ],
        "parameters": {
            "host": f"rm-{rng.text(10)}.mysql.rds.aliyuncs.com",
            "port": 3306,
            "dbUser": rng.secret("reader-{}"),
            "dbPassword": rng.secret(),
            "options": {"token": rng.secret(), "retries": [1, 2, rng.secret()]},
        },
        "plugins": {"title": {"name": "HTMLTagRemover", "parameters": rng.secret("key={}")}},
    }


def _schema(rng: SeededRandom, group: str) -> Record:
    return {
        "name": group,
        "routeField": "id",
        "secondRouteField": "shop",
        "routeFieldValues": ["1", "2"],
        "ttlField": {"name": "created", "ttl": rng.integer(86_400, 8_640_000)},
        "indexSortConfig": [{"field": "price", "direction": "DESC"}],
        "indexes": {
            "filterFields": ["id", "price"],
            "searchFields": {"title": {"fields": ["title"], "analyzer": "chn_standard"}},
        },
        "tables": {"main": {"fields": {"id": {"type": "INT", "primaryKey": True}}, "primaryTable": True}},
    }


def _query_processor(rng: SeededRandom) -> Record:
    return {
        "name": "qp",
        "active": True,
        "category": "general",
        "domain": "ecommerce",
        "indexes": ["default"],
        "processors": [{"name": "stop_word", "use_system_dictionary": rng.chance(0.5)}],
    }
