"""How often a property is tried: a third of it in the quick tier, all of it in `make test-trust`."""

from __future__ import annotations

import os

IS_WHOLE = os.environ.get("WHOLE_EXAMPLES") == "1"


def examples(count: int) -> int:
    """So many in the long tier."""
    return count if IS_WHOLE else -(-count // 3)
