"""P13: no command takes for the snapshot what isn't what was committed: each says which file differs, and how."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crawler.cli.main import main
from tests.support.report_page import read_page
from tests.support.written_snapshots import SNAPSHOT, write

OLD, NEW = "20261119T020000Z-00aa", SNAPSHOT
OPEN = {"trigger_name": "open", "trigger_type": "http", "trigger_config": {"auth_type": "anonymous"}}
FUNCTION = {"function_name": "f", "runtime": "python3.12"}
LAYER = {"layer_name": "l", "version": 1}

COMMANDS = {
    "report": (["report", "--to", "page.html"], 1),
    "export": (["export", "fc_triggers", "--to", "triggers.csv"], 1),
    "export to stdout": (["export", "fc_triggers", "--format", "jsonl", "--to", "-"], 1),
    "workbook": (["export", "fc_triggers", "fc_layers", "--to", "book.xlsx"], 1),
    "diff": (["diff"], 4),
    "query --verify": (["query", "SELECT count(*) FROM fc_triggers", "--verify"], 1),
}
# Without hashes, sizes and numbers of rows are compared.
UNHASHED = {
    "report": (["report", "--to", "page.html", "--no-verify"], 1),
    "export": (["export", "fc_triggers", "--to", "triggers.csv", "--no-verify"], 1),
    "diff": (["diff", "--no-verify"], 4),
    "query": (["query", "SELECT count(*) FROM fc_triggers"], 1),
}


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committed") / "snapshots"
    triggers = [{**OPEN, "function_name": f"f{number}"} for number in range(3)]
    for snapshot_id in (OLD, NEW):
        tables = {"fc_functions": [FUNCTION], "fc_triggers": triggers, "fc_layers": [LAYER], "fc2_triggers": []}
        write(folder, tables, snapshot_id=snapshot_id)
    return folder


@pytest.fixture
def store(committed, tmp_path):
    return Path(shutil.copytree(committed, tmp_path / "snapshots"))


@pytest.fixture
def run(store, tmp_path, monkeypatch, capfd):
    def _run(arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["acs-inventory", *arguments, "--output", str(store)])
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return ended.value.code or 0, out, err

    return _run


def part(store, table="fc_triggers"):
    [path] = store.glob(f"{table}/*/snapshot={NEW}/*.parquet")
    return path


def take_a_row(store):
    rows = pq.read_table(part(store))
    pq.write_table(rows.slice(1), part(store))
    return r"fc_triggers/.*part-00000.parquet has \d+ bytes, its manifest says \d+"


def tear(store):
    os.truncate(part(store), part(store).stat().st_size // 2)
    return r"fc_triggers/.*part-00000.parquet has \d+ bytes, its manifest says \d+"


def empty(store):
    os.truncate(part(store), 0)
    return r"fc_triggers/.*part-00000.parquet has 0 bytes, its manifest says \d+"


def remove(store):
    part(store).unlink()
    return r"fc_triggers/.*part-00000.parquet is missing"


def swap(store):
    one, other, aside = part(store), part(store, "fc_layers"), store / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    return r"fc_(triggers|layers)/.*part-00000.parquet has (the content of fc_|\d+ bytes, its manifest says \d+)"


def change_manifest(store):
    path = store / f"_snapshots/{NEW}.json"
    path.write_bytes(path.read_bytes().replace(b'"complete"', b'"complete" '))
    return rf"_snapshots/{NEW}.json doesn't match its checksum"


def remove_checksum(store):
    (store / f"_snapshots/{NEW}.json.sha256").unlink()
    return rf"_snapshots/{NEW}.json.sha256 is missing"


def change_ledger(store):
    flip(store / f"_snapshots/{NEW}.scopes.parquet")
    return rf"_snapshots/{NEW}.scopes.parquet isn't what its manifest names"


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change_bytes(store):
    flip(part(store))
    return r"fc_triggers/.*part-00000.parquet isn't what was committed: its SHA-256 is [0-9a-f]{12}…, its manifest says"


SEEN_BY_SIZE = [take_a_row, tear, empty, remove, swap, change_manifest, remove_checksum, change_ledger]
# Of the first pages: the footer begins later.
DAMAGED_BYTES = 2000


def refused(run, asked, said, tmp_path):
    arguments, expected = asked
    code, out, err = run(arguments)
    assert (code, out) == (expected, "")
    assert re.search(said, err), err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["snapshots"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", [*SEEN_BY_SIZE, change_bytes], ids=lambda damage: damage.__name__)
def test_what_is_not_what_was_committed_is_refused(store, run, tmp_path, damage, command):
    refused(run, COMMANDS[command], damage(store), tmp_path)


@pytest.mark.parametrize("command", UNHASHED)
@pytest.mark.parametrize("damage", SEEN_BY_SIZE, ids=lambda damage: damage.__name__)
def test_without_hashes_sizes_and_numbers_of_rows_are_compared(store, run, tmp_path, damage, command):
    refused(run, UNHASHED[command], damage(store), tmp_path)


def test_a_row_less_in_as_many_bytes_is_seen_by_its_footer(store, run, tmp_path):
    path = part(store)
    size, rows = path.stat().st_size, pq.read_table(path)
    pq.write_table(rows.slice(1), path, write_statistics=False, store_schema=False, compression="zstd")
    footer = path.read_bytes()
    assert len(footer) <= size
    path.write_bytes(b"PAR1" + b"\0" * (size - len(footer)) + footer[4:])
    refused(run, UNHASHED["query"], r"part-00000.parquet has 2 rows, its manifest says 3", tmp_path)


def test_a_damaged_page_is_never_an_answer_that_is_not_known(store, run, tmp_path):
    """Without hashes, a query that fails says what is wrong with the file, and no finding becomes unknown by it."""
    path = part(store)
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * DAMAGED_BYTES + content[4 + DAMAGED_BYTES :])
    code, _, err = run(["report", "--to", "page.html", "--no-verify", "--against", "none"])
    assert (code, "part-00000.parquet isn't what was committed" in err) == (1, True)
    assert not (tmp_path / "page.html").exists()


def test_the_page_says_whether_it_was_checked(run, tmp_path):
    assert "data checked against the manifest" in run(["report", "--to", "page.html"])[1]
    checked = read_page((tmp_path / "page.html").read_text()).text
    assert re.search(r"against its checksum file, and the \d+ files of this page, by SHA-256", checked)
    assert "data not checked (--no-verify)" in run(["report", "--to", "page.html", "--no-verify"])[1]
    unchecked = read_page((tmp_path / "page.html").read_text()).text
    assert "the data was not checked (--no-verify)" in unchecked


def test_an_export_says_whether_it_was_checked(run, tmp_path):
    for options, verified in (([], True), (["--no-verify"], False)):
        assert run(["export", "fc_layers", "--to", "l.csv", "--overwrite", *options])[0] == 0
        assert json.loads((tmp_path / "l.csv.snapshot.json").read_text())["verified"] is verified


def test_tables_that_are_not_read_are_not_checked(store, run):
    part(store).unlink()
    assert run(["query", "SELECT count(*) FROM fc_functions", "--verify"])[0] == 0
    assert run(["export", "fc_functions", "--to", "f.csv"])[0] == 0
    assert run(["diff", "--table", "fc_functions"])[0] == 0
