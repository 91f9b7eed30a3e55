"""Page bytes to Arrow rows.

Read `normalizer` first: it chooses between the fast path (`fast/`) and the exact path, which is the reference. The
exact path is `exact_json`, `converters` and `scalars`; `extra` collects unknown fields and type mismatches, and
`redaction` replaces secrets, with the key of `fingerprint_key`. `pending` has the states of rows until their batch.
"""

from __future__ import annotations

from crawler.normalizer.normalizer import Normalizer, RowPage
from crawler.normalizer.pending import DecodePool, RowContext

__all__ = [
    "DecodePool",
    "Normalizer",
    "RowContext",
    "RowPage",
]
