"""Sends the metrics of a crawl to a Pushgateway, by `[metrics] push`.

By POST, which replaces the metrics of the same names. PUT would also drop the time of the last success whenever a crawl
fails, and a rule on its age would fall silent.
"""

from __future__ import annotations

from crawler.clock import Clock
from crawler.config import Config
from crawler.telemetry.metrics import CrawlFigures, render
from crawler.telemetry.post import post

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def push_metrics(config: Config, figures: CrawlFigures, clock: Clock | None = None) -> str:
    """Send the figures to the configured URL. Return the reason of a failure, empty on success."""
    url = config.metrics.push.reveal() if config.metrics.push is not None else ""
    return await post(config, url, render(figures).encode(), _CONTENT_TYPE, clock)
