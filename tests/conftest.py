"""Fixtures of every test: a main event loop that exists and is closed, and no unread log lines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.support import command_server
from tests.support.examples import IS_WHOLE, examples

# An example may be slow on a busy machine; benchmarks measure the speed. The quick tier tries the same examples each
# time, so that it has the same verdict each time; the long tier looks for new ones.
settings.register_profile("unhurried", deadline=None, max_examples=examples(100), derandomize=not IS_WHOLE)
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cold", action="store_true", help="start Python for each command instead of a fork")


def pytest_configure(config: pytest.Config) -> None:
    command_server.is_cold = config.getoption("--cold")


@pytest.fixture(scope="session", autouse=True)
def main_loop() -> Iterator[None]:
    """Set and close a main event loop; looptime requests one, and asyncio would create one that stays open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture(scope="session", autouse=True)
def warm_process() -> Iterator[None]:
    """Ended with the session, if any test has asked for it."""
    yield
    command_server.stop()


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Tests that look at logs configure logging; their configuration is reset afterwards."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
