"""crawler.normalizer.normalizer."""

from __future__ import annotations

from crawler.normalizer.normalizer import Normalizer, Page

__all__ = [
    "Normalizer",
    "Page",
]
