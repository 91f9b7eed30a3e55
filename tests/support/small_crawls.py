"""Small crawls by the real command: two tables of one region, one part each; and a reader's checks at any moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
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
    """A small served cloud, its configuration, and an output with one snapshot of it."""

    cloud: Cloud
    folder: Path
    config: Path
    environ: dict[str, str]
    old: Path
    old_id: str

    def arguments(self, output: Path, *more: str) -> list[str | Path]:
        """Return the arguments of a crawl into a folder."""
        return ["crawl", "--config", self.config, "--output", output, "--quiet", "--json", *more]

    def command(self, output: Path, *more: str) -> list[str | Path]:
        """Return the command of that crawl in a new Python."""
        return [sys.executable, "-m", "crawler", *self.arguments(output, *more)]

    def crawl(self, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Run an undisturbed crawl."""
        return command_server.run(self.arguments(output, *more), cwd=self.folder, env=self.environ)

    def judged(self, output: Path, judge: Judge = go_on, *more: str) -> Ended:
        """Run a crawl whose changes to the output need the judge's permission."""
        return supervised(self.arguments(output, *more), output, judge, cwd=self.folder, env=self.environ)

    def copy(self, to: Path) -> Path:
        """Copy the output with its snapshot by hard links: only the lock is ever changed in place."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.old, to, copy_function=os.link, ignore=shutil.ignore_patterns("lock"))
        return to


@contextmanager
def small_cloud(
    folder: Path, spec: CloudSpec | None = None, *, change: Callable[[str], str] = str, kind: type[Small] = Small
) -> Iterator[Small]:
    """Serve a cloud, of one account and region by default, and crawl it once. `change` edits the configuration."""
    rate = Rate(rate=5000, burst=1000)
    cloud = Cloud(
        spec
        or CloudSpec(
            accounts=(ACCOUNT,), regions=(REGION,), opensearch_regions=(REGION,), rate=rate, rates={"sts": rate}
        )
    )
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(cloud)) as emulator,
    ):
        text, names = write_config(emulator, "unused", rate=5000, burst=1000)
        config = folder / "config.toml"
        config.write_text(change(text.replace("[crawl]\n", f"[crawl]\ntables = {json.dumps(TABLES)}\n")))
        config.chmod(0o600)
        environ = {**os.environ, **names, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "HOME": str(folder)}
        small = kind(cloud, folder, config, environ, folder / "old", "")
        done = small.crawl(small.old)
        assert done.returncode == 0, done.stderr
        [small.old_id] = manifest_ids(small.old)
        yield small


def staged_ids(root: Path) -> list[str]:
    """Return the IDs of staged snapshots."""
    return sorted(path.name for path in (root / "_staging").glob("2*"))


def decided(root: Path) -> Manifest | None:
    """Return the manifest of a snapshot that is marked as committed but not completely in place, if there is one."""
    for snapshot_id in staged_ids(root):
        for path in (staged(snapshot_id, manifest_path(snapshot_id)), manifest_path(snapshot_id)):
            if (root / path).exists():
                return decode((root / path).read_bytes(), path)
    return None


def assert_old_or_new(small: Small, root: Path) -> None:
    """Check the output. By manifest: all snapshots complete, with the old one and LATEST. By glob: complete tables."""
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
    """Check that these snapshots are complete, and that no other one can be read or resumed."""
    verdicts, loose = verify_all(root)
    assert [verdict.bad_files for verdict in verdicts if not verdict.is_whole] == []
    assert loose == []
    assert manifest_ids(root) == ids
    assert staged_ids(root) == []
    assert (root / "_snapshots/LATEST").read_text().strip() == max(ids)


def rows(root: Path, snapshot_id: str) -> Counter[str]:
    """Return all rows of a snapshot, without the columns that differ between crawls."""
    found: Counter[str] = Counter()
    for table in TABLES:
        for path in sorted(root.glob(f"{table}/*/snapshot={snapshot_id}/*.parquet")):
            for row in pq.read_table(path, partitioning=None).to_pylist(maps_as_pydicts="strict"):
                del row["snapshot_id"], row["fetched_at"]
                found[f"{table} {json.dumps(row, sort_keys=True, default=str)}"] += 1
    return found
