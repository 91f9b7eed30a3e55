"""acs-inventory: a nightly inventory of Alibaba Cloud Function Compute and OpenSearch, as one Parquet snapshot.

The package reads best from the run towards the leaves: `run` wires everything; `scheduler` runs the lists, with
`dispatcher` and `lanes` deciding what goes when; `client` makes one call, with `signing`, `transport`, `classify`,
`retry` and `ratelimit` below it; `pagination` walks a list; `normalizer` turns pages into rows, `decode` the plain ones
quickly; `snapshot` keeps them. What is crawled is in no module: `catalog` reads it from the files under `schemas/`.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["Config", "CrawlResult", "Surroundings", "__version__", "crawl", "load_config"]

_HOMES = {
    "Config": "crawler.config.load",
    "CrawlResult": "crawler.run.run",
    "Surroundings": "crawler.run.session",
    "crawl": "crawler.run.run",
    "load_config": "crawler.config.load",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: `--help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'crawler' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
