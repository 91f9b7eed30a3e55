"""The cloud of `demo`: the emulator in a thread, its configuration, and the comparison with the snapshot."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.from_thread
from rich.text import Text

from crawler.catalog import load_catalog
from crawler.cli.crawl import run_crawl
from crawler.cli.crawl_summary import summarize
from crawler.cli.echo import print_line
from crawler.cli.emulate import write_config
from crawler.cli.options import CommonOptions
from crawler.cli.process import this_command
from crawler.cli.render import console, safe
from crawler.cli.signals import CrawlSignals
from crawler.cli.summary_bounds import fit_line, with_few_scopes
from crawler.config import Config, parse_config
from crawler.emulator import Cloud, CloudSpec, Rate, serve
from crawler.emulator.days.days import denied
from crawler.errors import ExitCode
from crawler.run.system import System

if TYPE_CHECKING:
    from crawler.snapshot import Manifest

_RATE, _BURST = 5000, 1000

# The second night shows this many differences of these tables. Access to OpenSearch is denied then.
_MOST_SHOWN = 16
_COMPARED = ("fc_functions", "fc_triggers", "fc_async_invoke_configs", "opensearch_app_groups")


@contextmanager
def demo_cloud(folder: str, seed: int, scale: int, day: int = 1) -> Iterator[tuple[Config, System, Mapping[str, int]]]:
    """Serve a cloud for the block: yields its configuration, its `System`, and the number of its records by table."""
    rate = Rate(_RATE, _BURST)
    cloud = Cloud(CloudSpec(seed=seed, day=day, scale=scale, rate=rate, rates={"sts": rate}))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(cloud)) as emulator,
    ):
        tables = load_catalog().all_patterns
        text, environ = write_config(emulator, "./snapshots", rate=_RATE, burst=_BURST, tables=tables)
        system = System(environ=environ, home=Path(folder))
        config = parse_config(text, source="the demo's configuration", environ=environ).with_overrides(output=folder)
        yield config, system, table_counts(cloud, config)


def table_counts(cloud: Cloud, config: Config) -> dict[str, int]:
    """Return the number of the cloud's records by table, for the tables that a crawl reads."""
    catalog = load_catalog(config.catalog.extra)
    chosen = catalog.select(config.crawl.tables, config.crawl.exclude)
    operations = {table: catalog.operations[table] for table in chosen}
    tables = {f"{op.product}.{op.action}": table for table, op in operations.items()}
    counts = Counter(dict.fromkeys(chosen, 0))
    for (_, _, action), number in cloud.counts().items():
        if action in tables:
            counts[tables[action]] += number
    return counts


def print_comparison(manifest: Manifest, counts: Mapping[str, int], folder: str) -> None:
    """Print whether the snapshot has all records of the cloud, and commands to continue with."""
    out = console()
    rows = {table: entry.rows for table, entry in manifest.tables.items()}
    different = {table for table in {*rows, *counts} if rows.get(table) != counts.get(table)}
    for table in sorted(different):
        numbers = f"{rows.get(table, 0):,} rows; the built-in cloud has {counts.get(table, 0):,} records"
        out.print(Text("✗ ", "red") + safe(f"{table} has {numbers}."))
    if not different:
        out.print(Text("✓ ", "green") + f"All {len(rows)} tables have exactly the records of the built-in cloud.")
    out.print("\nContinue with:")
    for line in next_commands(folder):
        print_line(f"  {line}")


def next_commands(folder: str) -> list[str]:
    """Return command lines that show the snapshot, as the user can copy them."""
    command, output = this_command(), f"--output {shlex.quote(folder)}"
    sql = "SELECT account_id, runtime, count(*) AS functions FROM fc_functions GROUP BY ALL ORDER BY ALL"
    return [
        f"{command} snapshots show {output}",
        f'{command} query "{sql}" {output}',
        f"{command} report --to report.html {output}",
    ]


def crawl_second_night(
    common: CommonOptions, signals: CrawlSignals, folder: str, seed: int, scale: int, first_id: str
) -> int:
    """Crawl the same cloud one day later and print some of the differences.

    An account is denied a product from that day on, so the crawl ends with 3. The exit code is 0 if it does.
    """
    # The default level would log each incomplete scope; the summary has them all.
    replace(common, log_level=common.log_level or "warning").start_logging()
    common.exit_state.begin_crawl()
    with demo_cloud(folder, seed, scale, day=2) as (config, system, _):
        result = run_crawl(config, common, signals, system)
    is_expected = result.exit_code == ExitCode.PARTIAL
    signals.decide(0 if is_expected else result.exit_code if result.manifest is None else ExitCode.FAILURE)
    if result.manifest is not None and not common.is_quiet:
        _explain(result.manifest, CloudSpec(seed=seed, scale=scale, day=2))
        _show_differences(Path(folder), first_id, result.snapshot_id)
    code = common.exit_state.code or 0
    value = with_few_scopes(summarize(result, folder))
    common.end_with(fit_line({"command": "demo", "level": "info", **value, "exit_code": code}))
    return code


def _explain(manifest: Manifest, spec: CloudSpec) -> None:
    account, product = denied(spec) or ("", "")
    gaps = f"{manifest.scopes.missing} of {manifest.scopes.total} scopes"
    out = console()
    out.print("\nThe next night", style="bold")
    title = load_catalog().product_title(product)
    out.print(safe(f"The cloud has changed, and account {account} is no longer allowed to list {title}."))
    out.print(safe(f"The crawl ends with exit code 3: committed, but {gaps} aren't complete."))
    out.print("LATEST stays at the first night's snapshot. Some differences, in four of the tables:\n")


def _show_differences(folder: Path, old_id: str, new_id: str) -> None:
    from crawler.audit.database import open_snapshot
    from crawler.audit.diff.comparison import compare, table_keys
    from crawler.cli.diff.text import MOST_READ, print_differences

    old, new = open_snapshot(folder, old_id), open_snapshot(folder, new_id)
    with compare(old, new, table_keys(load_catalog()), _COMPARED) as tables:
        changes = [table.read(MOST_READ) for table in tables.values()]
    print_differences(old.manifest, new.manifest, changes, _MOST_SHOWN)
    out = console()
    out.print("\nAll differences, in all tables:")
    print_line(f"  {this_command()} diff --output {shlex.quote(str(folder))}")
