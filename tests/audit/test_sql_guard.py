"""T33: no SQL writes or reaches anything outside of the snapshot, with every function that the installed DuckDB has."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from crawler.audit.database import connect, parser
from crawler.audit.export.cell_text import plain_texts
from crawler.audit.query import ERROR_SETTINGS, execute, run_query
from crawler.audit.sql_errors import TableNames
from crawler.audit.sql_functions import ALLOWED_FUNCTIONS
from crawler.audit.sql_guard import check_only_reads
from crawler.audit.statement import Statement
from crawler.errors import ConfigError, OutputError, QueryError
from tests.support.sql_attacks import CANARY, Outside, calls, functions, payloads, plain_attacks
from tests.support.written_snapshots import write

RUNNERS = ("query", "json_execute_serialized_sql", "read_text")

# Every function that isn't listed in crawler/audit/sql_functions.py, by the reason.
REFUSED = {
    "they read or write files, or list them": """
        glob parquet_bloom_probe parquet_file_metadata parquet_full_metadata parquet_kv_metadata parquet_metadata
        parquet_scan parquet_schema read_blob read_csv read_csv_auto read_duckdb read_json read_json_auto
        read_json_objects read_json_objects_auto read_ndjson read_ndjson_auto read_ndjson_objects read_parquet
        read_single_csv_file read_single_json_file read_single_parquet_file read_text sniff_csv checkpoint
        force_checkpoint duckdb_extensions duckdb_extension_repositories duckdb_external_file_cache
        duckdb_temporary_files""",
    "they run, plan or keep SQL or code": """
        create_external_resource deregister_external_resource destroy_external_resource json_deserialize_sql
        json_execute_serialized_sql json_serialize_plan json_serialize_sql python_map_function query
        register_external_resource register_external_resource_type duckdb_external_resource_types
        duckdb_external_resources duckdb_prepared_statements duckdb_triggers current_query""",
    "they take a pointer or the bytes of an internal state": """
        arrow_scan arrow_scan_dumb combine combine_aggr finalize pandas_scan python_arrow_scan seq_scan
        to_aggregate_state variant_bytes_to_variant""",
    "they show or change settings, secrets, logs, variables or sequences": """
        current_setting currval disable_logging disable_profiling duckdb_dialects duckdb_grammar_extensions
        duckdb_log_contexts duckdb_logs duckdb_logs_parsed duckdb_optimizers duckdb_profiling_settings
        duckdb_secret_type_parameters duckdb_secret_types duckdb_secrets duckdb_sequences duckdb_settings
        duckdb_variables enable_logging enable_profiling get_block_size getvariable nextval
        parse_duckdb_log_message setval truncate_duckdb_logs which_secret write_log""",
    "they only wait": "pg_sleep sleep_ms",
    "they show the state of the process": """
        current_connection_id current_query_id current_transaction_id duckdb_approx_database_count
        duckdb_available_metrics duckdb_connection_count duckdb_coordinate_systems duckdb_dependencies
        duckdb_eviction_queues duckdb_indexes duckdb_memory duckdb_table_sample inet_client_addr inet_client_port
        inet_server_addr inet_server_port pg_conf_load_time pg_postmaster_start_time pragma_collations
        pragma_database_size pragma_metadata_info pragma_platform pragma_storage_info pragma_user_agent stats
        txid_current vector_type""",
    "only DuckDB itself and clients of PostgreSQL call them": """
        __cast array_to_string_comma_default bitstring_byte_comparable col_description constant_or_null
        create_sort_key decimal_average format_pg_type format_type has_any_column_privilege has_column_privilege
        has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege
        has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
        has_tablespace_privilege hive_partition_component icu_sort_key in_search_path index_key invoke
        json_copy_strftime_if_date json_copy_strftime_if_timestamp map_to_pg_oid obj_description
        pg_collation_is_visible pg_conversion_is_visible pg_function_is_visible pg_get_constraintdef pg_get_expr
        pg_get_viewdef pg_has_role pg_is_other_temp_schema pg_my_temp_schema pg_opclass_is_visible
        pg_operator_is_visible pg_opfamily_is_visible pg_table_is_visible pg_ts_config_is_visible
        pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible remap_struct
        shobj_description summary test_vector_types timetz_byte_comparable variant_comparator
        variant_to_parquet_variant""",
}
INTERNAL = ("__internal_", "collate_", "icu_collate_", "is ")


@pytest.fixture
def outside(tmp_path):
    return Outside.make(tmp_path / "outside")


@pytest.fixture
def snapshot(tmp_path):
    return write(tmp_path / "output", {"fc_functions": [{"function_name": "f", "description": "text"}]})


def files_of(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def part_of(snapshot):
    [part] = (path for path in snapshot.openers() if "fc_functions" in path)
    return Path(part)


def test_every_function_of_duckdb_is_allowed_or_refused_for_a_reason():
    """T33: a new DuckDB brings new functions, each of which is judged before the lock file may have it."""
    refused = {name for names in REFUSED.values() for name in names.split()}
    existing = {name.lower() for kind, name in functions() if kind != "pragma"} | {"pg_sleep", "sleep_ms"}
    assert not refused & ALLOWED_FUNCTIONS
    assert {name for name in existing - refused - ALLOWED_FUNCTIONS if not name.startswith(INTERNAL)} == set()
    assert (refused | ALLOWED_FUNCTIONS) - existing == set()


def test_no_other_function_is_bound():
    """T33: the guard refuses a call of each function that isn't listed, and of one that doesn't exist."""
    with parser() as connection:
        for kind, name in [*functions(), ("table", "made_up"), ("scalar", "made_up")]:
            if kind == "pragma" or name.lower() in ALLOWED_FUNCTIONS:
                continue
            call = f'''FROM "{name}"('x')''' if kind.startswith("table") else f'''SELECT 1, "{name}"('x')'''
            with pytest.raises(ConfigError, match="isn't a function that a query may use"):
                check_only_reads(connection, call, Statement(call))


def attack_by_query(snapshot, outside, statements):
    """Run statements as a user's, and assert that none shows the canary. Return the number of those that ran."""
    tables, ran = TableNames(snapshot, dict), 0
    with connect(snapshot, settings=ERROR_SETTINGS) as connection:
        for sql in statements:
            try:
                batches = execute(connection, Statement(sql), tables).batches
                rows = [plain_texts(array) for batch in batches for array in batch.columns]
            except (ConfigError, QueryError, OutputError):
                continue
            ran += 1
            assert sql.count(CANARY) or CANARY not in str(rows), sql
    return ran


def test_no_allowed_function_writes_or_reads_a_file(snapshot, outside):
    """T33: with the most dangerous texts; the long form tries all texts."""
    texts = payloads(outside, part_of(snapshot))
    before = files_of(snapshot.root)
    few = [texts[6], str(outside.canary)]
    allowed = [(kind, name) for kind, name in functions() if name.lower() in ALLOWED_FUNCTIONS and kind != "pragma"]
    sample = allowed[::3]  # the long form calls all of them
    assert attack_by_query(snapshot, outside, (call for found in sample for call in calls(*found, few[:1], ()))) > 20
    attack_by_query(snapshot, outside, (f'''FROM "{name}"('{few[1]}')''' for _, name in sample))
    assert files_of(snapshot.root) == before
    assert outside.is_untouched()


def test_no_statement_writes_or_reads_a_file(snapshot, outside):
    """T33: COPY, ATTACH, SET, paths and their kin, alone and within other statements."""
    before = files_of(snapshot.root)
    statements, tables = plain_attacks(payloads(outside, part_of(snapshot)), outside), TableNames(snapshot, dict)
    assert attack_by_query(snapshot, outside, statements) == 0
    for sql in statements[::9]:
        with pytest.raises(ConfigError) as refused, run_query(snapshot, sql, tables) as rows:
            list(rows.batches)
        assert "\n" not in str(refused.value)
    assert files_of(snapshot.root) == before
    assert outside.is_untouched()


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW http_proxy",
        "FROM (SHOW http_proxy)",
        "DESCRIBE http_proxy",
        "SELECT current_setting('http_proxy')",
        "FROM pg_settings",
        "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'http_proxy'",
        "SUMMARIZE pg_catalog.pg_settings",
        "FROM duckdb_settings()",
        "FROM duckdb_logs",
        "FROM pragma_database_list",
        "FROM sqlite_master",
    ],
)
def test_no_setting_and_nothing_of_the_environment_is_shown(snapshot, monkeypatch, sql):
    """T33: DuckDB takes the address of a proxy, with its password, from the environment into its settings."""
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@127.0.0.1:9")
    monkeypatch.setenv("http_proxy", f"http://user:{CANARY}@127.0.0.1:9")
    with (
        pytest.raises(ConfigError, match=r"there is no table|isn't a function") as refused,
        run_query(snapshot, sql, TableNames(snapshot, dict)) as rows,
    ):
        list(rows.batches)
    assert CANARY not in str(refused.value)
    for statement in (sql, "SHOW http_proxy", "FROM pg_settings", "SELECT current_setting('http_proxy')"):
        assert CANARY not in str(attack_connection(snapshot, [statement]))


def test_the_catalog_of_the_views_is_shown(snapshot):
    """Tables and columns can be listed in the usual ways."""
    for sql in ("SHOW ALL TABLES", "FROM information_schema.tables", "FROM duckdb_columns", "DESCRIBE fc_functions"):
        with run_query(snapshot, sql, TableNames(snapshot, dict)) as rows:
            assert sum(batch.num_rows for batch in rows.batches) > 0


def attack_connection(snapshot, statements):
    """Run statements without the guard, on the connection alone; return the rows of those that ran."""
    ran = []
    connection = connect(snapshot)
    try:
        for sql in statements:
            try:
                ran.append((sql, str(connection.execute(sql).fetchall())))
            except (duckdb.Error, ValueError):
                continue
    finally:
        connection.close()
    return ran


def dangerous(texts):
    """The functions that run or open a text, called with each text."""
    names = ("query", "json_execute_serialized_sql", "read_text", "read_csv", "glob", "sniff_csv", "checkpoint")
    for name in names:
        yield from calls("table", name, texts, ())
    yield from calls("table", "destroy_external_resource", texts, RUNNERS)
    yield from calls("pragma", "json_execute_serialized_sql", texts, ())
    yield from calls("pragma", "import_database", texts, ())


def test_the_connection_alone_writes_and_reads_no_file(snapshot, outside):
    """T34: even if the guard let all SQL pass, DuckDB can open only the manifest's files, and only for reading."""
    texts = payloads(outside, part_of(snapshot))
    before = files_of(snapshot.root)
    for sql, rows in attack_connection(snapshot, [*plain_attacks(texts, outside), *dangerous(texts)]):
        assert CANARY not in rows, sql
    assert files_of(snapshot.root) == before
    assert outside.is_untouched()


def test_without_the_guard_and_the_locks_the_same_statements_write_and_read(snapshot, outside):
    """Control: otherwise the absence of writing would prove nothing."""
    with duckdb.connect() as connection:
        shown = []
        for sql in dangerous(payloads(outside, part_of(snapshot))):
            try:
                shown.append(str(connection.execute(sql).fetchall()))
            except (duckdb.Error, ValueError):
                continue
    assert CANARY in str(shown)
    assert not outside.is_untouched()


def test_other_files_of_the_output_are_not_read(snapshot, tmp_path, outside):
    """T34: the connection knows the files of its snapshot's manifest, not those of the folder."""
    stray = part_of(snapshot).with_name("stray.parquet")
    shutil.copy(part_of(snapshot), stray)
    for path in (stray, f"snapshot://{stray}", f"snapshot://{stray.parent}/../{stray.parent.name}/{stray.name}"):
        assert (
            attack_connection(
                snapshot, [f"SELECT count(*) FROM read_parquet('{path}')", f"SELECT count(*) FROM '{path}'"]
            )
            == []
        )
    known = f"SELECT count(*) FROM read_parquet('snapshot://{part_of(snapshot)}')"
    assert attack_connection(snapshot, [known]) == [(known, "[(1,)]")]


def test_a_query_that_spills_uses_the_sessions_own_folder(snapshot, tmp_path, monkeypatch):
    """T34: rows beyond the memory go to a private folder, which is removed with the session."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with connect(snapshot, settings={"memory_limit": "60MB", "temp_directory": str(tmp_path / "spill")}) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM (SELECT DISTINCT repeat('x', 50) || i FROM range(1500000) r(i))"
        )
        assert rows.fetchall() == [(1500000,)]
        assert (tmp_path / "spill").is_dir()
    with run_query(snapshot, "SELECT 1", TableNames(snapshot, dict)) as rows:
        list(rows.batches)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.trust
def test_no_function_with_any_text_writes_or_reads_a_file(snapshot, outside):
    """T33, T34: every function and pragma, with every text, through the guard and on the connection alone."""
    texts = payloads(outside, part_of(snapshot))
    before = files_of(snapshot.root)
    for kind, name in functions():
        statements = list(calls(kind, name, texts, RUNNERS if kind == "table" else ()))
        if name.lower() in ALLOWED_FUNCTIONS:
            attack_by_query(snapshot, outside, statements)
        for sql, rows in attack_connection(snapshot, statements):
            assert sql.count(CANARY) or CANARY not in rows, sql
        assert outside.is_untouched(), name
    assert files_of(snapshot.root) == before
