"""The command line as its users have it: processes, their exit codes, what they print, and how they stop."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from crawler import log
from crawler.cli.crawling import heartbeat
from crawler.emulator.operations import OPERATIONS
from crawler.run import Watch

ROOT = Path(__file__).parents[1]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "COLUMNS": "140", "NO_COLOR": "1"}
COMMANDS = ("crawl", "demo", "plan", "tables", "policy", "doctor", "snapshots", "emulate")


def acs_inventory(*arguments, cwd, env=None, **options):
    """The command's exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "crawler", *map(str, arguments)],
        cwd=cwd,
        env={**ENVIRON, "HOME": str(cwd), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@contextmanager
def emulated(folder, faults=""):
    """`emulate` in a process of its own; yields the configuration that it wrote."""
    config = folder / "emulated.toml"
    arguments = ["--write-config", str(config)]
    if faults:
        (folder / "faults.toml").write_text(faults)
        arguments += ["--faults", str(folder / "faults.toml")]
    process = subprocess.Popen(
        [sys.executable, "-m", "crawler", "emulate", *arguments],
        cwd=folder,
        env={**ENVIRON, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if line.startswith("Crawl it:"):
                break
        yield config
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with emulated(tmp_path_factory.mktemp("cloud")) as config:
        yield config


@pytest.fixture(scope="module")
def crawled(cloud, tmp_path_factory):
    """One crawl of one region's small tables: its folder, and what the command said."""
    folder = tmp_path_factory.mktemp("crawled")
    said = acs_inventory(
        "crawl",
        "--config",
        cloud,
        "--region",
        "cn-shanghai",
        "--table",
        "fc_functions",
        "--table",
        "fc2_functions",
        "--log-format",
        "json",
        "--json",
        cwd=folder,
    )
    return folder, said


def test_help_names_every_command_and_is_quick_to_come(tmp_path):
    code, out, _ = acs_inventory("--help", cwd=tmp_path)
    assert code == 0
    assert all(re.search(rf"^  {command} ", out, re.MULTILINE) for command in COMMANDS)
    heavy = "import sys, crawler.cli.crawling, crawler.cli.inspecting, crawler.cli.snapshots, crawler.cli.emulating;"
    heavy += "print(sorted({'aiohttp', 'pyarrow', 'rich', 'structlog', 'msgspec'} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", heavy], env=ENVIRON, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(tmp_path, command):
    code, out, _ = acs_inventory(command, "--help", cwd=tmp_path)
    assert code == 0
    assert out.startswith(f"Usage: acs-inventory {command}")
    assert len(out.splitlines()) > 5


def test_version(tmp_path):
    from crawler import __version__

    assert acs_inventory("--version", cwd=tmp_path) == (0, f"acs-inventory {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["crawl"], "config.example.toml"),
        (["crawl", "--config", "missing.toml"], "missing.toml"),
        (["crawl", "--no-such-option"], "No such option"),
        (["crawl", "--config", "broken.toml"], "line 1"),
        (["crawl", "--config", "open.toml"], "chmod"),
        (["crawl", "--config", "good.toml", "--table", "fc_funktions"], "did you mean 'fc_functions'"),
        (["crawl", "--config", "good.toml", "--account", "7"], "7"),
        (["crawl", "--config", "good.toml", "--output", "s3://bucket"], "s3://"),
        (["crawl", "--config", "good.toml", "--output", "good.toml"], "good.toml"),
        (["tables", "nope"], "No table is called"),
        (["snapshots", "list", "--output", "nowhere"], "nowhere"),
        (["emulate", "--faults", "broken.toml"], "broken.toml"),
        (["no-such-command"], "No such command"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2_before_anything_is_sent(tmp_path, arguments, said):
    account = (
        '[[accounts]]\nid = "1000000000000001"\n[accounts.credentials]\ntype = "access_key"\naccess_key_id = "a"\n'
    )
    (tmp_path / "broken.toml").write_text("this = is not\n")
    (tmp_path / "open.toml").write_text(account + 'access_key_secret = "canary-in-the-file"\n')
    (tmp_path / "open.toml").chmod(0o644)
    (tmp_path / "good.toml").write_text(account + 'access_key_secret = "${SECRET}"\n')
    code, out, err = acs_inventory(*arguments, cwd=tmp_path, env={"SECRET": "x"})
    assert code == 2
    assert out == ""
    assert said in err
    assert "canary" not in err
    sentences = [line for line in err.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(sentences) == 1


def test_crawl_prints_one_json_object_and_ends_its_log_with_the_same(crawled):
    _, (code, out, err) = crawled
    summary = json.loads(out)
    assert (code, summary["exit_code"], summary["status"]) == (0, 0, "complete")
    assert set(summary["tables"]) == {"fc_functions", "fc2_functions"}
    assert summary["tables"]["fc_functions"]["rows"] == 45 + 23
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["crawl_started", "snapshot_committed", "summary"]
    assert lines[-1] == {"event": "summary", **summary}


def test_snapshots_list_and_show_say_what_the_crawl_said(crawled):
    folder, (_, out, _) = crawled
    summary = json.loads(out)
    code, listed, _ = acs_inventory("snapshots", "list", "--output", "snapshots", "--json", cwd=folder)
    assert code == 0
    assert [(entry["snapshot_id"], entry["rows"]) for entry in json.loads(listed)] == [
        (summary["snapshot_id"], summary["rows"])
    ]
    code, shown, _ = acs_inventory("snapshots", "show", "latest", "--output", "snapshots", "--json", cwd=folder)
    assert json.loads(shown) == json.loads((folder / f"snapshots/_snapshots/{summary['snapshot_id']}.json").read_text())
    code, text, _ = acs_inventory("snapshots", "show", "--output", "snapshots", cwd=folder)
    assert code == 0
    assert summary["snapshot_id"] in text
    assert re.search(r"fc_functions +68 ", text)


def test_a_snapshot_that_is_not_there_is_exit_1(crawled):
    folder, _ = crawled
    code, out, err = acs_inventory("snapshots", "show", "20200101T000000Z-0000", "--output", "snapshots", cwd=folder)
    assert (code, out) == (1, "")
    assert "20200101T000000Z-0000" in err


def test_plan_asks_only_who_and_where(cloud, tmp_path):
    code, out, err = acs_inventory("plan", "--config", cloud, "--json", cwd=tmp_path)
    assert code == 0, err
    plan = json.loads(out)
    assert (plan["targets"], plan["scopes"]) == (6, 48)
    assert plan["discovery_requests"] == {"sts": 2, "regions": 2}
    assert plan["least_requests"] == 6 * 3 + 4
    assert not (tmp_path / "snapshots").exists()
    code, text, _ = acs_inventory("plan", "--config", cloud, "--table", "fc2_instances", cwd=tmp_path)
    assert code == 0
    assert "walked, not written" in text


def test_policy_allows_what_the_chosen_tables_call_and_their_parents(cloud, tmp_path):
    code, out, _ = acs_inventory("policy", "--table", "opensearch_function_instances", cwd=tmp_path)
    assert code == 0
    [statement] = json.loads(out)["Statement"]
    assert statement["Action"] == ["opensearch:DescribeFunction", "opensearch:ListApp", "opensearch:ListAppGroup"]
    _, of_all, _ = acs_inventory("policy", cwd=tmp_path)
    _, of_the_configured, _ = acs_inventory("policy", "--config", cloud, cwd=tmp_path)
    assert of_all == of_the_configured
    assert "GetFunctionCode" not in of_all


def test_the_policy_is_enough_and_nothing_in_it_is_too_much(tmp_path):
    """Every action that the emulated cloud checked in a whole crawl is allowed, and no other."""
    _, out, _ = acs_inventory("policy", cwd=tmp_path)
    allowed = set(json.loads(out)["Statement"][0]["Action"])
    assert allowed == {operation.ram for operation in OPERATIONS if operation.action != "DescribeRegions"}


def test_tables_for_people_and_programs(tmp_path):
    code, out, _ = acs_inventory("tables", "--json", cwd=tmp_path)
    assert code == 0
    tables = {table["table"]: table for table in json.loads(out)}
    assert tables["opensearch_function_instances"]["parents"] == ["opensearch_app_groups", "opensearch_apps"]
    assert tables["fc_functions"]["query"] == {"fcVersion": "v3"}
    code, text, _ = acs_inventory("tables", cwd=tmp_path)
    assert all(name in text for name in tables)
    code, one, _ = acs_inventory("tables", "fc_functions", cwd=tmp_path)
    assert re.search(r"environment_variables +map<string secret> +environmentVariables", one)
    assert re.search(r"memory_size +integer\(MB\)", one)


def test_doctor_finds_all_well_and_what_is_not(cloud, tmp_path):
    code, out, _ = acs_inventory("doctor", "--config", cloud, cwd=tmp_path)
    assert code == 0
    assert "All is well." in out
    wrong = tmp_path / "wrong.toml"
    text = cloud.read_text()
    secrets = re.findall(r'access_key_secret = "(.*)"', text)
    wrong.write_text(text.replace(secrets[1], "canary-that-is-no-secret-of-this-key"))
    wrong.chmod(0o600)
    code, out, err = acs_inventory("doctor", "--config", wrong, "--json", cwd=tmp_path)
    assert code == 1
    findings = {finding["subject"]: finding for finding in json.loads(out)}
    assert "secret is wrong" in findings["account 1000000000000002"]["seen"]
    assert findings["account 1000000000000001"]["is_well"]
    assert "canary" not in out + err
    assert not any(secret in out + err for secret in secrets)


def test_doctor_names_a_denied_action_and_an_endpoint_that_does_not_answer(tmp_path):
    faults = '[[rules]]\neffect = "deny"\nproduct = "fc-open"\n[[rules]]\neffect = "refuse"\nproduct = "opensearch"\n'
    with emulated(tmp_path, faults) as config:
        config.write_text(config.read_text() + "\n[retry]\nmax_attempts = 1\n")
        code, out, _ = acs_inventory("doctor", "--config", config, "--json", cwd=tmp_path)
    assert code == 1
    findings = {finding["subject"]: finding for finding in json.loads(out)}
    assert "fc:ListServices" in findings["fc2_services in 1000000000000001 cn-hangzhou"]["remedy"]
    broken = [finding for subject, finding in findings.items() if subject.startswith("opensearch_app_groups")]
    assert broken
    assert all("network" in finding["remedy"] for finding in broken)


def test_an_incomplete_crawl_is_exit_3_with_each_reason(tmp_path):
    faults = '[[rules]]\neffect = "deny"\naccount = "1000000000000002"\nproduct = "fc"\n'
    with emulated(tmp_path, faults) as config:
        code, out, err = acs_inventory(
            "crawl", "--config", config, "--table", "fc_functions", "--region", "cn-shanghai", cwd=tmp_path
        )
    assert code == 3
    assert re.search(r"1000000000000002 +cn-shanghai +fc_functions +denied +AccessDenied", out)
    assert "is partial" in out
    assert "scope_not_complete" in err


def test_no_account_that_works_is_exit_12(cloud, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(re.sub(r'access_key_secret = ".*"', 'access_key_secret = "canary"', cloud.read_text()))
    wrong.chmod(0o600)
    code, out, err = acs_inventory("crawl", "--config", wrong, "--log-format", "json", cwd=tmp_path)
    last = json.loads(err.splitlines()[-1])
    assert (code, out, last["event"], last["exit_code"]) == (12, "", "summary", 12)
    assert "No account's credentials work" in last["error"]
    assert "canary" not in err


def start(*arguments, cwd, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", *map(str, arguments)],
        cwd=cwd,
        env={**ENVIRON, "HOME": str(cwd)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        **options,
    )


SLOW = '[[rules]]\neffect = "delay"\nseconds = 30.0\naction = "ListFunctions"\n'


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_crawl_soon_with_nothing_committed(tmp_path, number, code):
    with emulated(tmp_path, SLOW) as config:
        process = start("crawl", "--config", config, cwd=tmp_path)
        assert "crawl_started" in process.stderr.readline()
        asked_at = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - asked_at < 10
    assert process.returncode == code
    assert err == "acs-inventory: Stopped; nothing was committed.\n"
    assert [path.name for path in (tmp_path / "snapshots").rglob("*") if path.is_file()] == ["lock"]


def test_a_second_crawl_is_exit_11_at_once_and_a_killed_one_leaves_no_lock(tmp_path):
    with emulated(tmp_path, SLOW) as config:
        first = start("crawl", "--config", config, cwd=tmp_path)
        assert "crawl_started" in first.stderr.readline()
        asked_at = time.monotonic()
        code, out, err = acs_inventory("crawl", "--config", config, cwd=tmp_path)
        assert (code, out) == (11, "")
        assert "another crawl" in err.lower()
        assert time.monotonic() - asked_at < 5
        first.kill()
        first.communicate()
        code, _, _ = acs_inventory("crawl", "--config", config, "--table", "opensearch_app_groups", cwd=tmp_path)
        assert code == 0


def on_a_terminal(*arguments, cwd):
    """Run the command with stdout and stderr on a terminal: exit code and everything that the terminal was sent."""
    child, terminal = pty.fork()
    if child == 0:
        environ = {key: value for key, value in ENVIRON.items() if key not in {"NO_COLOR", "PYTHONWARNINGS"}}
        os.chdir(cwd)
        os.execve(
            sys.executable,
            [sys.executable, "-m", "crawler", *map(str, arguments)],
            {**environ, "HOME": str(cwd), "TERM": "xterm-256color"},
        )
    received = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not chunk:
            break
        received += chunk
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", received.decode())


def test_a_terminal_shows_progress_and_then_the_summary(cloud, tmp_path):
    code, screen = on_a_terminal("crawl", "--config", cloud, "--table", "fc2_*", cwd=tmp_path)
    assert code == 0
    assert re.search(r"\d+/30 scopes", screen)
    assert re.search(r"requests · \d+/s", screen)
    assert "crawl_started" not in screen
    assert screen.index("scopes complete") > screen.rindex("requests · ", 0, screen.index("is complete")), (
        "the display is gone when the summary comes"
    )


def test_no_progress_and_quiet(cloud, tmp_path):
    _, screen = on_a_terminal("crawl", "--config", cloud, "--table", "fc_functions", "--no-progress", cwd=tmp_path)
    assert "crawl_started" in screen
    assert "scopes · " not in screen
    code, out, err = acs_inventory("crawl", "--config", cloud, "--table", "fc_functions", "--quiet", cwd=tmp_path)
    assert (code, out, err) == (0, "", "")


def test_demo_without_network_or_credentials(tmp_path):
    code, out, _ = acs_inventory("demo", "--output", "snapshots", cwd=tmp_path)
    assert code == 0
    assert "✓ Every table has exactly the records that the built-in cloud has: 9 tables." in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshots"], "nothing is left beside the output"


def test_demo_says_the_same_to_programs(tmp_path):
    code, out, _ = acs_inventory("demo", "--output", "snapshots", "--json", cwd=tmp_path)
    summary = json.loads(out)
    assert (code, summary["status"], summary["rows"], summary["scopes"]["total"]) == (0, "complete", 3500, 48)


def test_the_written_configuration_is_its_owners_alone(cloud):
    assert cloud.stat().st_mode & 0o777 == 0o600


@pytest.mark.looptime
async def test_without_a_display_a_line_a_minute_says_how_far_it_is():
    watch = Watch()
    watch.progress.scopes = 7
    stream = io.StringIO()
    log.configure("json", "info", stream)
    async with heartbeat(watch):
        await anyio.sleep(150)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["progress", "progress"]
    assert lines[0]["scopes"] == 7


def test_doctor_says_when_nobody_can_be_asked(cloud, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    config = tmp_path / "closed.toml"
    config.write_text(re.sub(r'^sts = "http.*"$', f'sts = "{closed}"', cloud.read_text(), flags=re.MULTILINE))
    config.chmod(0o600)
    code, out, _ = acs_inventory("doctor", "--config", config, "--json", cwd=tmp_path)
    assert code == 1
    findings = {finding["subject"]: finding for finding in json.loads(out)}
    assert "ConnectionFailed" in findings["account 1000000000000001"]["seen"]
    assert "network" in findings["account 1000000000000001"]["remedy"]
    assert "not compared" in findings["clock"]["seen"]
