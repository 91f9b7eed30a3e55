"""The number of examples of a property test: a third in the quick tier, all in `make test-trust`."""

from __future__ import annotations

import os

IS_WHOLE = os.environ.get("WHOLE_EXAMPLES") == "1"


def examples(count: int) -> int:
    """Return the number of examples; `count` is that of the long tier."""
    return count if IS_WHOLE else -(-count // 3)
