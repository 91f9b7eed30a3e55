"""deploy/cron and deploy/systemd for a crawl that several hosts share: each file does what docs/operations.md says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.errors import ExitCode
from tests.support.shown_commands import parse
from tests.support.units import unit

DEPLOY = Path(__file__).parents[2] / "deploy"
CRON = (DEPLOY / "cron/acs-inventory-sharded").read_text()
SYSTEMD = DEPLOY / "systemd"
SHARD_UNIT, JOIN_UNIT = SYSTEMD / "acs-inventory-shard@.service", SYSTEMD / "acs-inventory-join.service"
COMMAND = "/opt/acs-inventory/bin/acs-inventory"


@pytest.fixture
def command(tmp_path):
    """A program in the place of acs-inventory that notes its arguments; its exit code is in a file `code`."""
    path = tmp_path / "bin/acs-inventory"
    path.parent.mkdir()
    path.write_text(
        f'#!/bin/sh\necho "$@ $KEY" >> {tmp_path}/said\nexit $(cat {tmp_path}/code 2>/dev/null || echo 0)\n'
    )
    path.chmod(0o700)
    return path


def cron_jobs():
    """(minute, hour) and command of each line, as cron gives it to the shell."""
    for line in CRON.splitlines():
        if re.match(r"\d", line):
            minute, hour, *_, _user, text = line.split(None, 6)
            assert "%" not in text.replace("\\%", ""), "cron makes a line's end of it"
            yield (minute, hour), text.replace("\\%", "%")


def run_cron_job(text, tmp_path, command, **settings):
    script = (DEPLOY / "cron/acs-inventory-cron").read_text()
    for place in ("/etc/acs-inventory", "/var/log/acs-inventory"):
        assert place in script
        script = script.replace(place, str(tmp_path))
    (command.parent / "acs-inventory-cron").write_text(script)
    (command.parent / "acs-inventory-cron").chmod(0o700)
    (tmp_path / "environment").write_text("KEY=secret-of-the-environment\n")
    environ = dict(line.split("=", 1) for line in CRON.splitlines() if re.match(r"[A-Z_]+=", line))
    environ |= {"PATH": f"{command.parent}:/usr/bin:/bin", "TZ": "UTC", **settings}
    done = subprocess.run(["/bin/sh", "-c", text], env=environ, check=False)
    said = tmp_path / "said"
    return done.returncode, said.read_text().splitlines() if said.exists() else []


def dates():
    """The UTC dates that a test may meet, which may run at midnight."""
    return {datetime.now(UTC).strftime("%Y-%m-%d")}


def test_a_host_crawls_its_shard_of_the_nights_run(tmp_path, command):
    (when, text), _ = cron_jobs()
    assert when == ("0", "2,3,4"), "a failed shard is tried again"
    before = dates()
    code, [said] = run_cron_job(text, tmp_path, command, HOST_NUMBER="3")
    arguments = shlex.split(said)
    assert (code, arguments.pop()) == (0, "secret-of-the-environment")
    assert arguments[arguments.index("--shard") + 1] == "3/4"
    assert arguments[arguments.index("--run") + 1] in before | dates()


@pytest.mark.parametrize(("host", "code", "commands"), [("0", 0, ["commit"]), ("0", 3, ["commit"]), ("1", 0, [])])
def test_one_host_joins(tmp_path, command, host, code, commands):
    _, (when, text) = cron_jobs()
    assert when == ("30", "7")
    (tmp_path / "code").write_text(str(code))
    ended, said = run_cron_job(text, tmp_path, command, HOST_NUMBER=host)
    assert [line.split()[1] for line in said] == commands
    assert ended == (code if host == "0" else 0)


def test_the_units_are_as_confined_as_the_single_crawls():
    hardening = (SYSTEMD / "acs-inventory.service").read_text().split("UMask=0077")[1]
    for path in (SHARD_UNIT, JOIN_UNIT):
        assert path.read_text().split("UMask=0077")[1] == hardening
        service = unit(path)["Service"]
        assert service["Type"] == "oneshot"
        assert service["User"] == service["Group"] == "acs-inventory"
        assert service["StandardOutput"] == "null"
        assert "ExecStartPost" not in service, "the summary is the last line of the log"
        assert "SuccessExitStatus" not in service


def test_a_shard_is_tried_again_unless_a_person_is_needed():
    found = unit(SHARD_UNIT)
    assert found["Service"]["Restart"] == "on-failure"
    assert set(found["Service"]["RestartPreventExitStatus"].split()) == {"2", "4"}
    assert found["Service"]["RestartSec"] == "2min", "a dead attempt's shard is free after a minute"
    assert found["Unit"]["StartLimitBurst"] == "3", "the first attempt and two more"
    assert found["Unit"]["StartLimitIntervalSec"] == "20h", "three attempts of 5 hours begin in it"
    join = unit(JOIN_UNIT)["Service"]
    assert join["Restart"] == "on-failure"
    prevented = set(map(int, join["RestartPreventExitStatus"].split()))
    assert set(ExitCode) - prevented == {ExitCode.SUCCESS, ExitCode.UNREACHABLE, ExitCode.READER_GONE}


@pytest.mark.parametrize(("path", "word"), [(SHARD_UNIT, "crawl"), (JOIN_UNIT, "snapshots")])
def test_the_units_commands_name_the_nights_run(path, word, tmp_path, command):
    text = unit(path)["Service"]["ExecStart"].replace(COMMAND, str(command))
    for written, meant in (("%i", "3"), ("%%", "%"), ("$$", "$")):
        text = text.replace(written, meant)
    before = dates()
    subprocess.run(shlex.split(text), env={"PATH": "/usr/bin:/bin", "SHARDS": "4"}, check=True)
    said = shlex.split((tmp_path / "said").read_text())
    assert said[0] == word
    assert (before | dates()) & set(said)
    assert word != "crawl" or said[said.index("--shard") + 1] == "3/4"


def test_the_timers_agree_about_the_night():
    shard, join = unit(SYSTEMD / "acs-inventory-shard@.timer"), unit(SYSTEMD / "acs-inventory-join.timer")
    assert shard["Timer"] == {"OnCalendar": "*-*-* 02:00:00 UTC", "Persistent": "yes"}
    assert join["Timer"]["OnCalendar"] == "*-*-* 07:30:00 UTC"
    assert unit(SHARD_UNIT)["Service"]["TimeoutStartSec"] == "5h"


def test_systemd_takes_the_units(tmp_path):
    """By the program itself where the machine has it; the tests above hold everywhere."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    for path in (SHARD_UNIT, JOIN_UNIT, *SYSTEMD.glob("*.timer")):
        (tmp_path / path.name).write_text(path.read_text().replace(COMMAND, "/bin/true"))
    shutil.copy(tmp_path / SHARD_UNIT.name, tmp_path / "acs-inventory-shard@0.service")
    names = ["acs-inventory-shard@0.service", "acs-inventory-shard@.timer", JOIN_UNIT.name, "acs-inventory-join.timer"]
    done = subprocess.run(
        [analyze, "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_commands_are_some(tmp_path, command):
    for _, text in cron_jobs():
        run_cron_job(text, tmp_path, command)
    said = [shlex.split(line)[:-1] for line in (tmp_path / "said").read_text().splitlines()]
    assert [parse(arguments) for arguments in said] == ["crawl", "commit"]
