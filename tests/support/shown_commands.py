"""The commands that pages and files of deploy/ show: found in their text, and parsed without being run."""

from __future__ import annotations

import re
import shlex

import click

from crawler.cli.main import whole_command


def commands_in(text):
    """Every call of acs-inventory in code, as its arguments; shell variables and comments are left out."""
    code = (
        "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
        + "\n"
        + "\n".join(re.findall(r"`(acs-[^`]*)`", text))
    )
    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith(("docker", "install", "ln", "systemctl", "kubectl", "useradd")):
            continue
        for call in re.findall(r"(?:^|[;&|{(] ?|=|/)acs-inventory ((?:[a-z]|--)[^;&|>\"#)]*)", line):
            yield shlex.split(call)


def parse(arguments):
    """Resolve a command and its options as click would. Returns its name; raises UsageError if there is none."""
    return parse_options(arguments)[0]


def parse_options(arguments):
    """The name of a command, and what click parses: options and arguments by their names."""
    context, command, rest = click.Context(click.Command("")), whole_command(), list(arguments)
    while isinstance(command, click.Group):
        _, command, rest = command.resolve_command(context, rest)
        context = click.Context(command, info_name=command.name)
    values, left, _ = command.make_parser(context).parse_args(rest)
    if left:
        raise click.UsageError(f"unexpected arguments: {left}")
    return command.name, values
