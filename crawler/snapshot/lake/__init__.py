"""Iceberg and Delta tables over the files of a snapshot.

Read `publish` first, with `base`, then the formats: `delta`, and `iceberg` with its `catalog` and `versions`. `claim`,
`identity` and `places` make sure that the tables belong to the output. `known` finds the lakes that `prune` asks.
`turns` keeps a crawl and a `prune` apart, `modes` gives files their modes, `verify` looks for missing ones.
"""
