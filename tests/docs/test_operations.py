"""docs/operations.md and deploy/: their promises hold, and their instructions work."""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml

from crawler.cli import crawl as crawling
from crawler.cli.main import whole_command
from crawler.config import parse_config
from crawler.emulator import FaultScript
from crawler.telemetry.metrics import METRICS
from docs.generate import reference
from tests.support import command_server
from tests.support.airflow_names import FailedError, FailedForGoodError, SkippedError, load_dag
from tests.support.shown_commands import commands_in, parse

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "operations.md").read_text()
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
CODES = {0, 1, 2, 3, 4, 11, 12, 13, 129, 130, 143}


def table_rows(text, after):
    """The rows of the first table after a text, cells stripped."""
    found = re.search(r"(?:^\|.*\n)+", text.split(after, 1)[1], re.MULTILINE)[0]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in found.splitlines()[2:]]


# --- the page --------------------------------------------------------------------------------------------------------


def test_every_exit_code_of_the_command_has_its_advice():
    listed = table_rows(PAGE, "## Exit codes")
    assert {int(code) for cells in listed for code in cells[0].split(",")} == CODES
    said = re.search(r"Exit codes:(.*?)\n\n", crawling.crawl.help + "\n\n", re.DOTALL)[1]
    assert {int(number) for number in re.findall(r"\b\d+\b", said)} == CODES


def test_every_metric_is_in_the_table_with_its_help():
    listed = {cells[0].strip("`"): cells[-1] for cells in table_rows(PAGE, "<!-- metrics -->")}
    assert listed == dict(METRICS)


def test_the_alerts_name_metrics_that_are_there():
    rules = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    named = set(re.findall(r"acs_inventory_\w+", " ".join(expressions)))
    assert named
    assert named <= METRICS.keys()


def test_every_field_of_the_summary_is_in_the_table():
    summarize = (ROOT / "crawler/cli/crawl_summary.py").read_text().split("def summarize", 1)[1].split("\ndef ", 1)[0]
    fields = set(re.findall(r'^        "(\w+)":', summarize, re.MULTILINE)) | {
        "event",
        "command",
        "level",
        "error",
        "omitted",
    }
    listed = {
        name for cells in table_rows(PAGE, "## The log and the summary") for name in re.findall(r"`(\w+)`", cells[0])
    }
    assert listed == fields


def test_every_command_that_is_shown_is_one():
    found = [parse(arguments) for arguments in commands_in(PAGE)]
    assert {"crawl", "prune", "verify", "doctor"} <= set(found)


@pytest.mark.parametrize("line", ["snapshots prune --keep-dayly 3", "snapshotz list", "crawl --resum"])
def test_a_command_that_is_none_would_be_found(line):
    with pytest.raises(click.UsageError):
        parse(shlex.split(line))


def test_the_reference_is_what_the_commands_say():
    is_fresh = (ROOT / "docs/reference.md").read_text() == reference.page(whole_command())
    assert is_fresh, "docs/reference.md is stale: run make docs"
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate.reference"], env=ENVIRON, capture_output=True, text=True, check=True
    )
    assert done.stdout == reference.page(whole_command())
    assert "-m docs.generate.reference" in (ROOT / "Makefile").read_text()


def test_the_reference_has_every_command_and_option():
    text = (ROOT / "docs/reference.md").read_text()
    for path, command in reference.walk(whole_command()):
        if not isinstance(command, click.Group):
            assert f"\n## {path}\n" in text
            section = text.split(f"\n## {path}\n", 1)[1].split("\n## ", 1)[0] + text.split("\n## ", 2)[1]
            for param in command.params:
                if isinstance(param, click.Option):
                    assert f"`{param.opts[0]}" in section, (path, param.name)


def test_files_that_are_named_are_there():
    for name in re.findall(r"deploy/[\w./@-]+", PAGE):
        assert (ROOT / name).exists(), name


# --- cron ------------------------------------------------------------------------------------------------------------

CRON = (DEPLOY / "cron/acs-inventory").read_text()


def cron_job():
    """Schedule, user and command of the one job."""
    [line] = [line for line in CRON.splitlines() if re.match(r"[\d*]", line)]
    *schedule, user, command = line.split(None, 6)
    return schedule, user, command


def test_the_cron_line_has_a_schedule_a_user_and_no_percent_sign():
    schedule, user, command = cron_job()
    assert schedule == ["0", "2", "*", "*", "*"]
    assert re.fullmatch(r"[a-z-]+", user)
    assert "%" not in command, "cron makes a line's end of it"
    settings = dict(line.split("=", 1) for line in CRON.splitlines() if re.match(r"[A-Z]+=", line))
    assert settings.keys() == {"SHELL", "PATH", "MAILTO"}


@pytest.mark.parametrize(("code", "pruned"), [(0, True), (3, False), (1, False)])
def test_the_cron_line_runs_and_prunes_after_a_complete_crawl_only(tmp_path, code, pruned):
    _, _, command = cron_job()
    fake = tmp_path / "bin/acs-inventory"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$1 $KEY"\n[ "$1" = crawl ] && exit {code}\nexit 0\n')
    fake.chmod(0o700)
    (tmp_path / "environment").write_text("KEY=secret-of-the-environment\n")
    for place in ("/etc/acs-inventory", "/var/lib/acs-inventory", "/var/log/acs-inventory"):
        assert place in command
        command = command.replace(place, str(tmp_path))
    done = subprocess.run(["/bin/sh", "-c", command], env={"PATH": f"{fake.parent}:/usr/bin:/bin"}, check=False)
    said = (tmp_path / "crawl.log").read_text().splitlines()
    assert done.returncode == code
    assert said == ["crawl secret-of-the-environment", *(["snapshots secret-of-the-environment"] if pruned else [])]


def test_the_cron_lines_commands_are_some():
    assert [parse(arguments) for arguments in commands_in(f"```sh\n{cron_job()[2]}\n```")] == ["crawl", "prune"]


# --- systemd ---------------------------------------------------------------------------------------------------------

SERVICE, TIMER = DEPLOY / "systemd/acs-inventory.service", DEPLOY / "systemd/acs-inventory.timer"


def unit(path):
    """A unit's sections: key → its values, in order."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(path.read_text())
    return {section: dict(parser.items(section)) for section in parser.sections()}


def test_the_service_is_one_crawl_that_can_write_in_its_own_folder_only():
    service = unit(SERVICE)["Service"]
    assert service["Type"] == "oneshot"
    assert service["DynamicUser"] == service["NoNewPrivileges"] == service["PrivateTmp"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["UMask"] == "0077"
    assert "SuccessExitStatus" not in service, "3 fails the unit unless somebody wants otherwise"
    for key, name in (("ExecStart", "crawl"), ("ExecStartPost", "prune")):
        program, arguments = service[key].split(" ", 1)
        assert program == "/opt/acs-inventory/bin/acs-inventory"
        assert parse(shlex.split(arguments)) == name


def test_the_timer_is_nightly_and_makes_up_for_a_missed_night():
    timer = unit(TIMER)
    assert timer["Timer"]["OnCalendar"] == "*-*-* 02:00:00"
    assert timer["Timer"]["Persistent"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_systemd_takes_both_and_rates_the_service_as_the_page_says(tmp_path):
    """By the program itself where the machine has it; the tests above hold everywhere."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    (tmp_path / SERVICE.name).write_text(
        SERVICE.read_text().replace("/opt/acs-inventory/bin/acs-inventory", "/bin/true")
    )
    shutil.copy(TIMER, tmp_path)
    units = [str(tmp_path / path.name) for path in (SERVICE, TIMER)]
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", units[0]], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for acs-inventory.service: ([\d.]+)", rated.stdout + rated.stderr)
    [promised] = re.findall(r"rates it ([\d.]+)", PAGE)
    assert found is None or float(found[1]) <= float(promised), "older versions can't rate a file"


# --- Docker ----------------------------------------------------------------------------------------------------------


def hadolint():
    """The linter of the development environment."""
    return shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


def test_the_linter_has_nothing_to_say_about_the_dockerfile():
    done = subprocess.run(
        [hadolint(), "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def instructions():
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_the_image_has_two_stages_and_runs_as_nobody_in_particular():
    found = instructions()
    stages = [number for number, (name, _) in enumerate(found) if name == "FROM"]
    assert len(stages) == 2
    last = dict(found[stages[1] :])
    assert last["USER"] == "10001:10001"
    assert json.loads(last["VOLUME"]) == ["/var/lib/acs-inventory"]
    assert json.loads(last["ENTRYPOINT"]) == ["acs-inventory"]
    assert parse(json.loads(last["CMD"])) == "crawl"
    installs = [text for name, text in found[: stages[1]] if name == "RUN" and "pip install" in text]
    assert len(installs) == 3
    assert all("--require-hashes --only-binary :all:" in text for text in installs[:2])
    assert "--no-deps --no-index" in installs[2]
    assert not [text for name, text in found[stages[1] :] if name == "RUN" and "pip" in text]


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (f"python:3.13-slim-bookworm@sha256:{'0a' * 32}", 0),
        (f"registry.example:5000/python@sha256:{'0a' * 32}", 0),
        ("python:3.13-slim-bookworm", 1),
        ("python@sha256:0a", 1),
        (f"@sha256:{'0a' * 32}", 1),
        ("", 1),
    ],
)
def test_a_base_image_without_a_digest_is_refused(image, code):
    """T30: there is no default, and the first step of the build refuses a tag."""
    assert ("ARG", "PYTHON_IMAGE") in instructions()
    step = next(text for name, text in instructions() if name == "RUN")
    done = subprocess.run(["sh", "-c", step], env={"PYTHON_IMAGE": image}, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("digest" in done.stderr) == bool(code)


def test_what_the_image_copies_is_there_and_not_ignored():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name, text in instructions():
        if name == "COPY" and not text.startswith("--from"):
            for source in text.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


# --- Kubernetes ------------------------------------------------------------------------------------------------------

OBJECTS = list(yaml.safe_load_all((DEPLOY / "kubernetes/cronjob.yaml").read_text()))


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: thing["kind"])
def test_kubernetes_schema_takes_every_object(thing):
    kubernetes_validate.validate(thing, "1.31", strict=True)


def test_the_pod_can_write_in_its_volumes_only():
    job = next(thing for thing in OBJECTS if thing["kind"] == "CronJob")["spec"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert job["concurrencyPolicy"] == "Forbid"
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert parse(container["args"]) == "crawl"


def test_no_exit_code_that_needs_a_person_is_tried_again():
    job = next(thing for thing in OBJECTS if thing["kind"] == "CronJob")["spec"]["jobTemplate"]["spec"]
    [rule] = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert set(rule["onExitCodes"]["values"]) == CODES - {0, 1, 13, 129, 130, 143}
    assert "On 2, 3, 4, 11 and 12 it fails at once" in PAGE


def test_the_configuration_in_the_map_loads():
    text = next(thing for thing in OBJECTS if thing["kind"] == "ConfigMap")["data"]["config.toml"]
    names = re.findall(r"\$\{(\w+)\}", text)
    config = parse_config(text, source="config.toml", environ=dict.fromkeys(names, "0123456789abcdef" * 2))
    assert config.output.uri.startswith("/var/lib/acs-inventory/")


# --- Airflow ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def task(monkeypatch):
    """The DAG's module, and its task as a plain function."""
    module, settings, tasks = load_dag(DEPLOY / "airflow/acs_inventory_dag.py", monkeypatch)
    assert settings["max_active_runs"] == 1
    assert tasks["crawl"].settings["retries"] == 1
    return module, tasks["crawl"].function


SUMMARY = {
    "snapshot_id": "20261122T020000Z-7f3a",
    "status": "partial",
    "rows": 7,
    "seconds": 1.5,
    "uri": "/x",
    "scopes": {"by_status": {"denied": 1}},
}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, None),
        (3, None),
        (1, FailedError),
        (143, FailedError),
        (2, FailedForGoodError),
        (4, FailedForGoodError),
        (12, FailedForGoodError),
        (11, SkippedError),
    ],
)
def test_each_exit_code_is_one_outcome_of_the_airflow_task(task, tmp_path, monkeypatch, caplog, code, outcome):
    module, run = task
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps({**SUMMARY, "exit_code": code}))
    monkeypatch.setattr(module, "COMMAND", ["/bin/sh", "-c", f"cat {summary}; exit {code}"])
    if outcome is not None:
        with pytest.raises(outcome) as caught:
            run()
        assert type(caught.value) is outcome
        return
    with caplog.at_level(logging.WARNING):
        found = run()
    assert (found["exit_code"], found["partial"], found["rows"]) == (code, code == 3, 7)


def test_the_airflow_tasks_command_is_one(task):
    module, _ = task
    assert parse(module.COMMAND[1:]) == "crawl"


# --- completion ------------------------------------------------------------------------------------------------------


def completing(shell, **words):
    """The command's output for a shell's completion."""
    done = command_server.run([], cwd=".", env={**ENVIRON, "_ACS_INVENTORY_COMPLETE": shell, **words})
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("shell", re.findall(r"_ACS_INVENTORY_COMPLETE=(\w+)", PAGE))
def test_each_shell_gets_its_script(shell):
    script = completing(shell)
    assert "_ACS_INVENTORY_COMPLETE" in script
    assert "acs-inventory" in script


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("acs-inventory sn", {"snapshots"}),
        ("acs-inventory snapshots p", {"prune"}),
        ("acs-inventory snapshots prune --keep-d", {"--keep-daily"}),
        ("acs-inventory crawl --res", {"--resume"}),
        ("acs-inventory crawl --log-format ", {"console", "json"}),
    ],
)
def test_bash_is_offered_what_fits(line, offered):
    words = line.split(" ")
    said = completing("bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert {entry.split(",", 1)[1] for entry in said.splitlines()} == offered


def test_the_fault_script_of_the_page_is_one():
    """The example can be copied: each rule is valid, and shows an answer that this page describes."""
    text = re.search(r"## Rehearse what the cloud may answer\n.*?```toml\n(.*?)```", PAGE, re.DOTALL)[1]
    rules = FaultScript.from_text(text).rules
    assert [type(rule.effect).__name__ for rule in rules] == ["Throttle", "HtmlFault", "Refuse", "Body"]
    assert json.loads(rules[3].effect.body)["Regions"]["Region"][0]["RegionEndpoint"].endswith(".aliyuncs.com")
