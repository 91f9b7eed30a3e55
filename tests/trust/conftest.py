"""A small cloud for the real command. What these tests share with those of the snapshots lies beside those."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from small_crawls import Small

sys.path.append(str(Path(__file__).parents[1] / "snapshot"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    from small_crawls import small_cloud

    with small_cloud(tmp_path_factory.mktemp("small")) as served:
        yield served
