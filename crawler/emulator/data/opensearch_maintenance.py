"""Seeded upkeep of an app group: data collection, elastic plans, quota reviews, scheduled tasks, proceedings, tags.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0 (opensearch 2017-12-25); shapes of values: the
operations' pages and those of the structures QuotaReviewTask, ScheduledTask and DataCollection
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): an offset without a colon, a
misspelled key, null and the text `null`, an empty list in the place of a task.
"""

from __future__ import annotations

from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s, iso_offset

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
SPECS = ("opensearch.share.common", "opensearch.private.compute", "opensearch.private.storage")


def put(spot: SeedContext, group: Record, number: int) -> None:
    """What hangs on one app group and isn't an app, a function or a test; `number` counts the groups."""
    parent, dice = (group["name"],), spot.dice("upkeep", number)
    few = 2 if number == 0 else dice.integer(0, 2)
    plans = 103 if spot.is_big and number == 0 else few
    spot.put("ListDataCollections", [_collection(spot, dice, group) for _ in range(few)], parent)
    spot.put("ListElasticPlans", [_plan(spot, dice, group, turn) for turn in range(plans)], parent)
    spot.put("ListQuotaReviewTasks", [_review(spot, dice, group) for _ in range(few)], parent)
    spot.put("ListScheduledTasks", _tasks(spot, dice, group, number), parent)
    spot.put("ListProceedings", [] if number or spot.is_plain else [_proceeding(dice)], parent)


def put_tags(spot: SeedContext, groups: list[Record]) -> None:
    """The tags of all app groups, by the group's ID."""
    spot.put(
        "ListTagResources",
        [
            {"resourceId": group["id"], "resourceType": "AppGroup", "tagKey": tag["key"], "tagValue": tag["value"]}
            for group in groups
            for tag in group.get("tags", ())
        ],
    )


def _collection(spot: SeedContext, dice: SeededRandom, group: Record) -> Record:
    created = epoch_s(dice.moment())
    record: Record = {
        "id": dice.digits(4),
        "name": group["name"],
        "type": "server",
        "status": dice.integer(0, 3),
        "dataCollectionType": dice.choice(("BEHAVIOR", "ITEM_INFO", "INDUSTRY_SPECIFIC")),
        "industryName": dice.choice(("GENERAL", "ECOMMERCE")),
        "sundialId": dice.digits(4),
        "created": created,
        "updated": created + dice.integer(0, 10_000_000),
    }
    return spot.thin("collection", dice, record, "sundialId", "industryName")


def _plan(spot: SeedContext, dice: SeededRandom, group: Record, turn: int) -> Record:
    created = epoch_s(dice.moment())
    start = dice.integer(0, 22)
    record: Record = {
        "id": 1000 + turn,
        "appGroupId": group["id"],
        "name": f"plan {turn:03d}",
        "description": words.description(dice),
        "scheduleType": dice.choice(("WEEK", "DAY")),
        "customDates": [dice.choice(DAYS)],
        "startHour": start,
        "endHour": dice.integer(start + 1, 24),
        "elasticLcu": dice.integer(1, 1000),
        "enabled": dice.chance(0.5),
        "created": created,
        "updated": created + dice.integer(0, 10_000_000),
    }
    return spot.thin("plan", dice, record, "description", "customDates", "updated")


def _review(spot: SeedContext, dice: SeededRandom, group: Record) -> Record:
    moment = dice.moment()
    record: Record = {
        "id": dice.integer(1, 99_999),
        "appGroupId": int(group["id"]),
        "appGroupName": group["name"],
        "appGroupType": group["type"],
        "approved": dice.chance(0.5),
        "available": dice.chance(0.5),
        "pending": dice.chance(0.5),
        "memo": "null" if spot.is_plain else dice.choice(("null", None)),
        "oldSpec": SPECS[0],
        "newSpec": dice.choice(SPECS),
        "oldDocSize": dice.integer(1, 100),
        "newSocSize": dice.integer(1, 100),
        "oldComputeResource": dice.integer(20, 900),
        "newComputeResource": dice.integer(20, 900),
        "gmtCreate": iso_offset(moment, 0),
        "gmtModified": iso_offset(moment, dice.integer(0, 999)),
    }
    return spot.thin("review", dice, record, "newSpec", "gmtModified")


def _tasks(spot: SeedContext, dice: SeededRandom, group: Record, number: int) -> list[Any]:
    """Free-form objects; once the empty list of the documentation's sample."""
    if number == 1 and not spot.is_plain:
        return [[]]
    return [_task(dice, group) for _ in range(1 if number == 0 else dice.integer(0, 1))]


def _task(dice: SeededRandom, group: Record) -> Record:
    created = epoch_s(dice.moment())
    return {
        "id": dice.uuid(),
        "type": dice.choice(("wipe", "fork", "index")),
        "status": 3,
        "progress": 0,
        "cron": "0 0 * * 1,2,3,4,5,6,7",
        "enabled": dice.chance(0.5),
        "running": False,
        "idle": True,
        "lastRanTimestamp": None,
        "appId": None,
        "appGroupId": group["id"],
        "appGroup": {"id": group["id"]},
        "forkedAppId": "",
        "filter": {"field": "title", "days": 30, "unit": "s"},
        "created": created,
        "updated": created,
    }


def _proceeding(dice: SeededRandom) -> Record:
    """As the SDK's model of that name has it, which no answer of the SDK uses."""
    inner = {"type": "build", "status": "running", "progress": 0.5, "detail": {}, "subTasks": None}
    detail = {"appId": dice.digits(9), "step": 2}
    return {"type": "reindex", "status": "running", "progress": 12.5, "detail": detail, "subTasks": inner}
