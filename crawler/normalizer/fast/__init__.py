"""The quick way from a page's bytes to Arrow, for pages that are exactly in schema.

`gate` proves it: a tree of msgspec Structs made from the operation's columns, strict in every type, decodes the page in
the event loop and gives its token, its keys and its digests. `rows` keep the bytes, `arrow` turns many pages of them
into one batch in a worker thread. What the gate refuses is the normalizer's, which stays the reference.
"""
