"""`doctor`: check what a crawl needs, and print what to fix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_json
from crawler.cli.inputs import load
from crawler.cli.options import CommonOptions, common_options, config_option, json_option, uri_option
from crawler.cli.signals import run_async
from crawler.errors import ExitCode

if TYPE_CHECKING:
    from crawler.cli.doctor_check import DoctorCheck
    from crawler.config import Config
    from crawler.config.load import OpenSecretsError


@click.command()
@config_option
@uri_option
@click.option("--offline", "is_offline", is_flag=True, help="Check what needs no network, and send nothing.")
@json_option
@common_options
@click.pass_obj
def doctor(common: CommonOptions, config_file: Path | None, uri: str | None, is_offline: bool, as_json: bool) -> int:
    """Check configuration, access and output.

    Checks the configuration, extras, credentials, endpoints, clock, permissions, output and free space, and prints what
    to fix. With --offline, checks the configuration, extras, a local output, free space and notices.

    Lists that can be read share a line; --json has each of them.

    Exit codes: 0 no problems; 1 at least one problem; 2 the configuration can't be read.
    """
    from dataclasses import replace

    from crawler.cli.doctor_check import fold_lists
    from crawler.cli.doctor_checks import run_checks
    from crawler.run.system import System

    common.exit_state.one_is_an_answer = True
    config, problem = _load_open(config_file, uri)
    common.log_level = common.log_level or "error"
    system = System()
    common.start_logging(system.secrets)
    checks = run_async(lambda: run_checks(config, system, problem, is_offline=is_offline))
    checks = [replace(check, seen=common.hide(check.seen), remedy=common.hide(check.remedy)) for check in checks]
    if as_json:
        print_json([check.value() for check in checks])
    else:
        _print_checks(fold_lists(checks), is_offline=is_offline)
    return 0 if all(check.is_well for check in checks) else ExitCode.FAILURE


def _load_open(config_file: Path | None, uri: str | None) -> tuple[Config, OpenSecretsError | None]:
    """Load the configuration, even if a crawl would refuse it because others can read its plain-text keys."""
    from crawler.config.load import OpenSecretsError

    try:
        return load(config_file, uri).with_overrides(output=uri), None
    except OpenSecretsError as error:
        return error.config.with_overrides(output=uri), error


def _print_checks(checks: Sequence[DoctorCheck], *, is_offline: bool) -> None:
    """Print one line per check, a remedy below each problem, and the number of problems."""
    from rich.text import Text

    from crawler.cli.render import console, safe

    out = console()
    for check in checks:
        mark = Text("✓ ", "green") if check.is_well else Text("✗ ", "red")
        out.print(mark + safe(check.subject, "bold") + safe(f"  {check.seen}"), soft_wrap=True)
        if not check.is_well:
            out.print(safe(f"    {check.remedy}", "yellow"), soft_wrap=True)
    problems = sum(not check.is_well for check in checks)
    summary = f"{problems} {'problem' if problems == 1 else 'problems'} to fix."
    # A configuration that a crawl refuses has no accounts to try.
    if any(check.subject == "configuration" and not check.is_well for check in checks):
        summary += " The network was not tested."
    well = "No problems found offline; the network was not tested." if is_offline else "No problems found."
    out.print(Text(summary, "red") if problems else Text(well, "green"))
