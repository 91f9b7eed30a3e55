"""The sections summary, findings, changes and inventory of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crawler.audit.findings import SEVERITIES, Coverage, FindingResult
from crawler.audit.report.changes import CHANGE_KINDS, COLUMNS, NOT_COMPARED_COLUMNS, UNKNOWN_COLUMNS, Changes
from crawler.audit.report.charts import Bar, Chart, bar_chart, meter, stacked_bars
from crawler.audit.report.coverage import completeness
from crawler.audit.report.facts import OPT_IN_KINDS, RESOURCE_KINDS, Inventory
from crawler.audit.report.markup import Html, element, escaped, joined
from crawler.audit.report.tables import DataTable, Row, data_table, optional_table
from crawler.text import GLOBAL_REGION

if TYPE_CHECKING:
    from crawler.snapshot import Manifest


def summary_section(
    manifest: Manifest, inventory: Inventory, outcomes: Sequence[FindingResult], changes: Changes | None
) -> Html:
    """Return the summary: coverage, key numbers, findings by severity, and changes."""
    accounts = len({target.account_id for target in inventory.targets})
    regions = len({target.region_id for target in inventory.targets} - {GLOBAL_REGION})
    tiles = [_tile("accounts", accounts), _tile("regions", regions)]
    totals = {kind: inventory.total(kind) for kind in RESOURCE_KINDS}
    tiles += [_tile(kind, number) for kind, number in totals.items() if number is not None or kind not in OPT_IN_KINDS]
    tiles.append(_tile("rows in total", inventory.rows))
    kind = "good" if manifest.status == "complete" else "bad"
    return joined(
        [
            element("p", completeness(manifest), class_=f"verdict {kind}"),
            element("dl", *tiles, class_="tiles"),
            findings_line(outcomes),
            _changes_line(changes) if changes else None,
        ]
    )


def _tile(name: str, number: int | None) -> Html:
    value = "–" if number is None else f"{number:,}"
    return element("div", element("dt", name), element("dd", value))


def findings_line(outcomes: Sequence[FindingResult]) -> Html:
    """Return a meter of the findings by severity, and of those unknown or without rows."""
    found = [outcome.finding.severity for outcome in outcomes if outcome.total]
    parts = [(f"sev-{severity}", str(severity), found.count(severity)) for severity in SEVERITIES]
    unsure = sum(outcome.coverage is not Coverage.COMPLETE and not outcome.total for outcome in outcomes)
    nothing = len(outcomes) - len(found) - unsure
    parts += [("sev-unknown", "unknown", unsure), ("sev-none", "without rows", nothing)]
    return element("div", element("h3", "Findings"), meter(parts, "Findings by severity"), class_="strip")


def _changes_line(changes: Changes) -> Html:
    numbers = [(f"change-{kind}", str(kind), changes.total(kind)) for kind in CHANGE_KINDS]
    title = f"Changes since {changes.before}"
    return element(
        "div",
        element("h3", title),
        meter(numbers, title) if changes.differing else element("p", "No known changes."),
        element("p", _unknown_text(changes), class_="gap") if changes.unknown_scopes else None,
        class_="strip",
    )


def findings_section(outcomes: Sequence[FindingResult]) -> Html:
    """Return all findings: those with rows, those unknown, those without rows."""
    found = [outcome for outcome in outcomes if outcome.total]
    unsure = [outcome for outcome in outcomes if not outcome.total and outcome.coverage is not Coverage.COMPLETE]
    nothing = [outcome for outcome in outcomes if not outcome.total and outcome.coverage is Coverage.COMPLETE]
    groups = (
        ("Found", "found", found),
        ("Unknown or partly unknown", "not-known", unsure),
        ("Nothing found", "nothing-found", nothing),
    )
    return joined(_group(title, kind, group) for title, kind, group in groups if group)


def _group(title: str, kind: str, outcomes: Sequence[FindingResult]) -> Html:
    heading = element("h3", f"{title} ({len(outcomes)})")
    return element("div", heading, *(_finding(outcome) for outcome in outcomes), class_=f"findings {kind}")


def result_text(outcome: FindingResult) -> str:
    """Return the result in two or three words; `none` only if nothing is unknown."""
    match outcome.coverage:
        case Coverage.UNKNOWN:
            return "unknown"
        case Coverage.PARTIAL if outcome.total:
            return f"{outcome.total:,} or more"
        case Coverage.PARTIAL:
            return "partly unknown"
        case _:
            return f"{outcome.total:,}" if outcome.total else "none"


def _with_code(text: str) -> Html:
    """Return a text with what stands between backticks as code; as it is, if one of them has no second."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escaped(text)
    return joined(element("code", part) if at % 2 else part for at, part in enumerate(parts))


def _finding(outcome: FindingResult) -> Html:
    finding = outcome.finding
    summary = element(
        "summary",
        element("span", finding.severity, class_=f"badge sev-{finding.severity}"),
        element("span", finding.title, class_="title"),
        element("span", result_text(outcome), class_="result"),
    )
    paragraphs = [
        element("p", _with_code(finding.reason)),
        element("p", element("strong", "What to do: "), _with_code(finding.remedy)) if finding.remedy else None,
        element("p", outcome.note) if outcome.note else None,
        _gaps(outcome),
        _rows(outcome),
        _query_details(outcome),
    ]
    return element("details", summary, *paragraphs, class_="finding", id=f"finding-{finding.name}")


def _gaps(outcome: FindingResult) -> Html | None:
    if not outcome.gaps:
        return None
    lead = "Unknown: " if outcome.coverage is Coverage.UNKNOWN else "Partly unknown: "
    return element("p", element("strong", lead), "; ".join(outcome.gaps), ".", class_="gap")


def _rows(outcome: FindingResult) -> Html | None:
    if not outcome.total:
        return None
    name, title = outcome.finding.name, outcome.finding.title
    return data_table(DataTable(name, title, outcome.columns, outcome.rows, outcome.total, has_heading=False))


def _query_details(outcome: FindingResult) -> Html:
    finding = outcome.finding
    origin = "your own file" if finding.is_own else "built in"
    tables = ", ".join((*finding.tables, *finding.lookups))
    source = f"Source: {finding.source}, checked {finding.checked}." if finding.source else None
    return element(
        "details",
        element("summary", f"Query: {finding.name}"),
        element("p", source) if source else None,
        element("p", f"Tables: {tables}. This finding is {origin}; `acs-inventory query` runs the same SQL."),
        element("pre", element("code", _lines(finding.sql)), tabindex=0),
        class_="how",
    )


def _lines(sql: str) -> Html:
    """Return SQL with its line breaks; escaped text has none."""
    return joined((element("span", line or " ", class_="line") for line in sql.splitlines()), "\n")


def changes_section(changes: Changes | None, max_rows: int) -> Html:
    """Return the changes by table and one by one, and the scopes and columns where they are unknown."""
    if changes is None:
        return element("p", "This snapshot was not compared with an earlier one.")
    bars = [Bar(table.table, [table.counts.get(kind, 0) for kind in CHANGE_KINDS]) for table in changes.differing]
    chart = Chart("Resources by table", CHANGE_KINDS, bars, max_bars=15)
    counted = ", ".join(f"{changes.total(kind):,} {kind}" for kind in CHANGE_KINDS)
    rows, total = changes.rows(), sum(table.total for table in changes.tables)
    missing = total - sum(len(table.shown) for table in changes.tables)
    return joined(
        [
            element("p", f"Compared with {changes.before}: {counted}. {_unknown_text(changes)}"),
            element("div", bar_chart(chart), class_="charts changes") if bars else None,
            optional_table("changes", "All changes", COLUMNS, rows, max_rows, missing),
            optional_table(
                "unknown-changes", "Scopes whose changes are unknown", UNKNOWN_COLUMNS, changes.unknown(), max_rows
            ),
            optional_table(
                "not-compared", "Columns that can't be compared", NOT_COMPARED_COLUMNS, changes.not_compared(), max_rows
            ),
        ]
    )


def _unknown_text(changes: Changes) -> str:
    if not changes.unknown_scopes:
        return "Every scope is complete on both sides."
    unknown = f"{changes.unknown_scopes:,} scopes are incomplete on one side or both: "
    return unknown + "rows missing there aren't reported as removed."


def inventory_section(inventory: Inventory, max_rows: int) -> Html:
    """Return charts by runtime, account, region and product, then all targets and all tables."""
    products = inventory.products
    left = [Chart("Functions by runtime", products, stacked_bars(inventory.runtimes, products))]
    right = [
        Chart("Rows by product", products, stacked_bars(_by_product(inventory), products), is_named=True),
        Chart("Rows by account", products, stacked_bars(inventory.by("account"), products)),
        Chart("Rows by region", products, stacked_bars(inventory.by("region_id"), products)),
    ]
    halves = [element("div", *(bar_chart(chart) for chart in half if chart.bars)) for half in (left, right)]
    return joined(
        [
            element("div", *halves, class_="charts"),
            _target_overview(inventory, max_rows),
            _table_overview(inventory, max_rows),
        ]
    )


def _by_product(inventory: Inventory) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for table in inventory.tables:
        sums = found.setdefault(table.product, {table.product: 0})
        sums[table.product] += table.rows
    return found


def _target_overview(inventory: Inventory, max_rows: int) -> Html | None:
    kinds = [kind for kind in RESOURCE_KINDS if inventory.total(kind) is not None]
    columns = ("account_id", "region_id", *kinds, "rows", "scopes", "not_complete")
    rows: list[Row] = [
        (
            target.account,
            target.region_id,
            *(target.count(kind) for kind in kinds),
            target.rows.total(),
            target.scopes,
            target.open_scopes,
        )
        for target in inventory.targets
    ]
    return optional_table("places", "Accounts and regions", columns, rows, max_rows)


def _table_overview(inventory: Inventory, max_rows: int) -> Html | None:
    rows: list[Row] = [
        (
            table.table,
            table.product,
            table.title,
            table.rows if table.is_stored else None,
            table.scopes,
            table.open_scopes,
        )
        for table in inventory.tables
    ]
    return optional_table(
        "tables", "Tables", ("table", "product", "what_of", "rows", "scopes", "not_complete"), rows, max_rows
    )
