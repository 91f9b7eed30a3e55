"""SQL queries on a snapshot: accepted and refused queries, and the text of each error."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.audit.column_order import catalog_keys
from crawler.audit.database import interrupt_sessions, open_snapshot
from crawler.audit.query import BATCH_ROWS, run_query
from crawler.audit.sql_errors import TableNames
from crawler.catalog import load_catalog
from crawler.errors import ConfigError, OutputError, QueryError
from crawler.snapshot import ScopeRow, Status
from tests.support.hostile_rows import TEXTS, hostile_snapshot
from tests.support.ledger_rows import stored
from tests.support.odd_files import ODD, ends_within, put
from tests.support.written_snapshots import ACCOUNT, SNAPSHOT, write


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return hostile_snapshot(tmp_path_factory.mktemp("query") / "snapshots")


def tables_of(snapshot):
    return TableNames(snapshot, lambda: catalog_keys(load_catalog()))


def ask(snapshot, sql):
    """All rows of an answer, as tuples."""
    with run_query(snapshot, sql, tables_of(snapshot)) as rows:
        return [tuple(row.values()) for batch in rows.batches for row in batch.to_pylist(maps_as_pydicts="strict")]


def files_of(root):
    return {path: path.read_bytes() for path in sorted(Path(root).rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- a comment\n SELECT 1; ",
        "/* one */ SELECT 1 -- at the end",
        "FROM fc_functions",
        "TABLE fc_functions",
        "VALUES (1), (2)",
        "WITH f AS MATERIALIZED (FROM FC_Functions) SELECT count(*) FROM f UNION ALL SELECT 1 ORDER BY ALL LIMIT 1",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) FROM t",
        "DESCRIBE fc_functions",
        "DESCRIBE SELECT 1",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "SUMMARIZE fc_functions",
        "EXPLAIN SELECT count(*) FROM fc_functions",
        "explain\n analyze\tSELECT count(*) FROM fc_functions",
        "PIVOT fc_functions ON region_id IN ('cn-hangzhou') USING count(*) GROUP BY account_id",
        "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
        "SELECT list_transform(layers, lambda x: x.arn), [x FOR x IN [1, 2]] FROM fc_functions",
        "SELECT a.account_id FROM fc_functions a POSITIONAL JOIN fc_layers b",
        "SELECT count(*) FILTER (cpu > 1), row_number() OVER () FROM fc_functions GROUP BY ALL",
        "FROM query_table('fc_functions')",
        "FROM information_schema.tables",
        "SELECT * FROM duckdb_views()",
        "FROM _scopes",
    ],
)
def test_whatever_reads_is_taken(snapshot, sql):
    ask(snapshot, sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "the SQL is empty"),
        (" ; -- nothing", "the SQL is empty"),
        ("SELECT 1; SELECT 2", "must be one statement, not 2"),
        ("CREATE TABLE t (a INT)", "CREATE isn't accepted; only SELECT"),
        ("COPY fc_functions TO '{root}/x.csv'", "COPY isn't accepted"),
        ("COPY (SELECT 1) TO '{root}/x.csv'", "COPY isn't accepted"),
        ("INSERT INTO fc_functions VALUES (1)", "INSERT isn't accepted"),
        ("UPDATE fc_functions SET runtime = 'x'", "UPDATE isn't accepted"),
        ("DELETE FROM fc_functions", "DELETE isn't accepted"),
        ("DROP VIEW fc_functions", "DROP isn't accepted"),
        ("EXPORT DATABASE '{root}/x'", "EXPORT isn't accepted"),
        ("ATTACH '{root}/x.db'", "ATTACH isn't accepted"),
        ("INSTALL httpfs", "LOAD isn't accepted"),
        ("LOAD httpfs", "LOAD isn't accepted"),
        ("SET threads = 1", "SET isn't accepted"),
        ("PRAGMA version", "PRAGMA isn't accepted"),
        ("CALL pragma_version()", "CALL isn't accepted"),
        ("CHECKPOINT", "CALL isn't accepted"),
        ("BEGIN", "TRANSACTION isn't accepted"),
        ("PREPARE p AS SELECT 1", "PREPARE isn't accepted"),
        ("PIVOT fc_functions ON runtime", "a PIVOT must name its values here"),
        ("WITH w AS (COPY (SELECT 1) TO '{root}/x.csv') FROM w", "has a part that writes"),
        ("SELECT (WITH w AS (COPY (SELECT 1) TO '{root}/x.csv') SELECT 1)", "has a part that writes"),
        ("WITH w AS (INSERT INTO fc_functions VALUES (1) RETURNING *) FROM w", "has a part that writes"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/x.csv'", "isn't accepted in this form"),
        ("EXPLAIN ANALYZE CREATE TABLE t (a INT)", "isn't accepted in this form"),
        ("EXPLAIN ANALYZE WITH w AS (COPY (SELECT 1) TO '{root}/x.csv') FROM w", "has a part that writes"),
        ("EXPLAIN /* /* */ ANALYZE SELECT 1 -- */ */ COPY (SELECT 1) TO '{root}/x.csv'", "the SQL"),
        ("EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{root}/x.csv'", "isn't accepted in this form"),
        ("/* a */ EXPLAIN COPY (SELECT 1) TO '{root}/x.csv'", "EXPLAIN isn't accepted"),
        ("FROM query('SELECT 1')", "query() isn't a function that a query may use"),
        ("FROM json_execute_serialized_sql('{{}}')", "json_execute_serialized_sql() isn't a function"),
        ("FROM \"QUERY\"('SELECT 1')", "query() isn't a function that a query may use"),
    ],
)
def test_what_writes_is_refused_with_one_sentence_and_writes_nothing(snapshot, sql, said):
    before = files_of(snapshot.root)
    with pytest.raises(ConfigError) as refused:
        ask(snapshot, sql.format(root=snapshot.root.resolve()))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert files_of(snapshot.root) == before


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", 'the SQL: line 1, column 1: syntax error at or near "selec"'),
        ("SELECT\n  'é', runtme FROM fc_functions", 'line 2, column 8: Referenced column "runtme" not found'),
        ("SELECT runtme FROM fc_functions", 'Candidate bindings: "runtime"'),
        ("SELECT (1", "line 1, column 9: syntax error"),
        ("SELECT 'open", "line 1, column 8: unterminated string literal"),
        ("EXPLAIN SELECT\n runtme FROM fc_functions", "line 2, column 2: Referenced column"),
        ("EXPLAIN ANALYZE SELECT runtme FROM fc_functions", "line 1, column 24: Referenced column"),
        ("SELECT nosuch(1)", "line 1, column 8: nosuch() isn't a function that a query may use; a query"),
        (
            "SELECT runtime, count(*) FROM fc_functions",
            'line 1, column 8: column "runtime" must appear in the GROUP BY',
        ),
        ("SELECT ?", "Values were not provided for the following parameters: 1"),
        ("FROM fc_funktions", "line 1, column 6: there is no table 'fc_funktions': did you mean fc_functions"),
        ("FROM FC_TRIGERS", "there is no table 'FC_TRIGERS': did you mean"),
        ("FROM nowhere_at_all", "there is no table 'nowhere_at_all'; SHOW TABLES lists all 3"),
        ("FROM fc_triggers", f"snapshot {SNAPSHOT} has no table fc_triggers: it can be crawled, but this crawl"),
        ("FROM fc_aliases", f"snapshot {SNAPSHOT} has no table fc_aliases; it was not read in any scope: 1 denied"),
        ("FROM '/etc/passwd'", "there is no table '/etc/passwd'"),
        ("FROM read_text('/etc/passwd')", "line 1, column 6: read_text() isn't a function that a query may use"),
        ("FROM glob('/etc/*')", "a query can only read the snapshot"),
        ("SELECT uppper('a')", "uppper() isn't a function that a query may use (did you mean upper?)"),
        ("FROM read_csv('http://127.0.0.1:1/x.csv')", "line 1, column 6"),
        ("SELECT getenv('HOME')", "getenv"),
        ("FROM tables", "there is no table 'tables'"),
    ],
)
def test_an_error_is_one_sentence_with_its_place(snapshot, sql, said):
    tables = "a variable of this process, which SQL doesn't see"
    with pytest.raises(ConfigError) as refused:
        ask(snapshot, sql)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert tables


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT function_name::INT FROM fc_functions", "failed: line 1, column 21: Could not convert string"),
        ("SELECT error('mine') FROM fc_functions", "failed: mine"),
        ("SELECT 9223372036854775807 + length(function_name) FROM fc_functions", "failed: "),
    ],
)
def test_what_fails_on_the_way_is_another_kind_of_error(snapshot, sql, said):
    with pytest.raises(QueryError) as failed:
        ask(snapshot, sql)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_table_that_was_only_walked_is_told_apart(snapshot):
    walked = ScopeRow(ACCOUNT, "cn-hangzhou", "fc2_services", Status.COMPLETE, written=False)
    snapshot = replace(snapshot, ledger=stored([*snapshot.ledger, walked]))
    assert "was only read for its child lists" in tables_of(snapshot).explain_missing("fc2_services")


def test_the_views_have_every_row_and_the_ledger_all_its_columns(snapshot):
    assert ask(
        snapshot, "SELECT count(*), count(DISTINCT account_id), any_value(typeof(account_id)) FROM fc_functions"
    ) == [(len(TEXTS), 2, "VARCHAR")]
    assert ask(snapshot, "SELECT description FROM fc_functions ORDER BY function_name") == [(text,) for text in TEXTS]
    assert ask(snapshot, "SELECT count(*) FROM fc_layers") == [(0,)]
    assert ask(snapshot, "SELECT status, error_code FROM _scopes WHERE \"table\" = 'fc_aliases'") == [
        ("denied", "AccessDenied")
    ]
    assert [name for (name,) in ask(snapshot, "SHOW TABLES")] == ["_scopes", "fc_functions", "fc_layers"]


def test_instants_are_in_utc_whatever_the_machine_thinks(snapshot, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert ask(snapshot, "SELECT DISTINCT strftime(fetched_at, '%H:%M') FROM fc_functions") == [("01:02",)]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("name", ["http://127.0.0.1:1/x.csv", "s3://bucket/x.parquet", "x.xlsx"])
def test_no_extension_is_looked_for_and_nothing_is_asked_for_it(snapshot, tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path))  # where DuckDB would put them
    for sql in (f"FROM '{name}'", f"FROM read_csv('{name}')", "SELECT st_point(1, 2)"):
        with pytest.raises(ConfigError):
            ask(snapshot, sql)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_comes_in_small_batches_without_all_of_it_being_made_first(snapshot):
    with run_query(snapshot, "FROM range(1000000000000)", tables_of(snapshot)) as rows:
        sizes = [next(rows.batches).num_rows for _ in range(5)]
    assert max(sizes) <= BATCH_ROWS


def copied(snapshot, folder):
    shutil.copytree(snapshot.root, folder)
    return open_snapshot(folder, snapshot.manifest.snapshot_id)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"PAR1 and no more")])
def test_a_file_that_is_gone_or_damaged_is_the_outputs_error(snapshot, tmp_path, damage):
    broken = copied(snapshot, tmp_path / "snapshots")
    first, *_, last = map(Path, broken.files("fc_functions"))
    damage(last)
    with pytest.raises(OutputError, match=r"part-00003.parquet (is missing|has 16 bytes).*; run `snapshots verify"):
        ask(broken, "SELECT max(description) FROM fc_functions")
    damage(first)
    with pytest.raises(OutputError, match=r"part-00000.parquet .* \(and 1 more file\); run `snapshots verify"):
        ask(broken, "SELECT max(description) FROM fc_functions")


@pytest.mark.parametrize("kind", ODD)
def test_file_that_is_not_regular_is_refused_before_the_database_opens_it(snapshot, tmp_path, kind):
    """F72: DuckDB would wait for a named pipe, in a thread that no signal reaches."""
    copy = copied(snapshot, tmp_path / "x")
    [part, *_] = copy.files("fc_functions")
    put(Path(part), kind)
    with ends_within(20), pytest.raises(OutputError, match=f"part-00000.parquet is {kind}, not a regular file"):
        ask(copy, "FROM fc_functions")


@pytest.mark.parametrize("kind", ODD)
def test_ledger_and_manifest_that_are_not_regular_are_refused(snapshot, tmp_path, kind):
    """F72"""
    copy = copied(snapshot, tmp_path / "x")
    for path in (copy.manifest.ledger.path, f"_snapshots/{SNAPSHOT}.json"):
        put(copy.root / path, kind)
        message = f"{path} of .* is {kind}, not a regular file; remove it"
        with ends_within(20), pytest.raises(OutputError, match=message):
            open_snapshot(copy.root, SNAPSHOT)


def test_only_the_tables_that_are_asked_for_are_opened(snapshot, tmp_path):
    broken = copied(snapshot, tmp_path / "snapshots")
    Path(broken.files("fc_layers")[0]).unlink()
    assert ask(broken, "SELECT count(*) FROM Fc_Functions, _scopes WHERE false") == [(0,)]
    with pytest.raises(OutputError):
        ask(broken, "SHOW TABLES")


@pytest.mark.parametrize("name", ["with space", "it's", "a*b[1]?", '"quoted"', "~"])
def test_the_outputs_folder_may_have_any_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ab1x" / "fc_functions").mkdir(parents=True)
    snapshot = write(Path(name), {"fc_functions": [{"function_name": "f"}]})
    assert ask(snapshot, "SELECT function_name FROM fc_functions") == [("f",)]


def test_nothing_of_the_working_folder_is_read_or_written(snapshot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "near.csv").write_text("a\n1\n")
    with pytest.raises(ConfigError):
        ask(snapshot, "FROM 'near.csv'")
    ask(snapshot, "SELECT count(*) FROM (SELECT i, repeat('x', 50) || i AS t FROM range(300000) r(i) ORDER BY t DESC)")
    assert [path.name for path in tmp_path.iterdir()] == ["near.csv"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(10000000) a(i), range(1000000) b(j) WHERE a.i * b.j % 7 = 3 AND a.i < b.j",
        "FROM range(1000000000000)",
    ],
)
def test_a_query_is_stopped_from_another_thread(snapshot, sql):
    done = threading.Event()

    def stop():
        while not done.is_set():
            interrupt_sessions()
            done.wait(0.02)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        with pytest.raises((QueryError, ConfigError), match="Interrupted"):
            ask(snapshot, sql)
    finally:
        done.set()
        thread.join()
