"""For every test of a benchmark: the fixtures of the tests that close the event loop and silence the log."""

from tests.conftest import main_loop, quiet_logs  # noqa: F401 - fixtures
