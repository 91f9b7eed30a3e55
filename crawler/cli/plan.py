"""`plan`: print what a crawl would do, without crawling."""

from __future__ import annotations

from pathlib import Path

import click

from crawler.cli.echo import print_json
from crawler.cli.inputs import load
from crawler.cli.options import CommonOptions, common_options, config_option, json_option, uri_option
from crawler.cli.signals import run_async


@click.command()
@config_option
@click.option("--account", "accounts", multiple=True, metavar="ID|NAME", help="Plan only this account; repeatable.")
@click.option("--region", "regions", multiple=True, metavar="ID", help="Only this region; repeatable.")
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@uri_option
@json_option
@common_options
@click.pass_obj
def plan(
    common: CommonOptions,
    config_file: Path | None,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    patterns: tuple[str, ...],
    uri: str | None,
    as_json: bool,
) -> None:
    """Show what a crawl would do.

    Prints targets, tables, rate limits, the requests of each account and region, and the least time that the rate
    limits allow. The requests are a minimum, and an estimate from the row counts of the last snapshot in [output].
    Sends only the requests that identify accounts, members of the organization, and regions.
    """
    from crawler.cli.plan_text import print_plan
    from crawler.cli.plan_values import plan_value
    from crawler.config.resolve import resolve_config
    from crawler.run.system import System

    config = load(config_file, uri).with_overrides(accounts=accounts, regions=regions, tables=patterns, output=uri)
    system = System()
    common.start_logging(system.secrets)
    resolved = resolve_config(config)
    value = common.hide(run_async(lambda: plan_value(resolved, system)))
    if as_json:
        print_json(value)
    else:
        print_plan(value, resolved.catalog)
