"""The operations that the emulator serves, of all products.

A further List operation is one more row in its product's module and its records in that product's place. Paths,
parameters and bounds are written down there a second time on purpose: the emulator is a witness that doesn't read the
crawler's own catalog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from crawler.emulator.apis import fc as fc_operations
from crawler.emulator.apis import fc_open as fc_open_operations
from crawler.emulator.apis import fnf as fnf_operations
from crawler.emulator.apis import opensearch as opensearch_operations
from crawler.emulator.apis.operation import EmulatedOperation

OPERATIONS: tuple[EmulatedOperation, ...] = (
    *fc_operations.OPERATIONS,
    *fc_open_operations.OPERATIONS,
    *opensearch_operations.OPERATIONS,
    *fnf_operations.OPERATIONS,
)
BY_NAME: Mapping[str, EmulatedOperation] = {operation.name: operation for operation in OPERATIONS}
TABLES = tuple(operation.name for operation in OPERATIONS if operation.is_inventory)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", path)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts))


PATTERNS = tuple((_pattern(operation.path), operation) for operation in OPERATIONS if operation.path != "/")
BY_ACTION = {operation.action: operation for operation in OPERATIONS if operation.path == "/"}


def find(path: str, action: str) -> tuple[EmulatedOperation, tuple[str, ...]] | None:
    """The operation of a raw path with its still encoded path parameters, None where no operation has that path.

    An RPC operation, whose path is `/`, is found by the action that the request names.
    """
    if path == "/":
        found = BY_ACTION.get(action)
        return None if found is None else (found, ())
    for pattern, operation in PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            return operation, match.groups()
    return None
