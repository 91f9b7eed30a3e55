"""F78: every type of DuckDB keeps its value in every format of a query, or the query is refused with one sentence."""

from __future__ import annotations

import json
import re
from base64 import b64decode

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.audit.database import connect
from crawler.audit.export.cell_text import plain_texts
from crawler.audit.export.files import write_file
from crawler.audit.query import ERROR_SETTINGS, execute
from crawler.audit.sql_errors import TableNames
from crawler.audit.statement import Statement
from crawler.errors import ConfigError, QueryError
from tests.support.written_snapshots import write

BIGGEST = "340282366920938463463374607431768211455"
NESTED = ("STRUCT", "MAP", "UNION", "TUPLE")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return write(tmp_path_factory.mktemp("types"), {"fc_functions": []})


@pytest.fixture
def ask(snapshot):
    """Returns the rows of a statement."""
    with connect(snapshot, (), ERROR_SETTINGS) as connection:
        yield lambda sql: execute(connection, Statement(sql), TableNames(snapshot, dict))


def texts_of(rows):
    """The texts of the first column."""
    return [text for batch in rows.batches for text in plain_texts(batch.column(0))]


def as_iso(text, kind):
    """DuckDB's own text of a value, as this program writes it: instants in ISO 8601, the year before 1 as 0."""
    if text is None or not kind.startswith(("DATE", "TIMESTAMP")):
        return text
    year, rest = re.fullmatch(r"(\d+)(.*)", text.replace(" (BC)", "")).groups()
    year = f"-{int(year) - 1:04}" if "(BC)" in text else year
    return f"{year}{rest.replace(' ', 'T').replace('+00', 'Z')}"


def test_the_limits_of_every_type_keep_their_value(ask):
    """F78: DuckDB has a function that returns the least and the greatest value of each of its types."""
    described = [batch.to_pylist() for batch in ask("DESCRIBE FROM test_all_types()").batches]
    kinds = {row["column_name"]: row["column_type"] for rows in described for row in rows}
    assert {"UHUGEINT", "TIME WITH TIME ZONE", "BIT", "BIGNUM", "INTERVAL"} <= set(kinds.values())
    for name, kind in kinds.items():
        if kind.startswith(NESTED) or kind.endswith("]"):
            continue
        found = texts_of(ask(f'SELECT "{name}" FROM test_all_types()'))
        if kind == "BLOB":
            assert [text and b64decode(text) for text in found] == [b"thisisalongblob\0withnullbytes", b"\0\0\0a", None]
        else:
            own = texts_of(ask(f'SELECT "{name}"::VARCHAR FROM test_all_types()'))
            assert found == [as_iso(text, kind) for text in own], kind


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        (f"{BIGGEST}::UHUGEINT", BIGGEST),
        (f"[{BIGGEST}::UHUGEINT]", f'["{BIGGEST}"]'),
        (f"{BIGGEST}::UHUGEINT::VARIANT", BIGGEST),
        ("TIMETZ '12:34:56+02'", "12:34:56+02"),
        ("{'a b': TIMETZ '12:34:56.5+02:30', 'c': 1}", '{"a b":"12:34:56.5+02:30","c":1}'),
        ("MAP {TIMETZ '12:00:00+02': 1}", '{"12:00:00+02":1}'),
        ("[TIMETZ '12:00:00+02']::TIMETZ[1]", '["12:00:00+02"]'),
        ("union_value(a := TIMETZ '12:00:00+02')", '"12:00:00+02"'),
        ("union_value(a := DATE 'infinity')", '"infinity"'),
        ("union_value(a := NULL::INTEGER)", None),
        ("(1, 2::UHUGEINT)", '{"element1":1,"element2":"2"}'),
        ("TIME '24:00:00'", "24:00:00"),
        ("[TIME '24:00:00']", '["24:00:00"]'),
        ("DATE 'infinity'", "infinity"),
        ("{'d': '-infinity'::DATE}", '{"d":"-infinity"}'),
        ("'infinity'::TIMESTAMP_S", "infinity"),
        ("'infinity'::TIMESTAMP_NS", "infinity"),
        ("DATE '0044-03-15 (BC)'", "-0043-03-15"),
        ("TIMESTAMP '290000-02-28 23:59:59.5'", "290000-02-28T23:59:59.500000"),
        ("INTERVAL '1 month -2 days 3.5 seconds'", "1 month -2 days 00:00:03.5"),
        ("INTERVAL '3000000 hours'", "3000000:00:00"),
        ("'10101'::BIT", "10101"),
        (
            "'123456789012345678901234567890123456789012345678901'::BIGNUM",
            "123456789012345678901234567890123456789012345678901",
        ),
        ("{'a': [1, NULL]}::VARIANT", '{"a":[1,null]}'),
        ("'POINT(1 2)'::GEOMETRY", "POINT (1 2)"),
        ("'1e-320'::DOUBLE", "1e-320"),
        ("'{\"a\":1}'::JSON", '{"a":1}'),
    ],
)
def test_a_type_that_arrow_does_not_have_is_text(ask, sql, shown):
    """F78."""
    assert texts_of(ask(f"SELECT {sql} AS v; -- the end")) == [shown]


def test_rows_columns_and_order_stay(ask):
    rows = ask('SELECT i::UHUGEINT AS a, i AS a, \'x\' AS "b""c" FROM range(3000) t(i) ORDER BY i DESC;')
    batches = list(rows.batches)
    assert rows.schema.names == ["a", "a", 'b"c']
    assert [text for batch in batches for text in batch.column(0).to_pylist()] == [str(i) for i in range(2999, -1, -1)]
    assert pa.types.is_int64(rows.schema.field(1).type)


def test_an_error_while_converted_rows_are_read_is_one_sentence(ask):
    with pytest.raises(QueryError, match=r"^the SQL failed: Could not convert string 'x'"):
        texts_of(ask("SELECT 1::UHUGEINT, x::INTEGER FROM (VALUES ('x')) t(x)"))


@pytest.mark.parametrize("file_format", ["csv", "json", "jsonl", "parquet"])
def test_a_file_of_each_format_has_the_value(ask, tmp_path, file_format):
    """F78."""
    path = tmp_path / "result"
    write_file(ask(f"SELECT {BIGGEST}::UHUGEINT AS u, TIMETZ '12:34:56+02' AS t"), path, file_format)
    if file_format == "parquet":
        [row] = pq.read_table(path).to_pylist()
    elif file_format == "csv":
        row = dict(zip(*(line.split(",") for line in path.read_text().splitlines()), strict=True))
    else:
        found = json.loads(path.read_text())
        row = found if file_format == "jsonl" else found[0]
    assert row == {"u": BIGGEST, "t": "12:34:56+02"}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("170141183460469231731687303715884105727::HUGEINT", "'v' has a number of more than 38 digits"),
        ("[-170141183460469231731687303715884105727::HUGEINT]", "'v' has a number of more than 38 digits"),
        ("'infinity'::TIMESTAMP_S", "can't hold a value"),
        ("union_value(a := 1)", "cast it to VARCHAR"),
    ],
)
def test_what_parquet_cannot_hold_is_refused(ask, tmp_path, sql, said):
    """F78: the digits of these numbers would be outside of the type that the file declares."""
    with pytest.raises(ConfigError, match=said) as refused:
        write_file(ask(f"SELECT {sql} AS v"), tmp_path / "f.parquet", "parquet")
    assert "\n" not in str(refused.value)


def test_parquet_holds_the_sums_of_integers(ask, tmp_path):
    write_file(ask("SELECT sum(9223372036854775807) AS v FROM range(3)"), tmp_path / "f.parquet", "parquet")
    assert str(pq.read_table(tmp_path / "f.parquet")["v"][0]) == "27670116110564327421"
