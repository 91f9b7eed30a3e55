"""The `acs-inventory` command: registers all commands and turns each error into a message and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from crawler import __version__
from crawler.cli import process
from crawler.cli.crawl import crawl
from crawler.cli.demo import demo
from crawler.cli.diff.command import diff
from crawler.cli.doctor import doctor
from crawler.cli.emulate import emulate
from crawler.cli.export import export
from crawler.cli.options import CommonOptions, Interrupted, common_options
from crawler.cli.plan import plan
from crawler.cli.policy import policy
from crawler.cli.prune import prune
from crawler.cli.query import query
from crawler.cli.report import report
from crawler.cli.snapshots import snapshots
from crawler.cli.tables.command import tables
from crawler.cli.verify import verify
from crawler.errors import CrawlError, ExitCode, describe_defect


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="acs-inventory", message="%(prog)s %(version)s")
@common_options
def app() -> None:
    """Inventory of Alibaba Cloud Function Compute (3.0 and 2.0) and OpenSearch.

    A crawl reads every page of every List operation in many accounts and regions, and commits one Parquet snapshot
    that also lists what is missing.

    Start with `acs-inventory demo`, which needs no account.
    """


COMMANDS = (crawl, demo, plan, tables, policy, doctor, snapshots, query, export, diff, report, emulate)
SNAPSHOT_COMMANDS = (verify, prune)


def whole_command() -> click.Group:
    """Return the root command with all its commands."""
    for command in COMMANDS:
        app.add_command(command)
    for command in SNAPSHOT_COMMANDS:
        snapshots.add_command(command)
    return app


def main() -> NoReturn:
    """Run the command that this process's arguments name, and exit."""
    process.begin()
    whole_command()
    sys.exit(_run())


def _run() -> int:
    common = CommonOptions()
    try:
        result = app.main(prog_name="acs-inventory", standalone_mode=False, obj=common)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except Interrupted as stopped:
        return _fail(common, f"Stopped; nothing was committed. {stopped.advice}".strip(), stopped.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail(common, "Stopped; nothing was committed.", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except CrawlError as error:
        return _fail(common, str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - users get a sentence, not a traceback
        return _fail(common, f"{describe_defect(error)} Please report it.", ExitCode.FAILURE)
    return result if isinstance(result, int) else 0


def _fail(common: CommonOptions, reason: str, exit_code: int) -> int:
    from crawler.text import escape_control

    reason = common.hide(reason)
    if common.log_format == "json":
        import orjson

        line = {"event": "summary", "level": "error", "exit_code": exit_code, "error": reason}
        click.echo(orjson.dumps(line).decode(), err=True)
    else:
        click.echo(f"acs-inventory: {escape_control(reason)}", err=True)
    return exit_code
