"""Options that name local files: each command reads `~` alike, also where no shell has replaced it."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from crawler.cli.main import whole_command
from crawler.cli.options import CommonOptions, LocalPath, output_uri
from crawler.config import Config
from crawler.config.load import output_folder
from crawler.errors import ConfigError
from tests.support.snapshot_fakes import NEW, write_snapshot


def commands(group, name=""):
    """All commands with their full names."""
    for command in group.commands.values():
        full = f"{name} {command.name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, full)
        else:
            yield full, command


COMMANDS = dict(commands(whole_command()))
PATHS = {"--config", "--to", "--findings", "--faults", "--write-config"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_names_a_file_or_an_output_knows_the_home_folder(name, home):
    """F77"""
    for option in COMMANDS[name].params:
        names = set(option.opts)
        if names & {*PATHS, "--output"}:
            assert str(option.type.convert("~/x", option, None)) == f"{home}/x", (name, option.opts)
            assert str(option.type.convert("-", option, None)) == "-"
        else:
            assert not isinstance(option.type, (click.Path, click.File)), (name, option.opts)
    assert not any(type(option.type) is click.Path for option in COMMANDS[name].params)


def test_output_of_the_command_line_is_that_of_the_file(home):
    """F77: for the commands that write, and for those that read."""
    assert Config().with_overrides(output="~/x").output.path == home / "x"
    assert output_folder("~/x") == home / "x"
    assert LocalPath().convert("~/x", None, None) == home / "x"
    for uri in ("s3://bucket/~/x", "file:///a/~", "a/~/x", "~no-such-user/x"):
        assert output_uri(uri) == uri


async def test_command_that_reads_finds_what_is_under_the_home_folder(home):
    """F77"""
    await write_snapshot(home / "snaps")
    done = CliRunner().invoke(whole_command(), ["snapshots", "list", "--json", "--output=~/snaps"], obj=CommonOptions())
    assert done.exit_code == 0
    assert NEW in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_the_same_short_name_in_all_commands(name):
    short = {"--config": "-c", "--output": "-o", "--verbose": "-v", "--quiet": "-q"}
    found = {long: option.opts for option in COMMANDS[name].params for long in option.opts if long in short}
    assert found.keys() >= {"--verbose", "--quiet"}
    assert all(short[long] in names for long, names in found.items())


# Texts for shells and people, a file, a server; `query` has --format.
WITHOUT_JSON = {"completion", "help", "config init", "emulate", "query"}


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - WITHOUT_JSON))
def test_every_command_with_a_form_for_programs_takes_json(name):
    assert any("--json" in option.opts for option in COMMANDS[name].params)


@pytest.mark.parametrize("name", COMMANDS)
def test_environment_names_the_store_of_every_command_but_the_demos(name):
    """A demo must not write into the snapshots of the cloud."""
    for option in COMMANDS[name].params:
        if "--output" in option.opts:
            assert option.envvar == (None if name == "demo" else "ACS_INVENTORY_OUTPUT")


async def test_option_names_the_store_before_the_environment_and_that_before_the_file(home, monkeypatch):
    for name in ("option", "environment", "file"):
        await write_snapshot(home / name, f"20261121T02000{len(name) % 10}Z-7f3a")
    monkeypatch.chdir(home)
    (home / "config.toml").write_text('[output]\nuri = "file"\n[[accounts]]\nid = "1000000000000001"\n')

    def listed(*arguments):
        done = CliRunner().invoke(whole_command(), ["snapshots", "list", "--json", *arguments], obj=CommonOptions())
        assert done.exit_code == 0, done.output
        return [entry["snapshot_id"] for entry in json.loads(done.output)]

    assert listed() == ["20261121T020004Z-7f3a"]
    assert listed("-c", "config.toml") == ["20261121T020004Z-7f3a"]
    monkeypatch.setenv("ACS_INVENTORY_OUTPUT", "environment")
    assert listed() == listed("-c", "config.toml") == ["20261121T020001Z-7f3a"]
    assert listed("-o", "option") == ["20261121T020006Z-7f3a"]
    (home / "config.toml").unlink()
    assert listed() == ["20261121T020001Z-7f3a"]


def test_verbose_logs_all():
    for arguments, level in ((["-v"], "debug"), (["--verbose"], "debug"), (["-q"], "error"), ([], "info")):
        common = CommonOptions(has_progress=False)
        assert CliRunner().invoke(whole_command(), ["tables", "fc_functions", *arguments], obj=common).exit_code == 0
        assert common.effective_level == level


@pytest.mark.parametrize("uri", ["file://~/x", "file://host/x", "s3:/bucket", "https://x/y"])
def test_uri_that_is_no_location_says_what_is_one(uri):
    with pytest.raises(
        ConfigError, match="it must be a path, file:///folder, s3://bucket/prefix or oss://bucket/prefix"
    ):
        output_folder(uri)
