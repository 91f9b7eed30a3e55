"""Iceberg and Delta tables over the files of a snapshot.

Read `publish` first; `iceberg` and `delta` are the two formats.
"""
