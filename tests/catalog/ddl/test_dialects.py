"""The DDL of each dialect: parsers of SQL read it, and find the columns and types of the Parquet files."""

from __future__ import annotations

import re
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlfluff.core import FluffConfig, Linter
from sqlglot import Dialect, exp

from crawler.catalog.ddl.model import DescribedTable, ScriptRequest
from crawler.catalog.ddl.reserved import RESERVED, quoted
from crawler.catalog.ddl.script import DIALECTS, statements
from crawler.catalog.ddl.types import BIGQUERY_TYPES, HIVE_TYPES, sql_type
from crawler.cli.tables.scripts import DIALECT_NAMES
from crawler.errors import CatalogError, ConfigError
from tests.support.ddl_scripts import (
    CATALOG,
    DATE,
    ID,
    LOCATIONS,
    SQLFLUFF,
    TABLES,
    arrow_columns,
    bare,
    parsed,
    request,
    script,
)

# DuckDB runs its own: see test_duckdb.
DECLARING = sorted(DIALECTS.keys() - {"duckdb"})
PARTITIONED = "\nWITH PARTITION COLUMNS (snapshot_date DATE, snapshot STRING)"
PARTITION = f"snapshot_date = '{DATE}', snapshot = '{ID}'"
# The widest tables, and a few of the others.
SAMPLE = sorted(TABLES, key=lambda name: -len(str(CATALOG.operations[name].schema)))[:4] + TABLES[::20]


@cache
def parquet_schema(table):
    """The schema of a file with the table's rows, as a Parquet reader finds it."""
    file = pa.BufferOutputStream()
    pq.write_table(CATALOG.operations[table].schema.empty_table(), file)
    return bare(pq.read_schema(pa.BufferReader(file.getvalue())))


def created(dialect, table, *, pinned=False):
    """The parsed CREATE TABLE of one table."""
    [text] = [
        text
        for text in script(dialect, [table], pinned=pinned)
        if re.match(r"CREATE (EXTERNAL )?TABLE", text) and "_latest" not in text.partition("(")[0]
    ]
    if dialect == "bigquery":  # a clause that sqlglot doesn't know; sqlfluff does
        assert text.count(PARTITIONED) == 1
        text = text.replace(PARTITIONED, "")
    return parsed(text, dialect)


def test_the_command_offers_every_dialect():
    assert tuple(sorted(DIALECTS)) == DIALECT_NAMES == tuple(sorted(LOCATIONS))


@pytest.mark.parametrize("dialect", DECLARING)
def test_columns_and_types_are_those_of_the_parquet_files(dialect):
    """For every table. The columns of partitions come after them, or are no columns of the statement."""
    for table in TABLES:
        found = arrow_columns(created(dialect, table), without=("snapshot_date", "snapshot"))
        assert found == parquet_schema(table), table


@pytest.mark.parametrize("dialect", DECLARING)
def test_descriptions_of_the_catalog_are_comments(dialect):
    table = "fc_layers"
    described = next(found for found in request(dialect, [table]).tables)
    assert "doesn't" in described.comments["version"]
    found = {column.name: column for column in created(dialect, table).find_all(exp.ColumnDef)}
    texts = {
        name: [text.this for text in column.find_all(exp.Literal) if text.is_string]
        for name, column in found.items()
        if name in described.comments
    }
    assert {name: text[-1] for name, text in texts.items() if text} == {
        name: text for name, text in described.comments.items() if text
    }


@pytest.mark.parametrize("dialect", DECLARING)
def test_secret_and_unit_stand_in_the_comment(dialect):
    text = "\n".join(script(dialect, ["fc_functions"]))
    assert "secret: stored as a fingerprint" in text
    assert re.search(r"memory_size \w+ .*['\"]MB['\"]", text)


def test_partition_columns_are_text_or_a_date_and_never_a_number():
    typed = {
        dialect: re.findall(r"\b(snapshot(?:_date)?) (DATE|STRING|VARCHAR)\b", "\n".join(script(dialect, TABLES[:1])))
        for dialect in DECLARING
    }
    both = [("snapshot_date", "STRING"), ("snapshot", "STRING")]
    assert typed == {
        "athena": both[:1],
        "bigquery": [("snapshot_date", "DATE"), ("snapshot", "STRING")],
        "hive": both,
        "maxcompute": both,
        "spark": [("snapshot_date", "DATE"), ("snapshot", "STRING")],
        "starrocks": [],
        "trino": [("snapshot_date", "VARCHAR"), ("snapshot", "VARCHAR")],
    }


@pytest.mark.parametrize("dialect", DECLARING)
def test_table_is_over_its_folder(dialect):
    root = re.escape(LOCATIONS[dialect])
    places = re.findall(rf"['\"]{root}(/[^'\"]*)['\"]", "\n".join(script(dialect, ["fc_layers"])))
    assert places
    assert all(place == "/fc_layers" or place.startswith("/fc_layers/") for place in places)


@pytest.mark.parametrize("dialect", sorted(DIALECTS.keys() - {"duckdb", "starrocks"}))
def test_view_of_a_snapshot_names_it_and_puts_the_key_first(dialect):
    for table in SAMPLE:
        views = [text for text in script(dialect, [table], pinned=True) if text.startswith("CREATE OR REPLACE VIEW")]
        [view] = [parsed(text, dialect) for text in views]
        select = view.expression
        names = [column.name for column in select.selects]
        key = list(CATALOG.operations[table].key)
        assert names[: 2 + len(key)] == ["account_id", "region_id", *key]
        assert sorted(names) == sorted(parquet_schema(table).names)
        compared = {equal.this.name: equal.expression.sql() for equal in select.find(exp.Where).find_all(exp.EQ)}
        column = "snapshot_id" if dialect == "athena" else "snapshot"
        assert compared.keys() == {"snapshot_date", column}
        assert ID in compared[column]
        assert DATE in compared["snapshot_date"]


def test_starrocks_reads_the_folder_of_the_snapshot():
    text = script("starrocks", ["fc_layers"], pinned=True)[-1]
    found = parsed(text, "starrocks")
    assert arrow_columns(found) == parquet_schema("fc_layers")
    assert f'"path" = "oss://bucket/prefix/fc_layers/snapshot_date={DATE}/snapshot={ID}/"' in text


@pytest.mark.parametrize("dialect", ["athena", "hive", "maxcompute", "trino", "bigquery", "starrocks"])
def test_no_view_claims_to_follow_latest_where_an_engine_cannot_read_it(dialect):
    """The newest folder may be that of a partial snapshot, or in a bucket of a crawl that runs."""
    assert "_latest" not in "\n".join(script(dialect))


def test_spark_follows_the_file_latest():
    text = script("spark", ["fc_layers"])[-1]
    assert text.endswith(
        "WHERE snapshot = (SELECT first(trim(value)) FROM text.`oss://bucket/prefix/_snapshots/LATEST`)"
    )


@pytest.mark.parametrize(
    ("dialect", "pinned", "expected"),
    [
        ("spark", False, "MSCK REPAIR TABLE acs_inventory.fc_layers SYNC PARTITIONS"),
        ("hive", False, "MSCK REPAIR TABLE acs_inventory.fc_layers SYNC PARTITIONS"),
        ("maxcompute", False, "MSCK REPAIR TABLE fc_layers ADD PARTITIONS"),
        ("trino", False, "CALL system.sync_partition_metadata('acs_inventory', 'fc_layers', 'FULL')"),
        ("trino", True, "CALL system.sync_partition_metadata('acs_inventory', 'fc_layers', 'FULL')"),
        (
            "hive",
            True,
            f"ALTER TABLE acs_inventory.fc_layers ADD IF NOT EXISTS PARTITION ({PARTITION})",
        ),
    ],
)
def test_new_partitions_are_made_known(dialect, pinned, expected):
    assert expected in script(dialect, ["fc_layers"], pinned=pinned)


def test_athena_computes_its_partitions():
    """Partition projection: neither a Glue crawler nor a repair, which would take a schema for each partition."""
    text = script("athena", ["fc_layers"])[-1]
    template = "s3://bucket/prefix/fc_layers/snapshot_date=${snapshot_date}/"
    assert f"'storage.location.template' = '{template}'" in text
    assert "'projection.enabled' = 'true'" in text
    assert "MSCK" not in "\n".join(script("athena"))


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("dialect", sorted(SQLFLUFF))
def test_a_second_parser_reads_the_statements(dialect, pinned):
    """sqlfluff knows clauses that sqlglot takes as text, and no procedure of Trino, no ADD PARTITION of Hive."""
    linter = Linter(config=FluffConfig(overrides={"dialect": SQLFLUFF[dialect]}))
    for text in script(dialect, SAMPLE, pinned=pinned):
        if text.startswith("CALL ") or (dialect == "hive" and text.startswith("ALTER ")):
            continue
        tree = linter.parse_string(f"{text};\n")
        assert not tree.violations, text
        assert "unparsable" not in tree.tree.type_set(), text


@pytest.mark.parametrize("dialect", ["athena", "bigquery", "presto", "starrocks", "trino"])
def test_words_that_an_engine_reserves_are_quoted(dialect):
    assert {word.lower() for word in Dialect.get_or_raise(dialect).generator_class.RESERVED_KEYWORDS} <= RESERVED


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("function_name", "function_name"),
        ("order", "`order`"),
        ("_extra", "`_extra`"),
        ("a`b", "`a``b`"),
        ("2x", "`2x`"),
    ],
)
def test_identifier_is_quoted_where_it_must_be(name, text):
    assert quoted(name, "`") == text


def test_type_that_a_dialect_lacks_is_one_sentence():
    nested = pa.list_(pa.list_(pa.string()))
    assert sql_type(nested, HIVE_TYPES, "shop_orders.lines") == "ARRAY<ARRAY<STRING>>"
    with pytest.raises(CatalogError, match=r"shop_orders\.lines is a list of lists, .* leave the table out"):
        sql_type(nested, BIGQUERY_TYPES, "shop_orders.lines")


@pytest.mark.parametrize(
    ("dialect", "changes", "message"),
    [
        ("maxcompute", {"location": "oss://bucket/prefix"}, "needs the endpoint in the location"),
        ("maxcompute", {"location": "s3://a.b/c"}, "needs the endpoint in the location"),
        ("athena", {"location": "oss://bucket"}, "reads Amazon S3 only: --location s3://BUCKET/PREFIX"),
        ("duckdb", {"location": "oss://bucket"}, "S3-compatible endpoint: --location s3://BUCKET/PREFIX"),
        ("bigquery", {"location": "s3://bucket"}, "reads Cloud Storage: --location gs://BUCKET/PREFIX"),
        ("bigquery", {"schema": ""}, "needs a dataset: --schema NAME"),
        ("trino", {"schema": ""}, "needs a schema: --schema NAME"),
    ],
)
def test_location_that_an_engine_cannot_read_is_one_sentence(dialect, changes, message):
    given = {"location": LOCATIONS[dialect], "schema": "acs_inventory", **changes}
    with pytest.raises(ConfigError, match=re.escape(message)):
        list(statements(dialect, ScriptRequest([], **given)))


@pytest.mark.parametrize("dialect", DECLARING)
def test_text_of_a_description_stays_text(dialect):
    """A description of a user's own schema file, which may hold quotes and backslashes, ends no string."""
    hostile = "it's \\ a \"quote\"; '); DROP TABLE x; --"
    schema = pa.schema([("account_id", pa.string())])
    table = DescribedTable("own_things", hostile, schema, {"account_id": hostile}, ["account_id"], ())
    [create] = [
        text
        for text in statements(dialect, ScriptRequest([table], LOCATIONS[dialect]))
        if "own_things" in text and text.startswith("CREATE") and "VIEW" not in text
    ]
    found = parsed(create.replace(PARTITIONED, ""), dialect)
    column, *_ = found.find_all(exp.ColumnDef)
    assert hostile in [text.this for text in column.find_all(exp.Literal)]
