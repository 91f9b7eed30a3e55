"""Seeded intervention dictionaries and custom analyzers with their entries (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the operations' pages and those
of the structures InterventionDictionaryEntry and UserAnalyzerEntry
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): times as integers or strings, words
as literal escapes, relevances as strings or integers, an entry without a value, several entries with one key, one
object instead of a list.
"""

from __future__ import annotations

from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s, epochs
from crawler.emulator.records import Record

# Lists of several pages and of two full pages in one region; few entries elsewhere.
BIG = (("synonym", 230), ("category_prediction", 100), ("ner", 3), ("stopword", 0))
FEW = (("category_prediction", 3), ("ner", 2))
PRIORITIES = (
    ("brand", "品牌", "HIGH"),
    ("category", "品类", "HIGH"),
    ("color", "颜色", "MIDDLE"),
    ("size", "尺寸规格", "LOW"),
    ("symbol", "符号", "LOW"),
)


def put(context: SeedContext, groups: list[str]) -> None:
    """Put all lists of a region. Dictionaries don't belong to an app group; some of `groups` use them."""
    rng = context.rng("dictionaries")
    kinds = BIG if context.has_long_lists else FEW
    dictionaries = [_dictionary(context, rng, kind, number) for number, (kind, _) in enumerate(kinds)]
    context.put("ListInterventionDictionaries", dictionaries)
    for number, (record, (kind, count)) in enumerate(zip(dictionaries, kinds, strict=True)):
        parent = (record["name"],)
        context.put("ListInterventionDictionaryEntries", _entries(context, kind, count), parent)
        tokens = [_token(order, text) for order, text in enumerate(("nike", "红色"))] if kind == "ner" else []
        context.put("ListInterventionDictionaryNerResults", tokens, parent)
        related: list[object] = [_related(rng, name) for name in groups[: 2 if number == 0 else 0]]
        if number == 1 and context.is_older:
            related = [[]]
        context.put("ListInterventionDictionaryRelatedEntities", related, parent)
    _put_analyzers(context)
    priorities = [{"tag": tag, "label": label, "priority": level, "order": 0} for tag, label, level in PRIORITIES]
    context.put("ListQueryProcessorNers", priorities)


def _dictionary(context: SeedContext, rng: SeededRandom, kind: str, number: int) -> Record:
    times = epochs(rng, epoch_s(rng.moment()))
    return {
        "id": rng.integer(100, 99_999),
        "name": f"{kind}_{number:03d}",
        "type": kind,
        "analyzer": "chn_ecommerce" if number < 3 else "",
        **({name: str(time) for name, time in times.items()} if context.is_older else times),
    }


def _entries(context: SeedContext, kind: str, count: int) -> list[Record]:
    rng = context.rng("entries", kind)
    return [_entry(context, rng, kind, number) for number in range(count)]


def _entry(context: SeedContext, rng: SeededRandom, kind: str, number: int) -> Record:
    created = epoch_s(rng.moment())
    word = rng.choice(("手机", "iphone", "连衣裙", r"\u8fc7\u513f", "スマホ 🚀", 'a "b"')) + f"{number:03d}"
    record: Record = {
        "word": word,
        "cmd": rng.choice(("add", "delete")),
        "status": "ACTIVE" if number else "PENDING_ACTIVE",
        **epochs(rng, created),
    }
    if kind == "category_prediction" or number == 0:
        record["relevance"] = {"100": rng.choice((0, "0")), "200": rng.choice((1, 2, "2"))}
    if kind == "ner" or number == 0:
        record["tokens"] = [_token(order, text) for order, text in enumerate((word, "红色"))]
    return context.drop_optional(f"entry of {kind}", rng, record, "status", "updated")


def _token(order: int, text: str) -> Record:
    return {
        "token": text,
        "tag": "brand" if order == 0 else "color",
        "tagLabel": "品牌" if order == 0 else "",
        "order": order,
    }


def _related(rng: SeededRandom, group: str) -> Record:
    """Make a related entity. It has no declared fields; the page says that it contains the whole query processor."""
    rule = {"name": "qp", "domain": "ECOMMERCE", "indexes": ["default"], "active": rng.chance(0.5), "processors": []}
    return {"appGroup": group, "queryProcessor": rule}


def _put_analyzers(context: SeedContext) -> None:
    rng = context.rng("analyzers")
    analyzers = [_analyzer(context, rng, number) for number in range(3)]
    context.put("ListUserAnalyzers", analyzers)
    for number, analyzer in enumerate(analyzers):
        count = (1, 1, 0)[number] if context.is_older else (12, 1, 0)[number]
        entries = [_analyzer_entry(rng, turn) for turn in range(count)]
        context.put("ListUserAnalyzerEntries", entries, (analyzer["name"],))


def _analyzer(context: SeedContext, rng: SeededRandom, number: int) -> Record:
    times = epochs(rng, epoch_s(rng.moment()))
    entries = {"available": True, "entriesCount": rng.integer(1, 900), "entriesLimit": 1000, "type": "segment", **times}
    identity = rng.digits(4)
    # An older sample shows one object, its ID a number.
    is_object = context.is_older and number == 0
    return {
        "id": rng.digits(4),
        "name": f"analyzer_{number}",
        "business": rng.choice(("chn_standard", "chn_ecommerce", "en_min")),
        "available": number < 2,
        "dicts": {"id": int(identity), **entries} if is_object else [{"id": identity, **entries}],
        **times,
    }


def _analyzer_entry(rng: SeededRandom, number: int) -> Record:
    created = epoch_s(rng.moment())
    record: Record = {
        "key": f"kevin{number // 2}",
        "cmd": "delete" if number % 4 == 3 else "add",
        "status": rng.choice(("ACTIVE", "ACTIVE_PENDING")),
        "splitEnabled": rng.chance(0.5),
        **epochs(rng, created),
    }
    return record if record["cmd"] == "delete" else {**record, "value": f"kevin {number}"}
