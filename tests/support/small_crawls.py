"""Small crawls by the real command: two tables of one region, a file each; and what a reader must see at any moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import pyarrow.parquet as pq

from crawler.cli.emulate import write_config
from crawler.emulator import Cloud, CloudSpec, Rate, serve
from crawler.snapshot.layout import manifest_path, staged
from crawler.snapshot.manifest import Manifest, decode
from crawler.snapshot.verify import verify_all
from tests.support import command_server
from tests.support.snapshot_fakes import assert_manifest_holds, manifest_ids
from tests.support.supervision import Ended, Judge, go_on, supervised

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "1000000000000001", "cn-hangzhou"
TABLES = ("fc_functions", "fc_layers")


@dataclass
class Small:
    """A small cloud that is served, how it is crawled, and an output with one snapshot of it."""

    cloud: Cloud
    folder: Path
    config: Path
    environ: dict[str, str]
    old: Path
    old_id: str

    def arguments(self, output: Path, *more: str) -> list[str | Path]:
        """Of a crawl into a folder."""
        return ["crawl", "--config", self.config, "--output", output, "--quiet", "--json", *more]

    def command(self, output: Path, *more: str) -> list[str | Path]:
        """That crawl in a Python started anew."""
        return [sys.executable, "-m", "crawler", *self.arguments(output, *more)]

    def crawl(self, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """A crawl that nobody disturbs."""
        return command_server.run(self.arguments(output, *more), cwd=self.folder, env=self.environ)

    def judged(self, output: Path, judge: Judge = go_on, *more: str) -> Ended:
        """A crawl whose changes to the output are asked for."""
        return supervised(self.arguments(output, *more), output, judge, cwd=self.folder, env=self.environ)

    def copy(self, to: Path) -> Path:
        """The output with its one snapshot, elsewhere; by hard links: no file but the lock is ever changed in place."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.old, to, copy_function=os.link, ignore=shutil.ignore_patterns("lock"))
        return to


@contextmanager
def small_cloud(folder: Path) -> Iterator[Small]:
    rate = Rate(rate=5000, burst=1000)
    spec = CloudSpec(
        accounts=(ACCOUNT,), regions=(REGION,), opensearch_regions=(REGION,), rate=rate, rates={"sts": rate}
    )
    cloud = Cloud(spec)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(cloud)) as emulator,
    ):
        text, names = write_config(emulator, "unused", rate=5000, burst=1000)
        config = folder / "config.toml"
        config.write_text(text.replace("[crawl]\n", f"[crawl]\ntables = {json.dumps(TABLES)}\n"))
        config.chmod(0o600)
        environ = {**os.environ, **names, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "HOME": str(folder)}
        small = Small(cloud, folder, config, environ, folder / "old", "")
        done = small.crawl(small.old)
        assert done.returncode == 0, done.stderr
        [small.old_id] = manifest_ids(small.old)
        yield small


def staged_ids(root: Path) -> list[str]:
    """The snapshots that are on their way in."""
    return sorted(path.name for path in (root / "_staging").glob("2*"))


def decided(root: Path) -> Manifest | None:
    """The manifest of the snapshot that is decided and not yet all in place, if there is one."""
    for snapshot_id in staged_ids(root):
        for path in (staged(snapshot_id, manifest_path(snapshot_id)), manifest_path(snapshot_id)):
            if (root / path).exists():
                return decode((root / path).read_bytes(), path)
    return None


def assert_old_or_new(small: Small, root: Path) -> None:
    """By manifest: every snapshot whole, the old one among them, LATEST one of them. By glob: whole tables."""
    ids = manifest_ids(root)
    assert small.old_id in ids
    assert len(ids) <= 2
    assert (root / "_snapshots/LATEST").read_text().strip() in ids
    manifests = {snapshot_id: assert_manifest_holds(root, snapshot_id) for snapshot_id in ids}
    on_its_way = decided(root)
    if on_its_way is not None:
        manifests[on_its_way.snapshot_id] = on_its_way
    for table in TABLES:
        for folder in root.glob(f"{table}/*/snapshot=*"):
            seen = {str(path.relative_to(root)) for path in folder.rglob("*") if path.is_file()}
            named = manifests[folder.name.removeprefix("snapshot=")].tables[table].files
            assert seen == {file.path for file in named}


def assert_clean(root: Path, ids: set[str]) -> None:
    """These snapshots, whole, and nothing else that anybody would read or go on with."""
    verdicts, loose = verify_all(root)
    assert [verdict.bad_files for verdict in verdicts if not verdict.is_whole] == []
    assert loose == []
    assert manifest_ids(root) == ids
    assert staged_ids(root) == []
    assert (root / "_snapshots/LATEST").read_text().strip() == max(ids)


def rows(root: Path, snapshot_id: str) -> Counter[str]:
    """Every row of a snapshot, without what tells one crawl from another."""
    found: Counter[str] = Counter()
    for table in TABLES:
        for path in sorted(root.glob(f"{table}/*/snapshot={snapshot_id}/**/*.parquet")):
            for row in pq.read_table(path, partitioning=None).to_pylist(maps_as_pydicts="strict"):
                del row["snapshot_id"], row["fetched_at"]
                found[f"{table} {json.dumps(row, sort_keys=True, default=str)}"] += 1
    return found
