"""F59, F56, P1, P3, P4, P12: crawls, removals, deaths, strangers' files and readers in any order, against an oracle.

The oracle knows which snapshots there must be, which files each has, and which one LATEST names. After a step that
dies it knows the possible outcomes; the next crawl or removal shows the actual one.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crawler.errors import ConfigError, OutputBusyError, OutputError
from crawler.snapshot import FolderDestination, SnapshotWriter, Status, read_manifest
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.layout import pruned, staged, started_at
from crawler.snapshot.retention import KeepRules, keep
from crawler.snapshot.verify import verify_all
from tests.support.snapshot_fakes import (
    ROWS,
    SCHEMAS,
    Crash,
    FaultyDisk,
    assert_manifest_holds,
    die,
    draft,
    ledger_row,
    manifest_ids,
    staging_names,
    write_names,
)

FIRST = datetime(2026, 3, 1, 2, tzinfo=UTC)
FAMILIES = dict.fromkeys(SCHEMAS, ())
ROW_COUNTS = {table: sum(len(names) for scope, names in ROWS.items() if scope[0] == table) for table in SCHEMAS}
PLAN = "ab" * 32
DENIED = ledger_row("fc_layers", status=Status.DENIED)
STRAYS = ("notes.txt", "fc_functions/readme.md", "_snapshots/mine.txt", "_staging/mine/file")
RULES = st.builds(KeepRules, last=st.integers(1, 3), daily=st.integers(0, 2), weekly=st.integers(0, 2))


@dataclass
class Known:
    """A snapshot as it was committed: its files' paths, and whether it is complete."""

    is_complete: bool
    files: frozenset[str] = frozenset()


@dataclass
class Reader:
    """A reader that has read a manifest and reads its files later."""

    snapshot_id: str
    files: list[tuple[str, bytes]] = field(default_factory=list)


class Outputs(RuleBasedStateMachine):
    """One output with all its writers, removers and readers."""

    @initialize()
    def start(self):
        self.root = Path(mkdtemp(prefix="machine-"))
        self.now = FIRST
        self.runner = asyncio.Runner()  # one loop: a crawl may go on from one rule to another
        self.there: dict[str, Known] = {}
        self.in_doubt: dict[str, Known] = {}  # dying crawls', which are there or will be, or not
        self.going: set[str] = set()  # dying removals'
        self.live: SnapshotWriter | None = None
        self.live_ledger: list = []
        self.strays: set[str] = set()
        self.readers: list[Reader] = []
        self.numbers = 0

    # --- writers -------------------------------------------------------------------------------------------------

    def tick(self, hours=7):
        self.now += timedelta(hours=hours)
        self.numbers += 1
        return f"{self.now:%Y%m%dT%H%M%SZ}-{self.numbers:04x}"

    async def begin(self, snapshot_id, disk):
        writer = SnapshotWriter(
            await FolderDestination.begin(self.root, snapshot_id, self.now, disk=disk), SCHEMAS, part_bytes=1
        )
        try:
            await writer.open_journal(PLAN, {}, FAMILIES)
        except Crash:
            die(writer)
            raise
        except OutputError:
            await writer.abandon()
            raise
        return writer

    @precondition(lambda self: self.live is None)
    @rule(is_complete=st.booleans(), hours=st.integers(1, 200))
    def crawl(self, is_complete, hours):
        """A successful crawl also completes or removes the leftovers of other crawls."""
        snapshot_id = self.tick(hours)

        async def main():
            writer = await self.begin(snapshot_id, Disk(self.root))
            ledger = await write_and_note(writer, ROWS)
            return await writer.commit(draft(), ledger if is_complete else [*ledger, DENIED])

        manifest = self.runner.run(main())
        self.settle()
        self.there[snapshot_id] = known(manifest)
        assert staging_names(self.root) == [name for name in ("mine",) if "_staging/mine/file" in self.strays]

    @precondition(lambda self: self.live is None)
    @rule(is_complete=st.booleans(), where=st.integers(1, 130), stays_failed=st.sampled_from([0, 5, 28]))
    def crawl_that_ends_early(self, is_complete, where, stays_failed):
        """Killed before its n-th step, or with that step failing."""
        snapshot_id = self.tick()
        fault = {"fail_at": where, "errno": stays_failed} if stays_failed else {"crash_at": where}

        async def main():
            writer, disk = None, FaultyDisk(self.root, **fault)
            try:
                writer = await self.begin(snapshot_id, disk)
                ledger = await write_and_note(writer, ROWS)
                return await writer.commit(draft(), ledger if is_complete else [*ledger, DENIED])
            except Crash:
                if writer is not None:
                    die(writer)
            except OutputError:
                if writer is not None:
                    await writer.abandon()
            return None

        manifest = self.runner.run(main())
        self.doubt_settled_by_begin()
        if manifest is not None:
            self.settle()
            self.there[snapshot_id] = known(manifest)
        else:
            event("crawl ended early")
            self.in_doubt[snapshot_id] = Known(is_complete)

    @precondition(lambda self: self.live is None and self.in_doubt)
    @rule(hours=st.sampled_from([0, 1, 7]))
    def go_on(self, hours):
        """Run `--resume` on any crawl that can be resumed."""
        self.now += timedelta(hours=hours)
        taken = []

        async def main():
            writer = SnapshotWriter(await FolderDestination.resume(self.root, self.now), SCHEMAS, part_bytes=1)
            try:
                records = await writer.open_journal(PLAN, {}, FAMILIES)
                done = {record.scope for record in records}
                taken.extend(done)
                ledger = [record.row for record in records]
                rest = {scope: names for scope, names in ROWS.items() if scope not in done}
                ledger += await write_and_note(writer, rest)
                return await writer.commit(draft(), ledger)
            finally:
                await writer.abandon()

        try:
            manifest = self.runner.run(main())
        except ConfigError:
            return
        event(f"went on with {len(taken)} scopes")
        assert manifest.snapshot_id in self.in_doubt
        del self.in_doubt[manifest.snapshot_id]
        self.settle()
        self.there[manifest.snapshot_id] = known(manifest)

    @precondition(lambda self: self.live is None)
    @rule()
    def crawl_that_goes_on_for_long(self):
        """A crawl that holds the output until it is told to end."""
        snapshot_id = self.tick()

        async def main():
            writer = await self.begin(snapshot_id, Disk(self.root))
            self.live_ledger = await write_and_note(writer, ROWS)
            return writer

        self.live = self.runner.run(main())
        self.settle()

    @precondition(lambda self: self.live is not None)
    @rule(commits=st.booleans())
    def long_crawl_ends(self, commits):
        live, self.live = self.live, None

        async def main():
            if commits:
                return await live.commit(draft(), self.live_ledger)
            await live.abandon()
            return None

        manifest = self.runner.run(main())
        if manifest is not None:
            self.there[live.snapshot_id] = known(manifest)

    @precondition(lambda self: self.live is not None)
    @rule(rules=RULES)
    def others_beside_a_live_crawl(self, rules):
        """P12: a second crawl and a removal end at once without any change."""
        before = manifest_ids(self.root), staging_names(self.root)
        with pytest.raises(OutputBusyError):
            self.runner.run(self.begin("20990101T000000Z-0000", Disk(self.root)))
        with pytest.raises(OutputBusyError):
            prune(self.root, rules, self.now)
        assert (manifest_ids(self.root), staging_names(self.root)) == before

    # --- removers ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.live is None)
    @rule(rules=RULES)
    def remove(self, rules):
        done = prune(self.root, rules, self.now)
        self.settle(swept=False)
        wanted = self.kept_by(rules)
        assert {entry.snapshot_id for entry in done.kept} == wanted
        self.there = {name: snapshot for name, snapshot in self.there.items() if name in wanted}
        for name in done.unfinished:
            self.in_doubt.pop(name)

    @precondition(lambda self: self.live is None)
    @rule(rules=RULES, where=st.integers(1, 60), code=st.sampled_from([0, 5]))
    def removal_that_ends_early(self, rules, where, code):
        fault = {"fail_at": where, "errno": code} if code else {"crash_at": where}
        try:
            prune(self.root, rules, self.now, disk=FaultyDisk(self.root, **fault))
        except (Crash, OutputError) as error:
            event(f"removal ended early: {type(error).__name__}")
        self.settle(swept=False)
        gone = self.there.keys() - manifest_ids(self.root)
        assert not gone & self.kept_by(rules)
        self.going |= gone
        for name in gone:
            del self.there[name]
        self.in_doubt = {name: known for name, known in self.in_doubt.items() if name in staging_names(self.root)}

    def kept_by(self, rules):
        """The snapshots that the rules keep, the newest complete one, and LATEST's snapshot."""
        starts = {name: started_at(name) for name in self.there}
        complete = [name for name, snapshot in self.there.items() if snapshot.is_complete]
        return set(keep(rules, starts, self.now)) | set(sorted(complete)[-1:])

    # --- strangers and readers -----------------------------------------------------------------------------------

    @rule(path=st.sampled_from(STRAYS))
    def stranger(self, path):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(path)
        self.strays.add(path)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def reader_opens(self, data):
        name = data.draw(st.sampled_from(sorted(self.there)))
        manifest = read_manifest(self.root, name)
        files = [file for entry in manifest.tables.values() for file in entry.files]
        self.readers.append(Reader(name, [(file.path, (self.root / file.path).read_bytes()) for file in files]))

    @precondition(lambda self: self.readers)
    @rule()
    def reader_goes_on(self):
        """An opened file keeps its content, or the file and its manifest are gone: the content never changes."""
        reader = self.readers.pop()
        for path, content in reader.files:
            if (self.root / path).exists():
                assert (self.root / path).read_bytes() == content
            else:
                assert reader.snapshot_id not in manifest_ids(self.root)

    # --- invariants ----------------------------------------------------------------------------------------------

    def settle(self, *, swept=True):
        """Update the oracle after an operation has locked the output: decided snapshots are in place.

        With `swept`, undecided ones are gone. Removals that others had begun are complete, or wait for the next one.
        """
        present = manifest_ids(self.root)
        for name in [name for name in self.in_doubt if name in present]:
            snapshot = self.in_doubt.pop(name)
            self.there[name] = known(assert_manifest_holds(self.root, name))
            assert self.there[name].is_complete == snapshot.is_complete
        if swept:
            self.in_doubt.clear()
        self.going = {name for name in self.going if (self.root / pruned(name)).exists()}

    def doubt_settled_by_begin(self):
        """A crawl that died at once may or may not have completed or removed the leftovers of others."""
        present = manifest_ids(self.root)
        for name in [name for name in self.in_doubt if name in present]:
            self.in_doubt.pop(name)
            self.there[name] = known(assert_manifest_holds(self.root, name))

    @invariant()
    def readers_by_manifest_see_whole_snapshots(self):
        if not hasattr(self, "root"):
            return
        present = manifest_ids(self.root)
        assert self.there.keys() <= present <= self.there.keys() | self.in_doubt.keys()
        for name in present:
            files = known(assert_manifest_holds(self.root, name)).files
            assert name not in self.there or files == self.there[name].files

    @invariant()
    def readers_by_glob_see_whole_tables(self):
        if not hasattr(self, "root"):
            return
        for folder in self.root.glob("[a-z]*/*/snapshot=*"):
            name, table = folder.name.removeprefix("snapshot="), folder.relative_to(self.root).parts[0]
            parts = [path for path in folder.rglob("*") if path.is_file()]
            assert parts
            assert sum(pq.read_metadata(path).num_rows for path in parts) == ROW_COUNTS[table]
            assert name in self.there or name in self.in_doubt or name in self.going

    @invariant()
    def latest_is_the_newest_complete_one(self):
        if not hasattr(self, "root"):
            return
        pointer = self.root / "_snapshots/LATEST"
        # One that died just before it moved LATEST is in place, and still staged.
        complete = sorted(
            name
            for name, snapshot in self.there.items()
            if snapshot.is_complete and not (self.root / staged(name)).exists()
        )
        if pointer.exists():
            latest = pointer.read_text().strip()
            assert latest in manifest_ids(self.root)
            assert latest >= max([*complete, ""]) or self.in_doubt
        else:
            assert not complete or self.in_doubt

    @invariant()
    def strangers_files_are_as_they_were(self):
        if hasattr(self, "root"):
            assert all((self.root / path).read_text() == path for path in self.strays)

    def teardown(self):
        if not hasattr(self, "root"):
            return
        if self.live is not None:
            self.runner.run(self.live.abandon())
            self.live = None
        self.crawl(True, 1)
        self.runner.close()
        verdicts, loose = verify_all(self.root)
        assert [file for verdict in verdicts for file in verdict.bad_files] == []
        assert loose == []
        assert {verdict.snapshot_id for verdict in verdicts} == self.there.keys()
        shutil.rmtree(self.root)


async def write_and_note(writer, scopes):
    """Keep and note every scope, each with rows in a part of its own; return the ledger."""
    ledger = []
    for (table, account, region), names in scopes.items():
        scope = writer.scope(table, account, region)
        reading = scope.list()
        if names:
            await write_names(reading, names, account=account, region=region, snapshot=writer.snapshot_id)
        reading.finish()
        scope.keep()
        ledger.append(ledger_row(table, account, region, rows=len(names), rows_seen=len(names)))
        writer.note(ledger[-1], {}, {}, {})
        await writer.flush()
        await writer.write_due_parts()
    return ledger


def known(manifest):
    files = frozenset(file.path for entry in manifest.tables.values() for file in entry.files)
    return Known(manifest.status == "complete", files)


@pytest.mark.parametrize(
    ("examples", "steps"), [(12, 12), pytest.param(100, 30, marks=pytest.mark.trust)], ids=["some", "many"]
)
def test_whatever_happens_in_whatever_order(examples, steps):
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Outputs,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks
        ),
    )
