"""Page bytes to Arrow rows.

Read `normalizer` first: it chooses between the fast path (`fast/`) and the exact path, which is the reference. The
exact path is `exact_json`, `converters` and `scalars`; `extra` collects the fields that are not in the schema, and
`redaction` replaces secrets.
"""

from __future__ import annotations

from crawler.normalizer.normalizer import Normalizer, RowPage

__all__ = [
    "Normalizer",
    "RowPage",
]
