"""The fast path from a page's bytes to Arrow, for pages that are exactly in schema.

Read `reader` first. `gate` proves that a page is in schema: msgspec Structs made from the operation's columns
(`structs`), strict in every type, decode the page in the event loop and give its token, keys and digests. The rows stay
bytes until `decoder` turns many pages into one batch in a worker thread: `arrow_columns` converts the columns of arro3,
and `row_accounts` says which account's key a secret gets. `variants` remembers how pages differ slightly from the
schema. Pages that the gate rejects are read by the exact path, which is the reference.
"""
