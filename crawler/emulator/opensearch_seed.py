"""Seeded app groups, apps and function instances, as opensearch (2017-12-25) returns them.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values, oddities among them: the
operations' documentation pages (https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22):
strings that hold quotation marks, an integer for a boolean, times as epoch seconds and milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crawler.emulator import words
from crawler.emulator.dice import Dice, epoch_s

Record = dict[str, Any]

# The documented names of an app group's functions.
FUNCTIONS = ("ctr", "pop", "hot", "hint", "suggest", "category_prediction")


@dataclass(slots=True)
class AppGroups:
    """All of OpenSearch in one account and region; apps by group, instances by group and function name."""

    groups: list[Record] = field(default_factory=list)
    apps: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    instances: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)


def app_groups(seed: int, account_id: str, region_id: str, count: int, secrets: list[str]) -> AppGroups:
    """`count` app groups with their apps; function instances are in PascalCase, with every field.

    The functions that an app group has are those that its apps report; one that is reported may have no instances.
    The markers of secret values are added to `secrets`.
    """
    made = AppGroups()
    for number in range(count):
        dice = Dice(seed, account_id, region_id, "opensearch", number)
        group = _group(dice, number)
        name = group["name"]
        made.groups.append(group)
        algorithms = _algorithms(dice, number)
        made.apps[(name,)] = [
            _app(dice, name, algorithms, turn) for turn in range(dice.integer(1, 3) if algorithms else number % 2)
        ]
        for function in algorithms:
            made.instances[(name, function)] = _instances(
                dice, function, 27 if number == 0 and function == "ctr" else 0
            )
        secrets.extend(dice.secrets)
    return made


def _algorithms(dice: Dice, number: int) -> list[str]:
    if number == 0:
        return [*FUNCTIONS[:5], "custom_rank"]
    return [function for function in FUNCTIONS if dice.chance(0.3)] if dice.chance(0.6) else []


def _group(dice: Dice, number: int) -> Record:
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
        "switchedTime": dice.choice((0, created + 3600)),
        "produced": dice.integer(0, 1),
        "description": dice.choice((words.description(dice), '""', '"')),
        "hasPendingQuotaReviewTask": dice.integer(0, 1),
        "lockMode": dice.choice(("Unlock", "LockByExpiration")),
        "lockedByExpiration": 0,
    }
    if number < 2 or dice.chance(0.6):
        record |= {
            "domain": dice.choice(("general", "ecommerce", "it_content")),
            "engineType": "ha3",
            "expireOn": dice.choice(("2027-01-01T00:00:00Z", '""', "")),
            "projectId": f'"{dice.digits(6)}"',
            "quota": {"docSize": dice.integer(1, 100), "computeResource": dice.integer(1, 900), "spec": "share-common"},
            "tags": [{"key": "部门", "value": dice.choice(("搜索", "ads"))}],
        }
    return record


def _app(dice: Dice, group: str, algorithms: list[str], turn: int) -> Record:
    identity = dice.digits(9)
    schema = _schema(dice, group)
    return {
        "id": identity,
        "description": words.description(dice),
        "status": dice.choice(("ok", "indexing", "draft")),
        "type": "standard",
        # The documentation declares a boolean and shows an integer.
        "isCurrent": turn == 0 if dice.chance(0.7) else int(turn == 0),
        "autoSwitch": dice.chance(0.5),
        "realtimeShared": dice.chance(0.5),
        "progressPercent": dice.integer(0, 100),
        "clusterName": f"cluster-{dice.text(4)}",
        "cluster": {"maxQueryClauseLength": 1024, "maxTimeoutMS": 500},
        "quota": {"docSize": 1, "computeResource": 20, "qps": dice.integer(1, 500), "spec": "share-common"},
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


def _data_source(dice: Dice) -> Record:
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


def _schema(dice: Dice, group: str) -> Record:
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


def _query_processor(dice: Dice) -> Record:
    return {
        "name": "qp",
        "active": True,
        "category": "general",
        "domain": "ecommerce",
        "indexes": ["default"],
        "processors": [{"name": "stop_word", "use_system_dictionary": dice.chance(0.5)}],
    }


def _instances(dice: Dice, function: str, count: int) -> list[Record]:
    return [_instance(dice, function, number) for number in range(count or dice.integer(0, 3))]


def _instance(dice: Dice, function: str, number: int) -> Record:
    created = epoch_s(dice.moment())
    return {
        "InstanceName": f"{function}_{dice.choice(words.STAGES)}_{number:02d}",
        "FunctionName": function,
        "FunctionType": "PAAS",
        "ModelType": dice.choice(("tf_checkpoint", "offline_inference")),
        "VersionId": dice.integer(1, 900),
        "Status": dice.choice(("available", "unavailable")),
        "Source": "builtin" if number % 4 == 3 else "user",
        "Description": words.description(dice),
        "CreateTime": dice.choice((created, created * 1000 + 42, 0)),
        "Belongs": {"Domain": "ecommerce", "Category": "general", "Language": "zh"},
        "Cron": dice.choice(("", "0 3 ? * 0,1,3,5")),
        "CreateParameters": [{"Name": "odps_key", "Value": dice.secret()}, {"Name": "epochs", "Value": "3"}],
        "UsageParameters": [{"Name": "endpoint", "Value": dice.secret("https://model/{}")}],
        "ExtendInfo": '{"dataReport":{},"errors":{}}',
    }
