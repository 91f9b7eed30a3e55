"""docs/operations.md and deploy/: their promises hold, and their instructions work."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml

from crawler.cli import crawl as crawling
from crawler.cli.main import whole_command
from crawler.config import parse_config
from crawler.emulator import FaultScript
from crawler.errors import ExitCode
from crawler.telemetry.metrics import METRICS
from docs.generate import reference
from tests.support import command_server
from tests.support.airflow_names import FailedError, FailedForGoodError, SkippedError, load_dag
from tests.support.shown_commands import commands_in, parse
from tests.support.units import unit

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
CRON_SCRIPT = (DEPLOY / "cron/acs-inventory-cron").read_text()


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


def test_the_cron_line_s_command_is_one():
    _, _, command = cron_job()
    program, *arguments = shlex.split(command)
    assert program == "acs-inventory-cron"
    assert parse(arguments) == "crawl"


@pytest.fixture
def cron_script(tmp_path):
    """Run deploy/cron/acs-inventory-cron with a program that notes its calls and ends with the given codes in turn."""
    fake = tmp_path / "bin/acs-inventory"
    fake.parent.mkdir()
    codes = tmp_path / "codes"
    fake.write_text(f'#!/bin/sh\necho "$* $KEY" >&2\necho table\nread code < {codes}\nsed -i 1d {codes}\nexit $code\n')
    fake.chmod(0o700)
    (tmp_path / "environment").write_text("KEY=secret-of-the-environment\n")
    text = CRON_SCRIPT
    for place in ("/etc/acs-inventory", "/var/log/acs-inventory"):
        assert place in text
        text = text.replace(place, str(tmp_path))
    script = tmp_path / "script"
    script.write_text(text)

    def run(*codes):
        (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
        environ = {"PATH": f"{fake.parent}:/usr/bin:/bin", "ACS_INVENTORY_RETRY_AFTER": "0 0"}
        return subprocess.run(
            ["/bin/sh", script, "crawl", "--resume=auto"], env=environ, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.parametrize(
    ("codes", "attempts"),
    [((0,), 1), ((3,), 1), ((1,), 1), ((11,), 1), ((13, 0), 2), ((13, 13, 3), 3), ((13, 13, 13, 0), 3)],
)
def test_the_cron_script_tries_an_unreachable_cloud_again_and_reports_each_other_code(
    cron_script, tmp_path, codes, attempts
):
    done = cron_script(*codes)
    last = codes[attempts - 1]
    assert done.returncode == last
    call = f"crawl --resume=auto --config {tmp_path}/config.toml --log-format json secret-of-the-environment"
    assert (tmp_path / "crawl.log").read_text().splitlines() == [call] * attempts
    assert done.stdout == ""
    said = (
        f"acs-inventory: crawl --resume=auto: exit code {last}; the last line of {tmp_path}/crawl.log has the reason\n"
    )
    assert done.stderr == ("" if last == 0 else said)


def test_the_cron_script_retries_no_other_code():
    """13 is the code that the page says to try again."""
    assert re.findall(r'"\$code" -ne (\d+)', CRON_SCRIPT) == ["13", "0"]
    assert str(int(ExitCode.UNREACHABLE)) == "13"


# --- systemd ---------------------------------------------------------------------------------------------------------

SERVICE, TIMER = DEPLOY / "systemd/acs-inventory.service", DEPLOY / "systemd/acs-inventory.timer"


def test_the_service_is_one_crawl_that_can_write_in_its_own_folder_only():
    service = unit(SERVICE)["Service"]
    assert service["Type"] == "oneshot"
    assert service["User"] == service["Group"] == service["StateDirectory"] == "acs-inventory"
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["UMask"] == "0077"
    assert "SuccessExitStatus" not in service, "3 fails the unit unless somebody wants otherwise"
    program, arguments = service["ExecStart"].split(" ", 1)
    assert program == "/opt/acs-inventory/bin/acs-inventory"
    assert parse(shlex.split(arguments)) == "crawl"
    assert "ExecStartPost" not in service, "the summary is the last line of the log"
    assert service["StandardOutput"] == "null"


def test_the_service_starts_again_if_the_cloud_can_not_be_reached_and_after_no_other_code():
    found = unit(SERVICE)
    assert found["Service"]["Restart"] == "on-failure"
    prevented = set(map(int, found["Service"]["RestartPreventExitStatus"].split()))
    assert set(ExitCode) - prevented == {ExitCode.SUCCESS, ExitCode.UNREACHABLE, ExitCode.READER_GONE}
    pause_min = int(found["Service"]["RestartSec"].removesuffix("min"))
    attempts = int(found["Unit"]["StartLimitBurst"])
    assert found["Unit"]["StartLimitIntervalSec"] == "12h", "longer than the attempts, shorter than a day"
    assert attempts * (6 * 60 + pause_min) > 12 * 60 > attempts * pause_min
    assert f"`journalctl -t {found['Service']['SyslogIdentifier']} -o cat -n 1`" in PAGE


def test_a_crawl_that_takes_too_long_commits_before_its_scheduler_ends_it():
    """A crawl that is killed commits nothing, and the next night is too late to resume it."""
    job = next(thing for thing in OBJECTS if thing["kind"] == "CronJob")["spec"]["jobTemplate"]["spec"]
    text = next(thing for thing in OBJECTS if thing["kind"] == "ConfigMap")["data"]["config.toml"]
    hours = int(unit(SERVICE)["Service"]["TimeoutStartSec"].removesuffix("h"))
    for config, limit in (
        (DEPLOY.joinpath("config.toml").read_text(), hours * 3600),
        (text, job["activeDeadlineSeconds"]),
    ):
        names = dict.fromkeys(re.findall(r"\$\{(\w+)\}", config), "0123456789abcdef" * 2)
        assert 0 < parse_config(config, source="config.toml", environ=names).crawl.deadline_s <= limit - 1800


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
    assert len(installs) == 4
    assert all("--require-hashes --only-binary :all:" in text for text in installs[:3])
    assert "--no-deps --no-index" in installs[3]
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


def test_the_image_copies_all_that_the_wheel_has():
    """The build of a wheel fails if a file of [force-include] is missing."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = {source for name, text in instructions() if name == "COPY" for source in text.split()[:-1]}
    assert {*wheel["packages"], *wheel["force-include"]} <= copied


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
    shell, option, text = container["command"]
    assert (shell, option) == ("sh", "-c")
    command, _, stdout = text.removeprefix("exec acs-inventory ").partition(" >")
    assert parse(shlex.split(command)) == "crawl"
    assert stdout == "/dev/null", "the summary is the last line of the log"


def test_no_exit_code_that_needs_a_person_is_tried_again():
    job = next(thing for thing in OBJECTS if thing["kind"] == "CronJob")["spec"]["jobTemplate"]["spec"]
    ignored, rule = job["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert rule["action"] == "FailJob"
    assert set(rule["onExitCodes"]["values"]) == CODES - {0, 13, 129, 130, 143}
    assert "On 1, 2, 3, 4, 11 and 12 it fails at once" in PAGE
    # Kubernetes waits 10 s, then twice as long each time, and 6 minutes at most.
    pauses = [min(10 * 2**attempt, 360) for attempt in range(job["backoffLimit"])]
    assert sum(pauses) >= 15 * 60


def test_the_configuration_in_the_map_loads():
    text = next(thing for thing in OBJECTS if thing["kind"] == "ConfigMap")["data"]["config.toml"]
    names = re.findall(r"\$\{(\w+)\}", text)
    config = parse_config(text, source="config.toml", environ=dict.fromkeys(names, "0123456789abcdef" * 2))
    assert config.output.uri.startswith("/var/lib/acs-inventory/")
    assert config.retention.keep_daily, "a claim without retention fills up"


# --- Airflow ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def task(monkeypatch):
    """The DAG's module, and its task as a plain function."""
    module, settings, tasks = load_dag(DEPLOY / "airflow/acs_inventory_dag.py", monkeypatch)
    assert settings["max_active_runs"] == 1
    assert tasks["crawl"].settings["retries"] == 3
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
        (13, FailedError),
        (143, FailedError),
        (1, FailedForGoodError),
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


def test_every_schedule_resumes_a_killed_crawl(task):
    module, _ = task
    # Python writes compiled modules beside the DAGs that tests load.
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    texts = {path: path.read_text() for path in files}
    crawls = [text for text in texts.values() if re.search(r'\bcrawl\b["\', ]', text) and "--shard" not in text]
    assert "--resume=auto" in module.COMMAND
    for path in ("cron/acs-inventory", "systemd/acs-inventory.service", "kubernetes/cronjob.yaml", "Dockerfile"):
        assert "--resume=auto" in texts[DEPLOY / path], path
        assert texts[DEPLOY / path] in crawls


# --- completion ------------------------------------------------------------------------------------------------------


def completing(shell, **words):
    """The command's output for a shell's completion."""
    done = command_server.run([], cwd=".", env={**ENVIRON, "_ACS_INVENTORY_COMPLETE": shell, **words})
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_of_the_page_gets_its_script(shell):
    assert f"acs-inventory completion {shell}" in PAGE
    done = command_server.run(["completion", shell], cwd=".", env=ENVIRON)
    assert done.returncode == 0
    script = done.stdout
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
