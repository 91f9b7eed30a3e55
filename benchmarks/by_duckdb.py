"""`python -m benchmarks.by_duckdb QUESTION STORE FOLDER`: asks DuckDB directly what `audit` asks the commands.

It goes by the manifests alone, in one statement for each table, with DuckDB's own settings.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from crawler.catalog.model import Operation

_TABLE = "fc_functions"


def main() -> None:
    """Ask, and print the answer's size or the answer."""
    question, store, folder = sys.argv[1:]
    print(ANSWERS[question](Path(store), Path(folder)))


def _manifests(store: Path) -> list[dict[str, Any]]:
    """Return the manifests, older ones first."""
    return [json.loads(path.read_bytes()) for path in sorted((store / "_snapshots").glob("*.json"))]


def _scan(store: Path, manifest: Mapping[str, Any], table: str) -> str:
    listed = ", ".join(quote_text(str(store / file["path"])) for file in manifest["tables"][table]["files"])
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _query(store: Path, _: Path) -> Sequence[Any]:
    scan = _scan(store, _manifests(store)[-1], _TABLE)
    return duckdb.execute(f"SELECT runtime, count(*) FROM {scan} GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()


def _export(name: str, options: str, store: Path, folder: Path) -> int:
    path = folder / name
    scan = _scan(store, _manifests(store)[-1], _TABLE)
    duckdb.execute(f"COPY (FROM {scan}) TO {quote_text(str(path))} ({options})")
    return path.stat().st_size


def _verify(store: Path, _: Path) -> int:
    """Return the number of files with their SHA-256, without DuckDB, which has no such question."""
    files = [file for found in _manifests(store) for table in found["tables"].values() for file in table["files"]]
    for file in files:
        with (store / file["path"]).open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file["sha256"]:
                raise RuntimeError(f"{file['path']} isn't what its manifest names")
    return len(files)


def _diff(store: Path, _: Path) -> int:
    """Return the number of rows that one night has alone or otherwise: a full join of all columns for each table."""
    from crawler.catalog import load_catalog  # DuckDB doesn't know the keys; no other question needs the product

    old, new = _manifests(store)
    catalog = load_catalog()
    return sum(
        _differing(_scan(store, old, table), _scan(store, new, table), catalog.operations[table])
        for table in new["tables"]
    )


def _differing(old: str, new: str, operation: Operation) -> int:
    key = ["account_id", "region_id", *operation.key]
    skipped = {*key, "snapshot_id", "fetched_at", *operation.volatile}
    found = [name for name, *_ in duckdb.execute(f"DESCRIBE FROM {old}").fetchall()]
    columns = [name for name in found if name not in skipped]
    same = " AND ".join(
        f"o.{quote_name(name)} {'IS NOT DISTINCT FROM' if name in operation.optional_key else '='} n.{quote_name(name)}"
        for name in key
    )
    other = " OR ".join(f"o.{quote_name(name)} IS DISTINCT FROM n.{quote_name(name)}" for name in columns)
    shown = ", ".join(f"coalesce(o.{quote_name(name)}, n.{quote_name(name)})" for name in key)
    sql = f"SELECT {shown} FROM {old} AS o FULL JOIN {new} AS n ON {same} WHERE o.account_id IS NULL OR n.account_id IS NULL OR {other} ORDER BY ALL"  # noqa: E501
    return len(duckdb.execute(sql).fetchall())


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


ANSWERS: Mapping[str, Callable[[Path, Path], Any]] = {
    "diff --json": _diff,
    "snapshots verify": _verify,
    "query, one GROUP BY": _query,
    "export, csv": partial(_export, "rows.csv", "FORMAT csv, HEADER"),
    "export, jsonl": partial(_export, "rows.jsonl", "FORMAT json"),
    "export, parquet": partial(_export, "rows.parquet", "FORMAT parquet, COMPRESSION zstd"),
}

if __name__ == "__main__":
    main()
