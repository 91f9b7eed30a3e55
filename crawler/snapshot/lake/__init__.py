"""Iceberg and Delta tables over the files of a snapshot. Read `publish` first, then the formats: `iceberg`, `delta`."""
