"""`catalog scaffold`: propose schema files from an official SDK package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_json
from crawler.cli.options import LocalPath, common_options, json_option, overwrite_option

if TYPE_CHECKING:
    from crawler.catalog.scaffold import Proposal, Written

# More lines would hide the next steps.
_MOST_LINES = 20


@click.group("catalog")
def catalog() -> None:
    """Make tables of other products of the vendor."""


@catalog.command("scaffold")
@click.argument("package")
@click.argument("actions", nargs=-1, metavar="[ACTION]...")
@click.option(
    "--to",
    "folder",
    type=LocalPath(),
    default=Path("tables"),
    show_default=True,
    metavar="DIR",
    help="Folder of the tables, for [catalog] extra of the configuration.",
)
@overwrite_option
@json_option
@common_options
def scaffold(package: str, actions: Sequence[str], folder: Path, may_replace: bool, as_json: bool) -> None:
    """Propose tables from an official SDK package.

    PACKAGE is installed, such as alibabacloud-vpc20160428, or the path of its wheel. Its source is read; nothing of it
    is run. Each ACTION, such as DescribeVpcs, becomes a file; without one, each List and Describe operation does.
    Tables that give a request's parameters are added.

    A line that ends with `# check:` is a proposal that you must confirm: a key, a parent, a secret, a RAM action, a
    time. A product.toml and a parent's file that exist are kept.

    Exit codes: 0 done; 2 wrong usage, a package that can't be read, an operation that can't be a table, or a file that
    exists.
    """
    from datetime import UTC, datetime

    from crawler.catalog import load_catalog
    from crawler.catalog.scaffold import known_secrets, propose, usual_regions, write_files
    from crawler.catalog.sdk import open_package

    known = load_catalog()
    day = datetime.now(UTC).date()
    proposal = propose(open_package(package), actions, day, known_secrets(known), usual_regions(known))
    written = write_files(proposal, folder, may_replace=may_replace, keeps_companions=bool(actions))
    if as_json:
        print_json(_value(proposal, written))
    else:
        _print(proposal, written, folder)


def _value(proposal: Proposal, written: Written) -> dict[str, object]:
    from crawler.catalog.loader import count_marks

    return {
        "package": proposal.package,
        "version": proposal.version,
        "folder": str(written.folder),
        "files": list(written.names),
        "tables": list(proposal.tables),
        "added": list(proposal.added),
        "marks": sum(count_marks(proposal.texts[name]) for name in written.names),
        "uncovered": dict(proposal.uncovered),
        "kept": list(written.kept),
    }


def _print(proposal: Proposal, written: Written, folder: Path) -> None:
    from rich.table import Table

    from crawler.catalog.loader import count_marks
    from crawler.cli.render import console, print_aligned, safe

    out = console()
    out.print(safe(proposal.package), safe(proposal.version, "bold"), "→", safe(str(written.folder), "cyan"))
    rows = [(safe(name), f"{count_marks(proposal.texts[name])}") for name in written.names]
    print_aligned(out, ("file", "to confirm"), rows[:_MOST_LINES], numbers=("to confirm",), names=("file",))
    if len(rows) > _MOST_LINES:
        out.print(f"and {len(rows) - _MOST_LINES} more files", style="dim")
    if written.kept:
        out.print(safe(f"Kept, since it exists: {', '.join(written.kept)}"))
    if proposal.added:
        out.print(safe(f"Added, since their rows give parameters: {', '.join(proposal.added)}"))
    if proposal.uncovered:
        out.print(f"Without a table: {len(proposal.uncovered)}; the reasons are in [uncovered] of product.toml.")
    marks = sum(count_marks(proposal.texts[name]) for name in written.names)
    out.print()
    for number, (step, *lines) in enumerate(_steps(proposal, folder, marks), 1):
        grid = Table.grid(padding=(0, 1))
        grid.add_row(f"{number}.", safe(step))
        out.print(grid)
        for text in lines:
            out.print(safe(f"   {text}", "cyan"), soft_wrap=True)


def _steps(proposal: Proposal, folder: Path, marks: int) -> list[tuple[str, ...]]:
    """Return the next steps, in order: a sentence, and lines to copy."""
    from crawler.catalog import product_keys

    table = proposal.tables[0]
    known = f"Remove {proposal.product}, or change its key: the built-in catalog has a product of this key already."
    return [
        *([(known,)] if proposal.product in product_keys() else []),
        (f"Confirm or correct the {marks} marked lines (`# check:`), and remove the marks.",),
        ("Add the folder to your configuration:", "[catalog]", f"extra = [{json.dumps(str(folder))}]"),
        (
            "See the table and the permissions that it needs, then crawl it:",
            f"acs-inventory tables {table} --config FILE",
            f"acs-inventory policy --table {table} --config FILE",
            f"acs-inventory crawl --table {table} --config FILE",
        ),
    ]
