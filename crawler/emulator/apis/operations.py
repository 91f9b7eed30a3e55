"""The operations that the emulator serves, of all products.

To add a List operation, add a row to its product's module here, and its records to the product's module in `data`.
Paths, parameters and bounds repeat those of the crawler's catalog on purpose: the emulator must not depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crawler.emulator.apis import fc, fc_open, fcsandbox, opensearch, ram, searchengine
from crawler.emulator.apis.operation import EmulatedOperation

OPERATIONS: tuple[EmulatedOperation, ...] = (
    *fc.OPERATIONS,
    *fc_open.OPERATIONS,
    *fcsandbox.OPERATIONS,
    *opensearch.OPERATIONS,
    *searchengine.OPERATIONS,
    *ram.OPERATIONS,
)
BY_NAME: Mapping[str, EmulatedOperation] = {operation.name: operation for operation in OPERATIONS}
TABLES = tuple(operation.name for operation in OPERATIONS if operation.is_inventory)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", path)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts))


PATTERNS = tuple((_pattern(operation.path), operation) for operation in OPERATIONS if operation.path != "/")
BY_ACTION = {(operation.action, operation.is_global): operation for operation in OPERATIONS if operation.path == "/"}


def find(path: str, action: str, *, is_global: bool = False) -> tuple[EmulatedOperation, tuple[str, ...]] | None:
    """Return the operation of a raw path with its path parameters, still encoded; None if no operation has the path.

    An RPC operation has the path `/` and is found by its action. `is_global`: only operations of global products are
    found, and otherwise only those of regions.
    """
    if path == "/" or is_global:
        found = BY_ACTION.get((action, is_global)) if path == "/" else None
        return None if found is None else (found, ())
    for pattern, operation in PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            return operation, match.groups()
    return None
