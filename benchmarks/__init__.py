"""Compares the cost of a crawl with other programs that list the same static cloud.

`python -m benchmarks` runs all of them; `docs/performance.md` has the table. Nothing here is part of the package.
"""
