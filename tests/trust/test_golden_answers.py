"""F22, F42, F43: tables of undocumented answers and their results. No data is lost, rounded or read as zero rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.catalog.model import WHOLE_ANSWER
from crawler.errors import CrawlError, NormalizeError, PaginationError, TransientError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.exact_json import toggle_initial_case
from crawler.normalizer.redaction import Redaction
from crawler.snapshot import schema_sha256

CATALOG = load_catalog()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEEPS = Redaction("keep", "keep", b"k" * 32)


def read(table, body, redaction=KEEPS):
    operation = CATALOG.operations[table]
    context = RowContext("1", "r", NOW, dict.fromkeys(operation.parameters, "p"))
    return Normalizer(operation, redaction, "s").read(body.encode() if isinstance(body, str) else body, context)


def wrapped(operation, value):
    """A value in the place of an operation's list."""
    for step in reversed(operation.records):
        value = {step: value}
    return value


def odd_bodies(operation):
    """Answers with no list that can be read as one, by their fault."""
    [*_, last] = operation.records
    whole = wrapped(operation, [])
    bodies = {
        "HTML": "<html><body>502</body></html>",
        "nothing": "",
        "cut": json.dumps(whole)[:-1],
        "null": "null",
        "a list": "[]",
        "text": '"ok"',
        "a number": "1",
        "list is text": json.dumps(wrapped(operation, "[]")),
        "list is a number": json.dumps(wrapped(operation, 0)),
        "list is a flag": json.dumps(wrapped(operation, value=False)),
        "twice": json.dumps(whole)[:-1] + f", {json.dumps(operation.records[0])}: []" + "}",
    }
    if "absent" not in operation.accepts:
        renamed = json.dumps(whole).replace(json.dumps(last), json.dumps(f"{last}s"))
        bodies |= {"empty": "{}", "renamed": renamed, "list is null": json.dumps(wrapped(operation, None))}
    if "object" not in operation.accepts:
        bodies |= {
            "list is an object": json.dumps(wrapped(operation, {})),
            "object": json.dumps(wrapped(operation, {"a": 1})),
        }
    if len(operation.records) > 1:
        bodies["outer is a list"] = json.dumps({operation.records[0]: []})
    return bodies


@pytest.mark.parametrize("table", [table for table, op in CATALOG.operations.items() if op.records == WHOLE_ANSWER])
def test_an_answer_without_its_record_is_an_error_and_never_zero_rows(table):
    """F22, P6: for every operation whose answer is the one record."""
    operation = CATALOG.operations[table]
    columns = [column.wire for column in operation.columns]
    for body in ("<html></html>", "", "{", "null", "[]", '"ok"', "1", "{}", '{"RequestId": "R"}', '{"others": [1]}'):
        with pytest.raises((PaginationError, TransientError)):
            read(table, body)
    for value in (None, 1, "text", [], {}):
        page = read(table, json.dumps({"RequestId": "R", toggle_initial_case(columns[0]): value}))
        assert page.seen == 1


@pytest.mark.parametrize("table", [table for table, op in CATALOG.operations.items() if op.records != WHOLE_ANSWER])
def test_an_answer_without_its_list_is_an_error_and_never_zero_rows(table):
    """F22, P6: for every list operation."""
    operation = CATALOG.operations[table]
    taken = {}
    for name, body in odd_bodies(operation).items():
        try:
            taken[name] = read(table, body).seen
        except (PaginationError, TransientError):
            continue
    assert taken == {}
    assert read(table, json.dumps(wrapped(operation, []))).seen == 0, "control: an empty list is one"
    other = json.dumps(wrapped(operation, [])).replace(
        operation.records[0], toggle_initial_case(operation.records[0]), 1
    )
    assert read(table, other).seen == 0, "the documentation shows both cases"


def test_lists_that_may_be_absent_are_few_and_known():
    """F22: the service leaves some empty lists out; a missing list is valid only if the catalog says so."""
    absent = {table for table, operation in CATALOG.operations.items() if "absent" in operation.accepts}
    assert absent == {"opensearch_proceedings", "opensearch_search_strategies"}


# --- F43: literal → column and _extra, by the column's type ---

COLUMNS = {"string": "runtime", "integer": "memorySize", "number": "cpu", "timestamp": "createdTime"}
NAMES = {"string": "runtime", "integer": "memory_size", "number": "cpu", "timestamp": "created_time"}
AT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
KEPT = object()  # null in the column, and in _extra as it came

GOLDEN = [
    ("string", '"a\\u0000b"', "a\0b"),
    ("string", '"\\ud83d\\ude00"', "😀"),
    ("string", '"\\ud800"', KEPT),
    ("string", '"a\\udfffb"', KEPT),
    ("string", '"\\u202e\\u0007"', "\u202e\x07"),
    ("string", '""', ""),
    ("string", "1.10", "1.10"),
    ("string", "123456789012345678901234567890", "123456789012345678901234567890"),
    ("string", "1e400", "1e400"),
    ("string", "true", KEPT),
    ("string", "null", None),
    ("string", "{}", KEPT),
    ("string", "[]", KEPT),
    ("integer", "9223372036854775807", 2**63 - 1),
    ("integer", "-9223372036854775808", -(2**63)),
    ("integer", "9223372036854775808", KEPT),
    ("integer", "-9223372036854775809", KEPT),
    ("integer", "123456789012345678901234567890", KEPT),
    ("integer", "512.0", 512),
    ("integer", "512.5", KEPT),
    ("integer", "1e3", 1000),
    ("integer", "1e400", KEPT),
    ("integer", "-0", 0),
    ("integer", '"12"', 12),
    ("integer", '"007"', KEPT),
    ("integer", '"12 "', KEPT),
    ("integer", '""', KEPT),
    ("integer", "true", KEPT),
    ("number", "0.1", 0.1),
    ("number", "5", 5.0),
    ("number", "9007199254740993", KEPT),
    ("number", "123456789012345678901234567890", KEPT),
    ("number", "1e400", KEPT),
    ("number", "false", KEPT),
    ("timestamp", '"2026-11-22T02:00:00Z"', AT),
    ("timestamp", '"2026-11-22T10:00:00+0800"', AT),
    ("timestamp", '"2006-01-02T15:04:05Z07:00"', KEPT),
    ("timestamp", '"2026-11-22 02:00:00"', KEPT),
    ("timestamp", '""', None),
    ("timestamp", "99999999999999999999", KEPT),
]


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """Every line of the table as a record of one page; the rows, and the file that they were written to."""
    records = [
        f'{{"functionName": "f{number}", "{COLUMNS[kind]}": {literal}}}'
        for number, (kind, literal, _) in enumerate(GOLDEN)
    ]
    page = read("fc_functions", f'{{"functions": [{", ".join(records)}]}}')
    path = tmp_path_factory.mktemp("golden") / "part-0.parquet"
    pq.write_table(pa.Table.from_batches([page.batch]), path)
    return page, path


@pytest.mark.parametrize("number", range(len(GOLDEN)), ids=[f"{kind} {literal}" for kind, literal, _ in GOLDEN])
def test_a_literal_is_read_without_loss_or_kept_as_it_came(golden, number):
    """F43, F42."""
    kind, literal, wanted = GOLDEN[number]
    row = golden[0].batch.slice(number, 1).to_pylist()[0]
    found, extra = row[NAMES[kind]], row["_extra"]
    if wanted is KEPT:
        assert found is None
        assert json.loads(extra, parse_float=str) == {COLUMNS[kind]: json.loads(literal, parse_float=str)}
    else:
        assert (found, extra) == (wanted, None)
        assert type(found) is type(wanted)


def test_every_reader_has_the_same_values_back(golden):
    """F43."""
    page, path = golden
    rows = page.batch.select(["function_name", *NAMES.values()]).to_pylist()
    assert pq.read_table(path, columns=list(rows[0])).to_pylist() == rows
    assert pl.read_parquet(path, columns=list(rows[0])).to_dicts() == rows
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(f"SELECT {', '.join(rows[0])} FROM '{path}'").to_arrow_table()
    assert found.to_pylist() == rows


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ("[" * 200 + "]" * 200, "Excessive"),
        ('{"functionName": "a", "x": ' + '{"a":' * 200 + "1" + "}" * 200 + "}", "Excessive"),
        ('{"functionName": "a", "memorySize": ' + "9" * 100_000 + "}", "Excessive"),
        ('{"functionName": "a", "memorySize": NaN}', "InvalidResponse"),
        ('{"functionName": "a", "memorySize": Infinity}', "InvalidResponse"),
        ('{"functionName": "a", "memorySize": 01}', "InvalidResponse"),
        ('{"functionName": "a" "memorySize": 1}', "InvalidResponse"),
    ],
)
def test_what_no_row_can_hold_is_a_typed_error(record, error):
    """F43, F42, T21."""
    with pytest.raises((NormalizeError, TransientError)) as caught:
        read("fc_functions", f'{{"functions": [{record}]}}')
    assert caught.value.code == error


def test_a_text_of_a_mebibyte_is_kept_whole():
    """F43."""
    text = "ü" * 2**20
    [row] = read(
        "fc_functions", json.dumps({"functions": [{"functionName": "a", "description": text}]})
    ).batch.to_pylist()
    assert row["description"] == text


def test_names_that_come_twice_lose_no_value():
    """F43: a decoder would keep the last one without an error."""
    [row] = read(
        "fc_functions", '{"functions": [{"functionName": "a", "memorySize": 1, "memorySize": 2, "new": 3, "new": 4}]}'
    ).batch.to_pylist()
    assert row["memory_size"] is None
    assert json.loads(row["_extra"]) == {"memorySize": [1, 2], "new": [3, 4]}


# --- F42: drift ---

DRIFTED = {
    "a new field": {"brandNew": {"a": [1]}},
    "integer → text": {"memorySize": "a lot"},
    "object → list": {"vpcConfig": [1, 2]},
    "list → object": {"layers": {"arn": "x"}},
    "text → object": {"runtime": {"name": "python"}},
    "object → text": {"logConfig": "none"},
    "in a list of objects": {"layers": [{"arn": "a", "size": "big"}, "b"]},
}
KNOWN = {"functionName": "f", "description": "d", "timeout": 3}


@pytest.mark.parametrize("name", DRIFTED)
def test_a_schema_that_drifts_leaves_known_columns_as_they_are(name):
    """F42: the file's schema never changes with the data; unfitting values are counted and kept whole."""
    plain = read("fc_functions", json.dumps({"functions": [KNOWN]}))
    page = read("fc_functions", json.dumps({"functions": [{**KNOWN, **DRIFTED[name]}]}))
    assert schema_sha256(page.batch.schema) == schema_sha256(plain.batch.schema)
    assert page.batch.schema.equals(CATALOG.operations["fc_functions"].schema)
    [row], [wanted] = page.batch.to_pylist(), plain.batch.to_pylist()
    extra = json.loads(row["_extra"])
    changed = {column for column in row if row[column] != wanted[column]} - {"_extra"}
    assert changed <= {"layers"}
    assert page.misfits.total() + page.unknown.total() == len(extra) > 0
    [(wire, value)] = DRIFTED[name].items()
    if wire in extra:
        assert extra == {wire: value}
    else:
        assert extra == {"layers[0].size": "big", "layers[1]": "b"}
        assert [layer and layer["arn"] for layer in row["layers"]] == ["a", None]


def test_every_error_of_reading_is_one_of_ours():
    """F42: so that a scope's reason is a sentence, never a traceback."""
    assert all(issubclass(kind, CrawlError) for kind in (NormalizeError, PaginationError, TransientError))
