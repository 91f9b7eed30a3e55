"""Seeded telemetry of an app group, and tables of data sources (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the operations' pages
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): a status in quotation marks, a list
of categories that the SDK doesn't know, hot words as a list in a list, an empty object in the place of a report, one in
a string in the place of a table's name. What is in a category is the emulator's assumption.

Slow queries and reports don't depend on the time span that is asked for.
"""

from __future__ import annotations

from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s

MODULES = ("app", "app-query", "abtest", "suggest", "hot", "hint", "data-quality", "es")
SOURCE_TYPES = ("rds", "polardb", "odps", "mysql", "drds")


def put(spot: SeedContext, group: str, number: int) -> None:
    """The telemetry of one app group; `number` counts the groups."""
    dice = spot.dice("reports", group)
    _put_slow_queries(spot, dice, group, number)
    words: list[object] = [{"rawQuery": "淘宝", "pv": 100}, {"rawQuery": dice.text(6), "pv": dice.integer(1, 99)}]
    hot = words if number == 0 else []
    spot.put("ListStatisticLogs", [hot] if hot and spot.is_older else hot, (group, "hot"))
    for module in MODULES:
        reports = [_report(dice) for _ in range(dice.integer(1, 2) if number == 0 else 0)]
        if module == "app" and not spot.is_plain:
            reports = [{}]
        spot.put("ListStatisticReport", reports, (group, module))


def put_sources(spot: SeedContext) -> None:
    """What a data source of each type would answer, whatever its parameters."""
    for number, kind in enumerate(SOURCE_TYPES):
        tables = ["{}"] if spot.is_older else [f"{kind}_items", f"{kind}_shops"][: 2 - number % 2]
        spot.put("ListDataSourceTables", tables, (kind,))
        fields = {"id": "INT", "title": "TEXT", "tags": "LITERAL_ARRAY"}
        spot.put("ListDataSourceTableFields", [fields] if number == 0 else [], (kind,))


def _put_slow_queries(spot: SeedContext, dice: SeededRandom, group: str, number: int) -> None:
    start = epoch_s(dice.moment()) // 3600 * 3600
    span = {"start": start, "end": start + 3540}
    status = dice.choice(("PENDING", "SUCCESS", "RUNNING", "FAILED", "N/A"))
    categories: Record = {**span, "analyzeStatus": f'"{status}"' if spot.is_older else status}
    count = 2 if number == 0 else 1
    if not spot.is_plain and not spot.is_older:
        categories["categories"] = [
            {"index": index, "queryProportion": 0.25, "max": dice.integer(200, 9000)} for index in range(count)
        ]
    spot.put("ListSlowQueryCategories", [categories], (group,))
    for index in range(count):
        query = "no data" if index else dice.choice(("query=default:'手机'&&config=hit:10", "no data"))
        spot.name("categories", group, str(index))
        spot.put("ListSlowQueryQueries", [{"index": index, "appQuery": query, **span}], (group, str(index)))


def _report(dice: SeededRandom) -> Record:
    return {
        "date": dice.moment().strftime("%Y%m%d"),
        "pv": dice.integer(0, 9999),
        "uv": dice.integer(0, 999),
        "ctr": dice.integer(0, 99) / 100,
        "bizType": dice.choice(("test", "")),
    }
