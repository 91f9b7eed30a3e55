"""Page bytes to Arrow rows.

Read `normalizer` first: it chooses between the fast path (`fast/`) and the exact path, which is the reference. The
exact path is `exact_json`, `converters` and `scalars`; `extra` collects the fields that are not in the schema, and
`redaction` replaces secrets. `pending` has the states of a page's rows until they are a batch.
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
