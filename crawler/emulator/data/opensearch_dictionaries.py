"""Seeded intervention dictionaries and custom analyzers with their entries (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the operations' pages and those
of the structures InterventionDictionaryEntry and UserAnalyzerEntry
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): times as integers or strings, words
as literal escapes, relevances as strings or integers, an entry without a value, several entries with one key, one
object in the place of a list.
"""

from __future__ import annotations

from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s

# Several pages and two full pages in one place; few entries elsewhere.
BIG = (("synonym", 230), ("category_prediction", 100), ("ner", 3), ("stopword", 0))
FEW = (("category_prediction", 3), ("ner", 2))
PRIORITIES = (
    ("brand", "品牌", "HIGH"),
    ("category", "品类", "HIGH"),
    ("color", "颜色", "MIDDLE"),
    ("size", "尺寸规格", "LOW"),
    ("symbol", "符号", "LOW"),
)


def put(spot: SeedContext, groups: list[str]) -> None:
    """All of it in one region; dictionaries don't belong to an app group, but are used by some of `groups`."""
    dice = spot.dice("dictionaries")
    kinds = BIG if spot.is_big else FEW
    dictionaries = [_dictionary(spot, dice, kind, number) for number, (kind, _) in enumerate(kinds)]
    spot.put("ListInterventionDictionaries", dictionaries)
    for number, (record, (kind, count)) in enumerate(zip(dictionaries, kinds, strict=True)):
        parent = (record["name"],)
        spot.put("ListInterventionDictionaryEntries", _entries(spot, kind, count), parent)
        tokens = [_token(order, text) for order, text in enumerate(("nike", "红色"))] if kind == "ner" else []
        spot.put("ListInterventionDictionaryNerResults", tokens, parent)
        related: list[object] = [_related(dice, name) for name in groups[: 2 if number == 0 else 0]]
        if number == 1 and spot.is_older:
            related = [[]]
        spot.put("ListInterventionDictionaryRelatedEntities", related, parent)
    _put_analyzers(spot)
    priorities = [{"tag": tag, "label": label, "priority": level, "order": 0} for tag, label, level in PRIORITIES]
    spot.put("ListQueryProcessorNers", priorities)


def _dictionary(spot: SeedContext, dice: SeededRandom, kind: str, number: int) -> Record:
    created = epoch_s(dice.moment())
    times = {"created": created, "updated": created + dice.integer(0, 10_000_000)}
    return {
        "id": dice.integer(100, 99_999),
        "name": f"{kind}_{number:03d}",
        "type": kind,
        "analyzer": "chn_ecommerce" if number < 3 else "",
        **({name: str(time) for name, time in times.items()} if spot.is_older else times),
    }


def _entries(spot: SeedContext, kind: str, count: int) -> list[Record]:
    dice = spot.dice("entries", kind)
    return [_entry(spot, dice, kind, number) for number in range(count)]


def _entry(spot: SeedContext, dice: SeededRandom, kind: str, number: int) -> Record:
    created = epoch_s(dice.moment())
    word = dice.choice(("手机", "iphone", "连衣裙", r"\u8fc7\u513f", "スマホ 🚀", 'a "b"')) + f"{number:03d}"
    record: Record = {
        "word": word,
        "cmd": dice.choice(("add", "delete")),
        "status": "ACTIVE" if number else "PENDING_ACTIVE",
        "created": created,
        "updated": created + dice.integer(0, 10_000_000),
    }
    if kind == "category_prediction" or number == 0:
        record["relevance"] = {"100": dice.choice((0, "0")), "200": dice.choice((1, 2, "2"))}
    if kind == "ner" or number == 0:
        record["tokens"] = [_token(order, text) for order, text in enumerate((word, "红色"))]
    return spot.thin(f"entry of {kind}", dice, record, "status", "updated")


def _token(order: int, text: str) -> Record:
    return {
        "token": text,
        "tag": "brand" if order == 0 else "color",
        "tagLabel": "品牌" if order == 0 else "",
        "order": order,
    }


def _related(dice: SeededRandom, group: str) -> Record:
    """Free-form; that a query processor comes whole is what the page says of it."""
    rule = {"name": "qp", "domain": "ECOMMERCE", "indexes": ["default"], "active": dice.chance(0.5), "processors": []}
    return {"appGroup": group, "queryProcessor": rule}


def _put_analyzers(spot: SeedContext) -> None:
    dice = spot.dice("analyzers")
    analyzers = [_analyzer(spot, dice, number) for number in range(3)]
    spot.put("ListUserAnalyzers", analyzers)
    for number, analyzer in enumerate(analyzers):
        count = (1, 1, 0)[number] if spot.is_older else (12, 1, 0)[number]
        spot.put("ListUserAnalyzerEntries", [_analyzer_entry(dice, turn) for turn in range(count)], (analyzer["name"],))


def _analyzer(spot: SeedContext, dice: SeededRandom, number: int) -> Record:
    created = epoch_s(dice.moment())
    times = {"created": created, "updated": created + dice.integer(0, 10_000_000)}
    entries = {
        "available": True,
        "entriesCount": dice.integer(1, 900),
        "entriesLimit": 1000,
        "type": "segment",
        **times,
    }
    identity = dice.digits(4)
    # An older sample shows one object, its ID a number.
    is_object = spot.is_older and number == 0
    return {
        "id": dice.digits(4),
        "name": f"analyzer_{number}",
        "business": dice.choice(("chn_standard", "chn_ecommerce", "en_min")),
        "available": number < 2,
        "dicts": {"id": int(identity), **entries} if is_object else [{"id": identity, **entries}],
        **times,
    }


def _analyzer_entry(dice: SeededRandom, number: int) -> Record:
    created = epoch_s(dice.moment())
    record: Record = {
        "key": f"kevin{number // 2}",
        "cmd": "delete" if number % 4 == 3 else "add",
        "status": dice.choice(("ACTIVE", "ACTIVE_PENDING")),
        "splitEnabled": dice.chance(0.5),
        "created": created,
        "updated": created + dice.integer(0, 10_000_000),
    }
    return record if record["cmd"] == "delete" else {**record, "value": f"kevin {number}"}
