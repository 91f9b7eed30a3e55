"""The options by which processes share a crawl: their values, and what can't be combined."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import anyio
import click
import pytest
from structlog.testing import capture_logs

from crawler.cli.crawl import crawl
from crawler.cli.options import CommonOptions
from crawler.cli.sharing import (
    FROM_STDIN,
    INDEX_VARIABLES,
    MOST_SHARDS,
    CrawlWay,
    Shard,
    ShardType,
    WorkersType,
    child_options,
)
from crawler.errors import CannotResumeError
from crawler.snapshot.folder.resume import START_OVER
from tests.support.commands import acs_inventory


@pytest.fixture(autouse=True)
def no_orchestrator(monkeypatch):
    for name in INDEX_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def workers(text):
    return WorkersType().convert(text, None, None)


def shard(text):
    return ShardType().convert(text, None, None)


def test_workers_are_a_number_or_auto(monkeypatch):
    monkeypatch.setattr("crawler.run.engine.cpus.usable_cpus", lambda: 7)
    assert workers("auto") == 7
    assert [workers(text) for text in ("1", "2", "007", "256")] == [1, 2, 7, 256]


@pytest.mark.parametrize("text", ["0", "257", "1000", "-1", "+1", "1.5", "x", "", " 1", "1 ", "１", "Auto"])
def test_other_workers_are_refused(text):
    with pytest.raises(click.BadParameter, match="is neither a number from 1 to 256 nor auto"):
        workers(text)


def test_a_shard_is_its_number_from_0_and_how_many_there_are():
    assert [shard(text) for text in ("0/1", "3/4", "9999/10000", "007/08")] == [
        Shard(0, 1),
        Shard(3, 4),
        Shard(9999, MOST_SHARDS),
        Shard(7, 8),
    ]
    assert shard("stdin/4") == Shard(FROM_STDIN, 4)


@pytest.mark.parametrize(
    "text", ["", "3", "/", "1/", "/4", "-1/4", "1/4/4", " 1/4", "1/4 ", "x/4", "1/x", "１/4", "Auto/4"]
)
def test_other_shards_are_refused(text):
    with pytest.raises(click.BadParameter, match=r"is neither I/N, such as 0/4, nor auto/N"):
        shard(text)


@pytest.mark.parametrize(("text", "reason"), [("4/4", "shard 4 isn't one of the 4 shards, 0 to 3"), ("9/4", "0 to 3")])
def test_a_number_that_no_shard_has_is_refused(text, reason):
    with pytest.raises(click.BadParameter, match=reason):
        shard(text)


@pytest.mark.parametrize("text", ["0/0", "0/10001", "auto/0", "stdin/99999"])
def test_a_run_has_one_shard_at_least_and_ten_thousand_at_most(text):
    with pytest.raises(click.BadParameter, match="a run has 1 to 10,000 shards"):
        shard(text)


@pytest.mark.parametrize("name", INDEX_VARIABLES)
def test_auto_is_the_index_that_the_orchestrator_gave(monkeypatch, name):
    monkeypatch.setenv(name, "3")
    assert shard("auto/4") == Shard(3, 4)


def test_the_first_variable_with_an_index_counts(monkeypatch):
    monkeypatch.setenv(INDEX_VARIABLES[0], "")
    monkeypatch.setenv(INDEX_VARIABLES[1], "1")
    monkeypatch.setenv(INDEX_VARIABLES[2], "2")
    assert shard("auto/4") == Shard(1, 4)


def test_auto_without_an_orchestrator_names_the_variables():
    with pytest.raises(click.BadParameter, match="auto needs one of the variables JOB_COMPLETION_INDEX, AWS_"):
        shard("auto/4")


@pytest.mark.parametrize("value", ["4", "-1", "x", "1 ", "99999999999999999999", "0x1"])
def test_an_index_that_no_shard_has_is_refused_with_its_variable(monkeypatch, value):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", value)
    with pytest.raises(click.BadParameter, match=rf"shard JOB_COMPLETION_INDEX='{value}' isn't one of the 4 shards"):
        shard("auto/4")


TOGETHER = "--shard and --run belong together"
COMBINED = "--shard can't be combined with --workers or --resume"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--shard", "0/4"], TOGETHER),
        (["--run", "tonight"], TOGETHER),
        (["--shard", "0/4", "--run", "x", "--workers", "2"], COMBINED),
        (["--shard", "0/4", "--run", "x", "--resume"], COMBINED),
        (["--shard", "0/4", "--run", "x", "--resume=auto"], COMBINED),
        (["--resume=never"], "'never' is not one of 'always', 'auto'"),
        (["--shard", "5/4", "--run", "x"], "shard 5 isn't one of the 4 shards"),
        (["--shard", "0/4", "--run", ""], "a run's key has 1 to 256 printable characters"),
        (["--shard", "0/4", "--run", "k" * 257], "a run's key has 1 to 256 printable characters"),
        (["--shard", "0/4", "--run", "a\nb"], "a run's key has 1 to 256 printable characters"),
        (["--workers", "many"], "'many' is neither a number from 1 to 256 nor auto"),
    ],
)
def test_what_can_not_be_combined_is_refused_before_anything_is_read(tmp_path, arguments, reason):
    code, out, err = acs_inventory("crawl", "--config", "missing.toml", *arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert reason in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "kept"), [(["--resume"], "always"), (["--resume=auto"], "auto"), ([], None)])
def test_resume_has_a_form_for_schedules(given, kept):
    with crawl.make_context("crawl", given) as context:
        assert context.params["resume"] == kept


def test_a_schedule_is_not_told_to_leave_resume_out(monkeypatch):
    """--resume=auto begins the new crawl itself."""

    async def crawled(_way, _config, _system, _monitor, *, resume):
        if resume:
            raise CannotResumeError(f"--resume: ./out has no unfinished crawl; {START_OVER}")
        return "result"

    monkeypatch.setattr(CrawlWay, "_crawl", crawled)
    with capture_logs() as lines:
        assert anyio.run(CrawlWay("auto").crawl, None, None, None) == "result"
    assert [(line["event"], line["reason"]) for line in lines] == [("nothing_resumed", "./out has no unfinished crawl")]


def test_children_get_what_narrows_and_places_the_crawl():
    given = ["--config", "a.toml", "--account", "1", "--account", "2", "--region", "cn-x", "--table", "fc_*"]
    given += ["--output", "./here", "--format", "delta", "--publish", "--workers", "4", "--json", "--quiet"]
    with crawl.make_context("crawl", given) as context:
        found = child_options(context, CommonOptions())
    named = ["--config", str(Path.cwd() / "a.toml"), "--output", "./here", "--format", "delta"]
    named += ["--account", "1", "--account", "2", "--region", "cn-x", "--table", "fc_*"]
    named += ["--publish", "--log-format", "json", "--log-level"]
    assert found[: len(named)] == named
    assert not {"--workers", "--json", "--quiet", "--resume"} & set(found)


def test_children_import_nothing_of_the_working_folder(monkeypatch):
    """The working folder of a cron job may hold a file of any name, such as click.py."""
    plan = SimpleNamespace(shard_count=4, key="tonight")
    monkeypatch.setattr(sys, "path", ["/usr/local/bin", *sys.path])
    assert CrawlWay(options=["--quiet"])._arguments(plan, "stdin") == [
        *["-P", "-m", "crawler", "crawl", "--quiet", "--shard", "stdin/4", "--run", "tonight"]
    ]


def test_children_of_a_checkout_import_from_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    assert CrawlWay()._arguments(SimpleNamespace(shard_count=1, key="k"), "0")[:2] == ["-m", "crawler"]
