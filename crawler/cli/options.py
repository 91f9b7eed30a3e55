"""What all commands share: their options for logs and progress, and the exit codes.

Importing this must stay cheap, since `--help` and a shell's completion wait for it: whatever is heavy is imported by
the function that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crawler.errors import CrawlError

if TYPE_CHECKING:
    pass

_Command = TypeVar("_Command", bound=Callable[..., Any])


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The configuration; else $ACS_INVENTORY_CONFIG, else ./config.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="The result on stdout as one JSON object.")
uri_option = click.option("--output", "uri", metavar="URI", help="Where snapshots are, in place of [output] uri.")


snapshot_option = click.option(
    "--snapshot",
    "snapshot_id",
    default="latest",
    metavar="ID",
    help="One of `snapshots list`, or newest; else the newest complete one.",
)
overwrite_option = click.option("--overwrite", "may_replace", is_flag=True, help="Replace what is there.")


raw_option = click.option(
    "--raw-csv", "is_raw", is_flag=True, help="csv: no apostrophe before texts that a spreadsheet would run."
)


class Interrupted(BaseException):
    """A signal ended the command. `advice`: a sentence on what to do next, where there is one."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number
        self.advice = ""


class CommandError(CrawlError):
    """A command that isn't a crawl has failed: exit code 1."""


@dataclass(slots=True)
class OutputOptions:
    """How a command speaks: the options that all of them have."""

    log_format: str = "console"
    log_level: str | None = None
    is_quiet: bool = False
    has_progress: bool = True

    @property
    def shows_progress(self) -> bool:
        """Whether a live display belongs on stderr."""
        return self.has_progress and not self.is_quiet and self.log_format == "console" and sys.stderr.isatty()

    def start_logging(self) -> None:
        """Set up logging for the process; a live display leaves the lines to it that only say that all goes well."""
        from crawler.telemetry import logs as log

        level = self.log_level or ("error" if self.is_quiet else "warning" if self.shows_progress else "info")
        log.configure(self.log_format, level)


def output_options(command: _Command) -> _Command:
    """Give a command the options for logs and progress; they land in the context's `OutputOptions`."""

    def store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        output = context.ensure_object(OutputOptions)
        if value is not None and parameter.name is not None:
            setattr(output, parameter.name, value)

    options = [
        click.option(
            "--log-format",
            type=click.Choice(["console", "json"]),
            expose_value=False,
            callback=store,
            help="Log lines for people or for programs; json ends with one summary line.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            expose_value=False,
            callback=store,
            help="Least important lines to log.",
        ),
        click.option(
            "--quiet",
            "is_quiet",
            flag_value=True,
            default=None,
            expose_value=False,
            callback=store,
            help="Nothing but errors.",
        ),
        click.option(
            "--no-progress",
            "has_progress",
            flag_value=False,
            default=None,
            expose_value=False,
            callback=store,
            help="No live display.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
