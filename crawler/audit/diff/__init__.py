"""The comparison of two snapshots.

Read `comparison` first. `columns` chooses the compared columns, `join` pairs the rows in SQL, `values` compares two
values, `scopes` the ledgers; `json_output` is the result for programs.
"""
