"""`tables`, `plan`, `policy` and `doctor`: what could be crawled, what would be, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.inputs import load
from crawler.cli.options import EXIT_NOTHING, OutputOptions, json_option, output_options
from crawler.cli.render import show_json, warn

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule


@click.command()
@click.argument("table", required=False)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Adds the tables of its [catalog] extra."
)
@click.option("--check-sdk", is_flag=True, help="Compare all tables with the official SDK packages (the dev extra).")
@click.option("--markdown", "as_markdown", is_flag=True, help="All tables as one page of Markdown: docs/tables.md.")
@json_option
@output_options
@click.pass_obj
def tables(
    output: OutputOptions,
    table: str | None,
    config_file: Path | None,
    check_sdk: bool,
    as_markdown: bool,
    as_json: bool,
) -> int | None:
    """The catalog: every table, or all about one TABLE: its operation, paging, parents, columns and types.

    TABLE may be a pattern as in 'fc_*': it shows the opt-in tables too, which a crawl takes by their exact names only.

    Exit codes: 0 done; 1 --check-sdk found a difference that no [differences] explains; 2 usage, an unknown table, or
    no SDK packages to compare with.
    """
    from crawler.catalog import load_catalog
    from crawler.config import Config
    from crawler.config.resolve import limit_rules

    if (check_sdk or as_markdown) and (table or (check_sdk and as_markdown) or (as_markdown and as_json)):
        raise click.UsageError("--check-sdk and --markdown are each about all tables: give no TABLE, and one of them.")
    config = load(config_file) if config_file else Config()
    catalog = load_catalog(config.catalog.extra)
    for warning in catalog.warnings:
        warn(output, warning)
    if check_sdk:
        return _check_sdk(catalog, as_json=as_json)
    rules = limit_rules(config, catalog)
    if as_markdown:
        from crawler.cli.markdown import page

        click.echo(page(catalog, rules), nl=False)
    else:
        _show_tables(catalog, table, rules, as_json=as_json)
    return None


def _show_tables(catalog: Catalog, pattern: str | None, rules: Mapping[str, LimitRule], *, as_json: bool) -> None:
    from crawler.cli.tables import describe
    from crawler.cli.tables import text as listing

    chosen = catalog.matching(pattern) if pattern else tuple(catalog.operations)
    if as_json:
        values = [describe.table_value(catalog, name, rules) for name in chosen]
        show_json(values[0] if pattern in catalog.operations else values)
    elif pattern and len(chosen) == 1:
        listing.print_table(catalog, chosen[0], rules)
    else:
        listing.print_tables(catalog, chosen, rules)


def _check_sdk(catalog: Catalog, *, as_json: bool) -> int:
    from dataclasses import asdict

    from crawler.catalog.sdk_check import check
    from crawler.cli.tables.text import print_check

    versions, findings = check(catalog)
    if as_json:
        show_json({"packages": versions, "findings": [asdict(finding) for finding in findings]})
    else:
        print_check(versions, findings, len(catalog.operations))
    return EXIT_NOTHING if findings else 0
