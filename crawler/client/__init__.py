"""One API call: credentials, signature, exchange, error rules, retry and rate limits.

Read `client` first: its loop is the only retry layer. Then `request`, `endpoints`, `signing` and `transport` (one
attempt) with its parts `connections`, `name_lookup` and `response_body`; `clock_skew`, `error_rules` and
`error_parsing` (the meaning of a response), `retry` and `rate_limit`, `dispatcher` with `request_queue` (which request
starts next), and last `credentials`.
"""
