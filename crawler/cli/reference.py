"""docs/reference.md: every command with its options and every key of the configuration, made from the code.

`python -m crawler.cli.reference` prints it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from crawler.cli.configuration import EXAMPLE, section_page
from crawler.cli.options import output_options

_HEAD = """# Commands and configuration

Made by `make docs` from the code and config.example.toml: don't edit it. What to do with them every night is in
[operations.md](operations.md), the tables are in [tables.md](tables.md), the keys of the configuration are
[below](#configuration).
"""
_EVERYWHERE = """## Options that all commands have

Logs and progress go to stderr, results to stdout.
"""


def page(command: click.Group) -> str:
    """The whole page, in Markdown. `command` has all its commands."""
    commands = [found for found in walk(command) if not isinstance(found[1], click.Group)]
    contents = "".join(f"- [`{path}`](#{_anchor(path)}): {_first_sentence(found)}\n" for path, found in commands)
    everywhere = _EVERYWHERE + "\n" + _table(_common())
    sections = (_section(path, found) for path, found in commands)
    return "\n".join([_HEAD, contents, everywhere, *sections, section_page(EXAMPLE.read_text("utf-8"))])


def walk(command: click.Command, path: str = "acs-inventory") -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, with what is typed for each; hidden ones are left out."""
    yield path, command
    for name, below in sorted(command.commands.items()) if isinstance(command, click.Group) else ():
        if not below.hidden:
            yield from walk(below, f"{path} {name}")


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    common = {option.name for option in _common()}
    own = [param for param in command.params if isinstance(param, click.Option) and param.name not in common]
    parts = [f"## {path}\n", f"    {usage}\n", *(f"{text}\n" for text in _paragraphs(command.help or ""))]
    return "\n".join(parts + ([_table(own)] if own else []))


def _table(options: list[click.Option]) -> str:
    rows = [f"| {_names(option)} | {_what(option)} |" for option in options]
    return "\n".join(["| option | |", "| --- | --- |", *rows]) + "\n"


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else f" {_value(option)}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _value(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return " or ".join(str(choice) for choice in option.type.choices)
    return option.make_metavar(click.Context(click.Command("")))


def _what(option: click.Option) -> str:
    has_default = option.show_default and not option.is_flag
    text = (option.help or "") + (f" Default: {option.default}." if has_default else "")
    return text.replace("|", r"\|").replace("\n", " ")


def _common() -> list[click.Option]:
    """The options that all commands have."""

    @click.command()
    @output_options
    def nothing() -> None:
        pass

    return [param for param in nothing.params if isinstance(param, click.Option)]


def _paragraphs(text: str) -> list[str]:
    """Each on one line, with what Markdown would take for its own made plain."""
    found = (" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))
    return [part.replace("<", r"\<").replace("*", r"\*") for part in found if part]


def _first_sentence(command: click.Command) -> str:
    return next(iter(_paragraphs(command.help or "")), "").split(". ")[0].rstrip(".")


def _anchor(path: str) -> str:
    return path.replace(" ", "-")


if __name__ == "__main__":
    from crawler.cli.main import whole_command

    sys.stdout.write(page(whole_command()))
