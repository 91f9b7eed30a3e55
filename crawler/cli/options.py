"""Options that commands share, and the exit codes.

`--help` and shell completion wait for this import, so it stays cheap: functions import expensive modules when needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.cli.exit_state import ExitState
from crawler.cli.terminal import COLOR_CHOICES, choose_color, is_colored, is_dumb
from crawler.errors import CrawlError
from crawler.local_files import expand_home

if TYPE_CHECKING:
    from crawler.secret_text import LiteralSecrets

_Command = TypeVar("_Command", bound=Callable[..., Any])

LOG_FORMATS = ("console", "json")


class LocalPath(click.Path):
    """A path of the command line. A leading `~` is a home folder also where no shell expands it: `--to=~/x`."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        return super().convert(expand_home(os.fspath(value), os.environ), parameter, context)


def output_uri(value: str) -> str:
    """Return the location of an output: a path as of `LocalPath`, or a URI."""
    return expand_home(value, os.environ)


def config_file_option(text: str) -> Callable[[_Command], _Command]:
    """Return the option that names the configuration, with its help text."""
    return click.option("-c", "--config", "config_file", type=LocalPath(), metavar="FILE", help=text)


def output_option(text: str) -> Callable[[_Command], _Command]:
    """Return the option that names the store of the snapshots, with its help text."""
    return click.option(
        "-o", "--output", "uri", type=output_uri, metavar="URI", envvar="ACS_INVENTORY_OUTPUT", help=text
    )


config_option = config_file_option(
    "Configuration file. Default: $ACS_INVENTORY_CONFIG, else ./config.toml, else "
    "~/.config/acs-inventory/config.toml, else /etc/acs-inventory/config.toml."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result to stdout as one JSON object.")
# Commands whose only form is JSON take the option, too, so that a script can give it to each command.
only_json_option = click.option("--json", expose_value=False, is_flag=True, help="No effect: the result is JSON.")
uri_option = output_option(
    "Location of the snapshots. Default: $ACS_INVENTORY_OUTPUT, else [output] uri of the configuration."
)
snapshot_option = click.option(
    "--snapshot",
    "snapshot_id",
    default="latest",
    metavar="SNAPSHOT",
    help="An ID or the beginning of one, latest~N, newest, or a UTC date. Default: latest, the newest complete one.",
)
seed_option = click.option(
    "--seed", default=0, show_default=True, help="Seed of the generated data; each seed gives a different cloud."
)
scale_option = click.option(
    "--scale",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Multiply the amount of generated data.",
)
no_verify_option = click.option(
    "--no-verify",
    "has_no_hashes",
    is_flag=True,
    help="Don't hash the snapshot's files before they are read: for those who have just run snapshots verify.",
)
verify_option = click.option(
    "--verify",
    "has_hashes",
    is_flag=True,
    help="Hash each file before it is read; without, its size and its number of rows are compared.",
)
overwrite_option = click.option("--overwrite", "may_replace", is_flag=True, help="Replace existing files.")
raw_option = click.option(
    "--raw-csv",
    "is_raw",
    is_flag=True,
    help="csv: don't escape cells that look like formulas.",
)


class CommandError(CrawlError):
    """Raised when a command that reads snapshots fails: exit code 1."""


@dataclass(slots=True)
class CommonOptions:
    """The values of the options that all commands have: logs and progress.

    `exit_state`: what the command has done. `secrets` are hidden in all output. `last_line` is the summary that ends
    the log; `summed_command` is the command with a crawl's summary, or ""; `wants_json`: its error is also printed to
    stdout as one JSON object.
    """

    log_format: str = "console"
    log_level: str | None = None
    is_quiet: bool = False
    has_progress: bool = True
    exit_state: ExitState = field(default_factory=ExitState)
    secrets: LiteralSecrets | None = None
    last_line: dict[str, Any] | None = None
    wants_json: bool = False
    summed_command: str = ""

    def end_with(self, summary: dict[str, Any]) -> None:
        """Make a summary the last line of a JSON log, which is written when the process ends."""
        from crawler.cli.echo import say_json

        if self.log_format != "json":
            return
        if self.last_line is not None:  # of the first of two crawls
            say_json(self.last_line)
        self.last_line = {"event": "summary", **summary}

    @property
    def shows_progress(self) -> bool:
        """Whether to show a live display on stderr."""
        is_wanted = self.has_progress and not self.is_quiet and self.log_format == "console"
        return is_wanted and sys.stderr.isatty() and not is_dumb()

    @property
    def effective_level(self) -> str:
        """The minimum log level. With a live display, the default is warning."""
        return self.log_level or ("error" if self.is_quiet else "warning" if self.shows_progress else "info")

    def start_logging(self, secrets: LiteralSecrets | None = None) -> None:
        """Set up logging for the process."""
        from crawler.telemetry import logs as log

        self.secrets = secrets
        log.configure(self.log_format, self.effective_level, secrets=secrets, has_colors=is_colored(sys.stderr))

    def hide(self, value: Any) -> Any:
        """Return a value of texts, lists and mappings without the secrets that this process sends."""
        return value if self.secrets is None else self.secrets.hide_all(value)


def common_options(command: _Command) -> _Command:
    """Add the options for logs and progress to a command; their values go to the context's `CommonOptions`."""

    def store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        common = context.ensure_object(CommonOptions)
        if value is not None and parameter.name is not None:
            setattr(common, parameter.name, value)

    options = [
        click.option(
            "--log-format",
            type=click.Choice(LOG_FORMATS),
            expose_value=False,
            callback=store,
            help="Log as text or as JSON lines; with json the last line is a summary.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            expose_value=False,
            callback=store,
            help="Minimum log level.",
        ),
        click.option(
            "-v",
            "--verbose",
            "log_level",
            flag_value="debug",
            default=None,
            expose_value=False,
            callback=store,
            help="Log all; the same as --log-level debug.",
        ),
        click.option(
            "-q",
            "--quiet",
            "is_quiet",
            flag_value=True,
            default=None,
            expose_value=False,
            callback=store,
            help="Print errors only.",
        ),
        click.option(
            "--no-progress",
            "has_progress",
            flag_value=False,
            default=None,
            expose_value=False,
            callback=store,
            help="Disable the live progress display.",
        ),
        click.option(
            "--color",
            type=click.Choice(COLOR_CHOICES),
            expose_value=False,
            callback=lambda _context, _parameter, value: choose_color(value) if value else None,
            help="Use colours: auto does on a terminal, unless NO_COLOR is set.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
