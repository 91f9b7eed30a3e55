"""A snapshot in a local folder: destination, lock, recovery, journal, resume, commit and prune.

Read `destination` first, then `commit`: the order of its steps makes a crash harmless.
"""
