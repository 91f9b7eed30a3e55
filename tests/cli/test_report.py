"""`report`: the snapshots that it accepts, the place of the page, and its messages."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from crawler.cli.main import main
from crawler.snapshot import Status
from tests.support import command_server
from tests.support.report_page import read_page
from tests.support.written_snapshots import SNAPSHOT, write

OLD, NEW, PARTIAL = "20261119T020000Z-00aa", "20261120T020000Z-00bb", SNAPSHOT


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Two complete snapshots and a newer partial one."""
    folder = tmp_path_factory.mktemp("command") / "snapshots"
    write(folder, {"fc_functions": [{"function_name": "f"}]}, snapshot_id=OLD)
    write(folder, {"fc_functions": [{"function_name": "f"}, {"function_name": "g"}]}, snapshot_id=NEW)
    write(folder, {"fc_functions": []}, {"fc_triggers": Status.DENIED}, snapshot_id=PARTIAL)
    return folder


def run(*arguments, cwd="."):
    return command_server.run(["report", *arguments], cwd=cwd, env=os.environ)


def inside(monkeypatch, capsys, *arguments):
    """The exit code and stderr of the command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["acs-inventory", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


def test_the_newest_complete_snapshot_is_compared_with_the_one_before(output, tmp_path):
    target = tmp_path / "report.html"
    done = run("--to", target, "--output", output)
    assert done.returncode == 0
    assert f"{NEW} is the newest complete one; {PARTIAL} is newer, but is partial" in done.stderr
    page = read_page(target.read_text())
    assert f"Snapshot {NEW}" in page.text
    assert f"Compared with {OLD}: 1 added, 0 removed, 0 changed." in page.text
    assert [line.split(" · ")[-1] for line in done.stdout.splitlines()[:1]] == [f"snapshot {NEW}, complete"]
    assert re.search(r"^findings: 1 medium, 2 info; \d+ unknown or partial$", done.stdout, re.MULTILINE)
    assert re.search(r"^manifest SHA-256 [0-9a-f]{64}$", done.stdout, re.MULTILINE)


def test_programs_get_the_file_its_evidence_and_its_findings(output, tmp_path):
    done = run("--to", tmp_path / "report.html", "--output", output, "--json")
    value = json.loads(done.stdout)
    assert (done.returncode, value["path"]) == (0, str(tmp_path / "report.html"))
    assert value["bytes"] == (tmp_path / "report.html").stat().st_size
    assert (value["snapshot_id"], value["status"]) == (NEW, "complete")
    assert re.fullmatch("[0-9a-f]{64}", value["manifest_sha256"])
    found = [finding for finding in value["findings"] if finding["total"]]
    assert sorted(finding["severity"] for finding in found) == ["info", "info", "medium"]
    assert all(finding["finding"] and finding["coverage"] for finding in value["findings"])
    done = run("--to", "-", "--output", output, "--json")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_partial_snapshot_is_warned_of(output, tmp_path):
    target = tmp_path / "report.html"
    done = run("--to", target, "--output", output, "--snapshot", "newest", "--against", "none")
    assert done.returncode == 0
    assert f"warning: snapshot {PARTIAL} is partial: 1 of its 2 scopes aren't complete" in done.stderr
    page = read_page(target.read_text())
    assert f"Snapshot {PARTIAL}" in page.text
    assert "This snapshot was not compared with an earlier one" in page.text


def test_a_named_snapshot_is_compared_with_a_named_one(output, tmp_path):
    target = tmp_path / "report.html"
    done = run("--to", target, "--output", output, "--snapshot", PARTIAL, "--against", OLD, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert f"Compared with {OLD}: 0 added, 1 removed, 0 changed." in read_page(target.read_text()).text


def test_the_first_snapshot_has_nothing_before_it(output, tmp_path):
    target = tmp_path / "report.html"
    assert run("--to", target, "--output", output, "--snapshot", OLD).returncode == 0
    assert "This snapshot was not compared with an earlier one" in read_page(target.read_text()).text


def test_t14_only_its_owner_may_read_the_page(output, tmp_path):
    """T14."""
    target = tmp_path / "report.html"
    previous = os.umask(0)
    try:
        run("--to", target, "--output", output, "--against", "none")
    finally:
        os.umask(previous)
    assert target.stat().st_mode & 0o777 == 0o600


def test_t23_an_older_page_is_replaced_and_a_planted_link_is_not_followed(output, tmp_path, monkeypatch, capsys):
    """T23."""
    victim, link = tmp_path / "victim", tmp_path / "report.html"
    victim.write_text("untouched")
    link.symlink_to(victim)
    assert inside(monkeypatch, capsys, "--to", link, "--output", output, "--against", "none", "--quiet") == (0, "")
    assert victim.read_text() == "untouched"
    assert not link.is_symlink()
    assert inside(monkeypatch, capsys, "--to", link, "--output", output, "--against", "none", "--quiet") == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "victim"]


def test_the_output_of_the_configuration_is_taken(output, tmp_path):
    (tmp_path / "config.toml").write_text(f'[output]\nuri = "{output}"\n[[accounts]]\nid = "1000000000000001"\n')
    done = run("--to", "report.html", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--to", "none/report.html"], 2, "none is not a folder"),
        (["--to", "."], 2, "--to must name a file"),
        (["--to", "/dev"], 2, "/dev is a folder"),
        (["--to", "r.html", "--output", "none"], 2, "none is not a folder"),
        (["--to", "r.html", "--snapshot", "20200101T000000Z-0000"], 2, "has no snapshot 20200101T000000Z-0000"),
        (["--to", "r.html", "--against", "yesterday"], 2, "unknown snapshot ID 'yesterday'"),
        (["--to", "r.html", "--findings", "none"], 2, "--findings none: no such folder"),
        ([], 2, "Missing option '--to'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_no_file(
    output, tmp_path, monkeypatch, capsys, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    where = [] if "--output" in arguments else ["--output", output]
    ended, said = inside(monkeypatch, capsys, *arguments, *where)
    assert (ended, message in said.splitlines()[-1]) == (code, True), said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_finding_that_does_not_run_names_its_file_and_writes_nothing(output, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    header = "-- severity: high\n-- title: Mine\n-- tables: fc_functions\n-- reason: because\n"
    (folder / "mine.sql").write_text(f"{header}SELECT nothing FROM fc_functions")
    code, said = inside(monkeypatch, capsys, "--to", tmp_path / "r.html", "--output", output, "--findings", folder)
    assert code == 2
    assert "the finding mine doesn't run on this snapshot" in said
    assert not (tmp_path / "r.html").exists()


def test_a_file_that_is_missing_from_the_snapshot_is_said(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "snapshots"
    snapshot = write(folder, {"fc_functions": [{"function_name": "f"}]})
    for path in snapshot.files("fc_functions"):
        Path(path).unlink()
    code, said = inside(monkeypatch, capsys, "--to", tmp_path / "r.html", "--output", folder)
    assert (code, "run `snapshots verify` for details" in said) == (1, True)
    assert not (tmp_path / "r.html").exists()
