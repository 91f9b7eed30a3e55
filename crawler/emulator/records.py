"""Types of the emulated records and of the lists that hold them."""

from __future__ import annotations

from typing import Any

# A record: a JSON object in its wire form.
Record = dict[str, Any]
# An element of a list of any operation: a record, or a string in a list of IDs.
Item = Any
# The path parameters of a list, outermost first: the names of its parents.
Parent = tuple[str, ...]
