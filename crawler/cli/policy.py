"""`policy`: the RAM policy that a crawl needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.inputs import load
from crawler.cli.options import output_options
from crawler.cli.render import show_json

if TYPE_CHECKING:
    from crawler.config import Config


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
    from crawler.config.resolve import resolve_config

    config = (load(config_file) if config_file else Config()).with_overrides(tables=patterns)
    resolved = resolve_config(config, load_catalog(config.catalog.extra))
    actions = resolved.catalog.ram_actions(resolved.tables, resolved.details)
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
