"""The outcomes of findings as text for people: each finding with its first rows, then what isn't known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from crawler.audit.findings import SEVERITIES, UNCERTAIN, FindingOutcome, FindingsHead, OutcomeCounts, OutcomeRow
from crawler.cli.render import console, safe
from crawler.text import account_label

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"high": "bold red", "medium": "yellow", "low": "blue", "info": "dim"}


def print_outcomes(
    head: FindingsHead, outcomes: Iterable[FindingOutcome], max_rows: int, counts: OutcomeCounts
) -> None:
    """Print each finding with its first `max_rows` rows (0: all), findings without a result, and a summary.

    The iteration of `outcomes` fills `counts`. Lines are never cut: a narrow terminal folds them.
    """
    out, uncertain = console(), []
    for outcome in outcomes:
        if outcome.rows:
            _print_finding(out, head, outcome, max_rows)
        if outcome.state in UNCERTAIN:
            uncertain.append(outcome)
    for outcome in uncertain:
        gaps = "; ".join(outcome.result.gaps)
        out.print(safe(f"{outcome.state}: {outcome.result.finding.name}: {gaps}", "magenta"), soft_wrap=True)
    if uncertain:
        out.print()
    out.print(safe(summary(counts)), soft_wrap=True)
    since = f", new since {head.against}" if head.against else ""
    out.print(safe(f"snapshot {head.snapshot_id}, {head.status}{since}"), soft_wrap=True)


def summary(counts: OutcomeCounts) -> str:
    """Return the numbers of open rows by severity, of accepted rows, and of findings whose data is missing."""
    listed = [f"{counts.open[severity]:,} {severity}" for severity in SEVERITIES if counts.open[severity]]
    findings = "1 finding" if counts.findings == 1 else f"{counts.findings} findings"
    parts = [f"{counts.open.total():,} open in {findings}" + (f": {', '.join(listed)}" if listed else "")]
    if counts.accepted:
        parts.append(f"{counts.accepted:,} accepted")
    if counts.uncertain:
        parts.append(f"{len(counts.uncertain)} unknown or partly unknown")
    return "; ".join(parts)


def _print_finding(out: Console, head: FindingsHead, outcome: FindingOutcome, max_rows: int) -> None:
    finding = outcome.result.finding
    number = f"{outcome.open:,}" + (" or more" if outcome.state == "partly unknown" else "")
    title = Text.assemble((finding.severity, _STYLES[finding.severity]), "  ", safe(f"{finding.title}: {number}"))
    out.print(title, soft_wrap=True)
    out.print(safe(f"        {finding.name}", "dim"), soft_wrap=True)
    shown = outcome.rows if max_rows == 0 else outcome.rows[:max_rows]
    for row in shown:
        out.print(safe(f"  {_row_text(head, row)}"), soft_wrap=True)
    if len(shown) < len(outcome.rows):
        rest = len(outcome.rows) - len(shown)
        out.print(safe(f"  … {rest:,} more; --max-rows 0 or --format csv has all", "dim"), soft_wrap=True)
    out.print()


def _row_text(head: FindingsHead, row: OutcomeRow) -> str:
    subject = row.row.subject
    account = account_label(subject.account_id, head.account_names.get(subject.account_id, ""))
    text = "  ".join(filter(None, (account if subject.account_id else "", subject.region_id, subject.resource)))
    if subject.owner:
        text += f"  (owner {subject.owner})"
    if row.is_accepted:
        text += f"  accepted until {row.row.until}: {row.row.reason}"
    return text
