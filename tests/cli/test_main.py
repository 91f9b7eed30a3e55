"""The command line in real processes: exit codes, output, and how commands stop."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.cli import process as own_process
from crawler.cli.crawl import heartbeat
from crawler.emulator import Cloud, CloudSpec, spec
from crawler.emulator.apis.operation import GLOBAL
from crawler.emulator.apis.operations import BY_NAME
from crawler.run.progress import CrawlMonitor
from crawler.telemetry import logs as log
from tests.support import command_server
from tests.support.commands import ENVIRON, acs_inventory, emulated
from tests.support.crawl_runner import site

ROOT = Path(__file__).parents[2]
CATALOG = load_catalog()
# The tables of the built-in cloud's configuration: those of all products.
ASKED = CATALOG.select(CATALOG.all_patterns)


# The cloud that `emulate` and `demo` serve by default.
CLOUD = Cloud()
SPEC = CLOUD.spec


COMMANDS = (
    "crawl",
    "demo",
    "plan",
    "tables",
    "policy",
    "doctor",
    "snapshots",
    "query",
    "export",
    "diff",
    "report",
    "emulate",
)


def counted(table, regions=SPEC.regions, cloud=CLOUD):
    """How many records the cloud has of a table in these regions, in all accounts."""
    operation = CATALOG.operations[table]
    name = f"{operation.product}.{operation.action}"
    places = (GLOBAL,) if CATALOG.products[operation.product].is_global else regions
    return sum(len(cloud.records(account, region, name)) for account in cloud.spec.accounts for region in places)


def scopes_of(tables, within=SPEC):
    """How many scopes a crawl of these tables and their parents has, in the regions that have their products."""
    products = [CATALOG.operations[table].product for table in CATALOG.with_parents(tables)]
    places = [region for product in products for region in within.places if within.has_product(product, region)]
    return len(within.accounts) * len(places)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with emulated(tmp_path_factory.mktemp("cloud")) as config:
        yield config


FAULTS = """
[[rules]]
effect = "deny"
account = "1000000000000002"
product = "fc"
[[rules]]
effect = "deny"
product = "fc-open"
[[rules]]
effect = "refuse"
product = "opensearch"
"""


@pytest.fixture(scope="module")
def faulty_cloud(tmp_path_factory):
    with emulated(tmp_path_factory.mktemp("faulty"), FAULTS) as config:
        config.write_text(config.read_text() + "\n[retry]\nmax_attempts = 1\n")
        yield config


SLOW = '[[rules]]\neffect = "delay"\nseconds = 30.0\naction = "ListFunctions"\n'


@pytest.fixture(scope="module")
def slow_cloud(tmp_path_factory):
    with emulated(tmp_path_factory.mktemp("slow"), SLOW) as config:
        yield config


@pytest.fixture(scope="module")
def crawled(cloud, tmp_path_factory):
    """One crawl of one region's small tables: its folder and the command's output."""
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
        "--publish",
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
    heavy = "import sys, crawler.cli.crawl, crawler.cli.tables.command, crawler.cli.snapshots, crawler.cli.emulate;"
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


def test_a_line_break_at_the_end_of_a_key_is_said_and_left_out(tmp_path):
    """F84: a secret of Kubernetes often ends with one, and no key does."""
    account = '[[accounts]]\nid = "1000000000000001"\n[accounts.credentials]\ntype = "access_key"\n'
    keys = 'access_key_id = "LTAI0001"\naccess_key_secret = "${SECRET}"\n'
    (tmp_path / "good.toml").write_text(account + keys)
    environ = {"SECRET": "canary\n", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "canary\r\n", "UNUSED": "\n"}
    code, out, err = acs_inventory("policy", "--config", "good.toml", cwd=tmp_path, env=environ)
    assert code == 0
    assert out
    warning = "acs-inventory: warning: the environment variable {} ends with a line break, which is left out"
    assert err.splitlines() == [warning.format("ALIBABA_CLOUD_ACCESS_KEY_SECRET"), warning.format("SECRET")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["crawl"], "acs-inventory config init"),
        (["crawl", "--config", "missing.toml"], "missing.toml"),
        (["crawl", "--no-such-option"], "No such option"),
        (["crawl", "--config", "broken.toml"], "line 1"),
        (["crawl", "--config", "open.toml"], "chmod"),
        (["crawl", "--config", "good.toml", "--table", "fc_funktions"], "did you mean 'fc_functions'"),
        (["crawl", "--config", "good.toml", "--account", "7"], "7"),
        (["crawl", "--config", "good.toml", "--output", "s3://bucket/a?b"], "a part in its prefix that can't be used"),
        (["crawl", "--config", "good.toml", "--output", "good.toml"], "good.toml"),
        (["tables", "nope"], "No table is called"),
        (["tables", "fc_functions", "--check-sdk"], "give no TABLE"),
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
    assert {table: entry["rows"] for table, entry in summary["tables"].items()} == {
        table: counted(table, ["cn-shanghai"]) for table in ("fc_functions", "fc2_functions")
    }
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in lines] == ["crawl_started", "snapshot_committed", "summary"]
    assert lines[-1] == {"event": "summary", "command": "crawl", "level": "info", **summary}


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
    assert re.search(rf"fc_functions +{summary['tables']['fc_functions']['rows']} ", text)


def test_a_snapshot_that_is_not_there_is_exit_2(crawled):
    folder, _ = crawled
    code, out, err = acs_inventory("snapshots", "show", "20200101T000000Z-0000", "--output", "snapshots", cwd=folder)
    assert (code, out) == (2, "")
    assert "20200101T000000Z-0000" in err


def test_plan_asks_only_who_and_where(cloud, tmp_path):
    code, out, err = acs_inventory("plan", "--config", cloud, "--json", cwd=tmp_path)
    assert code == 0, err
    plan = json.loads(out)
    roots = [table for table in ASKED if not CATALOG.operations[table].parents]
    assert plan["targets"] == len(SPEC.accounts) * len(SPEC.places)
    assert plan["scopes"] == scopes_of(ASKED)
    # One identity request per account, and the regions of the products that list them.
    listing = [product for product in CATALOG.products.values() if product.regions is not None]
    assert plan["discovery_requests"] == {"sts": len(SPEC.accounts), "regions": len(listing), "directory": 0}
    assert plan["least_requests"] == scopes_of(roots)
    assert (plan["last_snapshot"], plan["expected_requests"], plan["warnings"]) == (None, None, [])
    assert not (tmp_path / "snapshots").exists()
    code, text, _ = acs_inventory("plan", "--config", cloud, "--table", "fc2_instances", cwd=tmp_path)
    assert code == 0
    assert "requested, not written" in text
    assert "There is no snapshot yet" in text


def test_plan_goes_by_the_last_snapshot(cloud, crawled):
    folder, (_, out, _) = crawled
    summary = json.loads(out)
    arguments = ["plan", "--config", cloud, "--region", "cn-shanghai"]
    arguments += ["--table", "fc_functions", "--table", "fc2_functions"]
    code, planned, err = acs_inventory(*arguments, "--json", cwd=folder)
    assert code == 0, err
    plan = json.loads(planned)
    assert plan["expected_requests"] == summary["requests"] - summary["retries"] - sum(summary["overhead"].values())
    assert plan["expected_requests"] == sum(entry["requests_expected"] for entry in plan["per_target"])
    assert plan["last_snapshot"]["snapshot_id"] == summary["snapshot_id"]
    code, screen = on_a_terminal(*arguments, cwd=folder, COLUMNS="100")
    assert code == 0
    assert re.search(r"1000000000000001 +cn-shanghai +\d+ +2 +\d+ ", screen)
    assert re.search(rf"└ fc2_functions +2 +{summary['tables']['fc2_functions']['rows']}\b", screen)
    tables = [line for line in screen.partition("2 targets")[0].splitlines() if not line.startswith("Not asked for")]
    assert max(map(len, tables)) <= 100
    assert f"from snapshot {summary['snapshot_id']}" in screen


def test_policy_allows_what_the_chosen_tables_call_and_their_parents(cloud, tmp_path):
    code, out, _ = acs_inventory("policy", "--table", "opensearch_function_instances", cwd=tmp_path)
    assert code == 0
    [statement] = json.loads(out)["Statement"]
    assert statement["Action"] == ["opensearch:DescribeFunction", "opensearch:ListApp", "opensearch:ListAppGroup"]
    _, of_all, _ = acs_inventory("policy", cwd=tmp_path)
    _, of_the_configured, _ = acs_inventory("policy", "--config", cloud, cwd=tmp_path)
    # The configuration of the built-in cloud chooses the tables of all products.
    chosen = [argument for pattern in CATALOG.all_patterns for argument in ("--table", pattern)]
    assert of_the_configured == acs_inventory("policy", *chosen, cwd=tmp_path)[1]
    assert "GetFunctionCode" not in of_all + of_the_configured


@pytest.mark.parametrize(
    "crawl",
    [
        pytest.param({}, id="what is on by default"),
        pytest.param(
            {"tables": [op.table for op in CATALOG.operations.values() if op.selection != "out"]},
            id="all that can be crawled",
        ),
        pytest.param({"tables": ["fc_functions"], "details": ["fc_functions"]}, id="details"),
    ],
)
async def test_the_policy_is_enough_and_nothing_in_it_is_too_much(cloud, tmp_path, crawl):
    """T29: It allows the actions that the emulated cloud checked in a whole crawl of a region, and no other."""
    config = tmp_path / "config.toml"
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in crawl.items())
    text = re.sub(r"^tables = .*\n", "", cloud.read_text(), flags=re.MULTILINE)
    config.write_text(text.replace("[crawl]\n", f"[crawl]\n{keys}"))
    config.chmod(0o600)
    code, out, _ = acs_inventory("policy", "--config", config, cwd=tmp_path)
    assert code == 0
    [statement] = json.loads(out)["Statement"]
    async with site(tmp_path) as here:
        result = await here.crawl(here.config(regions=["ap-southeast-1"], **crawl))
        asked = {f"{entry.product}.{entry.action}" for entry in here.cloud.requests.entries}
    assert result.exit_code == 0
    # Requests for identities and regions need no permission.
    checked = {BY_NAME[name].ram for name in asked if name in BY_NAME and not name.endswith(".DescribeRegions")}
    assert set(statement["Action"]) == checked


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
    assert (code, acs_inventory("tables", "fc_function[s]", cwd=tmp_path)[1]) == (0, one)


def test_the_comparison_with_the_sdk_says_by_its_exit_code_whether_all_is_well(tmp_path):
    code, out, _ = acs_inventory("tables", "--check-sdk", "--json", cwd=tmp_path)
    said = json.loads(out)
    assert set(said) == {"packages", "findings", "missing"}
    assert code == (1 if said["findings"] else 0)


def test_doctor_finds_all_well_and_what_is_not(cloud, tmp_path):
    code, out, _ = acs_inventory("doctor", "--config", cloud, cwd=tmp_path)
    assert code == 0
    assert "No problems found." in out
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


def test_doctor_names_a_denied_action_and_an_endpoint_that_does_not_answer(faulty_cloud, tmp_path):
    code, out, _ = acs_inventory("doctor", "--config", faulty_cloud, "--json", cwd=tmp_path)
    assert code == 1
    findings = {finding["subject"]: finding for finding in json.loads(out)}
    assert "fc:ListServices" in findings["fc2_services in 1000000000000001 cn-hangzhou"]["remedy"]
    broken = [finding for subject, finding in findings.items() if subject.startswith("opensearch_app_groups")]
    assert broken
    assert all("network" in finding["remedy"] for finding in broken)


def test_an_incomplete_crawl_is_exit_3_with_each_reason(faulty_cloud, tmp_path):
    """F40, P4."""
    chosen = ["--table", "fc_functions", "--region", "cn-shanghai"]
    code, out, err = acs_inventory("crawl", "--config", faulty_cloud, *chosen, cwd=tmp_path)
    assert code == 3
    cause = r"^denied +AccessDenied: .*fc:ListFunctions.*\n +1000000000000002 in cn-shanghai *\n +fc_functions *$"
    assert re.search(cause, out, re.MULTILINE)
    assert "is partial" in out
    assert "scopes_not_complete" in err


def test_no_account_that_works_is_exit_12(cloud, tmp_path):
    """T28."""
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_crawl_soon_with_nothing_committed(slow_cloud, tmp_path, number, code):
    """F57."""
    process = start("crawl", "--config", slow_cloud, cwd=tmp_path)
    assert "crawl_started" in process.stderr.readline()
    asked_at = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - asked_at < 10
    assert process.returncode == code
    assert err == "acs-inventory: Stopped; nothing was committed.\n"
    assert [path.name for path in (tmp_path / "snapshots").rglob("*") if path.is_file()] == ["lock"]


def test_a_second_crawl_is_exit_11_at_once_and_a_killed_one_leaves_no_lock(slow_cloud, tmp_path):
    """F51, P12."""
    with start("crawl", "--config", slow_cloud, cwd=tmp_path) as first:
        try:
            assert "crawl_started" in first.stderr.readline()
            code, out, err = acs_inventory("crawl", "--config", slow_cloud, cwd=tmp_path)
            assert first.poll() is None, "the second didn't wait for the first"
        finally:
            first.kill()
    assert (code, out) == (11, "")
    assert "another crawl" in err.lower()
    code, _, _ = acs_inventory("crawl", "--config", slow_cloud, "--table", "opensearch_app_groups", cwd=tmp_path)
    assert code == 0


def on_a_terminal(*arguments, cwd, **more):
    """Run the command with stdout and stderr on a terminal: exit code and everything that the terminal was sent."""
    environ = {key: value for key, value in ENVIRON.items() if key != "NO_COLOR"}
    environ |= {"HOME": str(cwd), "TERM": "xterm-256color", **more}
    code, screen = command_server.on_terminal(arguments, cwd=cwd, env=environ)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


def test_a_terminal_shows_progress_and_then_the_summary(cloud, tmp_path):
    chosen = ["--table", "fc2_*", "--region", "cn-shanghai"]
    code, screen = on_a_terminal("crawl", "--config", cloud, *chosen, cwd=tmp_path)
    assert code == 0
    scopes = scopes_of([table for table in ASKED if table.startswith("fc2_")]) // len(SPEC.regions)
    assert re.search(rf"\d+/{scopes} scopes", screen)
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
    code, screen = on_a_terminal("demo", "--output", "snapshots", cwd=tmp_path, COLUMNS="80")
    assert code == 0
    assert f"✓ All {len(ASKED)} tables have exactly the records of the built-in cloud." in screen
    scopes = scopes_of(ASKED)
    rows = sum(counted(table) for table in ASKED)
    assert re.search(rf"all +{len(ASKED)} +{rows:,} +\d+ +[\d.]+ [kM]B +{scopes}/{scopes}\b", screen)
    result = screen[screen.rindex("tables  ") :].splitlines()
    assert len(result) < 40
    assert max(len(line) for line in result if not line.startswith("  ")) <= 80, "commands to type are in one line"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshots"], "nothing is left beside the output"


SMALL = {"accounts": ("1000000000000001",), "regions": ("ap-southeast-1",), "opensearch_regions": ("ap-southeast-1",)}


@pytest.fixture
def small(monkeypatch):
    """A cloud of one account and one region, with few records in each list."""
    monkeypatch.setattr(spec, "SHAPES", {})
    return Cloud(CloudSpec(**SMALL))


def small_demo(folder, *options):
    """Run `demo` on the small cloud and return its output."""
    program = f"""
from crawler.cli import demo_cloud, main
from crawler.emulator import spec
make, spec.SHAPES = demo_cloud.CloudSpec, {{}}
demo_cloud.CloudSpec = lambda **given: make(**{{**given, **{SMALL!r}}})
main()
"""
    command = [sys.executable, "-c", program, "demo", "--output", "snapshots", *options]
    environ = {**ENVIRON, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_demo_says_the_same_to_programs(tmp_path, small):
    summary = json.loads(small_demo(tmp_path, "--json"))
    rows = {table: counted(table, small.spec.regions, small) for table in ASKED}
    assert {table: entry["rows"] for table, entry in summary["tables"].items()} == rows
    assert (summary["status"], summary["rows"]) == ("complete", sum(rows.values()))
    assert summary["scopes"]["total"] == scopes_of(ASKED, small.spec)


def test_commands_that_the_demo_names_work_as_they_stand(tmp_path):
    lines = small_demo(tmp_path).partition("Continue with:\n")[2].splitlines()
    assert [line.split(" -m crawler ")[1].split()[0] for line in lines] == ["snapshots", "query", "report"]
    for line in lines:
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout


def test_command_is_named_as_the_user_started_it(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "acs-inventory"
    script.parent.mkdir()
    script.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert own_process.this_command() == "bin/acs-inventory"
    monkeypatch.setenv("PATH", str(script.parent))
    assert own_process.this_command() == "acs-inventory"
    monkeypatch.setattr(sys, "argv", ["/x/crawler/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my env" / "python"))
    assert own_process.this_command() == "'my env/python' -m crawler"


def test_demo_of_two_nights_shows_what_differs_and_explains_the_denied_account(tmp_path):
    out = small_demo(tmp_path, "--nights", "2")
    after = out.partition("The next night\n")[2]
    assert f"account {SMALL['accounts'][0]} is no longer allowed to list OpenSearch" in after
    assert "exit code 3" in after
    assert re.search(r"^fc_functions +\d* +\d* +\d", after, re.MULTILINE)
    assert "complete → denied" in after
    command = after.strip().splitlines()[-1].split(" -m crawler ")[1].split()
    code, said, _ = acs_inventory(*command, "--exit-code", cwd=tmp_path)
    assert (code, said.splitlines()[-1]) == (1, re.search(r"^.* in \d+ tables\.$", said, re.MULTILINE)[0])
    code, _, err = acs_inventory("demo", "--nights", "2", "--json", cwd=tmp_path)
    assert (code, "--json" in err) == (2, True)


def test_emulate_serves_another_day_with_its_own_fault_beside_those_of_a_script(tmp_path):
    faults = '[[rules]]\neffect = "deny"\nproduct = "fc"\nregion = "cn-shanghai"\n'
    with emulated(tmp_path, faults, ["--day", "2"]) as config:
        tables = [option for table in ("fc_layers", "opensearch_user_analyzers") for option in ("--table", table)]
        code, out, err = acs_inventory("crawl", "--config", config, *tables, "--json", "--quiet", cwd=tmp_path)
    assert code == 3, err
    found = {
        (scope["account_id"][-1], scope["table"], scope["status"])
        for scope in json.loads(out)["scopes"]["not_complete"]
    }
    assert found == {
        ("1", "fc_layers", "denied"),
        ("2", "fc_layers", "denied"),
        ("2", "opensearch_user_analyzers", "denied"),
    }


def test_the_written_configuration_is_its_owners_alone(cloud):
    assert cloud.stat().st_mode & 0o777 == 0o600


@pytest.mark.looptime
async def test_without_a_display_a_line_a_minute_says_how_far_it_is():
    watch = CrawlMonitor()
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
    assert "not checked" in findings["clock"]["seen"]


# The modules are cleared after Python has dropped its handlers of signals.
LATE_SIGNAL = """
import os, signal, sys
from crawler.cli import main

class Late:
    def __del__(self, send=os.kill, number=int(sys.argv.pop(1)), process=os.getpid()):
        send(process, number)

late = Late()
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_last_moments_of_the_process_keeps_its_exit_code(number):
    """F62"""
    arguments = [sys.executable, "-c", LATE_SIGNAL, str(int(number)), "tables", "fc_functions"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
