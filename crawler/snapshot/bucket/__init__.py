"""A snapshot in a bucket of an object store: writer, LATEST, scratch files and retention.

Read `writer` first, then `latest`: it shows how two crawls agree on the newest snapshot without a lock.
"""
