"""Output that needs no table: JSON on stdout and warnings on stderr. Cheap to import, unlike `render`."""

from __future__ import annotations

from typing import Any

import click

from crawler.cli.options import CommonOptions


def print_json(value: Any) -> None:
    """Print one JSON value to stdout."""
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def warn(common: CommonOptions, sentence: str) -> None:
    """Print a warning to stderr, in the format of the log."""
    from crawler.text import escape_control

    if common.log_format == "json":
        import orjson

        click.echo(orjson.dumps({"event": "warning", "level": "warning", "message": sentence}).decode(), err=True)
    elif not common.is_quiet:
        click.echo(f"acs-inventory: warning: {escape_control(sentence)}", err=True)


def warn_of_escaped_cells(common: CommonOptions, name: str, cells: int) -> None:
    """Warn that `cells` cells of `name` differ from the snapshot by an apostrophe; 0 is silent."""
    if cells:
        subject = (
            "1 cell that looks like a formula was" if cells == 1 else f"{cells:,} cells that look like formulas were"
        )
        warn(common, f"{name}: {subject} escaped with an apostrophe; --raw-csv disables this")
