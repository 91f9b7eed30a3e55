"""Seeded telemetry of an app group, and tables of data sources (opensearch 2017-12-25).

Fields: the response models of alibabacloud-opensearch20171225 5.2.0; shapes of values: the operations' pages
(https://help.aliyun.com/zh/open-search/developer-reference/, checked 2026-11-22): a status in quotation marks, a list
of categories that the SDK doesn't know, hot words as a list in a list, an empty object instead of a report, one in a
string instead of a table's name. The fields of a category are an assumption of the emulator. Slow queries and reports
don't depend on the requested time span.
"""

from __future__ import annotations

from crawler.emulator.apis.opensearch import MODULES, SOURCE_TYPES
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.seeded import SeededRandom, epoch_s
from crawler.emulator.records import Record


def put(context: SeedContext, group: str, number: int) -> None:
    """Put the telemetry of one app group; `number` counts the groups."""
    rng = context.rng("reports", group)
    _put_slow_queries(context, rng, group, number)
    words: list[object] = [{"rawQuery": "淘宝", "pv": 100}, {"rawQuery": rng.text(6), "pv": rng.integer(1, 99)}]
    hot = words if number == 0 else []
    context.put("ListStatisticLogs", [hot] if hot and context.is_older else hot, (group, "hot"))
    for module in MODULES:
        reports = [_report(rng) for _ in range(rng.integer(1, 2) if number == 0 else 0)]
        if module == "app" and not context.fits_sdk_models:
            reports = [{}]
        context.put("ListStatisticReport", reports, (group, module))


def put_sources(context: SeedContext) -> None:
    """Put the tables and fields of a data source of each type; they don't depend on its parameters."""
    for number, kind in enumerate(SOURCE_TYPES):
        tables = ["{}"] if context.is_older else [f"{kind}_items", f"{kind}_shops"][: 2 - number % 2]
        context.put("ListDataSourceTables", tables, (kind,))
        fields = {"id": "INT", "title": "TEXT", "tags": "LITERAL_ARRAY"}
        context.put("ListDataSourceTableFields", [fields] if number == 0 else [], (kind,))


def _put_slow_queries(context: SeedContext, rng: SeededRandom, group: str, number: int) -> None:
    start = epoch_s(rng.moment()) // 3600 * 3600
    span = {"start": start, "end": start + 3540}
    status = rng.choice(("PENDING", "SUCCESS", "RUNNING", "FAILED", "N/A"))
    categories: Record = {**span, "analyzeStatus": f'"{status}"' if context.is_older else status}
    count = 2 if number == 0 else 1
    if not context.fits_sdk_models and not context.is_older:
        categories["categories"] = [
            {"index": index, "queryProportion": 0.25, "max": rng.integer(200, 9000)} for index in range(count)
        ]
    context.put("ListSlowQueryCategories", [categories], (group,))
    for index in range(count):
        query = "no data" if index else rng.choice(("query=default:'手机'&&config=hit:10", "no data"))
        context.add_name("categories", group, str(index))
        context.put("ListSlowQueryQueries", [{"index": index, "appQuery": query, **span}], (group, str(index)))


def _report(rng: SeededRandom) -> Record:
    return {
        "date": rng.moment().strftime("%Y%m%d"),
        "pv": rng.integer(0, 9999),
        "uv": rng.integer(0, 999),
        "ctr": rng.integer(0, 99) / 100,
        "bizType": rng.choice(("test", "")),
    }
