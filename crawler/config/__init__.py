"""The configuration: one TOML file, checked as a whole before any request, then frozen.

Read `load` first, then `discovery` (the file), `sections` (the keys), `document` (TOML to values), `crawler.validation`
(values to sections), `checks`, and `resolve` (configuration and catalog together).
"""

from __future__ import annotations

from crawler.config.load import Config, load_config, parse_config

__all__ = ["Config", "load_config", "parse_config"]
