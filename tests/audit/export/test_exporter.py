"""Exports: every format read back, the evidence files, and no partial file under a final name."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler import __version__
from crawler.audit.column_order import catalog_keys, reader_columns
from crawler.audit.database import open_snapshot
from crawler.audit.export import files as rowfiles
from crawler.audit.export import workbook
from crawler.audit.export.atomic_files import TargetError
from crawler.audit.export.cell_text import escape_formula
from crawler.audit.export.exporter import ExportRequest, export
from crawler.audit.export.selection import ExportSelection, choose, column_paths
from crawler.audit.query import Rows
from crawler.audit.sql_errors import TableNames
from crawler.errors import ConfigError, OutputError, QueryError
from crawler.snapshot import LEDGER_SCHEMA, Status
from tests.support.hostile_rows import FORMULAS, MOMENT, TEXTS, hostile_functions, hostile_snapshot
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, SNAPSHOT, write

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SCHEMA = CATALOG.operations["fc_functions"].schema
ORDER = ["account_id", "region_id", "function_name", "snapshot_id", "fetched_at"]
NAMES = [*ORDER, *(name for name in SCHEMA.names if name not in ORDER)]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return hostile_snapshot(tmp_path_factory.mktemp("export") / "snapshots")


def run(snapshot, path, file_format="csv", tables=("fc_functions",), columns="", where="", **options):
    known = TableNames(snapshot, lambda: catalog_keys(CATALOG))
    paths = column_paths(columns) if columns else ()
    selection = ExportSelection(choose(tables, known), paths, where)
    return export(ExportRequest(selection, file_format, path, NOW, **options), known)


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def column(rows, name):
    place = rows[0].index(name)
    return [row[place] for row in rows[1:]]


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_csv_has_every_row_and_an_apostrophe_before_formulas_t24(snapshot, tmp_path):
    """T24."""
    written = run(snapshot, tmp_path / "f.csv")
    rows = read_csv(tmp_path / "f.csv")
    assert rows[0] == NAMES
    assert rows[0][:5] == ORDER
    assert column(rows, "function_name") == [f"f{place:02}" for place in range(len(TEXTS))]
    expected = [escape_formula(text or "") for text in TEXTS]
    assert [text.startswith("'") for text in expected] == [text in FORMULAS for text in TEXTS]
    assert column(rows, "description") == expected
    assert written["fc_functions"].guarded_cells == len(FORMULAS)
    assert column(rows, "account_id")[29:31] == [ACCOUNT, OTHER_ACCOUNT]
    # Numbers are not guarded, not even negative ones.
    assert column(rows, "memory_size")[3] == "-3"
    assert column(rows, "code_size")[1] == str(2**53 + 1)
    assert column(rows, "fetched_at")[0] == "2026-11-20T01:02:03.000004Z"
    assert json.loads(column(rows, "vpc_config")[1])["vpc_id"] == TEXTS[1]
    assert json.loads(column(rows, "environment_variables")[1]) == {"=KEY": "hmac:00", TEXTS[1]: None}
    assert {column(rows, "layers")[0], column(rows, "environment_variables")[0]} == {"[]", ""}


def test_csv_is_rfc_4180(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.csv", columns="description,function_name")
    text = (tmp_path / "f.csv").read_bytes().decode()
    assert text.startswith("description,function_name\r\n")
    assert '\r\n"",f' in text  # the empty text; null is nothing
    assert text.endswith(f"\r\n,f{len(TEXTS) - 1}\r\n")
    assert '"say ""hi"""' in text
    assert '"a\nb,c;d\te"' in text


def test_raw_csv_leaves_texts_as_they_are(snapshot, tmp_path):
    """T24."""
    written = run(snapshot, tmp_path / "f.csv", is_raw=True)
    assert column(read_csv(tmp_path / "f.csv"), "description") == [text or "" for text in TEXTS]
    assert written["fc_functions"].guarded_cells == 0


def test_a_single_column_has_a_line_for_every_row(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.csv", columns="created_time")
    assert len(read_csv(tmp_path / "f.csv")) == len(TEXTS) + 1


def test_headers_and_instants_before_our_era_are_guarded_too():
    """T24."""
    batch = pa.RecordBatch.from_arrays([pa.array(["a"])], ["=a"])
    lines = []
    rowfiles.write_csv(Rows(batch.schema, iter([batch])), lines.append)
    assert "".join(lines) == "'=a\r\na\r\n"


def test_jsonl_has_values_as_they_are(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.jsonl", "jsonl")
    rows = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [row["description"] for row in rows] == TEXTS
    assert [row["code_size"] for row in rows] == [2**53 + place for place in range(len(TEXTS))]
    assert rows[1]["vpc_config"]["v_switch_ids"] == [TEXTS[1], "b"]
    assert rows[1]["environment_variables"] == {"=KEY": "hmac:00", TEXTS[1]: None}
    assert (rows[0]["vpc_config"], rows[0]["layers"], rows[1]["cpu"]) == (None, [], 1 / 3)


def test_parquet_has_the_snapshots_own_types_and_rows_with_the_key_first(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.parquet", "parquet")
    stored = pa.concat_tables(pq.ParquetFile(file).read() for file in snapshot.files("fc_functions"))
    table = pq.read_table(tmp_path / "f.parquet")
    assert table.schema.names == NAMES
    assert table.select(stored.schema.names).schema.equals(stored.schema, check_metadata=True)
    assert table.select(stored.schema.names).equals(stored)


def test_parquet_of_chosen_columns_keeps_their_types(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.parquet", "parquet", columns="vpc_config.v_switch_ids,account_id,environment_variables")
    schema = pq.read_schema(tmp_path / "f.parquet")
    assert schema.names == ["vpc_config.v_switch_ids", "account_id", "environment_variables"]
    stored = pq.read_schema(snapshot.files("fc_functions")[0])
    assert schema.field(0).type == stored.field("vpc_config").type.field("v_switch_ids").type
    assert schema.field(2).equals(stored.field("environment_variables"), check_metadata=True)


def sheet(path, name):
    return [list(row) for row in openpyxl.load_workbook(path)[name].iter_rows()]


def test_xlsx_has_text_as_text_and_no_formula_t24(snapshot, tmp_path):
    """T24."""
    written = run(snapshot, tmp_path / "f.xlsx", "xlsx")
    rows = sheet(tmp_path / "f.xlsx", "fc_functions")
    header = [cell.value for cell in rows[0]]
    assert header == NAMES
    assert {cell.data_type for row in rows for cell in row} == {"s", "n", "d", "b"}  # no "f"
    place = header.index("description")
    for row, text in zip(rows[1:], TEXTS, strict=True):
        cell = row[place]
        if text:
            unescaped = openpyxl.utils.escape.unescape(cell.value)
            assert unescaped.replace("\r\n", "\n") == text.replace("\r\n", "\n")
            assert (cell.data_type, cell.quotePrefix) == ("s", text in FORMULAS)
    assert written["fc_functions"].guarded_cells == len(FORMULAS)


def test_xlsx_cells_have_their_types(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.xlsx", "xlsx")
    rows = sheet(tmp_path / "f.xlsx", "fc_functions")
    header = [cell.value for cell in rows[0]]
    first, second = (dict(zip(header, row, strict=True)) for row in rows[1:3])
    assert (first["account_id"].value, first["account_id"].data_type) == (ACCOUNT, "s")
    assert (second["memory_size"].value, second["memory_size"].data_type) == (-1, "n")
    assert (second["code_size"].value, second["code_size"].data_type) == (str(2**53 + 1), "s")  # a sheet would round it
    assert second["cpu"].value == pytest.approx(1 / 3)
    assert (second["internet_access"].value, second["internet_access"].data_type) == (False, "b")
    assert first["internet_access"].value is None
    assert second["created_time"].value == MOMENT.replace(tzinfo=None, microsecond=0)
    assert second["created_time"].number_format == 'yyyy-mm-dd hh:mm:ss"Z"'
    assert json.loads(second["vpc_config"].value)["v_switch_ids"] == [TEXTS[1], "b"]


def test_xlsx_cuts_what_a_cell_cannot_hold_and_says_so(tmp_path):
    texts = ["x" * 32_767, "y" * 32_768, "\N{GRINNING FACE}" * 16_384, None]
    functions = [{"function_name": f"f{place}", "description": text} for place, text in enumerate(texts)]
    snapshot = write(tmp_path / "snapshots", {"fc_functions": functions})
    written = run(snapshot, tmp_path / "f.xlsx", "xlsx", columns="function_name,description")
    assert written["fc_functions"].cut_cells == {"description": 2}
    found = [row[1].value for row in sheet(tmp_path / "f.xlsx", "fc_functions")[1:]]
    assert found == [texts[0], "y" * 32_767, "\N{GRINNING FACE}" * 16_383, None]
    facts = {row[0].value: row[1].value for row in sheet(tmp_path / "f.xlsx", "_snapshot")}
    assert facts["tables.fc_functions.cut_cells.description"] == "2"


def test_a_workbook_has_a_sheet_for_each_table_and_two_for_the_evidence(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.xlsx", "xlsx", ["fc_layers", "fc_*"])
    book = openpyxl.load_workbook(tmp_path / "f.xlsx")
    assert book.sheetnames == ["fc_layers", "fc_functions", "_scopes", "_snapshot"]
    assert [cell.value for cell in book["_scopes"][1]] == LEDGER_SCHEMA.names
    facts = {row[0].value: row[1].value for row in book["_snapshot"].iter_rows()}
    assert facts["snapshot_id"] == SNAPSHOT
    assert facts["manifest_sha256"] == manifest_sha256(snapshot)
    assert facts["tables.fc_functions.rows"] == str(len(TEXTS))
    assert [book[name].freeze_panes for name in book.sheetnames] == ["D2", "D2", "D2", "B2"]
    assert book["fc_functions"].oddHeader.left.text == "&Bfc_functions"
    assert book["fc_functions"].oddHeader.right.text == f"Snapshot {SNAPSHOT}, partial"
    assert book["fc_functions"].oddFooter.left.text == f"Manifest SHA-256 {manifest_sha256(snapshot)}"
    assert leftovers(tmp_path) == ["f.xlsx"]


def test_long_names_of_tables_become_different_names_of_sheets():
    tables = ["a" * 31, "a" * 32, "a" * 33, "short"]
    assert list(workbook.sheet_names(tables).values()) == ["a" * 31, "a" * 29 + "~2", "a" * 29 + "~3", "short"]


def test_more_rows_than_a_sheet_holds_are_refused_before_anything_is_written(snapshot, tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_ROWS", len(TEXTS) - 1)
    for where in ("", "true"):
        with pytest.raises(ConfigError, match=r"fc_functions has more rows than a sheet holds, .*--where"):
            run(snapshot, tmp_path / "f.xlsx", "xlsx", where=where)
    assert leftovers(tmp_path) == []
    assert run(snapshot, tmp_path / "f.xlsx", "xlsx", where="memory_size < 0")["fc_functions"].rows == len(TEXTS) - 1


def manifest_sha256(snapshot):
    path = snapshot.root / "_snapshots" / f"{snapshot.manifest.snapshot_id}.json"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_snapshots_identity_and_the_scopes_go_along(snapshot, tmp_path):
    written = run(snapshot, tmp_path / "f.csv", where="memory_size < -1")
    assert leftovers(tmp_path) == ["f.csv", "f.csv.scopes.csv", "f.csv.snapshot.json"]
    facts = json.loads((tmp_path / "f.csv.snapshot.json").read_text())
    entry = facts.pop("tables")["fc_functions"]
    assert facts == {
        "snapshot_id": SNAPSHOT,
        "status": "partial",
        "only": None,
        "manifest_sha256": manifest_sha256(snapshot),
        "verified": True,
        "started_at": "2026-11-21T02:00:00Z",
        "finished_at": "2026-11-21T02:05:00Z",
        "crawled_by": "acs-inventory 0.1.0",
        "secrets": "fingerprint",
        "exported_at": "2026-11-22T09:00:00Z",
        "exported_by": f"acs-inventory {__version__}",
        "format": "csv",
        "columns": None,
        "where": "memory_size < -1",
        "raw_csv": False,
        "scopes": {"total": 4, "not_complete": 0},
    }
    content = (tmp_path / "f.csv").read_bytes()
    assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (entry["rows"], entry["snapshot_rows"]) == (len(TEXTS) - 2, len(TEXTS))
    assert entry["rows"] == written["fc_functions"].rows
    scopes = read_csv(tmp_path / "f.csv.scopes.csv")
    assert scopes[0] == LEDGER_SCHEMA.names
    assert set(column(scopes, "table")) == {"fc_functions"}
    assert {(row[0], row[1]) for row in scopes[1:]} == {
        (entry["account_id"], entry["region_id"]) for entry in hostile_functions()
    }


def test_a_scope_that_is_not_complete_is_said_in_the_evidence(tmp_path):
    tables = {"fc_functions": [{"function_name": "f"}]}
    snapshot = write(tmp_path / "snapshots", tables, {"fc_functions": Status.TRUNCATED})
    run(snapshot, tmp_path / "f.parquet", "parquet")
    facts = json.loads((tmp_path / "f.parquet.snapshot.json").read_text())
    assert (facts["status"], facts["scopes"]) == ("partial", {"total": 1, "not_complete": 1})
    assert column(read_csv(tmp_path / "f.parquet.scopes.csv"), "status") == ["truncated"]


def test_several_tables_become_a_folder(snapshot, tmp_path):
    written = run(snapshot, tmp_path / "all", "jsonl", ["fc_*"])
    assert leftovers(tmp_path / "all") == ["_scopes.csv", "_snapshot.json", "fc_functions.jsonl", "fc_layers.jsonl"]
    facts = json.loads((tmp_path / "all" / "_snapshot.json").read_text())
    assert {table: entry["rows"] for table, entry in facts["tables"].items()} == {
        "fc_functions": len(TEXTS),
        "fc_layers": 0,
    }
    assert (written["fc_layers"].file, (tmp_path / "all" / "fc_layers.jsonl").read_bytes()) == ("fc_layers.jsonl", b"")
    assert set(column(read_csv(tmp_path / "all" / "_scopes.csv"), "table")) == {"fc_functions", "fc_layers"}


@pytest.mark.parametrize("file_format", ["csv", "parquet", "xlsx"])
def test_a_table_without_rows_has_its_columns(snapshot, tmp_path, file_format):
    operation = CATALOG.operations["fc_layers"]
    names = reader_columns(operation.schema.names, operation.key)
    path = tmp_path / f"layers.{file_format}"
    run(snapshot, path, file_format, ["fc_layers"])
    found = {
        "csv": lambda: read_csv(path),
        "parquet": lambda: [pq.read_schema(path).names],
        "xlsx": lambda: [[cell.value for cell in row] for row in sheet(path, "fc_layers")],
    }[file_format]()
    assert found == [names]


def test_files_are_for_their_owner_only_whatever_the_umask_t14(snapshot, tmp_path):
    """T14."""
    before = os.umask(0)
    try:
        run(snapshot, tmp_path / "f.csv")
        run(snapshot, tmp_path / "f.xlsx", "xlsx")
        run(snapshot, tmp_path / "all", "csv", ["fc_*"])
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes.pop("all") == 0o700
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    ("name", "file_format", "tables"), [("f.csv", "csv", ["fc_functions"]), ("all", "csv", ["fc_*"])]
)
def test_what_is_there_is_replaced_only_when_asked_to(snapshot, tmp_path, name, file_format, tables):
    run(snapshot, tmp_path / name, file_format, tables)
    names = leftovers(tmp_path)
    with pytest.raises(ConfigError, match="already exists; name another path with --to, or use --overwrite"):
        run(snapshot, tmp_path / name, file_format, tables, where="false")
    run(snapshot, tmp_path / name, file_format, tables, where="false", may_replace=True)
    assert leftovers(tmp_path) == names
    csv_file = tmp_path / name if name == "f.csv" else tmp_path / name / "fc_functions.csv"
    assert len(read_csv(csv_file)) == 1


def test_a_companion_of_another_file_is_not_replaced_either(snapshot, tmp_path):
    (tmp_path / "f.csv.snapshot.json").write_text("mine")
    with pytest.raises(ConfigError, match=r"f.csv.snapshot.json already exists"):
        run(snapshot, tmp_path / "f.csv")
    assert leftovers(tmp_path) == ["f.csv.snapshot.json"]


@pytest.mark.parametrize("content", [{"mine.txt": "x"}, {"mine.txt": "x", "_snapshot.json": "{}"}, {".hidden": ""}])
def test_a_folder_that_holds_anything_else_is_never_replaced(snapshot, tmp_path, content):
    folder = tmp_path / "all"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=r"isn't overwritten: it contains '.*', which is not from an export"):
        run(snapshot, folder, "csv", ["fc_*"], may_replace=True)
    assert leftovers(folder) == sorted(content)


def test_a_folder_of_an_export_to_which_somebody_added_a_file_is_not_replaced(snapshot, tmp_path):
    run(snapshot, tmp_path / "all", "csv", ["fc_*"])
    (tmp_path / "all" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"it contains 'notes.txt'"):
        run(snapshot, tmp_path / "all", "csv", ["fc_*"], may_replace=True)


def test_odd_places_are_refused(snapshot, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    cases = [
        ("missing/f.csv", ["fc_functions"], "missing is not a folder; create it first"),
        ("folder", ["fc_functions"], "is a folder; --to must name a file"),
        ("pipe", ["fc_functions"], "can't be replaced: it is not a regular file"),
        ("file", ["fc_*"], "is not a folder; --to must name one for several tables"),
        ("link", ["fc_*"], "is not a folder; --to must name one for several tables"),
    ]
    for name, tables, said in cases:
        with pytest.raises(ConfigError, match=said):
            run(snapshot, tmp_path / name, "csv", tables, may_replace=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_in_the_files_place_is_replaced_and_not_followed_t23(snapshot, tmp_path):
    """T23."""
    (tmp_path / "target").write_text("mine")
    (tmp_path / "f.csv").symlink_to(tmp_path / "target")
    run(snapshot, tmp_path / "f.csv", may_replace=True)
    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "f.csv").is_symlink()


@pytest.mark.parametrize(
    ("name", "file_format", "tables"),
    [
        ("f.csv", "csv", ["fc_functions"]),
        ("f.jsonl", "jsonl", ["fc_functions"]),
        ("f.parquet", "parquet", ["fc_functions"]),
        ("f.xlsx", "xlsx", ["fc_functions"]),
        ("all", "parquet", ["fc_layers", "fc_functions"]),
    ],
)
def test_a_failure_on_the_way_leaves_what_was_there_and_nothing_else(snapshot, tmp_path, name, file_format, tables):
    run(snapshot, tmp_path / name, file_format, tables)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    where = "CASE WHEN account_id <> '' THEN CAST(account_id || 'x' AS BIGINT) > 0 END"
    with pytest.raises(QueryError, match=r"^--where for fc_functions failed: line 1, column 33: Could not convert"):
        run(snapshot, tmp_path / name, file_format, tables, where=where, may_replace=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["f.csv", "f.parquet", "f.xlsx", "all"])
def test_a_disk_that_refuses_leaves_nothing_behind(snapshot, tmp_path, monkeypatch, name):
    def refuse(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    tables = ["fc_*"] if name == "all" else ["fc_functions"]
    with pytest.raises(TargetError, match=f"can't write .*{name}.*: No space left on device"):
        run(snapshot, tmp_path / name, name.partition(".")[2] or "csv", tables)
    assert leftovers(tmp_path) == []


def test_a_folder_in_which_nothing_can_be_made_is_the_outputs_error(snapshot, tmp_path, monkeypatch):
    def refuse(*_arguments, **_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    monkeypatch.setattr("tempfile.TemporaryDirectory.__init__", lambda *_a, **_n: None)
    monkeypatch.setattr("tempfile.TemporaryDirectory.__enter__", lambda *_a: str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryDirectory.__exit__", lambda *_a: None)
    with pytest.raises(TargetError, match="Permission denied"):
        run(snapshot, tmp_path / "f.csv")


def test_a_part_that_is_not_its_manifests_is_not_exported_p13(snapshot, tmp_path):
    """P13."""
    shutil.copytree(snapshot.root, tmp_path / "snapshots")
    changed = open_snapshot(tmp_path / "snapshots", SNAPSHOT)
    path = Path(changed.files("fc_functions")[-1])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"part-00003.parquet isn't what was committed: its SHA-256 is"):
        run(changed, tmp_path / "f.csv")
    path.unlink()
    with pytest.raises(OutputError, match=r"part-00003.parquet is missing"):
        run(changed, tmp_path / "f.csv")
    assert leftovers(tmp_path) == ["snapshots"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tables": ["fc_funktions"]}, "there is no table 'fc_funktions': did you mean fc_functions"),
        ({"tables": ["fc_aliases"]}, "has no table fc_aliases; it was not read in any scope: 1 denied"),
        ({"tables": ["fc_triggers"]}, "it can be crawled, but this crawl didn't include it"),
        ({"tables": ["fc2_*"]}, "'fc2_\\*' matches no table of the snapshot"),
        ({"tables": ["_scopes"]}, "_scopes is part of every export"),
        ({"columns": "runtme"}, "fc_functions has no column 'runtme': did you mean runtime"),
        ({"columns": "zzz"}, "fc_functions has no column 'zzz': it has account_id, region_id, .* …$"),
        ({"columns": "vpc_config.vpcid"}, "'vpc_config' of fc_functions has no field 'vpcid': did you mean vpc_id"),
        ({"columns": "runtime.x"}, "'runtime' of fc_functions isn't a struct, so there is no 'runtime.x'"),
        ({"columns": "a,,b"}, "must be different names, separated by commas"),
        ({"columns": "a, a"}, "must be different names, separated by commas"),
        ({"where": "runtme = 'x'"}, '^--where for fc_functions: line 1, column 1: Referenced column "runtme"'),
        ({"where": "true AND\n  1 = "}, "^--where for fc_functions: line 3, column 1|^--where for fc_functions: "),
        ({"where": "true; DROP VIEW fc_functions"}, "^--where for fc_functions: .*syntax error"),
        ({"where": "true) UNION SELECT 1 --"}, "^--where for fc_functions: "),
        ({"where": "(WITH w AS (COPY (SELECT 1) TO 'x') FROM w)"}, "^--where for fc_functions has a part that writes"),
    ],
    ids=str,
)
def test_what_cannot_be_exported_is_one_sentence(snapshot, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said) as refused:
        run(snapshot, tmp_path / "f.csv", **options)
    assert "\n" not in str(refused.value)
    assert leftovers(tmp_path) == []


def test_where_and_columns_go_together_and_a_comment_ends_with_its_line(snapshot, tmp_path):
    run(snapshot, tmp_path / "f.csv", columns="function_name, vpc_config.vpc_id", where="memory_size = -1 -- one")
    assert read_csv(tmp_path / "f.csv") == [["function_name", "vpc_config.vpc_id"], ["f01", f"'{TEXTS[1]}"]]


def counted_rows(batches, on_pull):
    batch = pa.RecordBatch.from_pydict({"a": list(range(1000)), "b": ["x" * 100] * 1000})

    def give():
        for _ in range(batches):
            on_pull()
            yield batch

    return Rows(batch.schema, give())


@pytest.mark.parametrize("write", [rowfiles.write_csv, rowfiles.write_json, rowfiles.write_jsonl])
def test_a_batch_is_on_its_way_before_the_next_is_read(write):
    events = []
    written = write(counted_rows(5, lambda: events.append("read")), lambda _text: events.append("write"))
    assert written.rows == 5000
    assert max(len(run) for run in "".join(event[0] for event in events).split("w")) <= 1


def test_parquet_is_written_in_row_groups_and_not_from_memory(tmp_path):
    with (tmp_path / "f.parquet").open("wb") as file:
        sizes = []
        rowfiles.write_parquet(counted_rows(200, lambda: sizes.append(file.tell())), file)
    assert pq.read_metadata(tmp_path / "f.parquet").num_row_groups == 4
    assert sizes[0] < sizes[100] < sizes[199]


def test_parquet_says_which_type_it_does_not_have(tmp_path):
    batch = pa.RecordBatch.from_arrays([pa.array([pa.MonthDayNano([1, 2, 3])])], ["age"])
    with (tmp_path / "f.parquet").open("wb") as file, pytest.raises(ConfigError, match="cast it to VARCHAR"):
        rowfiles.write_parquet(Rows(batch.schema, iter([batch])), file)


@pytest.mark.parametrize("write", [rowfiles.write_json, rowfiles.write_jsonl])
def test_names_that_come_twice_are_refused_where_they_cannot_be_told_apart(write):
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(ConfigError, match="two columns are called 'a'"):
        write(Rows(batch.schema, iter([batch])), print)
