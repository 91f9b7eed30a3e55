"""A snapshot in a local folder: lock, recovery, staging, journal, commit and retention.

Read `writer` first, then `commit`: the order of its steps makes a crash harmless.
"""
