"""The help of all commands: a summary of one line, and examples. Cheap to import, since `--help` waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

# Command → command lines that work as they are, apart from names of files, tables and snapshots.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "": ("acs-inventory demo", "acs-inventory help crawl"),
    "catalog": ("acs-inventory catalog scaffold alibabacloud-vpc20160428",),
    "catalog scaffold": ("acs-inventory catalog scaffold alibabacloud-vpc20160428 DescribeVpcs --to my-tables",),
    "completion": ('eval "$(acs-inventory completion bash)"',),
    "config": ("acs-inventory config init", "acs-inventory config check"),
    "config init": ("acs-inventory config init --to ~/.config/acs-inventory/config.toml",),
    "config check": ("acs-inventory config check -c config.toml",),
    "config schema": ("acs-inventory config schema --to config.schema.json",),
    "crawl": (
        "acs-inventory crawl -c config.toml",
        "acs-inventory crawl --account 1000000000000001 --table 'fc_*' -o ./try",
        "acs-inventory crawl --resume=auto --log-format json",
    ),
    "demo": ("acs-inventory demo --nights 2",),
    "diff": (
        "acs-inventory diff",
        "acs-inventory diff latest~1 latest --table 'fc_*'",
        "acs-inventory diff --json --exit-code",
    ),
    "doctor": ("acs-inventory doctor -c config.toml",),
    "emulate": ("acs-inventory emulate --write-config config.toml",),
    "export": (
        "acs-inventory export fc_functions --to functions.csv",
        "acs-inventory export 'fc_*' --format xlsx --to inventory.xlsx",
    ),
    "findings": ("acs-inventory findings --severity high --exit-code",),
    "help": ("acs-inventory help snapshots prune",),
    "plan": ("acs-inventory plan -c config.toml",),
    "policy": ("acs-inventory policy --table 'fc_*'",),
    "query": (
        "acs-inventory query 'SELECT region_id, count(*) FROM fc_functions GROUP BY ALL'",
        "acs-inventory query 'SHOW TABLES' --snapshot latest~1",
    ),
    "report": ("acs-inventory report --to inventory.html",),
    "snapshots": ("acs-inventory snapshots list", "acs-inventory snapshots verify latest"),
    "snapshots commit": ("acs-inventory snapshots commit 2026-11-21 --partial",),
    "snapshots list": ("acs-inventory snapshots list -o ./snapshots",),
    "snapshots prune": ("acs-inventory snapshots prune --keep-daily 30 --keep-monthly 24 --dry-run",),
    "snapshots show": ("acs-inventory snapshots show latest",),
    "snapshots verify": ("acs-inventory snapshots verify latest",),
    "snapshots watch": ("acs-inventory snapshots watch --once",),
    "tables": ("acs-inventory tables 'fc_*'", "acs-inventory tables fc_functions --json"),
}


def add_help_texts(root: click.Group) -> None:
    """Give each command its summary, which is never cut, and its examples."""
    for name, command in commands_below(root):
        command.short_help = summary(command)
        lines = EXAMPLES.get(name, ())
        title = "Examples" if len(lines) > 1 else "Example"
        command.epilog = "\n".join(["\b", f"{title}:", *(f"  {line}" for line in lines)]) if lines else None


def commands_below(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all commands below it, each with its name without that of the program."""
    yield name, command
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from commands_below(below, f"{name} {below.name}".strip())


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help, without the full stop."""
    first = " ".join((command.help or "").strip().partition("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".")
