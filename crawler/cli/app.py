"""The `acs-inventory` command: its options for all commands, and what every error becomes.

Importing this must stay cheap, since `--help` and a shell's completion wait for it: whatever is heavy is imported by
the function that needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import click

from crawler import __version__
from crawler.errors import (
    CatalogError,
    ConfigError,
    CrawlError,
    CredentialsError,
    OutputBusyError,
    OutputError,
    bare,
)

EXIT_NOTHING, EXIT_USAGE, EXIT_OUTPUT, EXIT_BUSY, EXIT_CREDENTIALS = 1, 2, 4, 11, 12

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Interrupted(BaseException):
    """A signal ended the command."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class CommandError(CrawlError):
    """A command that isn't a crawl has failed: exit code 1."""


@dataclass(slots=True)
class Output:
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
        from crawler import log

        level = self.log_level or ("error" if self.is_quiet else "warning" if self.shows_progress else "info")
        log.configure(self.log_format, level)


def output_options(command: _Command) -> _Command:
    """Give a command the options for logs and progress; they land in the context's `Output`."""

    def store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        output = context.ensure_object(Output)
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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="acs-inventory", message="%(prog)s %(version)s")
@output_options
def app() -> None:
    """Inventory of Alibaba Cloud Function Compute (3.0 and 2.0) and OpenSearch.

    Walks every page of every List operation of many accounts and regions, and commits one Parquet snapshot that says
    what it has and what it hasn't. Start with `acs-inventory demo`: it needs no account.
    """


def main() -> NoReturn:
    """Run the command of this process's arguments, and exit."""
    from crawler.cli import crawling, emulating, inspecting, snapshots

    for module in (crawling, inspecting, snapshots, emulating):
        for command in module.COMMANDS:
            app.add_command(command)
    sys.exit(_run())


def _run() -> int:
    output = Output()
    try:
        result = app.main(prog_name="acs-inventory", standalone_mode=False, obj=output)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (Interrupted, click.Abort, KeyboardInterrupt) as stopped:
        code = stopped.exit_code if isinstance(stopped, Interrupted) else 130
        return _fail(output, "Stopped; nothing was committed.", code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOTHING
    except CrawlError as error:
        return _fail(output, str(error), exit_code_of(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, people get a sentence and no traceback
        return _fail(output, _unexpected(error), EXIT_NOTHING)
    return result if isinstance(result, int) else 0


def exit_code_of(error: CrawlError) -> int:
    """The exit code that interface users script against."""
    match error:
        case ConfigError() | CatalogError():
            return EXIT_USAGE
        case CredentialsError():
            return EXIT_CREDENTIALS
        case OutputBusyError():
            return EXIT_BUSY
        case OutputError():
            return EXIT_OUTPUT
        case _:
            return EXIT_NOTHING


def _unexpected(error: BaseException) -> str:
    """A sentence for a defect of ours: its kind and its place, not its text, which may hold anything."""
    place, trace = "", bare(error).__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if f"{os.sep}crawler{os.sep}" in code.co_filename:
            place = f" at {os.path.basename(code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119 - no file is touched
        trace = trace.tb_next
    return f"A defect in acs-inventory: {type(bare(error)).__name__}{place}. Nothing was committed. Please report it."


def _fail(output: Output, reason: str, exit_code: int) -> int:
    from crawler.log import printable

    if output.log_format == "json":
        import orjson

        line = {"event": "summary", "level": "error", "exit_code": exit_code, "error": reason}
        click.echo(orjson.dumps(line).decode(), err=True)
    else:
        click.echo(f"acs-inventory: {printable(reason)}", err=True)
    return exit_code
