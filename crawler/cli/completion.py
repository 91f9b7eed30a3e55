"""Completion for shells: `completion`, and the words that options and arguments take.

A shell waits for each word, so names are read from files without the catalog. Nothing is sent: a bucket's snapshots
aren't listed. Whatever fails, the shell gets no words, and no message in the middle of a command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crawler.cli.help_texts import commands_below
from crawler.cli.options import common_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ACS_INVENTORY_COMPLETE"
# Compiled where they are used: `--help` doesn't wait for them.
_TABLE_NAME = r'(?m)^\[table\]\n(?:.*\n)*?name = "(\w+)"'
_REGION = r'(?m)^"?([a-z]{2}-[a-z0-9-]+)"? = '
_NAMES = ("latest", "newest", "latest~1")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    bash: eval "$(acs-inventory completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc, after compinit.
    fish: acs-inventory completion fish > ~/.config/fish/completions/acs-inventory.fish.

    Completes commands, options, tables, regions, accounts of the configuration, and snapshots of a local output.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from crawler.cli.echo import print_line
    from crawler.cli.main import PROGRAM, whole_command

    kind = get_completion_class(shell)
    assert kind is not None
    # Not the class's own method, which starts the shell to ask for its version.
    print_line(ShellComplete.source(kind(whole_command(), {}, PROGRAM, VARIABLE)).rstrip())


class CompletedText(click.types.StringParamType):
    """A text whose words a shell completes."""

    def __init__(self, words: Callable[[Mapping[str, Any]], Iterable[CompletionItem]]) -> None:
        self._words = words

    def shell_complete(
        self,
        context: click.Context,
        parameter: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """See `click.ParamType.shell_complete`."""
        try:
            return [item for item in self._words(context.params) if str(item.value).startswith(incomplete)]
        except Exception:  # noqa: BLE001 - a message would garble the command line
            return []


def add_completion(root: click.Group) -> None:
    """Let each option and argument that takes a table, a region, an account or a snapshot complete it."""
    for _, command in commands_below(root):
        for parameter in command.params:
            words = _words_of(parameter)
            if words is not None and parameter.type is click.STRING:
                parameter.type = CompletedText(words)


def _words_of(parameter: click.Parameter) -> Callable[[Mapping[str, Any]], Iterable[CompletionItem]] | None:
    by_option = {"--table": _tables, "--region": _regions, "--account": _accounts, "--snapshot": _snapshots}
    by_option |= {"--against": _snapshots, "--finding": _findings}
    for name in parameter.opts:
        if name in by_option:
            return by_option[name]
    if isinstance(parameter, click.Argument):
        metavar = (parameter.metavar or parameter.name or "").strip("[]. ").lower()
        by_metavar = {"table": _tables, "snapshot": _snapshots, "a": _snapshots, "b": _snapshots, "finding": _findings}
        by_metavar["command"] = _commands
        return by_metavar.get(metavar)
    return None


def _items(words: Iterable[str], note: str = "") -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, help=note or None) for word in words]


def _schemas() -> Path:
    """The folder of the schema files, as `crawler.catalog.loader.schemas_folder` has it."""
    checkout = Path(__file__).parents[2] / "schemas"
    return checkout if checkout.is_dir() else Path(__file__).parents[1] / "schemas"


def table_names() -> list[str]:
    """Return the names of all tables of the built-in catalog, without loading it."""
    files = sorted(path for path in _schemas().glob("*/*/*.toml") if path.name != "product.toml")
    return sorted(found[1] for path in files if (found := re.search(_TABLE_NAME, path.read_text("utf-8"))))


def region_names() -> list[str]:
    """Return the IDs of all regions of the built-in catalog, without loading it."""
    texts = (path.read_text("utf-8") for path in _schemas().glob("*/*/product.toml"))
    return sorted({"global", *(name for text in texts for name in re.findall(_REGION, text))})


def _commands(params: Mapping[str, Any]) -> Iterable[CompletionItem]:
    """Yield the commands of the group that the words before name."""
    from crawler.cli.main import whole_command

    found: click.Command | None = whole_command()
    for name in params.get("names") or ():
        found = found.commands.get(name) if isinstance(found, click.Group) else None
    return _items(found.commands) if isinstance(found, click.Group) else []


def _tables(_: Mapping[str, Any]) -> Iterable[CompletionItem]:
    names = table_names()
    patterns = sorted({f"{name.partition('_')[0]}_*" for name in names})
    return [*_items(names), *_items(patterns, "all tables of the product")]


def _regions(_: Mapping[str, Any]) -> Iterable[CompletionItem]:
    return _items(region_names())


def _accounts(given: Mapping[str, Any]) -> Iterable[CompletionItem]:
    from click.shell_completion import CompletionItem

    accounts = [account for account in _configuration(given).get("accounts", ()) if isinstance(account, dict)]
    ids = [CompletionItem(str(account["id"]), help=account.get("name")) for account in accounts if "id" in account]
    names = [CompletionItem(str(account["name"]), help=account.get("id")) for account in accounts if "name" in account]
    return [*ids, *names]


def _snapshots(given: Mapping[str, Any]) -> Iterable[CompletionItem]:
    """Return the snapshots of a local output, newest first, and the names that stand for some of them."""
    uri = given.get("uri") or os.environ.get("ACS_INVENTORY_OUTPUT")
    uri = uri or _configuration(given).get("output", {}).get("uri", "./snapshots")
    folder = Path(str(uri).removeprefix("file://")).expanduser() / "_snapshots"
    ids = sorted((path.stem for path in folder.glob("*.json")), reverse=True)
    return [*_items(ids), *_items(_NAMES)]


def _findings(_: Mapping[str, Any]) -> Iterable[CompletionItem]:
    folder = Path(__file__).parents[1] / "audit" / "findings"
    return _items(sorted(path.stem for path in folder.glob("*.sql")))


def _configuration(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration as it is written: neither checked nor filled in."""
    import tomllib

    from crawler.config.discovery import find_config

    place = find_config(given.get("config_file"), os.environ, Path.cwd())
    return tomllib.loads(place.path.read_text("utf-8-sig"))
