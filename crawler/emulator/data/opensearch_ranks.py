"""Seeded ranks, sort scripts, query processors and search strategies of an app (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the pages of the operations and
of the structures FirstRank, SecondRank, QueryProcessor
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): quotation marks inside strings, 0 for
an unknown time, booleans in strings, an expression that is a list or a string, one key spelled two ways.
"""

from __future__ import annotations

from crawler.emulator.data import seeded
from crawler.emulator.data.opensearch_apps import SMALL
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, changed, epoch_s, epochs
from crawler.emulator.records import Record

PROCESSORS = ("stop_word", "spell_check", "term_weighting", "synonym")
SCRIPT_STATUSES = ("configurable", "not compiled", "compile failed", "compile successful", "released")
SPACED = "%Y-%m-%d %H:%M:%S"


def put(context: SeedContext, group: str, app: Record) -> None:
    """Put the child lists of one app. Apps of the smallest specification have no list of sort scripts at all."""
    parent = (group, app["id"])
    rng = context.rng("ranks", *parent)
    firsts = [_first_rank(context, rng, number) for number in range(rng.integer(1, 3))]
    seconds = [_second_rank(context, rng, number) for number in range(rng.integer(1, 3))]
    context.put("ListFirstRanks", firsts, parent)
    context.put("ListSecondRanks", seconds, parent)
    context.put("ListSortExpressions", [_expression(context, rng, rank) for rank in (*firsts, *seconds)], parent)
    if app["quota"]["spec"] != SMALL:
        context.put("ListSortScripts", [_script(context, rng, number) for number in range(rng.integer(1, 2))], parent)
    context.put("ListSearchStrategies", _strategies(context, rng), parent)
    rules = [_rule(context, rng, number) for number in range(rng.integer(1, 2))]
    context.put("ListQueryProcessors", rules, parent)
    for number, rule in enumerate(rules):
        tested = [{"query": "手机", "analyzed": ["手机"], "stop_word": []}] if number == 0 else []
        context.put("ListQueryProcessorAnalyzerResults", tested, (*parent, rule["name"]))


def _first_rank(context: SeedContext, rng: SeededRandom, number: int) -> Record:
    created = epoch_s(rng.moment())
    record: Record = {
        "name": "default" if number == 0 else f"rough_{number}",
        "active": number == 0,
        "description": rng.choice((seeded.description(rng), '""')),
        "created": created if number == 0 else rng.choice((0, created)),
        "updated": created if number == 0 else rng.choice((0, created)),
        "meta": [
            {"attribute": "static_bm25()", "arg": '""', "weight": 10},
            {"attribute": "timeliness()", "arg": "create_timestamp", "weight": rng.choice((-100_000, 3, 100_000))},
        ],
    }
    if context.fits_sdk_models:
        return record
    if number == 1:
        return {**record, "type": "STRING", "meta": "random()*100+now()"}
    record["meta"][0]["weight"] = 0.5
    return {**record, "type": "STRUCT"}


def _second_rank(context: SeedContext, rng: SeededRandom, number: int) -> Record:
    created = epoch_s(rng.moment())
    record: Record = {
        "id": rng.digits(6),
        "name": f"fine_{number}",
        "active": rng.chance(0.5),
        "isDefault": "true" if number == 0 else "false",
        "isSys": rng.choice(("true", "false")),
        "description": '""' if number == 0 else seeded.description(rng),
        "meta": rng.choice(("text_relevance(title)*0.7+price", "random()", "if(price>3,1,0)\n+2")),
        "created": rng.choice((0, created)) if number else created,
        "updated": created,
    }
    return context.drop_optional("second rank", rng, record, "description", "updated", "isSys")


def _expression(context: SeedContext, rng: SeededRandom, rank: Record) -> Record:
    """Make the entry of a first or second rank in the list of sort expressions."""
    fields = ("name", "active", "description", "created", "updated")
    record = {name: rank.get(name) for name in fields}
    return context.drop_optional("expression", rng, record, "description")


def _script(context: SeedContext, rng: SeededRandom, number: int) -> Record:
    created = rng.moment()
    record: Record = {
        "scriptName": f"script_{rng.text(4)}_{number}",
        "type": "cava_script",
        "scope": "second_rank",
        "status": rng.choice(SCRIPT_STATUSES),
        "createTime": created.strftime(SPACED),
        "modifyTime": changed(rng, created, 500_000).strftime(SPACED),
    }
    return context.drop_optional("script", rng, record, "modifyTime")


def _strategies(context: SeedContext, rng: SeededRandom) -> list[Record]:
    """Make no strategies for most apps, as in the sample; else one (sent as an object) or two (sent as a list)."""
    if context.fits_sdk_models or rng.chance(0.5):
        return []
    return [_strategy(rng, number) for number in range(1 if context.is_older else 2)]


def _strategy(rng: SeededRandom, number: int) -> Record:
    return {
        "name": f"strategy_{number}",
        "status": 1,
        "description": "",
        "updated": epoch_s(rng.moment()),
        "searchConfigs": [
            {"queryType": "vector", "firstRankName": "default", "secondRankName": "", "mergeProportion": 30},
            {"queryType": "keyword", "firstRankName": "", "secondName": "fine_0", "mergeProportion": 70},
        ],
        "mergeConfig": {"rankName": "", "docCount": 5000},
    }


def _rule(context: SeedContext, rng: SeededRandom, number: int) -> Record:
    created = epoch_s(rng.moment())
    record: Record = {
        "name": f"qp_{rng.text(4)}_{number}",
        "active": number == 0,
        "domain": rng.choice(("GENERAL", "ECOMMERCE", "IT_CONTENT")),
        "indexes": ["default", "title"][: rng.integer(1, 2)],
        "processors": [_processor(rng, name) for name in PROCESSORS if name == "stop_word" or rng.chance(0.4)],
        **epochs(rng, created),
    }
    if not context.fits_sdk_models:
        record["processors"] += [
            {"name": "category_prediction", "categoryPrediction": rng.integer(1, 99_999), "projectId": 12_346},
            {"name": "ner", "priorities": [{"priority": "HIGH", "tag": "brand", "order": 1}]},
        ]
    return context.drop_optional("rule", rng, record, "domain", "updated")


def _processor(rng: SeededRandom, name: str) -> Record:
    dictionary = rng.choice(("", "synonym_000"))
    return {"name": name, "use_system_dictionary": rng.chance(0.5), "intervention_dictionary": dictionary}
