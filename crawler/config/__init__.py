"""crawler.config.load."""

from __future__ import annotations

from crawler.config.checks import PRODUCTS
from crawler.config.document import Secret
from crawler.config.load import Config, load_config, parse_config
from crawler.config.sections import Account, Credentials, Iceberg, RateLimit

__all__ = [
    "PRODUCTS",
    "Account",
    "Config",
    "Credentials",
    "Iceberg",
    "RateLimit",
    "Secret",
    "load_config",
    "parse_config",
]
