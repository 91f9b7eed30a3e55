"""A snapshot as one HTML page, for those who weren't there: what there is, what was found, what isn't known.

Read `page` for what the file may do (nothing but show itself), `markup` for how text stays text, `tables` and `charts`
for its parts, and `sections`, `coverage` and `evidence` for what it says. `facts` and `changes` only count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.audit.findings import MAX_ROWS, FindingResult, evaluate_findings, load_findings
from crawler.audit.report.changes import changes_between
from crawler.audit.report.coverage import coverage_section
from crawler.audit.report.evidence import evidence_section, format_instant
from crawler.audit.report.facts import count_inventory
from crawler.audit.report.markup import Html, element, joined
from crawler.audit.report.page import page
from crawler.audit.report.sections import changes_section, findings_section, inventory_section, summary_section

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.catalog.model import Catalog
    from crawler.snapshot import Manifest

__all__ = ["Report", "make_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """The page, and what was found for whoever asked for it."""

    html: str
    outcomes: Sequence[FindingResult]
    manifest_sha256: str


def make_report(
    snapshot: OpenSnapshot,
    catalog: Catalog,
    *,
    against: OpenSnapshot | None = None,
    findings: Sequence[Path] = (),
    max_rows: int = MAX_ROWS,
) -> Report:
    """A snapshot's page. The same snapshot and arguments give the same page, byte for byte.

    `against` is the snapshot that it is compared with; `findings` are folders with the user's own; no table of the page
    has more than `max_rows`. Raises ConfigError for a finding that can't be used, OutputError
    where the snapshot can't be read.
    """
    manifest, sha256 = snapshot.manifest, snapshot.manifest_sha256
    inventory = count_inventory(snapshot, catalog)
    outcomes = evaluate_findings(snapshot, load_findings(findings), catalog, max_rows=max_rows)
    changes = changes_between(against, snapshot, catalog, max_rows) if against is not None else None
    sections = [
        ("summary", "Summary", summary_section(manifest, inventory, outcomes, changes)),
        ("findings", "Findings", findings_section(outcomes)),
        ("changes", "What changed", changes_section(changes, max_rows)),
        ("inventory", "What there is", inventory_section(inventory, max_rows)),
        ("coverage", "Coverage", coverage_section(snapshot, inventory, catalog, max_rows)),
        ("evidence", "Evidence", evidence_section(manifest, sha256)),
    ]
    footer = f"Snapshot {manifest.snapshot_id} · manifest SHA-256 {sha256}"
    html = page(f"Inventory {manifest.snapshot_id}", _header(manifest), sections, footer)
    return Report(html, outcomes, sha256)


def _header(manifest: Manifest) -> Html:
    name = "Function Compute and OpenSearch inventory"
    line = f"{format_instant(manifest.started_at)} to {format_instant(manifest.finished_at)}"
    return joined(
        [
            element("h1", name),
            element("p", element("code", manifest.snapshot_id), f" · {manifest.status} · {line}"),
        ]
    )
