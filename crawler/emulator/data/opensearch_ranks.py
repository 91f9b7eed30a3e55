"""Seeded ranks, sort scripts, query processors and search strategies of an app (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the pages of the operations and
of the structures FirstRank, SecondRank, QueryProcessor
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): quotation marks inside strings, 0 for
an unknown time, booleans in strings, an expression that is a list or a string, one key spelled two ways.
"""

from __future__ import annotations

from datetime import timedelta

from crawler.emulator.data import seeded as words
from crawler.emulator.data.opensearch_apps import SMALL
from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s

PROCESSORS = ("stop_word", "spell_check", "term_weighting", "synonym")
SCRIPT_STATUSES = ("configurable", "not compiled", "compile failed", "compile successful", "released")
SPACED = "%Y-%m-%d %H:%M:%S"


def put(spot: SeedContext, group: str, app: Record) -> None:
    """All that hangs on one app. An app of the smallest specification has no list of sort scripts, not an empty one."""
    parent = (group, app["id"])
    dice = spot.dice("ranks", *parent)
    firsts = [_first_rank(spot, dice, number) for number in range(dice.integer(1, 3))]
    seconds = [_second_rank(spot, dice, number) for number in range(dice.integer(1, 3))]
    spot.put("ListFirstRanks", firsts, parent)
    spot.put("ListSecondRanks", seconds, parent)
    spot.put("ListSortExpressions", [_expression(spot, dice, rank) for rank in (*firsts, *seconds)], parent)
    if app["quota"]["spec"] != SMALL:
        spot.put("ListSortScripts", [_script(spot, dice, number) for number in range(dice.integer(1, 2))], parent)
    spot.put("ListSearchStrategies", _strategies(spot, dice), parent)
    rules = [_rule(spot, dice, number) for number in range(dice.integer(1, 2))]
    spot.put("ListQueryProcessors", rules, parent)
    for number, rule in enumerate(rules):
        tested = [{"query": "手机", "analyzed": ["手机"], "stop_word": []}] if number == 0 else []
        spot.put("ListQueryProcessorAnalyzerResults", tested, (*parent, rule["name"]))


def _first_rank(spot: SeedContext, dice: SeededRandom, number: int) -> Record:
    created = epoch_s(dice.moment())
    record: Record = {
        "name": "default" if number == 0 else f"rough_{number}",
        "active": number == 0,
        "description": dice.choice((words.description(dice), '""')),
        "created": created if number == 0 else dice.choice((0, created)),
        "updated": created if number == 0 else dice.choice((0, created)),
        "meta": [
            {"attribute": "static_bm25()", "arg": '""', "weight": 10},
            {"attribute": "timeliness()", "arg": "create_timestamp", "weight": dice.choice((-100_000, 3, 100_000))},
        ],
    }
    if spot.is_plain:
        return record
    if number == 1:
        return {**record, "type": "STRING", "meta": "random()*100+now()"}
    record["meta"][0]["weight"] = 0.5
    return {**record, "type": "STRUCT"}


def _second_rank(spot: SeedContext, dice: SeededRandom, number: int) -> Record:
    created = epoch_s(dice.moment())
    record: Record = {
        "id": dice.digits(6),
        "name": f"fine_{number}",
        "active": dice.chance(0.5),
        "isDefault": "true" if number == 0 else "false",
        "isSys": dice.choice(("true", "false")),
        "description": '""' if number == 0 else words.description(dice),
        "meta": dice.choice(("text_relevance(title)*0.7+price", "random()", "if(price>3,1,0)\n+2")),
        "created": dice.choice((0, created)) if number else created,
        "updated": created,
    }
    return spot.thin("second rank", dice, record, "description", "updated", "isSys")


def _expression(spot: SeedContext, dice: SeededRandom, rank: Record) -> Record:
    """A rank of either kind as the list of both has it."""
    fields = ("name", "active", "description", "created", "updated")
    record = {name: rank.get(name) for name in fields}
    return spot.thin("expression", dice, record, "description")


def _script(spot: SeedContext, dice: SeededRandom, number: int) -> Record:
    created = dice.moment()
    record: Record = {
        "scriptName": f"script_{dice.text(4)}_{number}",
        "type": "cava_script",
        "scope": "second_rank",
        "status": dice.choice(SCRIPT_STATUSES),
        "createTime": created.strftime(SPACED),
        "modifyTime": (created + timedelta(minutes=dice.integer(0, 500_000))).strftime(SPACED),
    }
    return spot.thin("script", dice, record, "modifyTime")


def _strategies(spot: SeedContext, dice: SeededRandom) -> list[Record]:
    """None in most apps, as in the sample; one where it is to come as an object, two where it is to come as a list."""
    if spot.is_plain or dice.chance(0.5):
        return []
    return [_strategy(dice, number) for number in range(1 if spot.is_older else 2)]


def _strategy(dice: SeededRandom, number: int) -> Record:
    return {
        "name": f"strategy_{number}",
        "status": 1,
        "description": "",
        "updated": epoch_s(dice.moment()),
        "searchConfigs": [
            {"queryType": "vector", "firstRankName": "default", "secondRankName": "", "mergeProportion": 30},
            {"queryType": "keyword", "firstRankName": "", "secondName": "fine_0", "mergeProportion": 70},
        ],
        "mergeConfig": {"rankName": "", "docCount": 5000},
    }


def _rule(spot: SeedContext, dice: SeededRandom, number: int) -> Record:
    created = epoch_s(dice.moment())
    record: Record = {
        "name": f"qp_{dice.text(4)}_{number}",
        "active": number == 0,
        "domain": dice.choice(("GENERAL", "ECOMMERCE", "IT_CONTENT")),
        "indexes": ["default", "title"][: dice.integer(1, 2)],
        "processors": [_processor(dice, name) for name in PROCESSORS if name == "stop_word" or dice.chance(0.4)],
        "created": created,
        "updated": created + dice.integer(0, 10_000_000),
    }
    if not spot.is_plain:
        record["processors"] += [
            {"name": "category_prediction", "categoryPrediction": dice.integer(1, 99_999), "projectId": 12_346},
            {"name": "ner", "priorities": [{"priority": "HIGH", "tag": "brand", "order": 1}]},
        ]
    return spot.thin("rule", dice, record, "domain", "updated")


def _processor(dice: SeededRandom, name: str) -> Record:
    dictionary = dice.choice(("", "synonym_000"))
    return {"name": name, "use_system_dictionary": dice.chance(0.5), "intervention_dictionary": dictionary}
