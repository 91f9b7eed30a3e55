"""The `acs-inventory` command: registers all commands and turns each error into a message and an exit code."""

from __future__ import annotations

import atexit
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from crawler import __version__
from crawler.cli import process
from crawler.cli.completion import add_completion, completion
from crawler.cli.configuration import config
from crawler.cli.crawl import crawl
from crawler.cli.demo import demo
from crawler.cli.diff.command import diff
from crawler.cli.doctor import doctor
from crawler.cli.echo import fit_json, json_text, print_line, say_error, say_json, warn_of_lost_stdout
from crawler.cli.emulate import emulate
from crawler.cli.exit_state import Interrupted
from crawler.cli.export import export
from crawler.cli.findings import findings
from crawler.cli.help import show_help
from crawler.cli.help_texts import add_help_texts
from crawler.cli.options import LOG_FORMATS, CommonOptions, common_options
from crawler.cli.plan import plan
from crawler.cli.policy import policy
from crawler.cli.prune import prune
from crawler.cli.query import query
from crawler.cli.report import report
from crawler.cli.runs import commit, watch
from crawler.cli.scaffold import catalog
from crawler.cli.signals import ignore_stop_signals
from crawler.cli.snapshots import snapshots
from crawler.cli.streams import ResultLostError, TextStream, failure_text, prepare_streams, stdout_failure
from crawler.cli.tables.command import tables
from crawler.cli.verify import verify
from crawler.errors import ExitCode


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="acs-inventory", message="%(prog)s %(version)s")
@common_options
def app() -> None:
    """Inventory of Alibaba Cloud Function Compute, OpenSearch and RAM.

    A crawl reads every page of every List operation in many accounts and regions, and commits one Parquet snapshot
    that also lists what is missing.

    Start with `acs-inventory demo`, which needs no account.
    """


COMMANDS = (
    *(crawl, config, demo, plan, tables, catalog, policy, doctor, snapshots, query, export, diff, report, findings),
    *(emulate, completion, show_help),
)
SNAPSHOT_COMMANDS = (verify, prune, commit, watch)
PROGRAM = "acs-inventory"
# The commands whose --json prints the summary of a crawl.
_SUMMED = ("crawl", "demo", "commit")
_MOST_REASON = 8000
# Options that other programs have, and what does their work here.
ELSEWHERE = {
    "crawl --dry-run": "`acs-inventory plan` shows what a crawl would do.",
}
_NO_CHOICE = r"^'(.*?)' is not one of (.*)\.$"
NO_COMMAND = "No command is given; run acs-inventory --help."


def whole_command() -> click.Group:
    """Return the root command with all its commands."""
    for command in COMMANDS:
        app.add_command(command)
    for command in SNAPSHOT_COMMANDS:
        snapshots.add_command(command)
    add_help_texts(app)
    add_completion(app)
    return app


def main() -> NoReturn:
    """Run the command that this process's arguments name, and exit."""
    prepare_streams()
    process.end_with_parent()
    process.begin()
    common = CommonOptions(log_format=asked_log_format(sys.argv[1:]))
    if isinstance(sys.stderr, TextStream):
        sys.stderr.as_json = common.log_format == "json"
    common.summed_command = summed_command(sys.argv[1:])
    common.wants_json = bool(common.summed_command) and asks_for_json(sys.argv[1:])
    code = _end(common, _run(common))
    if common.exit_state.left_running:
        # Python would wait for the threads of a name lookup, or of a disk that doesn't answer.
        os._exit(code)
    atexit.register(ignore_stop_signals)
    sys.exit(code)


def asked_log_format(arguments: Sequence[str]) -> str:
    """Return the last `--log-format` of a command line, which may be one that can't be parsed."""
    found = "console"
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        name, _, value = argument.partition("=")
        if argument == "--log-format":
            value = "".join(arguments[place + 1 : place + 2])
        if name == "--log-format" and value in LOG_FORMATS:
            found = value
    return found


def summed_command(arguments: Sequence[str]) -> str:
    """Return the command with the summary of a crawl that a command line, which may be wrong, names; else ""."""
    return next((word for word in _options(arguments) if word in _SUMMED), "")


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line, which may be wrong, asks for JSON."""
    return "--json" in _options(arguments)


def _options(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _run(common: CommonOptions) -> int:
    """Run the command and return its code. An error becomes a message on stderr."""
    try:
        result = whole_command().main(prog_name=PROGRAM, standalone_mode=False, obj=common)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return _fail(common, KeyboardInterrupt())
    except click.ClickException as error:
        return _fail_usage(common, error)
    except ResultLostError as error:
        # A writer of Parquet keeps the error, and DuckDB would complain at the end of the objects in its frames.
        traceback.clear_frames(error.__traceback__)
        return ExitCode.OUTPUT
    except SystemExit as ended:  # click's: the end of a completion, or 1 for a pipe that broke inside the command
        return _fail(common, ended) if ended.code == 1 else 0
    except (Exception, KeyboardInterrupt, Interrupted) as error:  # noqa: BLE001 - users get a sentence, no traceback
        return _fail(common, error)
    return result if isinstance(result, int) else 0


def _end(common: CommonOptions, code: int) -> int:
    """Write what is buffered and return the exit code of the process."""
    is_result = isinstance(sys.stdout, TextStream) and sys.stdout.descriptor.is_result
    failure = stdout_failure()
    final = common.exit_state.final_code(code, failure, stdout_is_result=is_result)
    if failure is not None and not is_result:
        warn_of_lost_stdout(common)
    elif failure is not None and final == ExitCode.OUTPUT:
        _say(common, f"stdout can't be written: {failure_text(failure)}", final)
    if common.last_line is not None:
        say_json(common.last_line)
    if isinstance(sys.stderr, TextStream):
        sys.stderr.settle()
        if common.last_line is not None:
            sys.stderr.descriptor.close_for_good()
    return final


def _fail(common: CommonOptions, error: BaseException) -> int:
    code = common.exit_state.code_of(error)
    _say(common, common.exit_state.sentence_of(error), code)
    return code


def _print_error(common: CommonOptions, value: dict[str, object]) -> None:
    """Print the end of a crawl without a result to stdout, if the user asked for the result as JSON."""
    if common.wants_json:
        common.wants_json = False
        with suppress(ResultLostError):
            print_line(fit_json(json_text(value), sys.stdout))


def _fail_usage(common: CommonOptions, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if common.log_format == "json":
            _say(common, NO_COMMAND, ExitCode.USAGE)
        else:
            error.show(file=sys.stderr)
        return ExitCode.USAGE
    _say(common, usage_sentence(error), ExitCode.USAGE)
    return ExitCode.USAGE


def usage_sentence(error: click.ClickException) -> str:
    """Return what is wrong with a command line, with the nearest choice or the command that does what was meant."""
    parts = [error.format_message()]
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.BadParameter) and (found := re.search(_NO_CHOICE, error.message)):
        import difflib

        near = difflib.get_close_matches(found[1], re.findall(r"'([^']*)'", found[2]), n=1)
        parts += [f"Did you mean '{near[0]}'?"] if near else []
    if context is not None:
        option = error.option_name if isinstance(error, click.NoSuchOption) else ""
        parts.append(ELSEWHERE.get(f"{context.command.name} {option}") or f"See `{context.command_path} --help`.")
    return " ".join(parts)


def _say(common: CommonOptions, reason: str, exit_code: int) -> None:
    from crawler.text import escape_control

    reason = common.hide(reason)
    value = _error_value(common, reason, exit_code)
    if common.log_format != "json":
        say_error(escape_control(reason))
    elif common.last_line is None:
        command = {"command": common.summed_command} if common.summed_command else {}
        common.end_with({**command, "level": "error", **value})
    else:
        say_json({"event": "error", "level": "error", "message": reason})
    _print_error(common, value)


def _error_value(common: CommonOptions, reason: str, exit_code: int) -> dict[str, object]:
    """Return the end of a command with an error as JSON values. The sentence has a bound, as the summary has."""
    value: dict[str, object] = {"exit_code": exit_code, "error": reason[:_MOST_REASON]}
    committed = common.exit_state.snapshot_ids
    if common.exit_state.is_crawl or common.summed_command:
        value |= {"status": "unknown" if committed else "none", "snapshot_id": committed[-1] if committed else ""}
    return value
