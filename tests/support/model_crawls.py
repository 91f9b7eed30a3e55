"""Crawls of a model-driven cloud by schema files in a folder of a user's own, in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from crawler.catalog import load_catalog
from crawler.config import Config, parse_config
from crawler.run.result import CrawlResult
from crawler.run.run import crawl as crawl_once
from crawler.run.system import System
from crawler.text import GLOBAL_REGION
from tests.support.model_server import ACCOUNT, REGION, ModelCloud, serve_models

FINGERPRINT_KEY = "the-demo-has-no-secrets-to-protect"


def configuration(
    urls: dict[str, str], cloud: ModelCloud, folder: Path, output: Path, tables: Sequence[str], more: str = ""
) -> str:
    """Return a config.toml for tables of `folder`. `urls`: product → where its one region, or all of it, is served."""
    products = load_catalog([folder]).products
    places = [
        f'[endpoints.{product}]\n{GLOBAL_REGION if products[product].is_global else REGION} = "{url}"'
        for product, url in urls.items()
    ]
    return "\n".join(
        [
            f"[crawl]\ntables = {json.dumps(list(tables))}\nregions = [{json.dumps(REGION)}]",
            f"[output]\nuri = {json.dumps(str(output))}\nfingerprint_key = {json.dumps(FINGERPRINT_KEY)}",
            f"[catalog]\nextra = [{json.dumps(str(folder))}]",
            "[retry]\nmax_attempts = 2\nmax_delay = 0.01",
            "[rate_limits]",
            *(f"{product} = {{ rate = 5000, burst = 1000 }}" for product in ("default", "sts", *urls)),
            f"[[accounts]]\nid = {json.dumps(ACCOUNT)}\n[accounts.credentials]\ntype = 'access_key'",
            f"access_key_id = {json.dumps(cloud.key.key_id)}\naccess_key_secret = {json.dumps(cloud.key.secret)}",
            f"[endpoints]\nsts = {json.dumps(next(iter(urls.values())))}",
            *places,
            more,
        ]
    )


@dataclass(frozen=True)
class ModelCrawl:
    """A crawl that has ended; without configuration and result if a command ran it."""

    cloud: ModelCloud
    config: Config | None
    result: CrawlResult | None
    output: Path

    def rows(self, table: str) -> list[dict]:
        """Return the rows of a table; maps are dictionaries."""
        return [
            row
            for path in sorted(self.output.glob(f"{table}/**/*.parquet"))
            for row in pq.read_table(path, partitioning=None).to_pylist(maps_as_pydicts="strict")
        ]

    def text(self) -> str:
        """Return all values of all tables and the manifest, to search them for what must not be there."""
        tables = [pq.read_table(path, partitioning=None).to_pylist() for path in self.output.glob("**/*.parquet")]
        return repr(tables) + "".join(path.read_text() for path in self.output.glob("**/*.json"))


async def crawl_models(
    cloud: ModelCloud, product: str, folder: Path, output: Path, tables: Sequence[str] = ("*",), more: str = ""
) -> ModelCrawl:
    """Serve the cloud and crawl tables of its product once."""
    async with serve_models(cloud) as [url]:
        text = configuration({product: url}, cloud, folder, output, tables, more)
        config = parse_config(text, source="test.toml", environ={})
        result = await crawl_once(config, System(environ={}, home=output.parent))
        return ModelCrawl(cloud, config, result, output)
