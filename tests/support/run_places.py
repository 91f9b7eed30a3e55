"""Outputs in which the processes of a run meet: a folder, fakes of S3 and OSS, a real S3 server, and one in memory.

In all but the server time passes on demand: the store's clock goes on, by which it stamps files.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from crawler.clock import Clock
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import plan_path, run_folder
from crawler.snapshot.location import bucket_place
from crawler.snapshot.object_store import Content, Listing, ObjectStore, StoredObject
from crawler.snapshot.shards.store import FolderStore, RunStore
from crawler.testing import FakeClock
from tests.support.object_stores import FakeStore, served
from tests.support.snapshot_fakes import NEW

KEY = "nightly-2026-11-21"
FOLDER = run_folder(KEY)


class PassingClock(FakeClock):
    """A clock with which the store's goes on, too."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def advance(self, duration_s: float) -> None:
        super().advance(duration_s)
        self._place.pass_time(duration_s)


class StampingDisk(Disk):
    """A disk with a clock of its own, `ahead_s` seconds before this machine's."""

    ahead_s = 0.0

    def fsync(self, fd, path):
        stamp(fd, self.ahead_s)
        super().fsync(fd, path)


def stamp(file: int | Path, ahead_s: float) -> None:
    at = time.time() + ahead_s
    os.utime(file, (at, at))


@dataclass
class Place:
    """An output, as a store of runs."""

    store: RunStore = None  # type: ignore[assignment]
    root: Path | None = None
    fake: FakeStore | None = None
    prefix: str = ""
    ahead_s: float = 0.0

    def clock(self) -> PassingClock:
        return PassingClock(self)

    def pass_time(self, seconds: float) -> None:
        """Let the store's clock go on, or back."""
        self.ahead_s += seconds
        if self.fake is not None:
            self.fake.age = timedelta(seconds=-self.ahead_s)

    def now(self) -> datetime:
        """The store's time."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def open_disk(self, root: Path, umask: int) -> Disk:
        disk = StampingDisk(root, umask)
        disk.ahead_s = self.ahead_s
        return disk

    def write(self, path: str, data: bytes) -> None:
        """Write a file as another program might."""
        if self.root is not None:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data)
            stamp(self.root / path, self.ahead_s)
        else:
            assert self.fake is not None
            self.fake.put(f"{self.prefix}/{path}", data)

    def paths(self) -> set[str]:
        """The paths of all files."""
        if self.root is not None:
            return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()}
        assert self.fake is not None
        return {key.removeprefix(f"{self.prefix}/") for key in self.fake.objects}


def bucket(uri: str, environ: dict[str, str]) -> ObjectStore:
    return ObjectStore(bucket_place(uri, environ, Path("/nowhere")))


async def open_place(kind: str, tmp_path: Path, stack: AsyncExitStack) -> Place:
    if kind == "folder":
        (tmp_path / "out").mkdir()
        place = Place(root=tmp_path / "out")
        place.store = FolderStore(tmp_path / "out", open_disk=place.open_disk)
        return place
    fake = FakeStore(kind)
    environ = await stack.enter_async_context(served(fake))
    return Place(bucket(f"{kind}://inventory/lake/x", environ), fake=fake, prefix="lake/x")


@pytest.fixture(params=["folder", "s3", "oss"])
async def place(request, tmp_path):
    """An output in which time passes on demand."""
    async with AsyncExitStack() as stack:
        yield await open_place(request.param, tmp_path, stack)


@pytest.fixture(params=["folder", "s3", "oss", "server"])
async def any_place(request, tmp_path):
    """These, and a real S3 server."""
    async with AsyncExitStack() as stack:
        if request.param == "server":
            environ = request.getfixturevalue("server")
            yield Place(bucket(f"s3://inventory/{random.randbytes(6).hex()}", environ))
        else:
            yield await open_place(request.param, tmp_path, stack)


@dataclass
class MemoryStore:
    """See `RunStore`. Its time is that of `clock`, and so many seconds more.

    A request takes from 0 to `slow_s` seconds before it is carried out, and as long until its answer. `fails` is called
    before each request with its kind; a text is the reason of a failure.
    """

    clock: Clock
    offset_s: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(0))
    slow_s: float = 0.0
    files: dict[str, StoredObject] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    async def read(self, path: str, most_bytes: int = 1 << 30) -> Content | None:
        await self._travel()
        data = self.contents.get(path)
        await self._travel()
        return None if data is None else Content(data, "")

    async def put(self, path: str, data: bytes) -> None:
        await self._travel()
        self._write(path, data)
        await self._travel()

    async def create(self, path: str, data: bytes) -> bool:
        await self._travel()
        if is_new := path not in self.contents:
            self._write(path, data)
        await self._travel()
        return is_new

    async def delete(self, paths) -> None:
        for path in paths:
            self.files.pop(path, None)
            self.contents.pop(path, None)

    async def list_here(self, folder: str) -> Listing:
        return Listing(await self.list(folder), [])

    async def list(self, folder: str):
        await self._travel()
        found = [entry for path, entry in sorted(self.files.items()) if path.startswith(f"{folder}/")]
        await self._travel()
        return found

    def _write(self, path: str, data: bytes) -> None:
        at = self.clock.now() + timedelta(seconds=self.offset_s)
        self.files[path] = StoredObject(path, len(data), at.replace(microsecond=0))
        self.contents[path] = data

    async def _travel(self) -> None:
        await self.clock.sleep(self.dice.uniform(0, self.slow_s))


def plan(key: str = KEY, snapshot_id: str = NEW, shard_count: int = 3, **more: object) -> bytes:
    """The plan of a run, with fields that only a planner reads."""
    head = {"key": key, "snapshot_id": snapshot_id, "started_at": "2026-11-21T02:00:00Z", "shard_count": shard_count}
    return msgspec.json.encode({"format": 1, "accounts": [["1", "x"]], **head, **more})


def joined(key: str = KEY, snapshot_id: str = NEW, status: str = "complete") -> bytes:
    """The note of a joined run."""
    head = {"key": key, "snapshot_id": snapshot_id, "started_at": "2026-11-21T02:00:00Z", "status": status}
    return msgspec.json.encode({"format": 1, "exit_code": 0, **head})


async def put_plan(store: RunStore, key: str = KEY, **changes) -> str:
    """Begin a run; return its folder."""
    folder = run_folder(key)
    assert await store.create(plan_path(folder), plan(key, **changes))
    return folder
