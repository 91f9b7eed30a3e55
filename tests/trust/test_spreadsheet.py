"""T24, T35: an export in a real spreadsheet: LibreOffice opens it and writes the cells as it understood them."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest

from crawler.audit.column_order import catalog_keys
from crawler.audit.export.exporter import ExportRequest, export
from crawler.audit.export.selection import ExportSelection, choose, column_paths
from crawler.audit.sql_errors import TableNames
from tests.support.hostile_rows import FORMULAS, TEXTS, hostile_snapshot
from tests.support.written_snapshots import CATALOG, write

# Texts with a formula where a spreadsheet may begin another cell or row.
PARTED = [
    "x;=1+1",
    "x\t=1+1",
    "x|=1+1",
    'x;=HYPERLINK("http://127.0.0.1:9/";"a")',
    '";=1+1',
    "x\n=1+1;y",
    "x; ＝1+1",
    'x;"=1+1"',
    "x;",
    "+1",
]
SEPARATORS = ["44", "59", "9", "124", "44/59", "44/9", "59/9/124"]
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
FORMULA = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}formula"
CELL = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}table-cell"


@pytest.fixture(scope="module")
def understood(tmp_path_factory):
    """The cells, and those with a formula, of each kind of export, as LibreOffice has read it."""
    folder = tmp_path_factory.mktemp("spreadsheet")
    snapshot = hostile_snapshot(folder / "snapshots")
    known = TableNames(snapshot, lambda: catalog_keys(CATALOG))
    selection = ExportSelection(choose(("fc_functions",), known), column_paths("function_name,description"), "")
    for name, kind, is_raw in (("guarded.csv", "csv", False), ("raw.csv", "csv", True), ("book.xlsx", "xlsx", False)):
        export(ExportRequest(selection, kind, folder / name, NOW, is_raw=is_raw), known)
    return {name: open_in_office(folder, name) for name in ("guarded.csv", "raw.csv", "book.xlsx")}


def open_in_office(folder, name, separators="44"):
    """The cells and the formulas of a file. `separators` are the codes of the characters at which CSV is parted."""
    # UTF-8, quoted by ", formulas evaluated as a person's spreadsheet does.
    reading = f"CSV:{separators},34,76,1,,0,false,true,false,false,false,-1,true"
    office = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "fods"]
    filters = [f"--infilter={reading}"] if name.endswith("csv") else []
    out = folder / "out" / name / separators.replace("/", "-")
    command = [*office, *filters, "--outdir", str(out), str(folder / name)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()[:500]
    [path] = out.glob("*.fods")
    return cells(path)


def cells(path):
    found = list(ET.parse(path).iter(CELL))
    formulas = {cell.get(FORMULA) for cell in found} - {None, "of:=TRUE()", "of:=FALSE()"}  # flags are written so
    return ["".join(cell.itertext()).strip() for cell in found], formulas


@pytest.mark.trust
@pytest.mark.parametrize("name", ["guarded.csv", "book.xlsx"])
def test_no_cell_of_an_export_is_a_formula(understood, name):
    """T24."""
    texts, formulas = understood[name]
    assert formulas == set()
    assert "f00" in texts
    own = sum(text.startswith("'") for text in TEXTS if text)
    assert sum(text.startswith("'") for text in texts) == (len(FORMULAS) if name == "guarded.csv" else own)


@pytest.mark.trust
def test_the_same_texts_unguarded_are_formulas(understood):
    """Control: otherwise the absence of formulas would prove nothing."""
    _, formulas = understood["raw.csv"]
    assert formulas >= {"of:=1+1"}
    assert len(TEXTS) > len(FORMULAS) > 3


@pytest.fixture(scope="module")
def parted(tmp_path_factory):
    """A folder with two exports of the same texts, guarded and raw."""
    folder = tmp_path_factory.mktemp("parted")
    functions = [{"function_name": f"f{place}", "description": text} for place, text in enumerate(PARTED)]
    known = TableNames(write(folder / "snapshots", {"fc_functions": functions}), lambda: catalog_keys(CATALOG))
    selection = ExportSelection(choose(("fc_functions",), known), column_paths("function_name,description"), "")
    for name, is_raw in (("guarded.csv", False), ("raw.csv", True)):
        export(ExportRequest(selection, "csv", folder / name, NOW, is_raw=is_raw), known)
    return folder


@pytest.mark.trust
@pytest.mark.parametrize("separators", SEPARATORS)
def test_no_cell_is_a_formula_wherever_the_spreadsheet_parts_them(parted, separators):
    """T35."""
    texts, formulas = open_in_office(parted, "guarded.csv", separators)
    assert formulas == set()
    assert any("f0" in text for text in texts)


@pytest.mark.trust
@pytest.mark.parametrize("separators", ["59", "9", "124"])
def test_the_same_parts_unguarded_are_formulas(parted, separators):
    """Control."""
    _, formulas = open_in_office(parted, "raw.csv", separators)
    assert any("1+1" in formula for formula in formulas)
