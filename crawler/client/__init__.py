"""One API call: credentials, signature, exchange, error rules, retry and rate limits.

Read `client` first: its loop is the only retry layer. Then `request`, `signing` and `transport` (one attempt),
`error_rules` and `error_parsing` (the meaning of a response), `retry`, `rate_limit`, and last `dispatcher` with
`request_queue` (which request starts next). The package depends on `clock`, `text` and `errors` only.
"""
