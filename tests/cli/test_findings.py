"""`findings`: its formats, options, messages and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import stat

import pytest

from crawler.snapshot import Status
from tests.support.commands import acs_inventory
from tests.support.written_snapshots import SNAPSHOT, write

BEFORE = "20261120T020000Z-00bb"
OPEN = {"auth_type": "anonymous", "disable_url_internet": False}
CONFIG = """
[output]
uri = "{uri}"
[[accounts]]
id = "1000000000000001"
[report]
owner_tags = ["squad"]
[[accepted_findings]]
finding = "anonymous_public_urls"
resource = "hook / *"
reason = "checks a signature"
until = {until}
"""


def trigger(name):
    return {"function_name": name, "trigger_name": "t", "trigger_type": "http", "trigger_config": OPEN}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("findings") / "snapshots"
    functions = [{"function_name": "hook", "tags": [{"key": "Squad", "value": "pay"}, {"key": "owner", "value": "li"}]}]
    tables = {"fc_triggers": [trigger("hook")], "fc2_triggers": [], "fc_functions": functions, "fc2_services": []}
    write(folder, tables, snapshot_id=BEFORE)
    write(folder, tables | {"fc_triggers": [trigger("hook"), trigger("shop")]}, {"fc_layers": Status.DENIED})
    return folder


def findings(output, *arguments, cwd=None):
    return acs_inventory("findings", *arguments, "--output", str(output), cwd=cwd or output.parent)


def configured(tmp_path, output, until):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(uri=output, until=until))
    return ["--config", str(path)]


def test_the_text_has_each_finding_with_its_rows_and_what_is_not_known(output):
    code, said, warned = findings(output, "--severity", "high", "--snapshot", "newest")
    assert code == 0
    assert "high  Functions that anyone on the internet may call: 2\n        anonymous_public_urls\n" in said
    assert "  1000000000000001  cn-hangzhou  hook / t  (owner li)\n" in said
    assert "unknown: public_layers: 1 of 1 scopes of fc_layers aren't complete" in said
    assert "2 open in 1 finding: 2 high; 6 unknown or partly unknown\n" in said
    assert f"warning: snapshot {SNAPSHOT} is partial" in warned


def test_rows_that_are_left_out_are_counted(output):
    said = findings(output, "--finding", "anonymous_public_urls", "--snapshot", "newest", "--max-rows", "1")[1]
    assert "… 1 more; --max-rows 0 or --format csv has all" in said
    assert "shop" not in said
    assert "shop" in findings(output, "--snapshot", "newest", "--max-rows", "0")[1]


def test_json_and_csv_have_the_same_rows(output):
    arguments = ["--snapshot", "newest"]
    code, said, _ = findings(output, *arguments, "--json")
    assert code == 0
    document = json.loads(said)
    listed = [row["id"] for finding in document["findings"] for row in finding["rows"]]
    table = csv.DictReader(io.StringIO(findings(output, *arguments, "--format", "csv")[1]))
    assert [row["id"] for row in table if row["id"]] == listed
    events = json.loads(findings(output, *arguments, "--format", "ocsf")[1])
    assert [event["finding_info"]["uid"] for event in events if "resources" in event] == listed
    assert document == json.loads(findings(output, *arguments, "--format", "json")[1])


def test_a_file_is_written_whole_for_its_owner_only(output, tmp_path):
    target = tmp_path / "findings.json"
    target.write_text("old")
    code, said, _ = findings(output, "--json", "--to", str(target))
    assert (code, said) == (0, "")
    assert json.loads(target.read_text())["snapshot_id"] == BEFORE
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["findings.json"]


def test_only_rows_that_are_not_in_another_snapshot_are_listed(output):
    arguments = ["--snapshot", "newest", "--against", BEFORE, "--finding", "anonymous_public_urls"]
    said = findings(output, *arguments)[1]
    assert f"new since {BEFORE}" in said
    assert "shop / t" in said
    assert "hook / t" not in said
    assert findings(output, "--snapshot", BEFORE, *arguments[2:], "--exit-code")[0] == 0
    assert findings(output, *arguments, "--exit-code")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--severity", "high"], 0),
        (["--severity", "high", "--exit-code"], 1),
        (["--finding", "public_layers", "--exit-code", "--snapshot", "newest"], 3),
        (["--finding", "anonymous_http_triggers", "--exit-code"], 0),
    ],
)
def test_the_exit_code_is_an_answer_only_if_it_is_asked_for(output, arguments, code):
    assert findings(output, *arguments)[0] == code


def test_accepted_findings_are_listed_apart_and_do_not_count(output, tmp_path):
    options = [*configured(tmp_path, output, "2026-12-31"), "--finding", "anonymous_public_urls"]
    code, said, warned = acs_inventory("findings", *options, "--exit-code", cwd=tmp_path)
    assert code == 0
    assert "hook / t  (owner pay)  accepted until 2026-12-31: checks a signature" in said
    assert "0 open in 0 findings; 1 accepted" in said
    assert "accepted_findings" not in warned
    [finding] = json.loads(acs_inventory("findings", *options, "--json", cwd=tmp_path)[1])["findings"]
    assert (finding["state"], finding["open"], finding["accepted"]) == ("none", 0, 1)


def test_an_acceptance_that_has_expired_is_warned_of_and_the_rows_are_open(output, tmp_path):
    options = [*configured(tmp_path, output, "2026-11-01"), "--finding", "anonymous_public_urls"]
    code, said, warned = acs_inventory("findings", *options, "--exit-code", "--json", cwd=tmp_path)
    assert code == 1
    sentence = "accepted_findings[0] (anonymous_public_urls, hook / *) expired on 2026-11-01: 1 resource is open again"
    assert f"acs-inventory: warning: {sentence}" in warned
    assert json.loads(said)["warnings"] == [sentence]


def test_the_owner_tag_of_the_command_line_comes_before_the_configurations(output, tmp_path):
    options = [
        *configured(tmp_path, output, "2026-12-31"),
        "--finding",
        "anonymous_public_urls",
        "--owner-tag",
        "owner",
    ]
    assert "(owner li)" in acs_inventory("findings", *options, cwd=tmp_path)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--finding", "public_layer"], "--finding public_layer names no finding; did you mean public_layers?"),
        (["--snapshot", "20200101T000000Z-0000"], "20200101T000000Z-0000"),
        (["--to", "x.txt"], "--to needs --format json, csv or ocsf."),
        (["--raw-csv"], "--raw-csv needs --format csv."),
        (["--findings", "/nowhere"], "--findings /nowhere: no such folder; name a folder with .sql files"),
        (["--json", "--to", "/nowhere/x.json"], "/nowhere is not a folder; create it first"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(output, arguments, message):
    code, said, warned = findings(output, *arguments)
    assert (code, said) == (2, "")
    assert message in warned


def test_an_own_finding_on_an_unknown_table_is_2_for_findings_and_report(output, tmp_path):
    (tmp_path / "mine.sql").write_text(
        "-- severity: low\n-- title: Mine\n-- tables: fc_function\n-- reason: because\nSELECT 1 AS one\n"
    )
    sentence = "the finding mine names the table fc_function, which doesn't exist; did you mean fc_functions?"
    code, said, warned = findings(output, "--findings", str(tmp_path))
    assert (code, said, warned.splitlines()[-1]) == (2, "", f"acs-inventory: {sentence}")
    target = ["--to", str(tmp_path / "x.html"), "--findings", str(tmp_path), "--output", str(output)]
    code, _, warned = acs_inventory("report", *target, cwd=tmp_path)
    assert (code, sentence in warned) == (2, True)
    assert not (tmp_path / "x.html").exists()


def test_a_snapshot_that_can_not_be_read_is_4(tmp_path):
    write(tmp_path / "snapshots", {"fc_triggers": [trigger("f")], "fc2_triggers": []})
    [part] = (tmp_path / "snapshots" / "fc_triggers").rglob("*.parquet")
    part.write_bytes(b"torn")
    code, _, warned = findings(tmp_path / "snapshots", "--exit-code", cwd=tmp_path)
    assert code == 4
    assert warned.startswith("acs-inventory: ")
