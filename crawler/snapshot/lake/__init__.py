"""Iceberg and Delta tables over the files of a snapshot.

Read `publish` first, with `base` and `publication`, then the formats: `delta` with `delta_statistics`, and `iceberg`
with its `catalog`, `data_files`, `transactions`, `versions` and `iceberg_history`. `own_tables` has the lake's own
tables. `footers` reads the statistics that the writer didn't leave. `claim`, `identity` and `places` make sure that the
tables belong to the output. `known` finds the lakes that `prune` asks. `turns` keeps a crawl and a `prune` apart,
`modes` gives files their modes, `verify` looks for missing ones.
"""
