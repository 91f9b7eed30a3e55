"""A snapshot in a bucket of an object store: destination, LATEST, scratch folder and prune.

Read `destination` first, then `latest`: it shows how two crawls agree on the newest snapshot without a lock.
"""
