"""The page about `query` and `export`: its questions asked of a snapshot with known answers, and of a real crawl."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from crawler.audit.database import open_snapshot
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from crawler.cli.main import main
from crawler.snapshot import Status
from tests.support.crawl_runner import fast_cloud, site
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, REGION, START, write

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text()
QUESTIONS = dict(re.findall(r"^\*\*(\d+)\. .*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
OLD = START - timedelta(days=400)
ROLE = f"acs:ram::{ACCOUNT}:role/shared"


def function(name, **columns):
    return {"function_name": name, "last_modified_time": OLD, "runtime": "go1", "memory_size": 128, **columns}


def trigger(function_name, kind="http", auth=None, **columns):
    config = {"auth_type": auth, "methods": ["GET"], "disable_url_internet": False}
    return {
        "function_name": function_name,
        "trigger_name": "t",
        "trigger_type": kind,
        "trigger_config": config,
        **columns,
    }


TABLES = {
    "fc_functions": [
        function("open", role=ROLE, environment_variables=[("API_TOKEN", "hmac:01"), ("STAGE", "hmac:02")]),
        function("past_vpc", role=ROLE, internet_access=True, vpc_config={"vpc_id": "vpc-1"}, tags=[]),
        function("no_vpc", role=ROLE, internet_access=True, vpc_config={"vpc_id": ""}),
        function("owned", tags=[{"key": "Team", "value": "search"}], last_modified_time=START - timedelta(days=1)),
        function(
            "other",
            account_id=OTHER_ACCOUNT,
            runtime="java11",
            environment_variables=[("DB_PASSWORD", "hmac:01"), ("NO_SECRET_URL", "")],
        ),
    ],
    "fc_triggers": [
        trigger("open", auth="anonymous", http_trigger={"url_internet": "https://open.example"}),
        trigger("owned", auth="anonymous", trigger_config={"auth_type": "anonymous", "disable_url_internet": True}),
        trigger("past_vpc", auth="jwt"),
        trigger("no_vpc", "timer"),
        trigger("owned", "oss", trigger_name="u"),
    ],
    "fc_async_invoke_configs": [
        {
            "function_arn": f"acs:fc:{REGION}:{ACCOUNT}:functions/owned/LATEST",
            "destination_config": {"on_failure": {"destination": "acs:mns:…"}},
        },
        {
            "function_arn": f"acs:fc:{REGION}:{ACCOUNT}:functions/no_vpc",
            "destination_config": {"on_failure": {"destination": ""}},
        },
    ],
    "opensearch_app_groups": [
        {"name": "fresh", "updated": START - timedelta(days=2)},
        {"name": "stale", "updated": OLD},
    ],
}
FIRST = (ACCOUNT, REGION)
ANSWERS = {
    "1": [("fc_aliases", *FIRST, "denied", "AccessDenied", "fc:List of fc_aliases is missing")],
    "2": [(*FIRST, 4, 4 + 5 + 2 + 2), (OTHER_ACCOUNT, REGION, 1, 1)],
    "3": [("go1", 4, 1, 512, START - timedelta(days=1)), ("java11", 1, 1, 128, OLD)],
    "4": [(*FIRST, "open", "t", ["GET"], "https://open.example")],
    "5": [(*FIRST, "past_vpc", "vpc-1", ROLE)],
    "6": [("hmac:01", ["API_TOKEN", "DB_PASSWORD"], 2, 2)],
    "7": [(ACCOUNT, ROLE, 3, ["no_vpc", "open", "past_vpc"])],
    "8": [(*FIRST, "no_vpc", ["timer"])],
    "9": [
        (*FIRST, "no_vpc", None, OLD),
        (*FIRST, "open", None, OLD),
        (*FIRST, "past_vpc", [], OLD),
        (OTHER_ACCOUNT, REGION, "other", None, OLD),
    ],
    "10": [
        ("function", *FIRST, "owned", START - timedelta(days=1)),
        ("OpenSearch app group", *FIRST, "fresh", START - timedelta(days=2)),
    ],
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return write(tmp_path_factory.mktemp("page") / "snapshots", TABLES, {"fc_aliases": Status.DENIED})


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """A crawl of one account and region of the built-in cloud, all that the page's questions and commands are about."""

    async def crawl(folder):
        cloud = fast_cloud(accounts=(ACCOUNT,), regions=(REGION,))
        async with site(folder, cloud) as served:
            await served.crawl(served.config(tables=["fc_*", "opensearch_app_groups"]))
            return served.output

    return open_snapshot(anyio.run(partial(crawl, tmp_path_factory.mktemp("crawled"))))


def ask(snapshot, sql):
    with run_query(snapshot, sql, TableNames(snapshot, lambda: CATALOG.operations)) as rows:
        return rows.schema.names, [tuple(row.values()) for batch in rows.batches for row in batch.to_pylist()]


def test_there_are_ten_questions():
    assert list(QUESTIONS) == [str(number) for number in range(1, 11)] == list(ANSWERS)


@pytest.mark.parametrize("number", ANSWERS)
def test_the_answer_is_the_known_one(snapshot, number):
    assert ask(snapshot, QUESTIONS[number])[1] == ANSWERS[number]


def test_a_crawl_has_an_answer_to_every_question(snapshot, crawled):
    found = {number: ask(crawled, sql) for number, sql in QUESTIONS.items()}
    assert {number: names for number, (names, _) in found.items()} == {
        number: ask(snapshot, sql)[0] for number, sql in QUESTIONS.items()
    }
    assert {number for number in ("2", "3", "5", "7", "8", "9") if not found[number][1]} == set()
    assert found["1"][1] == []


def test_every_command_on_the_page_works(crawled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "question.sql").write_text(QUESTIONS["3"])
    for command in COMMANDS:
        words = shlex.split(command.replace("20261121T020000Z-7f3a", crawled.manifest.snapshot_id))
        words = [word for word in words if word not in {"<", ">", "question.sql", "answer.csv"}]
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
