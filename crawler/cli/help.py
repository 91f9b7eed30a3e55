"""`help`: show the help of a command, as `--help` after it does."""

from __future__ import annotations

import click

from crawler.cli.echo import print_line
from crawler.cli.options import common_options


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@common_options
@click.pass_context
def show_help(context: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command.

    The same as --help after the command.
    """
    assert context.parent is not None
    found = context.parent
    for name in names:
        command = found.command
        if not isinstance(command, click.Group):
            raise click.UsageError(f"{found.command_path} has no commands.", found)
        _, below, _ = command.resolve_command(found, [name])
        assert below is not None
        found = click.Context(below, found, info_name=name)
    print_line(found.get_help())
