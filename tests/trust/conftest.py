"""A small cloud for the real command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.small_crawls import Small


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    from tests.support.small_crawls import small_cloud

    with small_cloud(tmp_path_factory.mktemp("small")) as served:
        yield served
