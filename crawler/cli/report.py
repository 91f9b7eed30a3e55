"""`report`: write a snapshot as one HTML page, for people without access to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_json
from crawler.cli.inputs import catalog_for, locate_output, open_tables
from crawler.cli.options import (
    CommonOptions,
    LocalPath,
    common_options,
    config_option,
    json_option,
    snapshot_option,
    uri_option,
)
from crawler.cli.signals import interruptible
from crawler.cli.targets import declare_target, is_stdout, is_stream, open_text

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
@click.option(
    "--findings",
    "folders",
    multiple=True,
    type=LocalPath(),
    metavar="DIR",
    help="Folder with SQL files of additional findings; repeatable.",
)
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
        with open_tables(common, config_file, uri, snapshot_id) as tables:
            baseline = _baseline(locate_output(common, config_file, uri), tables.snapshot, against)
            return make_report(tables.snapshot, catalog, against=baseline, findings=folders), tables.snapshot

    if not is_stream(target):
        check_free([target], may_replace=True)
    page, snapshot = interruptible(work)
    _write(target, page.html)
    if is_stdout(target):
        return
    common.exit_state.code = 0
    if as_json:
        print_json(_value(page, snapshot, target))
    elif not common.is_quiet:
        _print_written(page, snapshot, target)


def _baseline(location: OutputLocation, snapshot: OpenSnapshot, against: str) -> OpenSnapshot | None:
    """Return the snapshot to compare with: the named one, the previous one (complete or not), or None."""
    from crawler.audit.database import open_snapshot
    from crawler.snapshot import snapshot_ids

    if against == PREVIOUS:
        against = next((found for found in snapshot_ids(location) if found < snapshot.manifest.snapshot_id), NOTHING)
    return None if against == NOTHING else open_snapshot(location, against)


def _write(target: Path, html: str) -> None:
    """Write the file atomically, readable by its owner only. Raises OutputError."""
    from crawler.audit.export.atomic_files import move_into_place, new_file, staging

    if is_stream(target):
        with open_text(target, "html") as emit:
            emit(html)
        return
    with staging(target.parent) as folder:
        staged = folder / target.name
        with new_file(staged) as file:
            file.write(html.encode("utf-8", "backslashreplace"))
        move_into_place([staged], target.parent)


def _value(page: Report, snapshot: OpenSnapshot, target: Path) -> dict[str, object]:
    """Return the file, its evidence and the findings with rows, as JSON values."""
    manifest = snapshot.manifest
    return {
        "path": str(target),
        "bytes": len(page.html.encode("utf-8", "backslashreplace")),
        "snapshot_id": manifest.snapshot_id,
        "status": manifest.status,
        "manifest_sha256": page.manifest_sha256,
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


def findings_text(outcomes: Sequence[FindingResult]) -> str:
    """Return the number of findings by severity, and of those with unknown or partial results."""
    from crawler.audit.findings import SEVERITIES, Coverage

    counted = Counter(outcome.finding.severity for outcome in outcomes if outcome.total)
    parts = [f"{counted[severity]} {severity}" for severity in SEVERITIES if counted[severity]] or ["none"]
    unsure = sum(outcome.coverage is not Coverage.COMPLETE for outcome in outcomes)
    return ", ".join(parts) + (f"; {unsure} unknown or partial" if unsure else "")
