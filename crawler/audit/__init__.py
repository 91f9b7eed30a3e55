"""Read snapshots: SQL queries, comparison of two snapshots, export of tables, findings, HTML report.

Everything here reads the files that a manifest lists, so an uncommitted snapshot is never visible. Nothing here
writes into the output. Read `database` first, then `sql_guard`, `query`, `diff`, `export`, `findings` and `report`.
"""
