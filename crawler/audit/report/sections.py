"""The sections summary, changes and inventory of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from crawler.audit.findings import SEVERITIES, Coverage, FindingResult
from crawler.audit.report.changes import CHANGE_KINDS, COLUMNS, NOT_COMPARED_COLUMNS, UNKNOWN_COLUMNS, Changes
from crawler.audit.report.charts import Bar, Chart, bar_chart, meter, stacked_bars
from crawler.audit.report.coverage import completeness
from crawler.audit.report.facts import OPT_IN_KINDS, RESOURCE_KINDS, Inventory
from crawler.audit.report.findings import finding_links
from crawler.audit.report.markup import Html, element, joined
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
    """Return a meter of the findings by severity, and of those unknown or without rows, and links to the gravest."""
    found = [outcome.finding.severity for outcome in outcomes if outcome.total]
    parts = [(f"sev-{severity}", str(severity), found.count(severity)) for severity in SEVERITIES]
    unsure = sum(outcome.coverage is not Coverage.COMPLETE and not outcome.total for outcome in outcomes)
    nothing = len(outcomes) - len(found) - unsure
    parts += [("sev-unknown", "unknown", unsure), ("sev-none", "without rows", nothing)]
    return element(
        "div", element("h3", "Findings"), meter(parts, "Findings by severity"), finding_links(outcomes), class_="strip"
    )


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


def changes_section(changes: Changes | None, max_rows: int) -> Html:
    """Return the changes by table and one by one, and the scopes and columns where they are unknown."""
    if changes is None:
        return element("p", "This snapshot was not compared with an earlier one.")
    bars = [Bar(table.table, [table.counts.get(kind, 0) for kind in CHANGE_KINDS]) for table in changes.differing]
    chart = Chart("Resources by table", CHANGE_KINDS, bars, max_bars=15)
    counted = ", ".join(f"{changes.total(kind):,} {kind}" for kind in CHANGE_KINDS)
    return joined(
        [
            element("p", f"Compared with {changes.before}: {counted}. {_unknown_text(changes)}"),
            element("div", bar_chart(chart), class_="charts changes") if bars else None,
            *_table_changes(changes, max_rows),
            optional_table(
                "unknown-changes", "Scopes whose changes are unknown", UNKNOWN_COLUMNS, changes.unknown(), max_rows
            ),
            optional_table(
                "not-compared", "Columns that can't be compared", NOT_COMPARED_COLUMNS, changes.not_compared(), max_rows
            ),
        ]
    )


def _table_changes(changes: Changes, max_rows: int) -> Iterator[Html]:
    """Yield the changes of each table. The tables share `max_rows` rows, so that no table takes the place of others."""
    rows = {table.table: changes.rows(table) for table in changes.differing}
    shares = fair_shares({table: len(found) for table, found in rows.items()}, max_rows)
    for table in changes.differing:
        name, found = table.table, rows[table.table]
        counted = ", ".join(f"{table.counts[kind]:,} {kind}" for kind in CHANGE_KINDS if table.counts.get(kind))
        total = len(found) + table.total - len(table.shown)
        data = DataTable(
            f"changes-{name}", f"Changes of {name}", COLUMNS, found[: shares[name]], total, has_heading=False
        )
        title = element("span", element("code", name), class_="title")
        yield element(
            "details",
            element("summary", title, element("span", counted, class_="result")),
            data_table(data),
            class_="fold change",
            id=f"changes-{name}",
        )


def fair_shares(sizes: Mapping[str, int], most: int) -> dict[str, int]:
    """Return how many rows of each table are kept, at most `most` in total: small tables whole, large ones equally."""
    shares: dict[str, int] = {}
    for done, name in enumerate(sorted(sizes, key=lambda name: sizes[name])):
        shares[name] = min(sizes[name], (most - sum(shares.values())) // (len(sizes) - done))
    return shares


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
