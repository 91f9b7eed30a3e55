"""The rows of scopes on their way to Parquet: buffered in memory, checked for duplicate keys, written as parts.

Read `scope_writer` first (the writers of scopes and lists), then `row_buffer` (the bounds of memory and of open files),
`row_store` and `pending_rows` (the buffered rows), `keys` (the seen keys) and `parquet` (the files).
"""
