"""Compare two snapshots. Read `comparison` first.

`scopes` compares the ledgers, `parts` chooses the files and the rows of a batch of scopes, `columns` chooses the
compared columns, `join` pairs the rows in SQL, `values` compares two values, `json_output` writes the result as JSON.
"""
