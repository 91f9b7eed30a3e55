"""docs/airflow.md and the sharded DAG: loaded without Airflow, its tasks run with a program in the command's place.

The page says what was tried with Airflow itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from tests.support.airflow_names import FailedError, FailedForGoodError, load_dag
from tests.support.shown_commands import commands_in, parse

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs/airflow.md").read_text()


@pytest.fixture
def sharded(monkeypatch):
    return load_dag(DEPLOY / "airflow/acs_inventory_sharded_dag.py", monkeypatch)


def test_there_is_a_task_for_each_shard_and_a_join_after_all(sharded):
    module, settings, tasks = sharded
    shard, commit = tasks["shard"], tasks["commit"]
    assert settings["max_active_runs"] == 1
    assert shard.mapped == {"number": list(range(module.SHARDS))}
    assert shard.constant == {"run": "{{ run_id }}"}, "mapped arguments aren't templated, constant ones are"
    assert commit.called == ("{{ run_id }}",)
    assert shard.then is commit
    assert commit.settings["trigger_rule"] == "all_done"
    assert shard.settings["max_active_tis_per_dagrun"] == module.AT_ONCE <= module.SHARDS / 4
    assert shard.settings["retries"] == 2
    assert shard.settings["retry_delay"].total_seconds() > 60, "a dead attempt's shard is free after a minute"
    assert shard.settings["execution_timeout"].total_seconds() <= 6 * 3600, "a run can be resumed for 6 hours"


@pytest.fixture
def called(sharded, tmp_path, monkeypatch):
    """Run a task with a program in the place of the command. Returns (its result, the program's arguments)."""

    def call(name, code, *arguments, summary=""):
        module, _, tasks = sharded
        program = tmp_path / "acs-inventory"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/said\ncat {tmp_path}/summary\nexit {code}\n")
        program.chmod(0o700)
        (tmp_path / "summary").write_text(
            summary
            or '{"snapshot_id": "20261201T020000Z-7f3a", "status": "partial", "rows": 7, "seconds": 1.5, "uri": "oss://x/y",'
            f' "exit_code": {code}, "scopes": {{"by_status": {{"not_attempted": 1}}}}}}\n'
        )
        monkeypatch.setattr(module, "COMMAND", str(program))
        try:
            result = tasks[name].function(*arguments)
        except FailedError as error:
            result = type(error)
        return result, (tmp_path / "said").read_text().splitlines()

    return call


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (0, None),
        (2, FailedForGoodError),
        (4, FailedForGoodError),
        (11, FailedError),
        (143, FailedError),
        (1, FailedError),
    ],
)
def test_each_exit_code_of_a_shard_is_one_outcome_of_its_task(called, code, result):
    found, said = called("shard", code, 7, "scheduled__2026-12-01T02:00:00+00:00")
    assert found is result
    assert said[said.index("--shard") + 1] == "7/32"
    assert said[said.index("--run") + 1] == "scheduled__2026-12-01T02:00:00+00:00"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, False),
        (3, True),
        (1, FailedForGoodError),
        (2, FailedForGoodError),
        (4, FailedForGoodError),
        (12, FailedForGoodError),
        (11, FailedError),
        (143, FailedError),
    ],
)
def test_each_exit_code_of_the_run_is_one_outcome_of_the_join(called, code, outcome):
    found, said = called("commit", code, "key")
    assert said[:3] == ["snapshots", "commit", "key"]
    assert "--partial" in said
    if isinstance(outcome, bool):
        assert (found["partial"], found["exit_code"], found["rows"]) == (outcome, code, 7)
    else:
        assert found is outcome


def test_the_join_of_a_run_that_a_shard_has_joined_tells_what_is_known(called, tmp_path, monkeypatch):
    text = '{"format": 1, "key": "key", "snapshot_id": "20261201T020000Z-7f3a", "status": "complete", "exit_code": 0}'
    found, _ = called("commit", 0, "key", summary=text)
    assert found == {"snapshot_id": "20261201T020000Z-7f3a", "status": "complete", "exit_code": 0, "partial": False}


class TaskEndedError(BaseException):
    """Like AirflowTaskTimeout, which is no Exception."""


def test_the_command_of_a_task_that_is_ended_gets_sigterm(sharded, tmp_path, monkeypatch):
    module, _, _ = sharded
    os.mkfifo(tmp_path / "never")
    program = tmp_path / "acs-inventory"
    program.write_text(
        f"#!/bin/sh\ntrap 'echo TERM > {tmp_path}/said; exit 143' TERM\necho ready\n"
        f"while :; do read line < {tmp_path}/never; done\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(module, "COMMAND", str(program))

    def end(process):
        assert process.stdout.readline() == b"ready\n"
        raise TaskEndedError

    monkeypatch.setattr(subprocess.Popen, "communicate", end)
    with pytest.raises(TaskEndedError):
        module.run_command("crawl")
    assert (tmp_path / "said").read_text() == "TERM\n"


def test_the_tasks_commands_are_some(called):
    _, said = called("shard", 0, 7, "key")
    assert parse(said) == "crawl"
    _, said = called("commit", 0, "key")
    assert parse(said) == "commit"


class MappedPods:
    """KubernetesPodOperator: keeps what it is called with."""

    made = None

    @classmethod
    def partial(cls, **constant):
        cls.made = constant
        return cls

    @classmethod
    def expand(cls, **mapped):
        cls.made |= mapped
        return cls


def test_the_pods_of_the_page_get_what_the_jobs_pods_have(monkeypatch):
    class Models(types.ModuleType):
        def __getattr__(self, name):
            return lambda **fields: {"kind": name, **fields}

    def module(name, **names):
        found = types.ModuleType(name)
        vars(found).update(names)
        monkeypatch.setitem(sys.modules, name, found)

    models = Models("kubernetes.client.models")
    module("kubernetes")
    module("kubernetes.client", models=models)
    parents = ["airflow", "providers", "cncf", "kubernetes", "operators"]
    for length in range(len(parents)):
        module(".".join(parents[: length + 1]))
    module("airflow.providers.cncf.kubernetes.operators.pod", KubernetesPodOperator=MappedPods)
    [text] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"SHARDS": 32, "AT_ONCE": 8, "timedelta": timedelta}
    exec(compile(text, "docs/airflow.md", "exec"), names)
    made = MappedPods.made
    jobs = yaml.safe_load_all((DEPLOY / "kubernetes/sharded.yaml").read_text())
    crawl = next(thing for thing in jobs if thing["metadata"]["name"] == "acs-inventory-crawl")
    pod = crawl["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert [text for arguments in made["arguments"] for text in arguments if text.startswith("--shard")] == [
        f"--shard={number}/32" for number in range(32)
    ]
    assert {*made["arguments"][0]} - {"--shard=0/32", "--run=$(RUN)"} <= {*container["args"]}
    assert made["env_vars"] == {"RUN": "{{ run_id }}"}
    resources = made["container_resources"]
    assert {name: resources[name] for name in ("requests", "limits")} == container["resources"]
    assert {mount["mount_path"] for mount in made["volume_mounts"]} == {"/etc/acs-inventory", "/tmp"}
    assert made["image"] == container["image"]
    assert made["service_account_name"] == pod["serviceAccountName"]


def test_files_that_the_page_names_are_there():
    named = set(re.findall(r"deploy/[\w./-]+", PAGE))
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_every_command_that_the_page_shows_is_one():
    shown = list(commands_in(PAGE))
    assert shown
    for arguments in shown:
        parse(arguments)
