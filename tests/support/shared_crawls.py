"""Crawls that several processes share, within this process: an output of each kind, shards, and a launcher of tasks."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pyarrow.parquet as pq

from crawler.cli.emulate import wide_spec
from crawler.clock import Clock
from crawler.config import Config
from crawler.emulator import CloudSpec
from crawler.run.coordinator import crawl_with_launcher
from crawler.run.engine.base import ShardEvent
from crawler.run.planning import RunSize
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.run import crawl
from crawler.run.shared_crawl import ShardEnd, commit_run, open_shared
from crawler.run.system import System
from crawler.snapshot import Manifest, ObjectStore
from crawler.snapshot.layout import manifest_path
from crawler.snapshot.location import bucket_place
from crawler.snapshot.manifest import decode
from crawler.snapshot.shards.documents import JoinedRun
from crawler.snapshot.shards.run_files import RunFiles
from crawler.snapshot.shards.runs import PROCESSES
from crawler.snapshot.shards.store import FolderStore, RunStore
from tests.support.crawl_runner import FAST, Site, fast_cloud, site
from tests.support.object_stores import FakeStore, served

KEY = "nightly-2026-11-22"
TABLES = ["fc_functions", "fc_layers"]
# What differs between two crawls of one cloud, whatever they are shared by.
MOMENTS = ("request_id", "started_at", "finished_at")


def many_accounts(accounts: int = 9, regions: int = 2):
    """Return a cloud of small accounts, without limits that would delay a test."""
    spec = wide_spec(CloudSpec(rate=FAST, rates={"sts": FAST}), accounts, regions)
    return fast_cloud(**{name: getattr(spec, name) for name in CloudSpec.__slots__ if name not in ("rate", "rates")})


class RisingDice(random.Random):
    """Random numbers that rise, so that of two snapshots of one second the later one has the later ID."""

    rolled = 0

    def random(self) -> float:
        self.rolled += 1
        return min(0.9999, self.rolled / 50_000)


@dataclass
class SharedOutput:
    """An output of one kind beside a served cloud, into which runs are crawled."""

    cloud: Site
    uri: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    fake: FakeStore | None = None
    clock: Clock | None = None
    dice: RisingDice = field(default_factory=RisingDice)
    _store: RunStore | None = None

    @property
    def root(self) -> Path:
        return self.cloud.output

    def config(self, more: str = "", change: Callable[[str], str] = str, **crawl_keys: Any) -> Config:
        crawl_keys.setdefault("tables", TABLES)
        folder = json.dumps(str(self.root))
        uri = f'uri = "{self.uri}"' if self.uri else f"uri = {folder}"
        return self.cloud.config(more, change=lambda text: change(text.replace(f"uri = {folder}", uri)), **crawl_keys)

    def system(self) -> System:
        more = {"clock": self.clock} if self.clock is not None else {}
        return System(environ=dict(self.environ), home=self.cloud.folder, random=self.dice, **more)

    def prepared(self, config: Config | None = None) -> PreparedCrawl:
        return PreparedCrawl.of(config or self.config(), self.system())

    @property
    def bucket(self) -> ObjectStore | None:
        return self.store if isinstance(self.store, ObjectStore) else None

    @property
    def store(self) -> RunStore:
        """Where the run's files are. Opened once."""
        if self._store is None:
            self._store = (
                ObjectStore(bucket_place(self.uri, dict(self.environ), Path("/nowhere")))
                if self.uri
                else FolderStore(self.root)
            )
        return self._store

    def files(self, key: str = KEY) -> RunFiles:
        return RunFiles.of_key(self.store, key)

    def files_of_newest(self) -> RunFiles:
        """The files of the one run that has a plan."""
        [path] = [path for path in self.paths() if path.endswith("/plan.json")]
        return RunFiles(self.store, path.removesuffix("/plan.json"))

    # --- crawls ---

    async def crawl(self, config: Config | None = None, *, resume: bool = False) -> CrawlResult:
        """Crawl in one process."""
        return await crawl(config or self.config(), self.system(), resume=resume)

    async def shard(
        self,
        number: int,
        total: int,
        key: str = KEY,
        *,
        config: Config | None = None,
        monitor: CrawlMonitor | None = None,
        on_plan: Callable[[], Any] | None = None,
    ) -> ShardEnd | JoinedRun:
        """Do what `crawl --shard NUMBER/TOTAL --run KEY` does."""

        async def planning() -> None:
            if on_plan is not None:
                on_plan()

        async with open_shared(config or self.config(), key, total, self.system(), planning) as shared:
            if isinstance(shared, JoinedRun):
                return shared
            return await shared.crawl(number, monitor or CrawlMonitor())

    async def shards(self, total: int, key: str = KEY, *, config: Config | None = None) -> CrawlResult:
        """Crawl all shards one after the other; return the result of the last one, which has joined."""
        ended = [await self.shard(number, total, key, config=config) for number in range(total)]
        assert [end.joined for end in ended[:-1]] == [None] * (total - 1)
        result = ended[-1].joined
        assert result is not None
        return result

    async def some_shards(self, numbers: Sequence[int], total: int, key: str = KEY, **more: Any) -> None:
        """Crawl these shards of a run, which isn't joined then."""
        for number in numbers:
            end = await self.shard(number, total, key, **more)
            assert isinstance(end, ShardEnd)
            assert end.joined is None

    async def report(self, number: int, total: int, key: str = KEY, *, config: Config | None = None) -> None:
        """Crawl a shard as the child of a coordinator does, which leaves the join to that."""
        config = config or self.config()
        async with open_shared(config, key, total, self.system(), _nothing, is_child=True) as shared:
            assert not isinstance(shared, JoinedRun)
            await shared.crawl(number, CrawlMonitor())

    async def commit(self, name: str = KEY, *, partial: bool = False, config: Config | None = None):
        """Do what `snapshots commit` does."""
        return await commit_run(config or self.config(), name, self.system(), CrawlMonitor(), partial=partial)

    async def workers(
        self,
        number: int,
        *,
        config: Config | None = None,
        resume: bool = False,
        shards: int | None = None,
        monitor: CrawlMonitor | None = None,
        **launcher: Any,
    ) -> CrawlResult:
        """Do what `crawl --workers NUMBER` does, with tasks in the place of processes."""
        config = config or self.config()

        @asynccontextmanager
        async def open_launcher(plan):
            yield TaskLauncher(self, config, plan.key, plan.shard_count, number, **launcher)

        size = RunSize(number, shards, PROCESSES)
        return await crawl_with_launcher(config, size, open_launcher, self.system(), monitor, resume=resume)

    # --- what is there ---

    def paths(self) -> set[str]:
        """The paths of all files."""
        if self.fake is not None:
            return {key.removeprefix(f"{self._prefix}/") for key in self.fake.objects}
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()}

    def read(self, path: str) -> bytes:
        if self.fake is not None:
            return self.fake.objects[f"{self._prefix}/{path}"][0]
        return (self.root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        if self.fake is not None:
            self.fake.put(f"{self._prefix}/{path}", data)
        else:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data)

    def remove(self, path: str) -> None:
        if self.fake is not None:
            self.fake.objects.pop(f"{self._prefix}/{path}", None)
        else:
            (self.root / path).unlink(missing_ok=True)

    def saved(self) -> Any:
        """Return all that is there, for `restore`."""
        if self.fake is not None:
            return dict(self.fake.objects)
        kept = self.root.with_name("saved")
        shutil.copytree(self.root, kept)
        return kept

    def restore(self, saved: Any) -> None:
        if self.fake is not None:
            self.fake.objects = dict(saved)
        else:
            shutil.rmtree(self.root)
            shutil.copytree(saved, self.root)

    def manifest(self, snapshot_id: str) -> Manifest:
        return decode(self.read(manifest_path(snapshot_id)), snapshot_id)

    def latest(self) -> str:
        path = "_snapshots/LATEST"
        return self.read(path).decode().strip() if path in self.paths() else ""

    def manifests(self) -> list[str]:
        names = [path.rpartition("/")[2] for path in self.paths() if path.startswith("_snapshots/2")]
        return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def staging(self) -> set[str]:
        """What is left below the staging folder, but locks and the notes of joined runs."""
        left = {path for path in self.paths() if path.startswith("_staging/")}
        return {path for path in left if not path.endswith(("/lock", "/lake-lock", "/joined.json"))}

    def rows(self, manifest: Manifest) -> Counter[str]:
        """Return all rows of a snapshot, without the columns that differ between crawls."""
        found: Counter[str] = Counter()
        for table, entry in manifest.tables.items():
            for file in entry.files:
                content = self.read(file.path)
                assert len(content) == file.bytes
                for row in pq.read_table(io.BytesIO(content)).to_pylist(maps_as_pydicts="strict"):
                    assert row.pop("snapshot_id") == manifest.snapshot_id
                    del row["fetched_at"]
                    found[f"{table} {json.dumps(row, sort_keys=True, default=str)}"] += 1
        return found

    def ledger(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Return the ledger's rows in the file's order, without moments."""
        rows = pq.read_table(io.BytesIO(self.read(manifest.ledger.path))).to_pylist()
        for row in rows:
            row["error_message"] = re.sub(r"\(request [^)]*\)", "", row["error_message"])
        return [{name: value for name, value in row.items() if name not in MOMENTS} for row in rows]

    @property
    def _prefix(self) -> str:
        return self.uri.partition("inventory/")[2]


def alike(manifest: Manifest) -> dict[str, Any]:
    """Return what the manifests of two crawls of one cloud have in common, however they were shared."""
    value = msgspec.to_builtins(manifest)
    for name in ("snapshot_id", "started_at", "finished_at", "clock_skew_s", "ledger", "shards"):
        del value[name]
    del value["overhead"]["sts"]  # each process identifies its own accounts
    for entry in value["tables"].values():
        entry["rows_of_files"] = sum(file["rows"] for file in entry.pop("files"))
        del entry["bytes"]
    return value


@asynccontextmanager
async def shared_output(kind: str, folder: Path, cloud=None, **more: Any) -> AsyncIterator[SharedOutput]:
    """Serve a cloud, and open an output: `folder`, `s3` or `oss`."""
    async with AsyncExitStack() as stack:
        served_cloud = await stack.enter_async_context(site(folder, cloud or many_accounts()))
        if kind == "folder":
            yield SharedOutput(served_cloud, **more)
            return
        fake = FakeStore(kind)
        environ = await stack.enter_async_context(served(fake))
        yield SharedOutput(served_cloud, f"{kind}://inventory/lake/x", environ, fake, **more)


@dataclass
class TaskLauncher:
    """See `Launcher`. Attempts are tasks of this process, which do what a child does, one after the other.

    `ends`: shard → what ends its first attempts, instead of a crawl: the values of the event, or a function to await.
    """

    output: SharedOutput
    config: Config
    key: str
    total: int
    places: int
    ends: Mapping[int, list[Any]] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)
    on_start: Callable[[int], Any] = lambda shard: None

    def __post_init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[int](1000)
        self._left = {shard: list(found) for shard, found in self.ends.items()}

    async def start(self, shard: int) -> None:
        self.started.append(shard)
        self.on_start(shard)
        await self._send.send(shard)

    def kill(self, shard: int) -> None:
        raise AssertionError(f"shard {shard} was silent")

    async def events(self) -> AsyncIterator[ShardEvent]:
        async for shard in self._receive:
            yield ShardEvent(shard, "ended", await self._attempt(shard))

    async def stop(self) -> None:
        self._send.close()
        self._receive.close()

    async def _attempt(self, shard: int) -> dict[str, Any]:
        if self._left.get(shard):
            found = self._left[shard].pop(0)
            return await found(self, shard) if callable(found) else found
        return await self.crawl(shard)

    async def crawl(self, shard: int) -> dict[str, Any]:
        """Crawl a shard as a child does."""
        await self.output.report(shard, self.total, self.key, config=self.config)
        return {"code": 0, "reason": "", "error": "", "host": "here"}


SIGNAL_9 = {"code": None, "reason": "signal 9", "error": "", "host": "here"}


async def _nothing() -> None:
    """Nothing is done before the plan."""
