"""Compare two snapshots. Read `comparison` first.

`columns` chooses the compared columns, `join` pairs the rows in SQL, `values` compares two values, `scopes` compares
the ledgers, `json_output` writes the result as JSON.
"""
