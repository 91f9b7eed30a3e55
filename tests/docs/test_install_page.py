"""docs/install.md and the files of deploy/ for one server: followed on a machine that has nothing, as its own user.

The commands come from the page, the cron line and the units from deploy/. Only root can play a machine, see
`tests.support.clean_root`; a check of a landing runs as root.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.clean_root import CleanRoot, reason_to_skip
from tests.support.shown_commands import commands_in, parse
from tests.support.units import unit

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs/install.md").read_text()
CRON = (DEPLOY / "cron/acs-inventory").read_text()
USER = "acs-inventory"
LOG = "var/log/acs-inventory/crawl.log"
SNAPSHOTS = "var/lib/acs-inventory/snapshots"


def block(name):
    """The commands that the page has for a step."""
    return re.search(rf"<!-- server: {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """The built-in cloud on loopback, in a process of its own. Gives the configuration that it writes."""
    path = tmp_path_factory.mktemp("cloud") / "emulated.toml"
    command = [sys.executable, "-m", "crawler", "emulate", "--write-config", str(path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("Crawl it:"):
                break
        yield path.read_text()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def machine(tmp_path_factory, request):
    """A server after steps 1 to 4 of the page, by both schedules; its configuration leads to the built-in cloud."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    shown = {ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    root = CleanRoot(tmp_path_factory.mktemp("server") / "root", tuple(sorted(shown)))

    def follow(commands):
        done = root.run(
            f"set -eux; {commands}", cwd=str(ROOT), PATH=f"{sys.base_prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        )
        assert done.returncode == 0, done.stderr

    make, requirements, wheel, link = block("program").splitlines()
    follow(make)
    install_without_index(root, requirements, wheel)
    follow(link)
    follow(block("folders"))
    follow(block("configuration"))
    fill_in(root, request.getfixturevalue("cloud"))
    install, *systemctl = block("systemd").splitlines()
    assert all(line.startswith("systemctl ") for line in systemctl), "these need a running systemd"
    follow(install)
    follow(block("cron"))
    follow(block("metrics"))
    return root


def install_without_index(root, requirements, wheel):
    """Take this environment and checkout where two commands of the page take an index; `make smoke` tries those."""
    options = "install --require-hashes --only-binary :all: -r requirements/runtime.txt"
    assert requirements == f"/opt/acs-inventory/bin/pip {options}"
    assert wheel == "/opt/acs-inventory/bin/pip install --no-deps --no-index dist/acs_inventory-*.whl"
    [packages] = (root.path / "opt/acs-inventory/lib").glob("python3*/site-packages")
    own = next(path for path in sys.path if path.startswith(sys.prefix) and path.endswith("site-packages"))
    (packages / "here.pth").write_text(f"{Path(own).resolve()}\n{ROOT}\n")
    command = root.path / "opt/acs-inventory/bin/acs-inventory"
    command.write_text("#!/opt/acs-inventory/bin/python\nimport sys\nfrom crawler.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)


def fill_in(root, cloud):
    """Write account, keys and endpoints of the built-in cloud into the installed files, as an operator would."""
    account = tomllib.loads(cloud)["accounts"][0]
    config = root.path / "etc/acs-inventory/config.toml"
    endpoints = re.search(r"\[endpoints\].*", cloud, re.DOTALL)[0]
    limits = re.search(r"\[rate_limits\].*?\n\n", cloud, re.DOTALL)[0]
    text = config.read_text()
    assert tomllib.loads(text)["accounts"][0]["id"] == account["id"]
    bounds = '[crawl]\ntables = ["fc_functions", "fc_triggers"]\nregions = ["cn-hangzhou"]\n'
    bounds += "[retry]\nmax_attempts = 2\nmax_delay = 1.0\n"
    config.write_text(f"{text}\n{bounds}{limits}{endpoints}")
    environment = root.path / "etc/acs-inventory/environment"
    text = environment.read_text()
    for name in ("access_key_id", "access_key_secret"):
        text = text.replace(f"PROD_{name.upper()}=\n", f"PROD_{name.upper()}={account['credentials'][name]}\n")
    environment.write_text(text)


def cron_job():
    """The variables, the user and the command of the one line, as cron reads them."""
    settings = dict(line.split("=", 1) for line in CRON.splitlines() if re.match(r"[A-Z_]+=", line))
    [line] = [line for line in CRON.splitlines() if re.match(r"[\d*]", line)]
    *_, user, command = line.split(None, 6)
    return settings, user, command


def run_as_cron(root, **options):
    """Run the line as cron does: as its user, in the user's home, with the file's variables and no others."""
    settings, user, command = cron_job()
    home = "/var/lib/acs-inventory"
    environ = {
        **settings,
        "HOME": home,
        "LOGNAME": user,
        "ACS_INVENTORY_RETRY_AFTER": "0 0",
        **options.pop("environ", {}),
    }
    return root.run(command, user=user, cwd=home, **options, **environ)


def last_line(root):
    return json.loads((root.path / LOG).read_text().splitlines()[-1])


def committed(root):
    return sorted(path.name for path in (root.path / SNAPSHOTS / "_snapshots").glob("*Z-????.json"))


def test_the_page_makes_user_folders_and_files_with_the_owners_of_its_table(machine):
    rows = re.findall(
        r"^\| \w+ \| `(/[\w./-]+)`.*\| (root|acs-inventory)(?::([\w-]+))?(?:, (\d+))? \|$", PAGE, re.MULTILINE
    )
    assert len(rows) == 5
    for path, owner, group, mode in rows:
        path = re.sub(r"/(snapshots|crawl\.log)$", "", path)
        said = machine.run(f"stat -c '%U %G %a' {path}").stdout.split()
        assert said[0] == owner, path
        assert not group or said[1] == group, path
        assert not mode or said[2] == mode, path
    environment = (machine.path / "etc/acs-inventory/environment").read_text()
    assert re.search(r"^ACS_INVENTORY_FINGERPRINT_KEY=[0-9a-f]{64}$", environment, re.MULTILINE)


def test_nights_by_cron_commit_and_end_with_their_summaries(machine):
    """The first night, a second one, and one without a network, which is tried again and then reported."""
    shutil.rmtree(machine.path / SNAPSHOTS, ignore_errors=True)
    first = run_as_cron(machine)
    metrics = machine.path / "var/lib/node_exporter/textfile/acs_inventory.prom"
    assert "acs_inventory_crawl_success 1\n" in metrics.read_text()
    assert metrics.stat().st_mode & 0o777 == 0o644, "node_exporter runs as another user"
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    summary = last_line(machine)
    assert (summary["event"], summary["status"], summary["exit_code"]) == ("summary", "complete", 0)
    assert summary["rows"] > 0
    assert committed(machine) == [f"{summary['snapshot_id']}.json"]
    assert (machine.path / SNAPSHOTS / "_snapshots/LATEST").read_text().strip() == summary["snapshot_id"]

    # Of one day, the rules keep the first snapshot of all and the last one.
    for removed in (0, 1):
        assert run_as_cron(machine).returncode == 0
        last = last_line(machine)
        assert (last["event"], last["pruned"]) == ("summary", removed)
        assert committed(machine) == [f"{each['snapshot_id']}.json" for each in (summary, last)]

    before = len((machine.path / LOG).read_text().splitlines())
    down = run_as_cron(machine, has_network=False)
    assert down.returncode == 13
    assert re.fullmatch(rf"acs-inventory: crawl --resume=auto: exit code 13; the last line of /{LOG} .*\n", down.stderr)
    added = [json.loads(line) for line in (machine.path / LOG).read_text().splitlines()[before:]]
    assert [line["exit_code"] for line in added if line["event"] == "summary"] == [13, 13, 13], (
        "ACS_INVENTORY_RETRY_AFTER"
    )
    assert added[-1]["event"] == "summary"
    assert len(committed(machine)) == 2


def test_a_night_without_the_log_s_folder_crawls_and_says_so(machine, tmp_path):
    folder = machine.path / "var/log/acs-inventory"
    before = committed(machine)
    folder.rename(tmp_path / "moved")
    try:
        done = run_as_cron(machine)
    finally:
        (tmp_path / "moved").rename(folder)
    first, *log = done.stderr.splitlines()
    assert done.returncode == 0
    assert first.startswith(f"acs-inventory: /{LOG} can't be written by acs-inventory")
    assert json.loads(log[-1])["event"] == "summary"
    assert committed(machine) != before


def test_an_environment_that_the_user_cannot_read_is_reported(machine):
    machine.run("chown root:root /etc/acs-inventory/environment")
    try:
        done = run_as_cron(machine)
    finally:
        machine.run(f"chown {USER}:{USER} /etc/acs-inventory/environment")
    assert done.returncode == 2
    assert "/etc/acs-inventory/environment can't be read by acs-inventory" in done.stderr


def test_the_user_s_own_commands_of_the_page_work(machine):
    """doctor before the first night, the night by hand, and the log's last line."""
    checked = machine.run(block("check"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert machine.run(block("first night")).returncode == 0
    shown = machine.run(block("summary").splitlines()[0])
    assert json.loads(shown.stdout)["exit_code"] == 0


def test_the_line_of_readme_runs_as_a_user_of_the_machine(machine):
    [line] = re.findall(r"<!-- crontab -->\n```cron\n(.*)\n```", (ROOT / "README.md").read_text())
    *_, command = line.split(None, 5)
    assert "%" not in command, "cron makes a line's end of it"
    setup = """useradd --create-home me; cd /home/me; mkdir -p .local/bin snapshots
        ln -s /opt/acs-inventory/bin/acs-inventory .local/bin/
        sed 's/^\\([A-Z]\\)/export \\1/' /etc/acs-inventory/environment > .acs-inventory.env
        sed 's,/var/lib/acs-inventory,/home/me,; /textfile/d' /etc/acs-inventory/config.toml > acs-inventory.toml
        chmod 600 .acs-inventory.env; chown -R me: ."""
    assert machine.run(setup).returncode == 0
    night = {"user": "me", "cwd": "/home/me", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": "/home/me"}
    done = machine.run(command, **night)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    summary = json.loads((machine.path / "home/me/acs-inventory.log").read_text().splitlines()[-1])
    assert (summary["event"], summary["exit_code"]) == ("summary", 0)
    down = machine.run(command, has_network=False, **night)
    assert (down.stdout, down.stderr) == ("acs-inventory: exit code 13\n", "")


def run_as_systemd(root, service, **options):
    """Run ExecStart as systemd does: user, folder, and variables of the unit and of its file. stderr is the journal."""
    values = {key: value.replace("%S", "/var/lib") for key, value in service.items()}
    environ = dict(pair.split("=", 1) for pair in values["Environment"].split())
    file = root.path / values["EnvironmentFile"].removeprefix("-/")
    environ |= dict(line.split("=", 1) for line in file.read_text().splitlines() if line and not line.startswith("#"))
    assert values["StandardOutput"] == "null"
    return root.run(
        f"exec {values['ExecStart']} >/dev/null",
        user=values["User"],
        cwd=values["WorkingDirectory"],
        **options,
        **environ,
    )


def test_nights_by_systemd_end_with_their_summaries(machine):
    """And cron's fingerprints have the same key: a change of the schedule doesn't make every secret look changed."""
    assert run_as_cron(machine).returncode == 0
    service = unit(machine.path / "etc/systemd/system/acs-inventory.service")["Service"]
    for has_network, code in ((True, 0), (False, 13)):
        done = run_as_systemd(machine, service, has_network=has_network)
        assert done.returncode == code, done.stderr
        last = json.loads(done.stderr.splitlines()[-1])
        assert (last["event"], last["exit_code"]) == ("summary", code)
        assert str(code) not in service["RestartPreventExitStatus"].split()
    manifests = [
        json.loads((machine.path / SNAPSHOTS / "_snapshots" / name).read_text()) for name in committed(machine)
    ]
    assert len(manifests) > 1
    assert len({manifest["fingerprint_key_id"] for manifest in manifests}) == 1
    assert not list((machine.path / "var/lib/acs-inventory").rglob("fingerprint.key"))


def test_logrotate_takes_its_file_and_cron_writes_on(machine):
    """By logrotate itself if the machine has it; the words of the file are checked everywhere."""
    text = (machine.path / "etc/logrotate.d/acs-inventory").read_text()
    assert f"/{LOG} {{" in text
    assert f"su {USER} {USER}" in text, "logrotate refuses a folder that belongs to another user"
    if shutil.which("logrotate") is None:
        return
    done = machine.run(
        "logrotate --force --state /run/logrotate.status /etc/logrotate.d/acs-inventory && stat -c '%U %a' " + f"/{LOG}"
    )
    assert (done.returncode, done.stdout) == (0, "acs-inventory 640\n"), done.stderr
    assert run_as_cron(machine).returncode == 0
    assert last_line(machine)["exit_code"] == 0


def test_every_command_that_the_page_shows_is_one():
    shown = list(commands_in(PAGE))
    assert shown
    for arguments in shown:
        if arguments != ["--version"]:
            parse(arguments)


def test_files_and_targets_that_the_page_names_are_there():
    for name in re.findall(r"(?:deploy|requirements)/[\w./-]+\w", PAGE):
        assert (ROOT / name).exists(), name
    for line in re.findall(r"^pipx? .*|^uv tool .*", PAGE, re.MULTILINE):
        assert "acs" not in shlex.split(line)[-1]
