"""A crawl that options of the command line narrowed doesn't pass for a whole one (P25)."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from anyio.to_thread import run_sync
from deltalake import DeltaTable

from crawler.cli.emulate import write_config
from crawler.clock import SystemClock
from crawler.config.resolve import resolve_config
from crawler.run.run import crawl
from crawler.run.selection import selection_of
from crawler.run.system import System
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.reader import list_snapshots, read_manifest
from crawler.snapshot.retention import KeepRules
from tests.support import command_server
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site
from tests.support.small_crawls import ROOT

TABLES = ["fc_functions", "fc_layers"]
NARROWED = [
    {"accounts": [SMALL]},
    {"regions": ["cn-hangzhou"]},
    {"tables": ["fc_layers"]},
    {"accounts": [SMALL], "regions": ["cn-hangzhou"], "tables": ["fc_f*"]},
]


class LaterClock(SystemClock):
    """The machine's clock, some seconds ahead: the IDs of one second have no order. STS would correct a minute."""

    def __init__(self, seconds: int) -> None:
        self.ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self.ahead


async def crawl_later(cloud, steps, config):
    return await crawl(config, System(clock=LaterClock(10 * steps), environ={}, home=cloud.folder))


def latest(output) -> str:
    return (output / "_snapshots/LATEST").read_text().strip()


@pytest.mark.parametrize("options", NARROWED, ids=str)
async def test_a_narrowed_crawl_moves_latest_and_the_lake_only_if_it_is_published(tmp_path, options):
    """Without `publish`, LATEST and each lake table keep the whole inventory; with it, both move."""
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=TABLES, regions=["cn-hangzhou", "cn-shanghai"])
        whole = await cloud.crawl(config.with_overrides(output_format="delta"))
        part = await cloud.crawl(config.with_overrides(output_format="delta", **options))
        assert (whole.exit_code, whole.manifest.selection) == (0, None)
        assert (part.exit_code, part.manifest.status) == (0, "complete")
        given = {name: list(values) for name, values in options.items()}
        selection = part.manifest.selection
        assert {name: getattr(selection, name) for name in ("accounts", "regions", "tables")} == {
            "accounts": None,
            "regions": None,
            "tables": None,
            **given,
        }
        [warning] = [text for text in part.warnings if "--publish" in text]
        assert selection.options in warning
        assert latest(cloud.output) == whole.snapshot_id
        for table in TABLES:
            assert lake_rows(cloud.output, table) == whole.manifest.tables[table].rows
        config = config.with_overrides(output_format="delta", publish=True, **options)
        published = await crawl_later(cloud, 1, config)
        assert published.manifest.selection.published
        assert latest(cloud.output) == published.snapshot_id
        for table, entry in published.manifest.tables.items():
            assert lake_rows(cloud.output, table) == entry.rows


def lake_rows(output, table) -> int:
    return sum(DeltaTable(str(output / table)).get_add_actions().column("num_records").to_pylist())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accounts": [BIG, SMALL]},
        {"regions": ["cn-shanghai", "cn-hangzhou", "cn-beijing"]},
        {"regions": ["all"]},
        {"tables": ["*"]},
        {"tables": ["fc_layers", "fc_functions"]},
        {"output": "elsewhere"},
    ],
    ids=str,
)
async def test_options_that_leave_nothing_out_are_no_selection(tmp_path, options):
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=TABLES, regions=["cn-hangzhou", "cn-shanghai"])
        assert selection_of(resolve_config(config.with_overrides(**options))) is None


async def test_a_selection_of_members_or_without_the_directory_is_one(tmp_path):
    """The members of an organization count as configured accounts."""
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config('\n[organization]\nrole_name = "reader"\n', tables=TABLES)
        found = selection_of(resolve_config(config.with_overrides(accounts=["1000000000000077"])))
        assert found.accounts == ["1000000000000077"]
        found = selection_of(resolve_config(config.with_overrides(accounts=[BIG, SMALL])))
        assert found.accounts == [BIG, SMALL]


async def test_every_reader_says_that_a_narrowed_snapshot_is_a_part(tmp_path):
    async with site(tmp_path, fast_cloud()) as cloud:
        text, environ = write_config(cloud.emulator, str(cloud.output), rate=5000, burst=1000)
        (tmp_path / "config.toml").write_text(text.replace("[crawl]\n", f"[crawl]\ntables = {json.dumps(TABLES)}\n"))
        (tmp_path / "config.toml").chmod(0o600)
        environ = {**environ, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "COLUMNS": "120"}

        async def run(*arguments):
            return await run_sync(lambda: command_server.run(list(arguments), cwd=tmp_path, env=environ))

        await crawl_later(cloud, -1, cloud.config(tables=TABLES))
        done = await run("crawl", "--account", SMALL, "--json")
        summary = json.loads(done.stdout)
        assert (done.returncode, summary["selection"]["accounts"]) == (0, [SMALL])
        newest = summary["snapshot_id"]
        count = "SELECT count(DISTINCT account_id) AS n FROM fc_functions"
        whole = await run("query", count, "--format", "csv")
        assert whole.stdout.split() == ["n", "2"]
        assert f"{newest} is newer, but was narrowed by --account {SMALL}" in whole.stderr
        part = await run("query", count, "--format", "csv", "--snapshot", newest)
        assert part.stdout.split() == ["n", "1"]
        assert "is a part of the inventory" in part.stderr
        assert f"only --account {SMALL}" in (await run("snapshots", "list")).stdout
        assert f"only --account {SMALL}" in (await run("snapshots", "show", newest)).stdout
        assert (await run("snapshots", "verify")).returncode == 0
        compared = await run("diff", "--json", "--exit-code")
        unknown = json.loads(compared.stdout)["tables"]["fc_functions"]
        assert compared.returncode == 3
        assert (unknown["removed"], {scope["status"] for scope in unknown["unknown_scopes"]}) == ([], {"not_planned"})
        await run("report", "--snapshot", newest, "--to", "page.html")
        assert f"A part of the inventory: all 6 scopes of --account {SMALL}" in (tmp_path / "page.html").read_text()
        await run("export", "fc_layers", "--snapshot", newest, "--to", "layers.csv")
        [facts] = [path for path in tmp_path.glob("layers*") if path.suffix == ".json"]
        assert json.loads(facts.read_text())["only"] == f"--account {SMALL}"


async def test_prune_never_gives_the_place_of_a_whole_snapshot_to_a_narrowed_one(tmp_path):
    """The rules count each selection by itself, and the newest whole snapshot stays whatever they are."""
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=TABLES, regions=["cn-hangzhou"])
        whole = [(await crawl_later(cloud, number, config)).snapshot_id for number in range(2)]
        part = config.with_overrides(accounts=[SMALL])
        parts = [(await crawl_later(cloud, number, part)).snapshot_id for number in range(2, 4)]
        done = prune(cloud.output, KeepRules(last=1), datetime.now(UTC) + timedelta(minutes=9))
        assert {entry.snapshot_id for entry in done.kept} == {whole[1], parts[1]}
        assert [entry.snapshot_id for entry in list_snapshots(cloud.output) if entry.can_be_latest] == [whole[1]]
        assert read_manifest(cloud.output, "latest").snapshot_id == whole[1]


async def test_prune_keeps_the_whole_snapshot_that_a_published_part_has_taken_latest_from(tmp_path):
    """P25: the newest complete snapshot of the whole configuration stays, as the help of `prune` says."""
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=TABLES, regions=["cn-hangzhou"])
        whole = [(await crawl_later(cloud, number, config)).snapshot_id for number in range(2)]
        part = config.with_overrides(accounts=[SMALL], publish=True)
        published = (await crawl_later(cloud, 2, part)).snapshot_id
        done = prune(cloud.output, KeepRules(last=1), datetime.now(UTC) + timedelta(minutes=9))
        assert [entry.snapshot_id for entry in done.removed] == whole[:1]
        assert done.reasons[whole[1]] == ["newest complete of the whole configuration"]
        assert read_manifest(cloud.output, "latest").snapshot_id == published
        arguments = ["snapshots", "list", "--output", str(cloud.output)]
        environ = {**os.environ, "COLUMNS": "120"}
        listed = await run_sync(lambda: command_server.run(arguments, cwd=tmp_path, env=environ))
        assert f"latest, only --account {SMALL}" in listed.stdout
