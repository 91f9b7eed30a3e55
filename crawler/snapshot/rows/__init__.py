"""The rows of scopes on their way to Parquet: checked for duplicate keys, packed in blocks, merged into parts.

Read `scope_writer` first (the writers of scopes and lists), then `ended_rows` (the rows of the scopes that have ended:
to the journal, to the parts, and the check before the commit). `row_store`, `pending_rows` and `blocks` are the forms
of rows that wait, `row_buffer` bounds their memory, `keys` are the seen keys. `merge` puts blocks in order and cuts row
groups, `parquet` writes the file, `statistics` keeps what lake tables say of it.
"""
