"""Seeded maintenance of app groups: data collection, elastic plans, quota reviews, scheduled tasks, proceedings, tags.

Fields: the response models of alibabacloud-opensearch20171225 5.2.0 (opensearch 2017-12-25); shapes of values: the
operations' pages and those of the structures QuotaReviewTask, ScheduledTask and DataCollection
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): an offset without a colon, a
misspelled key, null and the text `null`, an empty list instead of a task.
"""

from __future__ import annotations

from typing import Any

from crawler.emulator.data import seeded
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s, epochs, iso_offset
from crawler.emulator.records import Record

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
SPECS = ("opensearch.share.common", "opensearch.private.compute", "opensearch.private.storage")


def put(context: SeedContext, group: Record, number: int) -> None:
    """Put the child lists of one app group, except its apps, functions and tests; `number` counts the groups."""
    parent, rng = (group["name"],), context.rng("upkeep", number)
    few = 2 if number == 0 else rng.integer(0, 2)
    plans = 103 if context.has_long_lists and number == 0 else few
    context.put("ListDataCollections", [_collection(context, rng, group) for _ in range(few)], parent)
    context.put("ListElasticPlans", [_plan(context, rng, group, turn) for turn in range(plans)], parent)
    context.put("ListQuotaReviewTasks", [_review(context, rng, group) for _ in range(few)], parent)
    context.put("ListScheduledTasks", _tasks(context, rng, group, number), parent)
    context.put("ListProceedings", [] if number or context.fits_sdk_models else [_proceeding(rng)], parent)


def put_tags(context: SeedContext, groups: list[Record]) -> None:
    """Put the tags of all app groups, by the group's ID."""
    tags = [
        {"resourceId": group["id"], "resourceType": "AppGroup", "tagKey": tag["key"], "tagValue": tag["value"]}
        for group in groups
        for tag in group.get("tags", ())
    ]
    context.put("ListTagResources", tags)


def _collection(context: SeedContext, rng: SeededRandom, group: Record) -> Record:
    created = epoch_s(rng.moment())
    record: Record = {
        "id": rng.digits(4),
        "name": group["name"],
        "type": "server",
        "status": rng.integer(0, 3),
        "dataCollectionType": rng.choice(("BEHAVIOR", "ITEM_INFO", "INDUSTRY_SPECIFIC")),
        "industryName": rng.choice(("GENERAL", "ECOMMERCE")),
        "sundialId": rng.digits(4),
        **epochs(rng, created),
    }
    return context.drop_optional("collection", rng, record, "sundialId", "industryName")


def _plan(context: SeedContext, rng: SeededRandom, group: Record, turn: int) -> Record:
    created = epoch_s(rng.moment())
    start = rng.integer(0, 22)
    record: Record = {
        "id": 1000 + turn,
        "appGroupId": group["id"],
        "name": f"plan {turn:03d}",
        "description": seeded.description(rng),
        "scheduleType": rng.choice(("WEEK", "DAY")),
        "customDates": [rng.choice(DAYS)],
        "startHour": start,
        "endHour": rng.integer(start + 1, 24),
        "elasticLcu": rng.integer(1, 1000),
        "enabled": rng.chance(0.5),
        **epochs(rng, created),
    }
    return context.drop_optional("plan", rng, record, "description", "customDates", "updated")


def _review(context: SeedContext, rng: SeededRandom, group: Record) -> Record:
    moment = rng.moment()
    record: Record = {
        "id": rng.integer(1, 99_999),
        "appGroupId": int(group["id"]),
        "appGroupName": group["name"],
        "appGroupType": group["type"],
        **{name: rng.chance(0.5) for name in ("approved", "available", "pending")},
        "memo": "null" if context.fits_sdk_models else rng.choice(("null", None)),
        "oldSpec": SPECS[0],
        "newSpec": rng.choice(SPECS),
        **{name: rng.integer(1, 100) for name in ("oldDocSize", "newSocSize")},
        **{name: rng.integer(20, 900) for name in ("oldComputeResource", "newComputeResource")},
        "gmtCreate": iso_offset(moment, 0),
        "gmtModified": iso_offset(moment, rng.integer(0, 999)),
    }
    return context.drop_optional("review", rng, record, "newSpec", "gmtModified")


def _tasks(context: SeedContext, rng: SeededRandom, group: Record, number: int) -> list[Any]:
    """Make tasks, which have no declared fields; once the empty list of the documentation's sample."""
    if number == 1 and not context.fits_sdk_models:
        return [[]]
    return [_task(rng, group) for _ in range(1 if number == 0 else rng.integer(0, 1))]


def _task(rng: SeededRandom, group: Record) -> Record:
    created = epoch_s(rng.moment())
    return {
        "id": rng.uuid(),
        "type": rng.choice(("wipe", "fork", "index")),
        "status": 3,
        "progress": 0,
        "cron": "0 0 * * 1,2,3,4,5,6,7",
        "enabled": rng.chance(0.5),
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


def _proceeding(rng: SeededRandom) -> Record:
    """Make a proceeding as the SDK's model has it, which no response of the SDK uses."""
    inner = {"type": "build", "status": "running", "progress": 0.5, "detail": {}, "subTasks": None}
    detail = {"appId": rng.digits(9), "step": 2}
    return {"type": "reindex", "status": "running", "progress": 12.5, "detail": detail, "subTasks": inner}
