"""SQL and dbt descriptions of the tables, for engines that read the files.

Read `model` first (the input of a script), then `types` (Arrow type → SQL type), `text` and `reserved` (names and texts
in SQL), `hive_family`, `warehouses` and `duckdb` (the statements), and `script`. `dbt` writes a `sources.yml`.
"""
