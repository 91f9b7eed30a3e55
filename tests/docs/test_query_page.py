"""The page about `query` and `export`: every command works, and every option is named."""

from __future__ import annotations

import re
import shlex
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from crawler.audit.database import open_snapshot
from crawler.cli.main import main
from tests.support.crawl_runner import fast_cloud, site
from tests.support.written_snapshots import ACCOUNT, REGION

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """A crawl of one account and region of the built-in cloud, all that the page's commands are about."""

    async def crawl(folder):
        cloud = fast_cloud(accounts=(ACCOUNT,), regions=(REGION,))
        async with site(folder, cloud) as served:
            await served.crawl(served.config(tables=["fc_*", "opensearch_app_groups"]))
            return served.output

    return open_snapshot(anyio.run(partial(crawl, tmp_path_factory.mktemp("crawled"))))


def test_every_command_on_the_page_works(crawled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "question.sql").write_text("SELECT count(*) FROM fc_functions")
    for command in COMMANDS:
        words = shlex.split(command.replace("20261121T020000Z-7f3a", crawled.manifest.snapshot_id))
        words = [word for before, word in pairwise(["", *words]) if not {before, word} & {"<", ">"}]
        with (tmp_path / "question.sql").open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "argv", [*words, "--output", str(crawled.root)])
            with pytest.raises(SystemExit) as ended:
                main()
        assert (ended.value.code or 0) == 0, (command, capsys.readouterr().err)
    assert {"functions.parquet", "functions", "audit.xlsx", "python.parquet"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_the_page_names_every_option():
    from crawler.cli.export import export
    from crawler.cli.query import query

    options = {option for command in (query, export) for param in command.params for option in param.opts}
    common = {
        "--config",
        "--output",
        "--log-format",
        "--log-level",
        "--verbose",
        "--quiet",
        "--no-progress",
        "--color",
        "--json",
    }
    assert {option for option in options if option.startswith("--")} - common <= set(re.findall(r"--[a-z-]+", PAGE))
