"""Real processes of the command that share a crawl: in a folder, or in a bucket of a real S3 server."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from crawler.emulator import CloudSpec, Rate
from crawler.snapshot import read_ledger, read_manifest
from crawler.snapshot.layout import run_folder
from crawler.snapshot.verify import verify_all
from tests.support import command_server
from tests.support.object_stores import BUCKET, KEY_ID, KEY_SECRET, FakeStore
from tests.support.small_crawls import Small, rows, small_cloud
from tests.support.snapshot_fakes import manifest_ids

FAST = Rate(rate=5000, burst=1000)
ACCOUNTS = tuple(f"100000000000000{number}" for number in range(1, 9))
REGIONS = ("cn-hangzhou", "cn-shanghai")
KEY = "night"
# What is left after a run: its note, the lock, and for a day temporary files of other processes, and the leases of
# processes that came when it was over.
_STAYS = re.compile(
    r"_staging/(run-[0-9a-f]{16}/(joined\.json|(join|s[0-9]{5})-a[0-9]{3}\.lease|new-[0-9a-f]{16})"
    r"|lock|(new|probe)-[0-9a-f]{16}(-renamed)?)"
)


def fleet_spec(**changes: Any) -> CloudSpec:
    """Eight accounts with a few records in each of two regions, without limits that would delay a test."""
    rates = {"sts": FAST, **changes.pop("rates", {})}
    given = {"accounts": ACCOUNTS, "regions": REGIONS, "opensearch_regions": (), "is_wide": True, "rate": FAST}
    return CloudSpec(**{**given, **changes}, rates=rates)


@dataclass
class Output:
    """Where processes write: `uri` for the command, `folder` for this test. A bucket is copied there by `look`.

    `environ` has what the command needs for a bucket, which obstore reads: a client that is none of ours.
    """

    uri: str
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    bucket: S3Store | None = None

    def look(self) -> Path:
        """Return a folder with all files of the output."""
        if self.bucket is not None:
            content = self.files()
            for path in self.folder.rglob("*"):
                if path.is_file() and str(path.relative_to(self.folder)) not in content:
                    path.unlink()
            for name, data in content.items():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_bytes(data)
        return self.folder

    def files(self) -> dict[str, bytes]:
        """Return the content of each file, of those that stay while this reads."""
        found = {}
        for name in self.names():
            with suppress(FileNotFoundError):
                if self.bucket is not None:
                    found[name] = bytes(obstore.get(self.bucket, name).bytes())
                else:
                    found[name] = (self.folder / name).read_bytes()
        return found

    def names(self) -> list[str]:
        """Return the path of each file."""
        if self.bucket is not None:
            return sorted(entry["path"] for chunk in obstore.list(self.bucket) for entry in chunk)
        found = []
        for where, _, names in os.walk(self.folder):
            found += [str((Path(where) / name).relative_to(self.folder)) for name in names]
        return sorted(found)

    def age(self, seconds: float = 61) -> None:
        """Let time pass for the files of all runs in a folder: leases are read by its file system's clock."""
        assert self.bucket is None, "the clock of a server is its own"
        for path in self.folder.glob("_staging/run-*/*"):
            with suppress(FileNotFoundError):
                at = path.stat().st_mtime - seconds
                os.utime(path, (at, at))

    def run_names(self, key: str = KEY) -> set[str]:
        """Return the names of a run's own files."""
        prefix = f"{run_folder(key)}/"
        return {name.removeprefix(prefix) for name in self.names() if name.startswith(prefix)}


def folder_output(folder: Path) -> Output:
    return Output(str(folder), folder)


def bucket_output(environ: Mapping[str, str], folder: Path) -> Output:
    """An empty prefix of the served bucket. `folder` is for copies."""
    prefix = random.randbytes(6).hex()
    config = {"endpoint": environ["AWS_ENDPOINT_URL"], "region": "us-east-1"}
    config |= {"access_key_id": KEY_ID, "secret_access_key": KEY_SECRET, "virtual_hosted_style_request": False}
    folder.mkdir()
    store = S3Store(BUCKET, prefix=prefix, config=config, client_options={"allow_http": True})  # type: ignore[arg-type]
    return Output(f"s3://{BUCKET}/{prefix}", folder, environ, store)


class Process:
    """A process of the command, in a session and a process group of its own. What it says is in files."""

    def __init__(self, command: list[Any], said: Path, cwd: Path, env: Mapping[str, str]) -> None:
        said.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in said.glob("*.out"))
        self._out, self._err = said / f"{number}.out", said / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*map(str, command)], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float = 240) -> int:
        """Return the exit code."""
        return self._process.wait(timeout_s)

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to it, or as a terminal does to its whole process group."""
        (os.killpg if group else os.kill)(self.pid, number)

    def children(self) -> set[int]:
        """Return the processes that it has started, and those which these have started."""
        return descendants(self.pid)

    def end(self) -> None:
        """Kill what is left of it."""
        for pid in {self.pid, *self.children()}:
            if self._process.returncode is None or pid != self.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(60)


def descendants(pid: int) -> set[int]:
    """Return the processes below one, by the kernel."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs, or is stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@dataclass
class Fleet(Small):
    """A served cloud of several accounts, and the snapshot of one process's crawl of it in `old`."""

    processes: list[Process] = field(default_factory=list)

    def start(self, output: Output, *more: str, arguments: list[Any] | None = None) -> Process:
        """Start a crawl into an output, or the command with other arguments."""
        given = self.arguments(Path(output.uri), *more) if arguments is None else arguments
        command = [sys.executable, "-m", "crawler", *_with_uri(given, output)]
        process = Process(command, output.folder.parent / "said", self.folder, {**self.environ, **output.environ})
        self.processes.append(process)
        return process

    def shard(self, output: Output, number: int, total: int, *more: str, key: str = KEY) -> Process:
        """Start a process of a run."""
        return self.start(output, "--shard", f"{number}/{total}", "--run", key, "--log-format", "json", *more)

    def run(self, output: Output, *more: str) -> subprocess.CompletedProcess[str]:
        """Run a crawl to its end, in a forked process."""
        given = _with_uri(self.arguments(Path(output.uri), *more), output)
        return command_server.run(given, cwd=self.folder, env={**self.environ, **output.environ})

    def run_shard(
        self, output: Output, number: int, total: int, *more: str, key: str = KEY
    ) -> subprocess.CompletedProcess[str]:
        """Run a process of a run to its end."""
        return self.run(output, "--shard", f"{number}/{total}", "--run", key, *more)

    def snapshots(self, output: Output, action: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run `snapshots commit`, `watch` or another one."""
        given = ["snapshots", action, *more, "--output", output.uri]
        if action in ("commit", "watch"):
            given += ["--config", self.config]
        return command_server.run(given, cwd=self.folder, env={**self.environ, **output.environ})

    def end_all(self) -> None:
        """Kill the processes that a failed test has left."""
        while self.processes:
            self.processes.pop().end()

    def assert_equal(self, output: Output, *, besides: str = "", where: str = "", run_stays: bool = False) -> str:
        """Check that the one snapshot is that of one process, and return its ID.

        Rows and scopes are equal, every file is whole, LATEST names it, and of the run only its note is left, beside
        temporary files of killed processes. `besides` is the ID of another snapshot that is there. With `run_stays`,
        the joiner was killed before it had removed the run's files, which have a day.
        """
        root = output.look()
        verdicts, loose = verify_all(root)
        assert [verdict.bad_files for verdict in verdicts if not verdict.is_whole] == []
        assert loose == [], where
        [snapshot_id] = manifest_ids(root) - {besides}
        assert (root / "_snapshots/LATEST").read_text().strip() == snapshot_id
        assert rows(root, snapshot_id) == rows(self.old, self.old_id), where
        assert scopes(root, snapshot_id) == scopes(self.old, self.old_id), where
        named = {file.path for entry in read_manifest(root, snapshot_id).tables.values() for file in entry.files}
        there = {name for name in output.names() if re.match(f"[^_].*/snapshot={snapshot_id}/", name)}
        assert there == named, where
        staged = [path.relative_to(root).as_posix() for path in (root / "_staging").rglob("*") if path.is_file()]
        left = [name for name in staged if not _STAYS.fullmatch(name) and not (run_stays and "/run-" in name)]
        assert left == [], (left, where)
        return snapshot_id


def _with_uri(arguments: list[Any], output: Output) -> list[Any]:
    """`Path` takes one slash of a URI away."""
    return [output.uri if str(part) == str(Path(output.uri)) else part for part in arguments]


def scopes(root: Path, snapshot_id: str) -> Counter[tuple[Any, ...]]:
    """Return the scopes of a snapshot, without what differs between crawls."""
    found = read_ledger(root, read_manifest(root, snapshot_id))
    return Counter(
        (row.account_id, row.region_id, row.table, str(row.status), row.rows, row.pages, row.error_code)
        for row in found
    )


@contextmanager
def fleet_cloud(folder: Path, spec: CloudSpec | None = None, change: Callable[[str], str] = str) -> Iterator[Fleet]:
    """Serve a cloud of several accounts, and crawl it once with one process. `change` edits the configuration."""
    with small_cloud(folder, spec or fleet_spec(), change=change, kind=Fleet) as fleet:
        assert isinstance(fleet, Fleet)
        try:
            yield fleet
        finally:
            fleet.end_all()


def until(condition: Callable[[], Any], timeout_s: float = 120, look_s: float = 0.05) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(look_s)
    return found


@dataclass
class FakeOutput(Output):
    """An output in a bucket in memory, whose clock a test moves."""

    store: FakeStore = field(default_factory=lambda: FakeStore("s3"))

    def look(self) -> Path:
        """See `Output.look`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, data in self.files().items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)
        return self.folder

    def files(self) -> dict[str, bytes]:
        """See `Output.files`."""
        return {key: data for key, (data, _) in list(self.store.objects.items())}

    def names(self) -> list[str]:
        """See `Output.names`."""
        return sorted(self.store.objects)

    def age(self, seconds: float = 61) -> None:
        """See `Output.age`."""
        by = timedelta(seconds=seconds)
        self.store.objects = {key: (data, at - by) for key, (data, at) in self.store.objects.items()}


def last_line(text: str) -> dict[str, Any]:
    """Return the last line of a JSON log."""
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found
