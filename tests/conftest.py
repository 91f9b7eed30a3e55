"""For every test: a main event loop that is there and gets closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def main_loop() -> Iterator[None]:
    """looptime asks for one around tests that have none of their own; what asyncio makes then, nobody closes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
