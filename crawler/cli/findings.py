"""`findings`: print the findings of a snapshot as text or as data, for tickets, pipelines and SIEMs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import warn, warn_of_escaped_cells
from crawler.cli.inputs import catalog_for, locate_output, open_tables, optional_config
from crawler.cli.options import (
    CommandError,
    CommonOptions,
    LocalPath,
    common_options,
    config_option,
    findings_folder_option,
    no_verify_option,
    owner_tag_option,
    raw_option,
    snapshot_option,
    uri_option,
)
from crawler.cli.signals import interruptible
from crawler.cli.targets import STDOUT, declare_target, is_stdout, is_stream, save_text
from crawler.errors import OutputError

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.export.files import WriteText
    from crawler.audit.findings import Evaluation, Finding, FindingOutcome, OutcomeCounts
    from crawler.audit.findings.files import Severity
    from crawler.catalog.model import Catalog
    from crawler.config import Config

_MAX_ROWS = 10


@click.command()
@snapshot_option
@click.option(
    "--severity",
    default="info",
    type=click.Choice(["high", "medium", "low", "info"]),
    help="Findings of this severity and of higher ones. Default: all.",
)
@click.option("--finding", "patterns", multiple=True, metavar="PATTERN", help="Name of a finding or glob; repeatable.")
@click.option("--against", default="", metavar="SNAPSHOT", help="Only rows that this other snapshot doesn't have.")
@findings_folder_option
@owner_tag_option
@click.option(
    "--format",
    "style",
    default="table",
    show_default=True,
    type=click.Choice(["table", "json", "csv", "ocsf"]),
    help="table is for people and shows the first rows; the others have all. ocsf: OCSF events as JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--to", "path", type=LocalPath(), metavar="FILE", help="Write to this file; - and default: stdout.")
@click.option(
    "--max-rows",
    default=_MAX_ROWS,
    show_default=True,
    type=click.IntRange(0),
    help="table: maximum number of rows per finding; 0: all.",
)
@click.option(
    "--exit-code", "has_exit_code", is_flag=True, help="Exit with 1 if a row is open, 3 if data for it is missing."
)
@raw_option
@no_verify_option
@config_option
@uri_option
@common_options
@click.pass_obj
def findings(
    common: CommonOptions,
    /,
    snapshot_id: str,
    severity: Severity,
    patterns: tuple[str, ...],
    against: str,
    folders: tuple[Path, ...],
    owner_tags: tuple[str, ...],
    style: str,
    as_json: bool,
    path: Path | None,
    max_rows: int,
    has_exit_code: bool,
    is_raw: bool,
    has_no_hashes: bool,
    config_file: Path | None,
    uri: str | None,
) -> int:
    """Print the findings of a snapshot.

    Each row has an ID that stays the same in later snapshots, the resource, its account and region, and its owner by
    tags. Rows of [[accepted_findings]] in the configuration are listed as accepted, with reason and last day. A finding
    whose data is missing is unknown or partly unknown, never without rows.

    Exit codes: 0 printed; with --exit-code 0 no open row, 1 an open row, 3 no open row, but data is missing that the
    crawl asked for, or that a finding named by --finding needs; 2 wrong usage, an unknown snapshot or an invalid
    finding; 4 the snapshot can't be read, or the file or stdout can't be written; 129, 130 and 143 stopped by a signal;
    141 the reader of stdout has closed it.
    """
    common.exit_state.one_is_an_answer = True
    style = "json" if as_json else style
    _check_options(style, path, is_raw=is_raw)
    declare_target(path, style)

    def work() -> OutcomeCounts:
        from crawler.audit.findings import choose_findings, load_findings

        config, known = optional_config(config_file, uri), load_findings(folders)
        chosen = choose_findings(known, severity, patterns)
        with open_tables(common, config_file, uri, snapshot_id, check_hashes=not has_no_hashes) as tables:
            other = _other(common, config_file, uri, against, check_hashes=not has_no_hashes)
            rules = replace(evaluation_of(tables.snapshot, config, owner_tags), max_rows=None)
            run = _Run(common, tables.snapshot, other, catalog_for(config_file, uri), known, chosen, rules)
            run.write(style, path or STDOUT, max_rows, is_raw=is_raw)
            return run.counts

    try:
        counts = interruptible(work)
    except CommandError as error:  # the output can't be opened
        raise OutputError(str(error)) from None
    return counts.exit_code(names_findings=bool(patterns)) if has_exit_code else 0


class _Run:
    """One run of the command over a snapshot: evaluates, counts, and writes in one of the formats."""

    def __init__(
        self,
        common: CommonOptions,
        snapshot: OpenSnapshot,
        other: OpenSnapshot | None,
        catalog: Catalog,
        known: Sequence[Finding],
        chosen: Sequence[Finding],
        rules: Evaluation,
    ) -> None:
        from crawler.audit.findings import FindingsHead, OutcomeCounts

        self._common, self._snapshot, self._other, self._catalog = common, snapshot, other, catalog
        self._known, self._chosen, self._rules = known, chosen, rules
        self._head = FindingsHead.of(snapshot, other)
        self.counts = OutcomeCounts()

    def write(self, style: str, target: Path, max_rows: int, *, is_raw: bool) -> None:
        """Write the outcomes to stdout or a file, and the warnings to stderr."""
        from crawler.audit.findings import formats

        if style == "table":
            from crawler.cli.findings_text import print_outcomes

            print_outcomes(self._head, self._outcomes(), max_rows, self.counts)
        elif style == "csv":
            written = save_text(
                target,
                style,
                lambda emit: formats.write_findings_csv(self._head, self._outcomes(), emit, is_raw=is_raw),
            )
            warn_of_escaped_cells(self._common, "the result", written.guarded_cells)
        else:
            save_text(target, "json", lambda emit: self._write_json(style, emit))
        for sentence in self._warnings():
            warn(self._common, sentence)

    def _write_json(self, style: str, emit: WriteText) -> None:
        from crawler.audit.findings import formats

        if style == "ocsf":
            formats.write_findings_ocsf(self._head, self._outcomes(), emit)
        else:
            formats.write_findings_json(self._head, self._outcomes(), emit, self._warnings)

    def _outcomes(self) -> Iterator[FindingOutcome]:
        from crawler.audit.findings import Evaluation, iterate_findings, outcomes_of, row_ids

        earlier = None
        if self._other is not None:
            earlier = row_ids(iterate_findings(self._other, self._chosen, self._catalog, Evaluation(None, ())))
        results = iterate_findings(self._snapshot, self._chosen, self._catalog, self._rules)
        for outcome in outcomes_of(results, earlier):
            self.counts.add(outcome)
            yield outcome

    def _warnings(self) -> list[str]:
        acceptances, counts = self._rules.acceptances, self.counts
        if acceptances is None:
            return []
        return acceptances.warnings(counts.evaluated, counts.uncertain, [finding.name for finding in self._known])


def evaluation_of(snapshot: OpenSnapshot, config: Config | None, owner_tags: Sequence[str]) -> Evaluation:
    """Return how a command evaluates findings: by the configuration, if it has one, and the options."""
    from datetime import UTC

    from crawler.audit.findings import OWNER_TAGS, Acceptances, Evaluation

    tags = owner_tags or (OWNER_TAGS if config is None else config.report.owner_tags)
    entries = () if config is None else config.accepted_findings
    day = snapshot.manifest.started_at.astimezone(UTC).date()
    return Evaluation(owner_tags=tags, acceptances=Acceptances(entries, day) if entries else None)


def _check_options(style: str, path: Path | None, *, is_raw: bool) -> None:
    from crawler.audit.export.atomic_files import check_free

    if style == "table" and path is not None and not is_stdout(path):
        raise click.UsageError("--to needs --format json, csv or ocsf.")
    if is_raw and style != "csv":
        raise click.UsageError("--raw-csv needs --format csv.")
    if path is not None and not is_stream(path):
        check_free([path], may_replace=True)


def _other(
    common: CommonOptions, config_file: Path | None, uri: str | None, against: str, *, check_hashes: bool
) -> OpenSnapshot | None:
    from crawler.audit.database import open_snapshot

    if not against:
        return None
    return open_snapshot(locate_output(common, config_file, uri), against, check_hashes=check_hashes)
