"""`report`: a snapshot as one HTML page, for those who weren't there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.inputs import load, opened_tables, place_of
from crawler.cli.options import OutputOptions, config_option, output_options, snapshot_option, uri_option

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.findings import Outcome
    from crawler.audit.report import Report
    from crawler.catalog.model import Catalog
    from crawler.snapshot import OutputLocation

PREVIOUS, NOTHING = "previous", "none"


@click.command()
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The page's file.")
@snapshot_option
@click.option(
    "--against",
    default=PREVIOUS,
    metavar="ID",
    help="Show what changed since this snapshot; else since the one before. `none`: compare with nothing.",
)
@click.option(
    "--findings",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="SQL files with findings of your own, besides the built-in ones; repeatable.",
)
@config_option
@uri_option
@output_options
@click.pass_obj
def report(
    output: OutputOptions,
    target: Path,
    snapshot_id: str,
    against: str,
    folders: tuple[Path, ...],
    config_file: Path | None,
    uri: str | None,
) -> None:
    """Write a snapshot as one HTML page: findings, what changed, what there is, what isn't known, and the evidence.

    The page asks nobody for anything, and works without a network. An older one of the same name is replaced.

    Exit codes: 0 written; 1 the snapshot can't be read; 2 usage, or a finding that can't be used; 4 the file can't be
    written; 130 and 143 stopped by a signal.
    """
    from crawler.audit.export.atomic_files import check_free
    from crawler.cli.signals import stoppable

    def work() -> tuple[Report, OpenSnapshot]:
        catalog = _catalog(config_file, uri)
        with opened_tables(output, config_file, uri, snapshot_id) as tables:
            other = _other(place_of(config_file, uri), tables.snapshot, against)
            return _made(tables.snapshot, other, folders, catalog), tables.snapshot

    check_free([target], may_replace=True)
    made, snapshot = stoppable(work)
    _write(target, made.html)
    if not output.is_quiet:
        _say(made, snapshot, target)


def _made(snapshot: OpenSnapshot, other: OpenSnapshot | None, folders: Sequence[Path], catalog: Catalog) -> Report:
    from crawler.audit.report import make_report

    return make_report(snapshot, catalog, against=other, findings=folders)


def _catalog(config_file: Path | None, uri: str | None) -> Catalog:
    """With the user's own tables, where there is a configuration that names them."""
    from crawler.catalog import load_catalog

    has_config = config_file is not None or uri is None
    return load_catalog(load(config_file).catalog.extra if has_config else ())


def _other(place: OutputLocation, snapshot: OpenSnapshot, against: str) -> OpenSnapshot | None:
    """The snapshot to compare with; the one before, complete or not, where none is named."""
    from crawler.audit.database import open_snapshot
    from crawler.snapshot import snapshot_ids

    if against == PREVIOUS:
        against = next((found for found in snapshot_ids(place) if found < snapshot.manifest.snapshot_id), NOTHING)
    return None if against == NOTHING else open_snapshot(place, against)


def _write(target: Path, html: str) -> None:
    """Put the file in place whole or not at all, readable by its owner only. Raises OutputError."""
    from crawler.audit.export.atomic_files import new_file, publish, staging

    with staging(target.parent) as folder:
        staged = folder / target.name
        with new_file(staged) as file:
            file.write(html.encode("utf-8", "backslashreplace"))
        publish([staged], target.parent)


def _say(made: Report, snapshot: OpenSnapshot, target: Path) -> None:
    from crawler.cli.render import console, safe, size_text

    out, manifest = console(), snapshot.manifest
    size = size_text(target.stat().st_size)
    out.print(safe(f"{target} · {size} · snapshot {manifest.snapshot_id}, {manifest.status}"), soft_wrap=True)
    out.print(safe(f"findings: {findings_text(made.outcomes)}"), soft_wrap=True)
    out.print(safe(f"manifest SHA-256 {made.manifest_sha256}"), soft_wrap=True)


def findings_text(outcomes: Sequence[Outcome]) -> str:
    """How many findings there are of each severity, and how many can't be answered whole."""
    from crawler.audit.findings import SEVERITIES, Coverage

    counted = Counter(outcome.finding.severity for outcome in outcomes if outcome.total)
    parts = [f"{counted[severity]} {severity}" for severity in SEVERITIES if counted[severity]] or ["none"]
    unsure = sum(outcome.knowledge is not Coverage.WHOLE for outcome in outcomes)
    return ", ".join(parts) + (f"; {unsure} not known, or only in part" if unsure else "")
