"""`report`: write a snapshot as one HTML page, for people without access to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_json, warn
from crawler.cli.findings import evaluation_of
from crawler.cli.inputs import catalog_for, locate_output, open_tables, optional_config
from crawler.cli.options import (
    CommonOptions,
    LocalPath,
    common_options,
    config_option,
    findings_folder_option,
    json_option,
    no_verify_option,
    owner_tag_option,
    snapshot_option,
    uri_option,
)
from crawler.cli.signals import interruptible
from crawler.cli.targets import declare_target, is_stdout, is_stream, save_text

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.findings import FindingResult
    from crawler.audit.report import Report
    from crawler.snapshot import OutputLocation

PREVIOUS, NOTHING = "previous", "none"


@click.command()
@click.option("--to", "target", required=True, type=LocalPath(), metavar="FILE", help="File to write; - is stdout.")
@snapshot_option
@click.option(
    "--against",
    default=PREVIOUS,
    metavar="SNAPSHOT",
    help="Show changes since this snapshot, or `none`. Default: the previous snapshot.",
)
@findings_folder_option
@owner_tag_option
@no_verify_option
@json_option
@config_option
@uri_option
@common_options
@click.pass_obj
def report(
    common: CommonOptions,
    target: Path,
    snapshot_id: str,
    against: str,
    folders: tuple[Path, ...],
    owner_tags: tuple[str, ...],
    has_no_hashes: bool,
    as_json: bool,
    config_file: Path | None,
    uri: str | None,
) -> None:
    """Write a snapshot as one HTML page.

    The page has findings, changes, inventory, coverage and evidence. It is self-contained and works offline. An
    existing file is replaced.

    Exit codes: 0 written; 1 the snapshot can't be read; 2 wrong usage, an unknown snapshot or an invalid finding; 4 the
    file or stdout can't be written; 129, 130 and 143 stopped by a signal; 141 the reader of stdout has closed it.
    """
    from crawler.audit.export.atomic_files import check_free
    from crawler.audit.report import make_report

    if as_json and is_stdout(target):
        raise click.UsageError("--json prints to stdout, to which --to - writes the page; give one of the two.")
    declare_target(target, "html")

    def work() -> tuple[Report, OpenSnapshot]:
        catalog = catalog_for(config_file, uri)
        with open_tables(common, config_file, uri, snapshot_id, check_hashes=not has_no_hashes) as tables:
            location = locate_output(common, config_file, uri)
            baseline = _baseline(location, tables.snapshot, against, check_hashes=not has_no_hashes)
            rules = evaluation_of(tables.snapshot, optional_config(config_file, uri), owner_tags)
            made = make_report(tables.snapshot, catalog, against=baseline, findings=folders, evaluation=rules)
            return made, tables.snapshot

    if not is_stream(target):
        check_free([target], may_replace=True)
    page, snapshot = interruptible(work)
    for sentence in page.warnings:
        warn(common, sentence)
    save_text(target, "html", lambda emit: emit(page.html))
    if is_stdout(target):
        return
    common.exit_state.code = 0
    if as_json:
        print_json(_value(page, snapshot, target))
    elif not common.is_quiet:
        _print_written(page, snapshot, target)


def _baseline(
    location: OutputLocation, snapshot: OpenSnapshot, against: str, *, check_hashes: bool
) -> OpenSnapshot | None:
    """Return the snapshot to compare with: the named one, the previous one (complete or not), or None."""
    from crawler.audit.database import open_snapshot
    from crawler.snapshot import snapshot_ids

    if against == PREVIOUS:
        against = next((found for found in snapshot_ids(location) if found < snapshot.manifest.snapshot_id), NOTHING)
    return None if against == NOTHING else open_snapshot(location, against, check_hashes=check_hashes)


def _value(page: Report, snapshot: OpenSnapshot, target: Path) -> dict[str, object]:
    """Return the file, its evidence and the findings with rows, as JSON values."""
    manifest = snapshot.manifest
    return {
        "path": str(target),
        "bytes": len(page.html.encode("utf-8", "backslashreplace")),
        "snapshot_id": manifest.snapshot_id,
        "status": manifest.status,
        "manifest_sha256": page.manifest_sha256,
        "verified": snapshot.is_hashed,
        "findings": [
            {
                "finding": outcome.finding.name,
                "severity": outcome.finding.severity,
                "coverage": outcome.coverage.value,
                "total": outcome.total,
            }
            for outcome in page.outcomes
            if outcome.total or outcome.coverage.value != "complete"
        ],
    }


def _print_written(page: Report, snapshot: OpenSnapshot, target: Path) -> None:
    from crawler.cli.render import console, safe, size_text

    out, manifest = console(), snapshot.manifest
    size = size_text(len(page.html.encode("utf-8", "backslashreplace")))
    out.print(safe(f"{target} · {size} · snapshot {manifest.snapshot_id}, {manifest.status}"), soft_wrap=True)
    out.print(safe(f"findings: {findings_text(page.outcomes)}"), soft_wrap=True)
    out.print(safe(f"manifest SHA-256 {page.manifest_sha256}"), soft_wrap=True)
    checked = "checked against the manifest" if snapshot.is_hashed else "not checked (--no-verify)"
    out.print(safe(f"data {checked}"), soft_wrap=True)


def findings_text(outcomes: Sequence[FindingResult]) -> str:
    """Return the number of findings by severity, and of those with unknown or partial results."""
    from crawler.audit.findings import SEVERITIES, Coverage

    counted = Counter(outcome.finding.severity for outcome in outcomes if outcome.total)
    parts = [f"{counted[severity]} {severity}" for severity in SEVERITIES if counted[severity]] or ["none"]
    unsure = sum(outcome.coverage is not Coverage.COMPLETE for outcome in outcomes)
    return ", ".join(parts) + (f"; {unsure} unknown or partial" if unsure else "")
