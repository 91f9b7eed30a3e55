"""The one reader of official SDK packages, and the comparison of the catalog with them.

A package is read as text and parsed; nothing of it is imported or run. Read `sources` first (an installed package or a
wheel), then `models` (classes of fields), `calls` (the methods of the client) and `package`, which joins them. `check`
compares the catalog with a package.
"""

from __future__ import annotations

from crawler.catalog.sdk.package import SdkPackage, open_package

__all__ = ["SdkPackage", "open_package"]
