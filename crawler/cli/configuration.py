"""`config init`, `config check` and `config schema`: make a configuration, and check it without a network."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import click

from crawler.cli.echo import print_json, print_line
from crawler.cli.inputs import load
from crawler.cli.options import (
    CommonOptions,
    LocalPath,
    common_options,
    config_option,
    json_option,
    only_json_option,
    overwrite_option,
    uri_option,
)
from crawler.cli.targets import declare_target, is_stream, open_text
from crawler.errors import ConfigError, ExitCode


@click.group("config")
def config() -> None:
    """Write an example configuration, check one, or print its schema."""


@config.command("init")
@click.option(
    "--to",
    "path",
    type=LocalPath(dir_okay=False),
    default=Path("config.toml"),
    show_default=True,
    metavar="FILE",
    help="File to write; - is stdout.",
)
@overwrite_option
@common_options
@click.pass_obj
def init(common: CommonOptions, path: Path, may_replace: bool) -> None:
    """Write an example configuration.

    The file has every key with its purpose and its default. Only this user can read it, so that it may hold secrets.
    The folder ~/.config/acs-inventory is made if it is missing.

    Exit codes: 0 written; 2 wrong usage, or the file exists; 4 the file can't be written.
    """
    from crawler.config.discovery import usual_places
    from crawler.config.example import example_text

    place = next((place for place in usual_places(_environ(), Path.cwd()) if place.path == Path.cwd() / path), None)
    if place is not None and place.kind == "user":
        _make_folder(path.parent)
    _write(path, example_text(), "toml", may_replace=may_replace)
    if is_stream(path) or common.is_quiet:
        return
    option = f" --config {shlex.quote(str(path))}" if place is None else ""
    print_line(f"{path} is written. Next:")
    print_line("1. Put your account's ID and the source of its keys into [[accounts]].")
    if place is not None and place.is_shared:
        print_line(
            "   Set [output] uri: an absolute path or the URI of a bucket. The file serves every working folder."
        )
    print_line(f"2. acs-inventory config check{option}")
    print_line(f"3. acs-inventory doctor{option}")


@config.command("check")
@config_option
@uri_option
@json_option
@common_options
@click.pass_obj
def check(common: CommonOptions, config_file: Path | None, uri: str | None, as_json: bool) -> int:
    """Check the configuration without a network.

    Checks the keys and values, the tables and products that they name, the environment variables, the files and the
    extras. `doctor` also checks the network, the credentials and the output.

    Exit codes: 0 a crawl would take the configuration; 1 it would not; 2 wrong usage, or there is no configuration.
    """
    from crawler.config.discovery import find_config

    common.exit_state.one_is_an_answer = True
    found = _check(find_config(config_file, _environ(), Path.cwd()).path, config_file, uri)
    found.problems = [common.hide(problem) for problem in found.problems]
    if as_json:
        print_json(found.value())
    else:
        _print(found)
    return ExitCode.FAILURE if found.problems else 0


@config.command("schema")
@click.option(
    "--to", "path", type=LocalPath(dir_okay=False), metavar="FILE", help="File to write; - and default: stdout."
)
@overwrite_option
@only_json_option
@common_options
def schema(path: Path | None, may_replace: bool) -> None:
    """Print the JSON Schema of the configuration.

    An editor with TOML support checks and completes the file by the schema: write it to config.schema.json beside the
    configuration, whose first line names it.

    Exit codes: 0 done; 2 wrong usage, or the file exists; 4 the file or stdout can't be written.
    """
    from crawler.cli.echo import json_text
    from crawler.config.schema import config_schema

    _write(path, json_text(config_schema(), is_indented=True) + "\n", "json", may_replace=may_replace)


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


def _make_folder(folder: Path) -> None:
    """Make the folder of the user's configuration. Raises TargetError."""
    from crawler.audit.export.atomic_files import disk_errors

    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(path: Path | None, text: str, kind: str, *, may_replace: bool) -> None:
    """Write a text to stdout, a stream or a new file that only this user can read. Raises ConfigError, OutputError."""
    from crawler.audit.export.atomic_files import check_free, move_into_place, new_file, staging

    if path is None or is_stream(path):
        with open_text(path or Path("-"), kind) as emit:
            emit(text)
        return
    declare_target(path, kind)
    check_free([path], may_replace=may_replace)
    with staging(path.parent) as folder:
        with new_file(folder / path.name) as file:
            file.write(text.encode())
        move_into_place([folder / path.name], path.parent)


@dataclass(slots=True)
class _Checked:
    """The checked file, its problems, and what a crawl would take from it."""

    path: Path
    problems: list[str] = field(default_factory=list)
    accounts: int = 0
    tables: int = 0
    output: str = ""

    def value(self) -> dict[str, object]:
        """Return the result as JSON values."""
        return {
            "path": str(self.path),
            "is_valid": not self.problems,
            "problems": self.problems,
            "accounts": self.accounts,
            "tables": self.tables,
            "output": self.output,
        }


def _check(path: Path, config_file: Path | None, uri: str | None) -> _Checked:
    from crawler.cli.local_checks import configuration_checks
    from crawler.config.load import OpenSecretsError
    from crawler.config.resolve import resolve_config
    from crawler.run.system import System

    found = _Checked(path)
    try:
        config = load(config_file, uri)
    except OpenSecretsError as error:
        found.problems.append(str(error))
        config = error.config
    except ConfigError as error:
        found.problems.append(str(error))
        return found
    config = config.with_overrides(output=uri)
    found.problems += [check.seen for check in configuration_checks(config, System()) if not check.is_well]
    if not found.problems:
        found.tables = len(resolve_config(config).tables)
    found.accounts, found.output = len(config.accounts), config.output.uri
    return found


def _print(found: _Checked) -> None:
    from crawler.cli.render import console, counted, safe

    out = console()
    out.print(safe(str(found.path), "bold"), soft_wrap=True)
    for problem in found.problems:
        out.print(safe(f"✗ {problem}", "red"), soft_wrap=True)
    if not found.problems:
        tables, accounts = counted(found.tables, "table"), counted(found.accounts, "account")
        out.print(safe(f"✓ {accounts}, {tables}, into {found.output}", "green"), soft_wrap=True)
