"""`tables`: list the catalog's tables, describe one, or compare them with the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_json, warn
from crawler.cli.inputs import load
from crawler.cli.options import CommonOptions, common_options, config_file_option, json_option
from crawler.errors import ExitCode

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule


@click.command()
@click.argument("table", required=False)
@config_file_option("Configuration file whose [catalog] extra adds tables. Default: none.")
@click.option("--check-sdk", is_flag=True, help="Compare all tables with the installed SDK packages.")
@json_option
@common_options
@click.pass_obj
def tables(
    common: CommonOptions, table: str | None, config_file: Path | None, check_sdk: bool, as_json: bool
) -> int | None:
    """List all tables, or describe one.

    With TABLE: its operation, paging, parents, columns and types. TABLE may be a pattern such as 'fc_*', which also
    matches opt-in tables. A crawl needs their exact names.

    Exit codes: 0 done; 1 --check-sdk found a difference that no [differences] explains; 2 wrong usage, unknown table,
    or no SDK package that is installed.
    """
    from crawler.catalog import load_catalog
    from crawler.config import Config
    from crawler.config.resolve import limit_rules

    common.exit_state.one_is_an_answer = check_sdk
    if check_sdk and table:
        raise click.UsageError("--check-sdk compares all tables; give no TABLE.")
    config = load(config_file) if config_file else Config()
    catalog = load_catalog(config.catalog.extra)
    for warning in catalog.warnings:
        warn(common, warning)
    if check_sdk:
        return _check_sdk(common, catalog, as_json=as_json)
    _show_tables(catalog, table, limit_rules(config, catalog), as_json=as_json)
    return None


def _show_tables(catalog: Catalog, pattern: str | None, rules: Mapping[str, LimitRule], *, as_json: bool) -> None:
    from crawler.cli.tables import text
    from crawler.cli.tables.describe import table_value

    chosen = catalog.matching(pattern) if pattern else tuple(catalog.operations)
    if as_json:
        values = [table_value(catalog, name, rules) for name in chosen]
        print_json(values[0] if pattern in catalog.operations else values)
    elif pattern and len(chosen) == 1:
        text.print_table(catalog, chosen[0], rules)
    else:
        text.print_tables(catalog, chosen, rules)


def _check_sdk(common: CommonOptions, catalog: Catalog, *, as_json: bool) -> int:
    from dataclasses import asdict

    from crawler.catalog.sdk.check import check
    from crawler.cli.tables.text import print_check

    found = check(catalog)
    for sentence in found.missing:
        warn(common, f"not compared: {sentence}")
    if as_json:
        differences = [asdict(difference) for difference in found.differences]
        print_json({"packages": found.versions, "findings": differences, "missing": found.missing})
    else:
        compared = {product.key for product in catalog.products.values() if product.sdk in found.versions}
        number = sum(1 for operation in catalog.operations.values() if operation.product in compared)
        print_check(found.versions, found.differences, number)
    return ExitCode.FAILURE if found.differences else 0
