"""Summarize a snapshot as one self-contained HTML page: inventory, findings, changes, coverage.

Read `page` for the file and its security policy, `markup` for escaping, `tables` and `charts` for the parts, and
`sections`, `coverage` and `evidence` for the contents. `facts` and `changes` have the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.audit.findings import (
    BY_DEFAULT,
    MAX_ROWS,
    Acceptances,
    Coverage,
    Evaluation,
    FindingResult,
    evaluate_findings,
    load_findings,
)
from crawler.audit.report.changes import changes_between
from crawler.audit.report.coverage import coverage_section
from crawler.audit.report.evidence import evidence_section, format_instant
from crawler.audit.report.facts import Inventory, count_inventory
from crawler.audit.report.findings import findings_section
from crawler.audit.report.markup import Html, element, joined
from crawler.audit.report.page import page
from crawler.audit.report.sections import changes_section, inventory_section, summary_section

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.catalog.model import Catalog
    from crawler.snapshot import Manifest

__all__ = ["Report", "make_report"]

# A longer title takes half of a phone's screen; the inventory lists all products.
_MOST_PRODUCTS = 4


@dataclass(frozen=True, slots=True)
class Report:
    """The page, the results of its findings, the SHA-256 of the manifest, and warnings about accepted findings."""

    html: str
    outcomes: Sequence[FindingResult]
    manifest_sha256: str
    warnings: Sequence[str] = ()


def make_report(
    snapshot: OpenSnapshot,
    catalog: Catalog,
    *,
    against: OpenSnapshot | None = None,
    findings: Sequence[Path] = (),
    evaluation: Evaluation = BY_DEFAULT,
    max_rows: int = MAX_ROWS,
) -> Report:
    """Return a snapshot's page. The same snapshot and arguments give the same page, byte for byte.

    `against` is the snapshot to compare with; `findings` are folders with the user's findings. `evaluation` has the
    owner tags and the accepted findings; each table of the page has at most `max_rows` rows. Raises ConfigError for an
    invalid finding, OutputError if the snapshot can't be read.
    """
    manifest, sha256 = snapshot.manifest, snapshot.manifest_sha256
    inventory = count_inventory(snapshot, catalog)
    known = load_findings(findings)
    outcomes = evaluate_findings(snapshot, known, catalog, replace(evaluation, max_rows=max_rows))
    warnings = accepted_warnings(evaluation.acceptances, outcomes)
    changes = changes_between(against, snapshot, catalog, max_rows) if against is not None else None
    sections = [
        ("summary", "Summary", summary_section(manifest, inventory, outcomes, changes)),
        ("findings", "Findings", findings_section(outcomes, warnings, manifest.account_names)),
        ("changes", "Changes", changes_section(changes, max_rows)),
        ("inventory", "Inventory", inventory_section(inventory, max_rows)),
        ("coverage", "Coverage", coverage_section(snapshot, inventory, catalog, max_rows)),
        ("evidence", "Evidence", evidence_section(snapshot)),
    ]
    footer = f"Snapshot {manifest.snapshot_id} · manifest SHA-256 {sha256}"
    html = page(f"Inventory {manifest.snapshot_id}", _header(manifest, inventory), sections, footer)
    return Report(html, outcomes, sha256, warnings)


def accepted_warnings(acceptances: Acceptances | None, outcomes: Sequence[FindingResult]) -> list[str]:
    """Return the warnings about accepted findings, after all findings have been evaluated."""
    if acceptances is None:
        return []
    uncertain = [outcome.finding.name for outcome in outcomes if outcome.coverage is not Coverage.COMPLETE]
    names = [outcome.finding.name for outcome in outcomes]
    return acceptances.warnings(names, uncertain, names)


def _header(manifest: Manifest, inventory: Inventory) -> Html:
    line = f"{format_instant(manifest.started_at)} to {format_instant(manifest.finished_at)}"
    return joined(
        [
            element("h1", title_of(inventory)),
            element("p", element("code", manifest.snapshot_id), f" · {manifest.status} · {line}"),
        ]
    )


def title_of(inventory: Inventory) -> str:
    """Return the title, which names the first products that were crawled, and how many more there are."""
    crawled = {table.product for table in inventory.tables}
    names = [product for product in inventory.products if product in crawled]
    if len(names) > _MOST_PRODUCTS:
        names[_MOST_PRODUCTS - 1 :] = [f"{len(names) - _MOST_PRODUCTS + 1} other products"]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"Inventory of {listed}" if listed else "Inventory"
