"""`tables`, `plan`, `policy` and `doctor`: what could be crawled, what would be, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler.cli.app import EXIT_NOTHING, Output, output_options
from crawler.cli.crawling import config_option, json_option, load, run_async


def show_json(value: Any) -> None:
    """One JSON value on stdout."""
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


@click.command()
@click.argument("table", required=False)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Adds the tables of its [catalog] extra."
)
@json_option
@output_options
def tables(table: str | None, config_file: Path | None, as_json: bool) -> None:
    """The catalog: every table, or all about one TABLE: its operation, paging, parents, columns and types."""
    from crawler.catalog import load_catalog
    from crawler.cli import describe

    catalog = load_catalog(load(config_file).catalog.extra if config_file else ())
    chosen = catalog.select([table]) if table else tuple(catalog.operations)
    if as_json:
        entries = [describe.table_value(catalog, name) for name in chosen]
        show_json(entries[0] if table and len(entries) == 1 else entries)
    elif table and len(chosen) == 1:
        describe.print_table(catalog, chosen[0])
    else:
        describe.print_tables(catalog, chosen)


@click.command()
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Takes its [crawl] tables and [catalog] extra."
)
@output_options
def policy(patterns: tuple[str, ...], config_file: Path | None) -> None:
    """The least RAM policy that a crawl needs, as JSON: attach it to the user or role that crawls.

    Finding out who the accounts are and where the products are needs no permission.
    """
    from crawler.catalog import load_catalog
    from crawler.config import Config

    config = (load(config_file) if config_file else Config()).with_overrides(tables=patterns)
    catalog = load_catalog(config.catalog.extra)
    actions = catalog.ram_actions(catalog.select(config.crawl.tables, config.crawl.exclude))
    show_json({"Version": "1", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})


@click.command()
@config_option
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this configured account; repeatable.")
@click.option("--region", "regions", multiple=True, metavar="ID", help="Only this region; repeatable.")
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@json_option
@output_options
@click.pass_obj
def plan(
    output: Output,
    config_file: Path | None,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    patterns: tuple[str, ...],
    as_json: bool,
) -> None:
    """What a crawl would do: targets, tables, rate limits, and the least time that they allow.

    Asks only who the accounts are and where the products are.
    """
    from crawler.cli import planning

    config = load(config_file).with_overrides(accounts=accounts, regions=regions, tables=patterns)
    output.start_logging()
    value = run_async(lambda: planning.plan_value(config))
    if as_json:
        show_json(value)
    else:
        planning.print_plan(value)


@click.command()
@config_option
@json_option
@output_options
@click.pass_obj
def doctor(output: Output, config_file: Path | None, as_json: bool) -> int:
    """Check configuration, credentials, endpoints, clock, permissions and output; say what to fix.

    Exit codes: 0 all is well; 1 something isn't; 2 the configuration can't be read.
    """
    from crawler.cli import checking

    config = load(config_file)
    output.log_level = output.log_level or "error"
    output.start_logging()
    findings = run_async(lambda: checking.examine(config))
    if as_json:
        show_json([finding.value() for finding in findings])
    else:
        checking.print_findings(findings)
    return 0 if all(finding.is_well for finding in findings) else EXIT_NOTHING


COMMANDS = (plan, tables, policy, doctor)
