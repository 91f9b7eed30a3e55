"""SQL that would write or read outside of a snapshot, with every function and pragma that the installed DuckDB has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import duckdb

CANARY = "the-canary-7d1f"


# These would only wait, or print.
_IDLE = frozenset({"sleep_ms", "pg_sleep"})


@dataclass(frozen=True)
class Outside:
    """A folder that no SQL may read or change, with one file that holds the canary."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Outside:
        folder.mkdir()
        (folder / "canary.csv").write_text(f"a\n{CANARY}\n")
        return cls(folder)

    @property
    def canary(self) -> Path:
        return self.folder / "canary.csv"

    def is_untouched(self) -> bool:
        return [path.name for path in self.folder.iterdir()] == ["canary.csv"] and CANARY in self.canary.read_text()


def payloads(outside: Outside, part: Path) -> list[str]:
    """Texts that write or read if something runs or opens them: SQL, serialized SQL and paths.

    `part` is a file that the views read.
    """
    copies = [
        f"COPY (SELECT 1 AS a) TO '{outside.folder}/written.csv'",
        f"COPY (SELECT 1 AS a) TO '{outside.canary}' (FORMAT csv, USE_TMP_FILE false)",
        f"COPY (SELECT 1 AS a) TO 'snapshot://{part}' (FORMAT csv, USE_TMP_FILE false)",
        f"COPY (SELECT 1 AS a) TO '{part}' (FORMAT csv, USE_TMP_FILE false)",
        f"COPY (SELECT 1 AS a, 2 AS b) TO '{outside.folder}' (FORMAT csv, PARTITION_BY (a), OVERWRITE true)",
    ]
    inner = [f"WITH x AS ({copy}) FROM x" for copy in copies]
    with duckdb.connect() as connection:
        trees = [
            connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
            for sql in (*inner, f"FROM read_text('{outside.canary}')")
        ]
    return [
        *copies,
        *inner,
        *trees,
        f"SELECT * FROM '{outside.canary}'",
        str(outside.canary),
        f"{outside.folder}/*",
        f"file://{outside.canary}",
        f"snapshot://{outside.canary}",
    ]


def functions() -> list[tuple[str, str]]:
    """The type and the name of each function and pragma of the installed DuckDB."""
    with duckdb.connect() as connection:
        found = connection.execute("SELECT DISTINCT function_type, function_name FROM duckdb_functions()").fetchall()
    return sorted((kind, name) for kind, name in found if name not in _IDLE)


def calls(kind: str, name: str, texts: list[str], functions_to_run: tuple[str, ...]) -> Iterator[str]:
    """Statements that call a function with these texts: alone, twice, and after the name of a function to run."""
    quoted = ["'" + text.replace("'", "''") + "'" for text in texts]
    named = [f"'{function}', {text}" for function, text in product(functions_to_run, quoted)]
    name = '"' + name.replace('"', '""') + '"'
    for arguments in ("", *quoted, *(f"{text}, {text}" for text in quoted), *named):
        if kind in {"table", "table_macro"}:
            yield f"FROM {name}({arguments})"
            yield f"CALL {name}({arguments})"
        elif kind == "pragma":
            yield f"PRAGMA {name.strip(chr(34))}({arguments})" if arguments else f"PRAGMA {name.strip(chr(34))}"
        else:
            yield f"SELECT {name}({arguments})"


def plain_attacks(texts: list[str], outside: Outside) -> list[str]:
    """Statements that need no function: they are themselves, or they name a file."""
    return [
        *texts,
        *(f"EXPLAIN ANALYZE {text}" for text in texts),
        f"SELECT 1; {texts[0]}",
        f"SELECT 1 /* */; -- \n{texts[0]}",
        f"PREPARE p AS {texts[0]}",
        "EXECUTE p",
        "CREATE MACRO m() AS TABLE FROM query('SELECT 1')",
        f"FROM '{outside.canary}'",
        f"DESCRIBE '{outside.canary}'",
        f"SUMMARIZE '{outside.canary}'",
        f"SELECT (SELECT a FROM '{outside.canary}')",
        "FROM 'http://127.0.0.1:9/x.csv'",
        "FROM 's3://bucket/x.parquet'",
        f"ATTACH '{outside.folder}/x.db'",
        f"EXPORT DATABASE '{outside.folder}/x'",
        f"IMPORT DATABASE '{outside.folder}'",
        f"SET temp_directory = '{outside.folder}'",
        "RESET allowed_directories",
        "SET enable_external_access = true",
        f"SET log_query_path = '{outside.folder}/log'",
        f"SET profiling_output = '{outside.folder}/profile'",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        f"CREATE SECRET s (TYPE s3, PROVIDER config, SCOPE '{outside.folder}')",
        "INSTALL httpfs",
        "LOAD httpfs",
        f"LOAD '{outside.folder}/x.duckdb_extension'",
        "SET VARIABLE v = 1",
        f"USE '{outside.folder}'",
    ]
