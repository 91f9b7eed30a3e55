"""`tables`, `plan`, `policy` and `doctor`: what could be crawled, what would be, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.crawl import config_option, json_option, load, run_async
from crawler.cli.options import EXIT_NOTHING, Output, output_options

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule
    from crawler.config import Config
    from crawler.config.load import OpenSecretsError


def show_json(value: Any) -> None:
    """One JSON value on stdout."""
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


@click.command()
@click.argument("table", required=False)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Adds the tables of its [catalog] extra."
)
@click.option("--check-sdk", is_flag=True, help="Compare all tables with the official SDK packages (the dev extra).")
@click.option("--markdown", "as_markdown", is_flag=True, help="All tables as one page of Markdown: docs/tables.md.")
@json_option
@output_options
def tables(
    table: str | None, config_file: Path | None, check_sdk: bool, as_markdown: bool, as_json: bool
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


@click.command()
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Takes its [crawl] tables and [catalog] extra."
)
@output_options
def policy(patterns: tuple[str, ...], config_file: Path | None) -> None:
    """The least RAM policy that a crawl needs, as JSON: attach it to the user or role that crawls.

    Finding out who the accounts are and where the products are needs no permission. With [organization] in --config
    the first statement is for each account and member role, and the others are for who asks for the members.
    """
    from crawler.catalog import load_catalog
    from crawler.config import Config

    config = (load(config_file) if config_file else Config()).with_overrides(tables=patterns)
    catalog = load_catalog(config.catalog.extra)
    tables = catalog.select(config.crawl.tables, config.crawl.exclude)
    actions = catalog.ram_actions(tables, catalog.select_details(config.crawl.details, tables))
    statements = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    show_json({"Version": "1", "Statement": statements + _organization_statements(config)})


def _organization_statements(config: Config) -> list[dict[str, Any]]:
    """What the account that asks for the members needs besides: to list them, and to assume the role in each."""
    if config.organization is None:
        return []
    from crawler.run.resource_directory import RAM_ACTION

    role = f"acs:ram:*:*:role/{config.organization.role_name}"
    return [
        {"Effect": "Allow", "Action": [RAM_ACTION], "Resource": "*"},
        {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [role]},
    ]


@click.command()
@config_option
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account; repeatable.")
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

    Tells the requests of each account and region: those that are sure, and what they come to by the counts of the last
    snapshot in [output]. Asks only who the accounts and the organization's members are and where the products are.
    """
    from crawler.cli import plan as planning
    from crawler.run.run import open_catalog

    config = load(config_file).with_overrides(accounts=accounts, regions=regions, tables=patterns)
    output.start_logging()
    catalog = open_catalog(config)
    value = run_async(lambda: planning.plan_value(config, catalog))
    if as_json:
        show_json(value)
    else:
        planning.print_plan(value, catalog)


@click.command()
@config_option
@json_option
@output_options
@click.pass_obj
def doctor(output: Output, config_file: Path | None, as_json: bool) -> int:
    """Check configuration, credentials, endpoints, clock, permissions and output; say what to fix.

    Exit codes: 0 all is well; 1 something isn't; 2 the configuration can't be read.
    """
    from crawler.cli import doctor as checking

    config, opened = _load_open(config_file)
    output.log_level = output.log_level or "error"
    output.start_logging()
    findings = run_async(lambda: checking.examine(config, opened=opened))
    if as_json:
        show_json([finding.value() for finding in findings])
    else:
        checking.print_findings(findings)
    return 0 if all(finding.is_well for finding in findings) else EXIT_NOTHING


def _load_open(config_file: Path | None) -> tuple[Config, OpenSecretsError | None]:
    """The configuration, and what a crawl would refuse it for: keys in clear that others may read."""
    from crawler.config.load import OpenSecretsError

    try:
        return load(config_file), None
    except OpenSecretsError as error:
        return error.config, error


COMMANDS = (plan, tables, policy, doctor)
