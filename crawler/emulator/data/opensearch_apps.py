"""Seeded app groups and their apps, as opensearch ListAppGroups and DescribeApps (2017-12-25) return them.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values, oddities among them: the
operations' documentation pages (https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22):
strings that hold quotation marks, an integer for a boolean, times as epoch seconds.
"""

from __future__ import annotations

from crawler.emulator.data import seeded as words
from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s

# The documented names of an app group's functions.
FUNCTIONS = ("ctr", "pop", "hot", "hint", "suggest", "category_prediction")
# Applications of the smallest specification have no sort scripts.
SMALL = "opensearch.share.junior"
SPECS = (SMALL, "opensearch.share.common", "opensearch.private.compute")


def groups(spot: SeedContext, count: int) -> list[Record]:
    """`count` app groups, put and returned in the order in which they were made."""
    made = [_group(spot.dice(number), number) for number in range(count)]
    spot.put("ListAppGroups", made)
    return made


def apps(spot: SeedContext, group: str, number: int) -> list[Record]:
    """The apps of a group, put and returned; all report the same functions. Some groups have no app."""
    dice = spot.dice("apps", number)
    algorithms = _algorithms(dice, number)
    count = dice.integer(1, 2) if algorithms else number % 2
    made = [_app(dice, group, algorithms, turn) for turn in range(max(count, 2 if number == 0 else 0))]
    spot.put("DescribeApps", made, (group,))
    return made


def _algorithms(dice: SeededRandom, number: int) -> list[str]:
    if number == 0:
        return [*FUNCTIONS[:5], "custom_rank"]
    return [function for function in FUNCTIONS if dice.chance(0.3)] if dice.chance(0.6) else []


def _group(dice: SeededRandom, number: int) -> Record:
    created = epoch_s(dice.moment())
    version = dice.digits(9)
    record: Record = {
        "name": words.name(dice, number, longest=30),
        "id": version,
        "currentVersion": version,
        "instanceId": f"ops-cn-{dice.text(14)}",
        "type": dice.choice(("standard", "enhanced")),
        "status": dice.choice(("normal", "producing", "config_pending")),
        "chargeType": dice.choice(("PREPAY", "POSTPAY")),
        "chargingWay": dice.integer(1, 2),
        "commodityCode": dice.choice(("opensearch", "opensearch_post")),
        "created": created,
        "updated": created + dice.integer(0, 10_000_000),
        "switchedTime": created + 3600 if number == 0 else dice.choice((0, created + 3600)),
        "produced": 1 if number == 0 else dice.integer(0, 1),
        "description": '""' if number == 0 else dice.choice((words.description(dice), '""', '"', "-")),
        "hasPendingQuotaReviewTask": 1 if number == 0 else dice.integer(0, 1),
        "lockMode": dice.choice(("Unlock", "LockByExpiration", "ManualLock")),
        "lockedByExpiration": 1 if number == 0 else 0,
    }
    if number < 2 or dice.chance(0.6):
        record |= {
            "domain": dice.choice(("general", "ecommerce", "it_content")),
            "engineType": "ha3",
            "expireOn": dice.choice(("2027-01-01T00:00:00Z", '""', "")) if number else '""',
            "projectId": f'"{dice.digits(6)}"',
            "quota": {"docSize": dice.integer(1, 100), "computeResource": dice.integer(1, 900), "spec": SPECS[1]},
            "tags": [{"key": "部门", "value": dice.choice(("搜索", "ads"))}, {"key": "env", "value": "prod"}],
        }
    return record


def _app(dice: SeededRandom, group: str, algorithms: list[str], turn: int) -> Record:
    identity = dice.digits(9)
    schema = _schema(dice, group)
    return {
        "id": identity,
        "description": words.description(dice),
        "status": dice.choice(("ok", "indexing", "draft")),
        "type": "standard",
        # The documentation declares a boolean and shows an integer.
        "isCurrent": turn == 0 if dice.chance(0.5) else int(turn == 0),
        "autoSwitch": dice.chance(0.5),
        "realtimeShared": dice.chance(0.5),
        "progressPercent": dice.integer(0, 100),
        "clusterName": f"cluster-{dice.text(4)}",
        "cluster": {"maxQueryClauseLength": 1024, "maxTimeoutMS": 500},
        "quota": {
            "docSize": 1,
            "computeResource": 20,
            "qps": dice.integer(1, 500),
            "spec": SMALL if turn else dice.choice(SPECS[1:]),
        },
        "fetchFields": ["id", "title", "price"],
        "domain": {
            "name": "ecommerce",
            "category": "general",
            "functions": {"algo": list(algorithms), "qp": ["spell_check", "term_weighting"], "service": ["ops"]},
        },
        "dataSources": [_data_source(dice)],
        "schema": schema,
        "schemas": [schema],
        "firstRanks": [
            {"name": "default", "active": True, "description": '""', "type": "STRUCT", "meta": [{"weight": 1}]}
        ],
        "secondRanks": [
            {"name": "default", "active": dice.chance(0.5), "description": '""', "meta": "text_relevance()"}
        ],
        "queryProcessors": [_query_processor(dice)],
        "summaries": [
            {
                "name": "default",
                "meta": [
                    {"field": "title", "element": "em", "ellipsis": "…", "snippet": "1", "len": dice.integer(10, 50)}
                ],
            }
        ],
        "interpretations": {"language": "zh", "depth": 2},
        "prompts": [{"text": "hello", "order": 1}],
    }


def _data_source(dice: SeededRandom) -> Record:
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
            "host": f"rm-{dice.text(10)}.mysql.rds.aliyuncs.com",
            "port": 3306,
            "dbUser": dice.secret("reader-{}"),
            "dbPassword": dice.secret(),
            "options": {"token": dice.secret(), "retries": [1, 2, dice.secret()]},
        },
        "plugins": {"title": {"name": "HTMLTagRemover", "parameters": dice.secret("key={}")}},
    }


def _schema(dice: SeededRandom, group: str) -> Record:
    return {
        "name": group,
        "routeField": "id",
        "secondRouteField": "shop",
        "routeFieldValues": ["1", "2"],
        "ttlField": {"name": "created", "ttl": dice.integer(86_400, 8_640_000)},
        "indexSortConfig": [{"field": "price", "direction": "DESC"}],
        "indexes": {
            "filterFields": ["id", "price"],
            "searchFields": {"title": {"fields": ["title"], "analyzer": "chn_standard"}},
        },
        "tables": {"main": {"fields": {"id": {"type": "INT", "primaryKey": True}}, "primaryTable": True}},
    }


def _query_processor(dice: SeededRandom) -> Record:
    return {
        "name": "qp",
        "active": True,
        "category": "general",
        "domain": "ecommerce",
        "indexes": ["default"],
        "processors": [{"name": "stop_word", "use_system_dictionary": dice.chance(0.5)}],
    }
