"""`tables`: list the catalog's tables, describe them for people, SQL engines or dbt, or compare them with the SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_json, warn
from crawler.cli.inputs import load
from crawler.cli.options import (
    CommonOptions,
    LocalPath,
    common_options,
    config_file_option,
    json_option,
    output_option,
)
from crawler.cli.tables.scripts import DIALECT_NAMES, ScriptOptions, write_script
from crawler.errors import ExitCode

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule


@click.command()
@click.argument("patterns", nargs=-1, metavar="[TABLE]...")
@config_file_option("Configuration file whose [catalog] extra adds tables. Default: none.")
@click.option("--check-sdk", is_flag=True, help="Compare all tables with the installed SDK packages.")
@click.option(
    "--ddl",
    "dialect",
    type=click.Choice(DIALECT_NAMES),
    metavar="DIALECT",
    help="Print SQL that makes the tables known to an engine: external tables, and views of one snapshot. DIALECT is "
    f"{', '.join(DIALECT_NAMES[:-1])} or {DIALECT_NAMES[-1]}.",
)
@click.option("--dbt", "is_dbt", is_flag=True, help="Print a dbt sources.yml with descriptions and tests of the keys.")
@click.option(
    "--location",
    metavar="URI",
    help="The output as the engine reaches it, for --ddl. Default: that of --output or of the configuration.",
)
@click.option(
    "--schema", metavar="NAME", help="Schema of the tables. Default: acs_inventory; none for duckdb and maxcompute."
)
@click.option(
    "--snapshot",
    "snapshot_id",
    metavar="SNAPSHOT",
    help="Tables of this snapshot only, with views X_latest of it, for --ddl: an ID, latest, newest, or a UTC date.",
)
@click.option("--to", "path", type=LocalPath(), metavar="FILE", help="File to write. Default: stdout.")
@output_option("Location of the snapshots, for --ddl. Default: $ACS_INVENTORY_OUTPUT, else that of the configuration.")
@json_option
@common_options
@click.pass_obj
def tables(
    common: CommonOptions,
    /,
    patterns: tuple[str, ...],
    config_file: Path | None,
    check_sdk: bool,
    dialect: str | None,
    is_dbt: bool,
    location: str | None,
    schema: str | None,
    snapshot_id: str | None,
    path: Path | None,
    uri: str | None,
    as_json: bool,
) -> int | None:
    """List all tables, or describe one.

    With one TABLE: its operation, paging, parents, columns and types. With several: a list of them. TABLE may be a
    pattern such as 'fc_*', which also matches opt-in tables. A crawl needs their exact names.

    --ddl and --dbt describe the tables to other programs: all of them, or each TABLE. With --snapshot
    latest, run the SQL again after each crawl.

    Exit codes: 0 done; 1 --check-sdk found a difference that no [differences] explains; 2 wrong usage, unknown table,
    unknown snapshot, or no SDK package that is installed; 4 the file or stdout can't be written.
    """
    from crawler.catalog import load_catalog
    from crawler.config import Config
    from crawler.config.resolve import limit_rules

    common.exit_state.one_is_an_answer = check_sdk
    if check_sdk and patterns:
        raise click.UsageError("--check-sdk compares all tables; give no TABLE.")
    script = ScriptOptions(dialect, is_dbt, location, schema, snapshot_id, path, uri, config_file)
    script.check()
    if (dialect or is_dbt) and (check_sdk or as_json):
        raise click.UsageError("--ddl and --dbt print SQL and YAML; give no --json and no --check-sdk.")
    # A snapshot of the configuration's output may have the configuration's own tables.
    needs_config = config_file is not None or (snapshot_id is not None and uri is None)
    config = load(config_file) if needs_config else Config()
    catalog = load_catalog(config.catalog.extra)
    for warning in catalog.warnings:
        warn(common, warning)
    if check_sdk:
        return _check_sdk(common, catalog, as_json=as_json)
    if dialect or is_dbt:
        write_script(common, catalog, patterns, script)
        return None
    _show_tables(catalog, patterns, limit_rules(config, catalog), as_json=as_json)
    return None


def _show_tables(catalog: Catalog, patterns: Sequence[str], rules: Mapping[str, LimitRule], *, as_json: bool) -> None:
    from crawler.cli.tables import text
    from crawler.cli.tables.describe import table_value

    chosen = catalog.matching(*patterns) if patterns else tuple(catalog.operations)
    if as_json:
        values = [table_value(catalog, name, rules) for name in chosen]
        print_json(values[0] if tuple(patterns) == chosen and len(chosen) == 1 else values)
    elif patterns and len(chosen) == 1:
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
