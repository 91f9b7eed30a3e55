"""A small cloud for the real command, a larger one for processes that share a crawl, and a real S3 server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.run_processes import Fleet, Output
    from tests.support.small_crawls import Small


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    from tests.support.small_crawls import small_cloud

    with small_cloud(tmp_path_factory.mktemp("small")) as served:
        yield served


@pytest.fixture(scope="session")
def served_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    from tests.support.run_processes import fleet_cloud

    with fleet_cloud(tmp_path_factory.mktemp("fleet")) as served:
        yield served


@pytest.fixture
def fleet(served_fleet: Fleet) -> Iterator[Fleet]:
    """A cloud of eight accounts. No process of a test outlives it."""
    yield served_fleet
    served_fleet.end_all()


@pytest.fixture(scope="session")
def s3_environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    from tests.support.object_stores import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture
def open_output(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Output]:
    """A new output by its kind: `folder`, or `s3`, a bucket of a real server."""
    from tests.support.run_processes import bucket_output, folder_output

    def open_(kind: str) -> Output:
        if kind == "folder":
            return folder_output(tmp_path / "out")
        return bucket_output(request.getfixturevalue("s3_environ"), tmp_path / "out")

    return open_
