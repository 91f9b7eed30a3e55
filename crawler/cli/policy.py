"""`policy`: print the RAM policy that a crawl needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.echo import print_json
from crawler.cli.inputs import load
from crawler.cli.options import common_options, config_file_option, only_json_option

if TYPE_CHECKING:
    from crawler.config import Config


@click.command()
@click.option("--table", "patterns", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@config_file_option("Configuration file that gives [crawl] tables, [catalog] extra and [organization]. Default: none.")
@only_json_option
@common_options
def policy(patterns: tuple[str, ...], config_file: Path | None) -> None:
    """Print the minimal RAM policy for a crawl.

    Attach the policy, which is JSON, to the user or role that crawls. The requests that identify accounts and regions
    need no permission. With [organization] in --config, the first statement is for each account and member role, and
    the others are for the account that lists the members.
    """
    from crawler.catalog import load_catalog
    from crawler.config import Config
    from crawler.config.resolve import resolve_config

    config = (load(config_file) if config_file else Config()).with_overrides(tables=patterns)
    resolved = resolve_config(config, load_catalog(config.catalog.extra))
    actions = resolved.catalog.ram_actions(resolved.tables, resolved.details)
    statements = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    print_json({"Version": "1", "Statement": statements + _organization_statements(config)})


def _organization_statements(config: Config) -> list[dict[str, Any]]:
    """Return the statements for the account that lists the members: it also assumes the role in each of them."""
    if config.organization is None:
        return []
    from crawler.run.resource_directory import RAM_ACTION

    role = f"acs:ram:*:*:role/{config.organization.role_name}"
    return [
        {"Effect": "Allow", "Action": [RAM_ACTION], "Resource": "*"},
        {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [role]},
    ]
