"""The coverage section: incomplete scopes, skipped members, and tables that the snapshot doesn't have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from crawler.audit.report.charts import meter
from crawler.audit.report.facts import Inventory, TargetFacts, product_name
from crawler.audit.report.markup import Html, element, joined
from crawler.audit.report.tables import Row, optional_table
from crawler.snapshot import Status, is_whole
from crawler.snapshot.ledger_file import NOT_WHOLE
from crawler.text import account_label, gap_note

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.catalog.model import Catalog
    from crawler.snapshot import Manifest, ScopeRow

STATUS_TEXTS = {
    Status.COMPLETE: "every page of every list was read: an absent row doesn't exist",
    Status.UNSUPPORTED: "the product isn't offered or activated there: counts as complete",
    Status.TRUNCATED: "the service returned only a part of the list: rows may be missing",
    Status.UNSTABLE: "two reads of the list gave different rows: rows may be missing",
    Status.NOT_ATTEMPTED: "planned, but the crawl ended first: nothing is known",
    Status.DENIED: "no permission: nothing is known",
    Status.FAILED: "could not be read: nothing is known",
}
_PARENT = re.compile(r"Its parent \w+ is \w+: ")
_MOST_NAMES = 4
_GAP_COLUMNS = (
    "error_code",
    "error_message",
    "account_name",
    "accepted_reason",
    "accepted_until",
    "incomplete_since",
)
# A larger grid would be unreadable; accounts with the most gaps are shown first.
_GRID_ACCOUNTS, _GRID_REGIONS = 40, 40


def coverage_section(snapshot: OpenSnapshot, inventory: Inventory, catalog: Catalog, max_rows: int) -> Html:
    """Return the section's content."""
    manifest = snapshot.manifest
    return joined(
        [
            _verdict(manifest),
            _meter(manifest),
            _grid(inventory.targets),
            _causes(snapshot, max_rows),
            _accepted(manifest, max_rows),
            _open_scopes(snapshot, max_rows),
            _directory(manifest),
            _left_out(manifest, max_rows),
            _unknown_fields(manifest, max_rows),
            _not_crawled(snapshot, catalog, max_rows),
        ]
    )


def completeness(manifest: Manifest) -> str:
    """Return in a sentence how complete the snapshot is."""
    total, missing = manifest.scopes.total, manifest.scopes.missing
    if manifest.status == "complete" and manifest.selection is not None:
        chosen = manifest.selection.options
        return f"A part of the inventory: all {total:,} scopes of {chosen} were read to their end, and no others."
    if manifest.status == "complete" and missing:
        return (
            f"Complete but for {missing:,} accepted gaps: the other {total - missing:,} scopes were read to their end."
        )
    if manifest.status == "complete":
        return f"Complete: all {total:,} scopes were read to their end."
    if missing:
        return f"Partial: {missing:,} of {total:,} scopes aren't complete. Their missing rows are unknown, not absent."
    return "Partial: all scopes were read to their end, but accounts may be missing."


def _verdict(manifest: Manifest) -> Html:
    explained = " A scope is one table in one account and region."
    kind = "good" if manifest.status == "complete" else "bad"
    return element("p", element("strong", completeness(manifest), class_=kind), explained)


def _meter(manifest: Manifest) -> Html:
    numbers = manifest.scopes.by_status
    parts = [(f"status-{status}", status_text(status), numbers.get(status, 0)) for status in Status]
    rows = [
        element("div", element("dt", status_text(status)), element("dd", STATUS_TEXTS[status]))
        for status in Status
        if numbers.get(status)
    ]
    return joined([meter(parts, "Scopes by status"), element("dl", *rows, class_="terms")])


def _grid(targets: Sequence[TargetFacts]) -> Html | None:
    """Return a grid of accounts and regions with the complete scopes of each target."""
    regions = sorted({target.region_id for target in targets})
    gaps: dict[str, int] = {}
    for target in targets:
        gaps[target.account] = gaps.get(target.account, 0) + target.open_scopes
    accounts = sorted(gaps, key=lambda account: (-gaps[account], account))[:_GRID_ACCOUNTS]
    if not accounts or len(regions) > _GRID_REGIONS:
        return None
    found = {(target.account, target.region_id): target for target in targets}
    head = [element("th", region, scope="col") for region in regions]
    rows = [
        element("tr", element("th", account, scope="row"), *(_grid_cell(found.get((account, r))) for r in regions))
        for account in sorted(accounts)
    ]
    more = len(gaps) - len(accounts)
    caption = "Complete scopes by account and region" + (
        f"; {more:,} accounts with fewer gaps left out" if more else ""
    )
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", element("th", "account", scope="col"), *head)),
        element("tbody", *rows),
        class_="grid",
    )
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _grid_cell(target: TargetFacts | None) -> Html:
    if target is None:
        return element("td", "–", class_="none")
    whole = target.scopes - target.open_scopes
    kind = "all" if whole == target.scopes else "some" if whole else "nothing"
    mark = {"all": "✓", "some": "◐", "nothing": "✕"}[kind]
    return element(
        "td", element("span", mark, class_="sign", aria_hidden="true"), f" {whole}/{target.scopes}", class_=kind
    )


def _causes(snapshot: OpenSnapshot, max_rows: int) -> Html | None:
    """Return the causes of incomplete scopes. A child's scope counts for the cause of its parent."""
    numbers: Counter[tuple[str, str, str]] = Counter()
    names: dict[tuple[str, str, str], tuple[set[str], set[str], set[str]]] = {}
    # Not the manifest's list, which has only the first of them.
    for row in snapshot.ledger.rows(_GAP_COLUMNS, NOT_WHOLE):
        why = _reason_text(row.error_code, _PARENT.sub("", row.error_message, count=1))
        cause = status_text(row.status), why, _note(row, snapshot.manifest)
        numbers[cause] += 1
        accounts, regions, tables = names.setdefault(cause, (set(), set(), set()))
        accounts.add(account_label(row.account_id, row.account_name))
        regions.add(row.region_id)
        tables.add(row.table)
    rows: list[Row] = [(*cause, number, *map(_name_list, names[cause])) for cause, number in numbers.most_common()]
    return optional_table(
        "causes", "Causes", ("status", "why", "note", "scopes", "accounts", "regions", "tables"), rows, max_rows
    )


def _note(row: ScopeRow, manifest: Manifest) -> str:
    return gap_note(row.incomplete_since, manifest.started_at, row.accepted_until, row.accepted_reason)


def _accepted(manifest: Manifest, max_rows: int) -> Html | None:
    """Return the rules by which gaps count as complete."""
    rows: list[Row] = [
        (rule.account, rule.region, rule.table, rule.until, rule.reason, rule.scopes) for rule in manifest.accepted
    ]
    columns = ("accounts", "regions", "tables", "until", "why", "scopes")
    return optional_table("accepted", "Accepted gaps: they count as complete", columns, rows, max_rows)


def _name_list(names: Collection[str]) -> str:
    """Return the first names and the number of the others."""
    found = sorted(names)
    more = f" and {len(found) - _MOST_NAMES:,} more" if len(found) > _MOST_NAMES else ""
    return ", ".join(found[:_MOST_NAMES]) + more


def _open_scopes(snapshot: OpenSnapshot, max_rows: int) -> Html | None:
    shown = snapshot.ledger.not_whole(max_rows)
    rows: list[Row] = [
        (
            account_label(row.account_id, row.account_name),
            row.region_id,
            row.table,
            status_text(row.status),
            _reason_text(row.error_code, row.error_message),
            _note(row, snapshot.manifest),
        )
        for row in shown
    ]
    columns = ("account_id", "region_id", "table", "status", "why", "note")
    missing = sum(figures.not_whole for figures in snapshot.ledger.by_table.values())
    return optional_table("scopes", "Incomplete scopes", columns, rows, max_rows, missing - len(shown))


def status_text(status: str) -> str:
    """Return a status in words: `not attempted`."""
    return status.replace("_", " ")


def _reason_text(code: str, message: str) -> str:
    return f"{code}: {message}" if code and message else code or message


def _directory(manifest: Manifest) -> Html | None:
    found = manifest.directory
    if found is None:
        return None
    lister = account_label(found.account_id, manifest.account_names.get(found.account_id, ""))
    said = f"The organization's directory was listed by {lister}: {status_text(found.status)}, "
    said += f"{found.members:,} members."
    if is_whole(found.status):
        return element("p", said)
    reason = f" {_reason_text(found.error_code, found.error_message)} Accounts that it doesn't list may be missing."
    return element("p", element("strong", said, class_="bad"), reason)


def _left_out(manifest: Manifest, max_rows: int) -> Html | None:
    rows: list[Row] = [(left.account_id, left.name, left.reason) for left in manifest.left_out]
    return optional_table(
        "left-out", "Members of the organization that weren't crawled", ("account_id", "name", "why"), rows, max_rows
    )


def _unknown_fields(manifest: Manifest, max_rows: int) -> Html | None:
    rows: list[Row] = [
        (table, path, count)
        for table, paths in sorted(manifest.unknown_fields.items())
        for path, count in paths.items()
    ]
    caption = "Fields that no schema has: kept in the column _extra, not checked by findings"
    return optional_table("unknown-fields", caption, ("table", "field", "records"), rows, max_rows)


def _not_crawled(snapshot: OpenSnapshot, catalog: Catalog, max_rows: int) -> Html | None:
    crawled = {table for table, figures in snapshot.ledger.by_table.items() if figures.written}
    rows: list[Row] = [
        (
            table,
            product_name(catalog, table),
            operation.title,
            _not_crawled_because(operation.selection, operation.reason),
        )
        for table, operation in sorted(catalog.operations.items())
        if table not in crawled
    ]
    caption = "Tables that this snapshot doesn't have"
    return optional_table("not-crawled", caption, ("table", "product", "what_of", "why"), rows, max_rows)


def _not_crawled_because(selection: str, reason: str) -> str:
    if selection == "default":
        return "left out of this crawl, or no account has the product"
    return f"{selection}: {reason}"
