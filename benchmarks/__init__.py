"""What a crawl costs beside its peers: a static cloud, who lists it, and what each of them took.

`python -m benchmarks` runs it all; `docs/performance.md` has the table. Nothing here is part of the package.
"""
