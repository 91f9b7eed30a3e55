"""[retention]: a crawl removes old snapshots after a complete commit, and only then; a failure changes no exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import structlog
from structlog.testing import capture_logs

from crawler.cli.exit_state import ExitState
from crawler.cli.retention import prune_after_crawl
from crawler.cli.signals import CrawlSignals
from crawler.client.client import RequestCounts
from crawler.config import parse_config
from crawler.errors import ExitCode
from crawler.run.result import CrawlResult
from crawler.snapshot import Ledger
from tests.support.commands import acs_inventory, emulated

LAYERS = ["--table", "fc_layers"]
NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloud")
    with emulated(folder, "", ["--accounts", "1"]) as path:
        lines = [line for line in path.read_text().splitlines() if not line.startswith(("tables", "regions"))]
        text = "\n".join(lines) + "\n"
        path.write_text(
            text.replace("[crawl]\n", '[crawl]\ntables = ["fc_layers", "fc_functions"]\nregions = ["cn-hangzhou"]\n')
        )
        yield path


def with_rules(config, folder, rules):
    changed = folder / "config.toml"
    changed.write_text(config.read_text() + f"\n[retention]\n{rules}\n")
    changed.chmod(0o600)  # it has keys
    return changed


def crawl(path, folder, *more):
    options = ["--config", path, "--output", folder / "out", "--log-format", "json", "--json"]
    code, out, err = acs_inventory("crawl", *options, *more, cwd=folder)
    return code, json.loads(out), [json.loads(line) for line in err.splitlines()]


def snapshots(folder):
    return sorted(path.stem for path in (folder / "out/_snapshots").glob("*.json"))


def test_a_complete_crawl_keeps_what_the_rules_keep(config, tmp_path):
    path = with_rules(config, tmp_path, "keep_last = 2")
    results = [crawl(path, tmp_path) for _ in range(3)]
    assert [code for code, _, _ in results] == [0, 0, 0]
    assert [value["pruned"] for _, value, _ in results] == [0, 0, 1]
    assert snapshots(tmp_path) == [value["snapshot_id"] for _, value, _ in results[1:]]
    assert results[-1][2][-1]["pruned"] == 1
    assert results[-1][2][-1]["event"] == "summary"


def test_several_processes_prune_too(config, tmp_path):
    path = with_rules(config, tmp_path, "keep_last = 1")
    crawl(path, tmp_path)
    code, value, _ = crawl(path, tmp_path, "--workers", "2")
    assert (code, value["pruned"]) == (0, 1)
    assert snapshots(tmp_path) == [value["snapshot_id"]]


def test_a_narrowed_crawl_removes_nothing(config, tmp_path):
    path = with_rules(config, tmp_path, "keep_last = 1")
    crawl(path, tmp_path)
    code, value, _ = crawl(path, tmp_path, *LAYERS)
    assert (code, value["pruned"]) == (0, None)
    assert len(snapshots(tmp_path)) == 2


def test_without_rules_nothing_is_removed(config, tmp_path):
    assert [crawl(config, tmp_path)[1]["pruned"] for _ in range(2)] == [None, None]
    assert len(snapshots(tmp_path)) == 2


def test_a_removal_that_fails_is_a_warning_and_the_crawl_is_what_it_was(tmp_path):
    config = parse_config(
        f'[output]\nuri = "{tmp_path}/nowhere"\n[retention]\nkeep_last = 1\n[[accounts]]\nid = "1000000000000001"\n',
        source="t",
        environ={},
    )
    done = CrawlResult(
        ExitCode.SUCCESS, "x", SimpleNamespace(selection=None), Ledger(), RequestCounts(), {}, {}, {}, NOW, NOW
    )
    state = ExitState(is_crawl=True, code=0)
    structlog.reset_defaults()
    with capture_logs() as lines:
        found = prune_after_crawl(config, done, state, CrawlSignals(state))
    assert (found.pruned, state.code) == (None, 0)
    assert [line["event"] for line in lines] == ["prune_failed"]
    assert "nowhere" in lines[0]["reason"]


def test_prune_without_options_takes_the_rules_of_the_configuration(config, tmp_path):
    for _ in range(2):
        crawl(config, tmp_path)
    path = with_rules(config, tmp_path, "keep_last = 1")
    text = path.read_text()
    assert "uri = " in text
    lines = [f'uri = "{tmp_path}/out"' if line.startswith("uri = ") else line for line in text.splitlines()]
    path.write_text("\n".join(lines))
    code, out, err = acs_inventory(
        "snapshots", "prune", "--config", path, "--log-format", "json", "--json", cwd=tmp_path
    )
    assert (code, len(json.loads(out)["removed"])) == (0, 1)
    last = json.loads(err.splitlines()[-1])
    assert (last["event"], last["command"], last["exit_code"], last["removed"]) == ("summary", "prune", 0, 1)
    assert len(snapshots(tmp_path)) == 1


def test_prune_without_any_rule_is_refused(config, tmp_path):
    crawl(config, tmp_path)
    code, _, err = acs_inventory("snapshots", "prune", "--output", tmp_path / "out", cwd=tmp_path)
    assert code == 2
    assert "Give at least one --keep-" in err


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("keep_last = 0", "retention.keep_last"),
        ('keep_daily = "x"', "retention.keep_daily"),
        ('keep_within = "3x"', "retention.keep_within"),
        ('keep_within = "0d"', "retention.keep_within"),
        ("keep_dayly = 3", "keep_daily"),
    ],
)
def test_a_rule_that_is_none_is_one_sentence(config, tmp_path, rules, says):
    code, value, lines = crawl(with_rules(config, tmp_path, rules), tmp_path)
    assert code == value["exit_code"] == 2
    assert says in value["error"]
    assert len(lines) == 1
