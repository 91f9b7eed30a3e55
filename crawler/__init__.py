"""acs-inventory: a nightly inventory of Alibaba Cloud Function Compute and OpenSearch, as one Parquet snapshot.

Read the packages from the top down: `cli` (one file per command), `run` (one crawl), `audit` (the uses of a snapshot),
`telemetry`, `config`, `normalizer` (page bytes to Arrow rows), `client` (one API call), `catalog` (the operations, read
from the files under `schemas/`), `snapshot` (rows, files, manifest, commit), `emulator` (the built-in cloud). A package
imports from the layers below its own only; its `__init__` gives the order in which to read it.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["Config", "CrawlResult", "Surroundings", "System", "__version__", "crawl", "load_config"]

_HOMES = {
    "Config": ("crawler.config.load", "Config"),
    "CrawlResult": ("crawler.run.result", "CrawlResult"),
    "Surroundings": ("crawler.run.system", "System"),  # its name until 0.1.0
    "System": ("crawler.run.system", "System"),
    "crawl": ("crawler.run.run", "crawl"),
    "load_config": ("crawler.config.load", "load_config"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, since `--help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'crawler' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
