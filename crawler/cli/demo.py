"""The demo's cloud: the emulator in a thread of its own, and the configuration that a user of it would write."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.from_thread
import click
from rich.text import Text

from crawler.catalog import load_catalog
from crawler.cli.crawl import conclude, run
from crawler.cli.emulate import write_config
from crawler.cli.options import OutputOptions, json_option, output_options
from crawler.cli.render import console, safe
from crawler.cli.tables.describe import product_name
from crawler.config import Config, parse_config
from crawler.emulator import Cloud, CloudSpec, Rate, serve
from crawler.emulator.days.days import denied
from crawler.errors import ExitCode
from crawler.run.system import System

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.system import System
    from crawler.snapshot import Manifest

_RATE, _BURST = 5000, 1000


# What the second night shows the differences of: functions and what hangs on them, and what nobody may list any more.
_MOST_SHOWN = 16
_COMPARED = ("fc_functions", "fc_triggers", "fc_async_invoke_configs", "opensearch_app_groups")
DEMO_FOLDER = "acs-inventory-demo"


@contextmanager
def demo_cloud(folder: str, seed: int, scale: int, day: int = 1) -> Iterator[tuple[Config, System, Mapping[str, int]]]:
    """Serve a cloud while the block runs: its configuration, surroundings, and its own count of records by table."""
    rate = Rate(_RATE, _BURST)
    cloud = Cloud(CloudSpec(seed=seed, day=day, scale=scale, rate=rate, rates={"sts": rate}))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(cloud)) as emulator,
    ):
        text, environ = write_config(emulator, folder, rate=_RATE, burst=_BURST)
        surroundings = System(environ=environ, home=Path(folder))
        config = parse_config(text, source="the demo's configuration", environ=environ)
        yield config, surroundings, table_counts(cloud, config)


def table_counts(cloud: Cloud, config: Config) -> dict[str, int]:
    """Table → records that the cloud has in all accounts and regions, of the tables that a crawl reads."""
    catalog = load_catalog(config.catalog.extra)
    chosen = catalog.select(config.crawl.tables, config.crawl.exclude)
    operations = {table: catalog.operations[table] for table in chosen}
    tables = {f"{op.product}.{op.action}": table for table, op in operations.items()}
    counts = Counter(dict.fromkeys(chosen, 0))
    for (_, _, action), number in cloud.counts().items():
        if action in tables:
            counts[tables[action]] += number
    return counts


def this_command() -> str:
    """How this process was called, for a line that can be typed again."""
    if Path(sys.argv[0]).name == "acs-inventory":
        return "acs-inventory"
    python = Path(sys.executable)
    return f"{python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python} -m crawler"


def check(manifest: Manifest, counts: Mapping[str, int], folder: str) -> None:
    """Say whether the snapshot has what the cloud has, and what to type next."""
    out = console()
    rows = {table: entry.rows for table, entry in manifest.tables.items()}
    odd = {table for table in {*rows, *counts} if rows.get(table) != counts.get(table)}
    for table in sorted(odd):
        numbers = f"{rows.get(table, 0):,} rows, and the built-in cloud has {counts.get(table, 0):,} records"
        out.print(Text("✗ ", "red") + safe(f"{table} has {numbers}."))
    if not odd:
        out.print(
            Text("✓ ", "green")
            + f"Every table has exactly the records that the built-in cloud has: {len(rows)} tables."
        )
    out.print("\nLook into it:")
    out.print(safe(f"  {this_command()} snapshots show --output {folder}"), soft_wrap=True)
    files = f"{folder}/fc_functions/*/*/*/*/*.parquet"
    out.print(safe(f"  duckdb -c \"FROM '{files}' SELECT account_id, runtime, count(*) GROUP BY ALL\""), soft_wrap=True)


def second_night(output: OutputOptions, folder: str, seed: int, scale: int, first_id: str) -> int:
    """Crawl the same cloud a day later and show some of what differs. The exit code is 0 where it went as it should:
    the second crawl itself ends with 3, since an account is denied a product from that day on.
    """
    from crawler.cli.crawl import run

    # Each scope that isn't complete would be a line in the log; they are shown together.
    replace(output, log_level=output.log_level or "warning").start_logging()
    with demo_cloud(folder, seed, scale, day=2) as (config, surroundings, _):
        result = run(config, output, surroundings)
    if result.manifest is None:
        return result.exit_code
    if not output.is_quiet:
        _explain(result.manifest, CloudSpec(seed=seed, scale=scale, day=2))
        _show_differences(Path(folder), first_id, result.snapshot_id)
    return ExitCode.SUCCESS if result.exit_code == ExitCode.PARTIAL else ExitCode.FAILURE


def _explain(manifest: Manifest, spec: CloudSpec) -> None:
    account, product = denied(spec) or ("", "")
    gaps = f"{len(manifest.scopes.not_complete)} of {manifest.scopes.total} scopes"
    out = console()
    out.print("\nThe night after", style="bold")
    out.print(safe(f"The cloud has changed, and account {account} may no longer list {product_name(product)}."))
    out.print(safe(f"A crawl ends with exit code 3 then: committed, but {gaps} aren't complete."))
    out.print("LATEST stays at the first night's snapshot. Some of what differs, in four of the tables:\n")


def _show_differences(folder: Path, old_id: str, new_id: str) -> None:
    from crawler.audit.database import open_snapshot
    from crawler.audit.diff.comparison import compare, keyings
    from crawler.cli.diff.text import MOST_READ, print_differences

    old, new = open_snapshot(folder, old_id), open_snapshot(folder, new_id)
    with compare(old, new, keyings(load_catalog()), _COMPARED) as tables:
        changes = [table.read(MOST_READ) for table in tables.values()]
    print_differences(old.manifest, new.manifest, changes, _MOST_SHOWN)
    out = console()
    out.print("\nAll of it, in all tables:")
    out.print(safe(f"  {this_command()} diff --output {folder}"), soft_wrap=True)


@click.command()
@click.option("--output", "folder", metavar="DIR", default=DEMO_FOLDER, show_default=True, help="Where it goes.")
@click.option("--seed", default=0, show_default=True, help="Another seed is another cloud.")
@click.option("--scale", default=1, show_default=True, type=click.IntRange(1, 1000), help="How many times as large.")
@click.option(
    "--nights",
    default=1,
    show_default=True,
    type=click.IntRange(1, 2),
    help="2: crawl it again as it is a day later, and show what differs.",
)
@json_option
@output_options
@click.pass_obj
def demo(output: OutputOptions, folder: str, seed: int, scale: int, nights: int, as_json: bool) -> int:
    """Crawl the built-in cloud on loopback into a real snapshot: two accounts, three regions, all products.

    Needs no credentials and no network. What lands is compared with what the built-in cloud has.
    """

    if as_json and nights > 1:
        raise click.UsageError("--json is the result of one crawl; it doesn't go with --nights 2.")
    output.start_logging()
    with demo_cloud(folder, seed, scale) as (config, surroundings, counts):
        result = run(config, output, surroundings)
    code = conclude(result, config, output, as_json=as_json)
    if result.manifest is not None and not as_json and not output.is_quiet:
        check(result.manifest, counts, folder)
    if nights > 1 and code == 0:
        code = second_night(output, folder, seed, scale, result.snapshot_id)
    sys.stdout.flush()
    return code
