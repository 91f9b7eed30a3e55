"""F59, P1, P3: prune removes snapshots that no rule keeps, atomically for every reader, and no foreign file."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot import Status, manifest
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.folder.prune import finish_removals, prune
from crawler.snapshot.layout import manifest_path, pruned, staged
from crawler.snapshot.prune_plan import plan_prune
from crawler.snapshot.retention import KeepRules
from crawler.snapshot.verify import verify_all
from tests.support.examples import examples
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    Crash,
    FaultyDisk,
    UnpromotedDisk,
    begin,
    die,
    draft,
    ledger_row,
    manifest_ids,
    staging_names,
    table_files,
    write_scopes,
    write_snapshot,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LAST = KeepRules(last=1)
FOLDER = f"fc_functions/snapshot_date=2026-11-20/snapshot={OLD}"


@pytest.fixture
async def root(tmp_path):
    """An output with two complete snapshots; `LAST` keeps the newer."""
    root = tmp_path / "output"
    await write_snapshot(root, OLD, part_bytes=1)
    await write_snapshot(root, part_bytes=1)
    return root


@pytest.fixture
async def after(tmp_path):
    """The files of an output that never had the older one."""
    await write_snapshot(tmp_path / "after", part_bytes=1)
    return files_of(tmp_path / "after")


def files_of(root):
    """Every file and folder of an output but the lock's."""
    return sorted(
        str(path.relative_to(root)) for path in Path(root).rglob("*") if path.name not in ("lock", "_staging")
    )


def is_whole(root):
    verdicts, loose = verify_all(Path(root))
    return not loose and all(verdict.is_whole for verdict in verdicts)


def test_what_no_rule_keeps_is_gone_and_the_rest_is_as_if_it_had_never_been(root, after):
    done = prune(root, LAST, NOW)
    assert [entry.snapshot_id for entry in done.removed] == [OLD]
    assert [entry.snapshot_id for entry in done.kept] == [NEW]
    assert done.reasons == {NEW: ["last", "newest complete"]}
    assert files_of(root) == after
    assert is_whole(root)


def test_a_plan_writes_nothing_and_needs_no_lock(root):
    before = files_of(root)
    disk = Disk(root)
    lock = OutputLock.acquire(disk, NOW)
    plan = plan_prune(root, LAST, NOW)
    lock.release()
    disk.close_root()
    assert [entry.snapshot_id for entry in plan.removed] == [OLD]
    assert files_of(root) == before


async def test_the_newest_complete_snapshot_stays_whatever_the_rules_say(root):
    """It is the third newest, since two partial ones came after it."""
    denied = ledger_row("opensearch_apps", region="cn-shanghai", status=Status.DENIED)
    for day in (22, 23):
        await write_snapshot(root, f"202611{day}T020000Z-7f3a", extra_rows=[denied])
    done = prune(root, LAST, NOW + timedelta(days=5))
    assert done.reasons == {"20261123T020000Z-7f3a": ["last"], NEW: ["newest complete"]}
    assert (root / "_snapshots/LATEST").read_text() == f"{NEW}\n"
    assert is_whole(root)


def test_what_latest_names_stays(root):
    (root / "_snapshots/LATEST").write_text(f"{OLD}\n")
    assert prune(root, LAST, NOW).reasons[OLD] == ["LATEST names it"]
    assert manifest_ids(root) == {OLD, NEW}


def test_a_snapshot_with_an_unreadable_manifest_stays(root):
    before = files_of(root)
    (root / manifest_path(OLD)).write_text("{}")
    assert prune(root, LAST, NOW).reasons[OLD] == ["its manifest can't be read"]
    assert files_of(root) == before


def test_while_a_crawl_holds_the_output_nothing_is_removed(root):
    before = files_of(root)
    disk = Disk(root)
    lock = OutputLock.acquire(disk, NOW)
    with pytest.raises(OutputBusyError):
        prune(root, LAST, NOW)
    lock.release()
    disk.close_root()
    assert files_of(root) == before


async def test_a_crawl_that_never_ended_is_removed_after_a_day_and_not_before(root):
    dead, alive = "20261121T120000Z-dead", "20261121T120001Z-0a11"
    for snapshot_id in (dead, alive):
        (root / staged(snapshot_id, "fc_functions")).mkdir(parents=True)
        (root / staged(snapshot_id, "fc_functions/1.partial")).write_text("")
    done = prune(root, KeepRules(last=9), NOW)
    assert (done.removed, done.unfinished) == ([], [dead])
    assert staging_names(root) == [alive]


async def test_a_crawl_that_was_decided_is_put_in_place_and_not_removed(root):
    """It died before its last renames, days ago."""
    decided = "20261119T020000Z-de1d"
    writer = await begin(root, decided, disk=UnpromotedDisk(root))
    ledger = await write_scopes(writer, snapshot_id=decided)
    with pytest.raises(Crash):
        await writer.commit(draft(), ledger)
    die(writer)
    assert plan_prune(root, LAST, NOW).unfinished == []
    done = prune(root, KeepRules(last=9), NOW)
    assert decided in {entry.snapshot_id for entry in done.kept}
    assert is_whole(root)
    assert staging_names(root) == []


STRAYS = (
    "notes.txt",
    "fc_functions/readme.md",
    f"{FOLDER}/_SUCCESS",
    f"{FOLDER}/.inprogress",
    f"{FOLDER}/part-00009.parquet",
    f"{FOLDER}/account={ACCOUNT}/region=cn-hangzhou/part-0.parquet",
    "_snapshots/20261120T020000Z-00aa.json.bak",
    "_snapshots/20200101T000000Z-0000.scopes.parquet",
    "_staging/mine/file",
    "_staging/prune-mine/file",
)


def test_stray_files_stay(root, after):
    for path in STRAYS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    prune(root, LAST, NOW)
    left = set(files_of(root)) - set(after)
    assert {path for path in left if (root / path).is_file()} == set(STRAYS)
    assert all((root / path).read_text() == path for path in STRAYS)
    assert manifest_ids(root) == {NEW}


def test_a_link_among_the_files_leads_nowhere(root, tmp_path):
    """T23: the link's destination is unchanged."""
    outside = tmp_path / "outside"
    shutil.copytree(root / FOLDER, outside)
    shutil.rmtree(root / FOLDER)
    (root / FOLDER).symlink_to(outside)
    kept = files_of(outside)
    [stuck] = prune(root, LAST, NOW).stuck
    assert "links are not followed" in stuck
    assert files_of(outside) == kept
    assert (root / FOLDER).is_symlink()


# --- crashes and failures ------------------------------------------------------------------------------------------


def copy(root, to):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(root, to, copy_function=os.link, ignore=shutil.ignore_patterns("lock"))
    return to


def faulty_prune(root, **fault):
    """A prune on a disk with this fault: its steps and its result."""
    disk = FaultyDisk(root, **fault)
    try:
        prune(root, LAST, NOW, disk=disk)
    except (Crash, OutputError) as error:
        return disk, error
    return disk, None


def distinct(steps):
    """Numbers of the steps before which the disk isn't as it was before the last one: flushing changes nothing."""
    return [n for n in range(1, len(steps) + 1) if n == 1 or not steps[n - 2].startswith(("fsync", "close"))]


def assert_readers_see_whole_snapshots(root, before):
    """By the manifest: each that is listed is whole. By a glob: of each table all of the older one's files, or none."""
    verdicts, _ = verify_all(root)
    assert all(verdict.is_whole for verdict in verdicts)
    assert {verdict.snapshot_id for verdict in verdicts} in ({OLD, NEW}, {NEW})
    found = table_files(root)
    for table in ("fc_functions", "opensearch_apps"):
        old = {path for path in before if path.startswith(f"{table}/") and OLD in path}
        assert {path for path in found if path.startswith(f"{table}/") and OLD in path} in (old, set())
    assert {path: found[path] for path in found if NEW in path} == {p: before[p] for p in before if NEW in p}


@pytest.mark.parametrize("fault", ["crash_at", "fail_at"])
def test_wherever_it_ends_early_readers_see_whole_snapshots_and_the_next_one_completes_it(root, after, tmp_path, fault):
    before = table_files(root)
    disk, error = faulty_prune(copy(root, tmp_path / "trial"))
    assert error is None
    assert len(disk.steps) > 20
    for step in distinct(disk.steps):
        trial = copy(root, tmp_path / "trial")
        _, error = faulty_prune(trial, **{fault: step}, **({"errno": errno.EIO} if fault == "fail_at" else {}))
        assert error is not None, disk.steps[step - 1]
        assert_readers_see_whole_snapshots(trial, before)
        prune(trial, LAST, NOW)
        assert files_of(trial) == after, disk.steps[step - 1]


async def test_the_next_crawl_completes_it_too(root, after, tmp_path):
    disk, _ = faulty_prune(copy(root, tmp_path / "trial"))
    renames = [number for number, step in enumerate(disk.steps, 1) if step.startswith("rename")]
    for step in renames:
        trial = copy(root, tmp_path / "trial")
        faulty_prune(trial, crash_at=step + 1)
        await (await begin(trial, "20261122T020000Z-0001")).abandon()
        assert files_of(trial) == after


async def test_a_removal_that_cannot_be_completed_keeps_no_crawl_from_its_work(root):
    (root / pruned(OLD)).mkdir(parents=True)
    (root / manifest_path(OLD)).unlink()
    (root / pruned(OLD, "manifest.json")).write_text("{}")
    await write_snapshot(root, "20261122T020000Z-0001")
    done = prune(root, LAST, NOW)
    assert [entry.snapshot_id for entry in done.removed] == [NEW]
    [stuck] = done.stuck
    assert stuck.startswith(f"the removal of {OLD} can't be completed: _staging/prune-{OLD}/manifest.json is not a")
    assert staging_names(root) == [f"prune-{OLD}"]


ODD_MANIFESTS = {
    "a table that leads elsewhere": lambda m: m["tables"].update(
        {"../../evil": {**m["tables"]["fc_functions"], "files": []}}
    ),
    "an instant before all": lambda m: m.update(started_at="0001-01-01T00:00:00+14:00"),
    "an instant after all": lambda m: m.update(started_at="9999-12-31T23:59:59-14:00"),
    "another snapshot's ID": lambda m: m.update(snapshot_id=NEW),
    "nothing": lambda m: m.clear(),
}


def rewrite(path, change):
    """Change a manifest, and its checksum with it: whoever can write there can do both."""
    found = json.loads(path.read_bytes())
    change(found)
    text = json.dumps(found).encode()
    path.write_bytes(text)
    path.with_name(f"{path.name}.sha256").write_bytes(manifest.checksum_line(text, path.stem))


@pytest.mark.parametrize("kind", ODD_MANIFESTS)
async def test_snapshot_whose_manifest_cannot_be_read_stays_and_the_others_are_removed(root, kind):
    """F75: twice, since what a first prune moved away must not jam the second."""
    rewrite(root / manifest_path(OLD), ODD_MANIFESTS[kind])
    await write_snapshot(root, "20261122T020000Z-0001")
    before = {path for path in files_of(root) if OLD in path}
    for removed in ([NEW], []):
        done = prune(root, LAST, NOW)
        assert [entry.snapshot_id for entry in done.removed] == removed
        assert "its manifest can't be read" in done.reasons[OLD]
    assert {path for path in files_of(root) if OLD in path} == before


@pytest.mark.parametrize("kind", ODD)
async def test_manifest_that_is_not_a_regular_file_stays_and_the_others_are_removed(root, kind):
    """F72, F75"""
    put(root / manifest_path(OLD), kind)
    await write_snapshot(root, "20261122T020000Z-0001")
    with ends_within(20):
        done = prune(root, LAST, NOW)
    assert [entry.snapshot_id for entry in done.removed] == [NEW]
    assert "its manifest can't be read" in done.reasons[OLD]


async def test_staged_snapshot_that_cannot_be_completed_is_told_and_the_others_are_removed(root):
    """F75"""
    late = "20261122T020000Z-0001"
    writer = await begin(root, late, disk=UnpromotedDisk(root))
    with pytest.raises(Crash):
        await writer.commit(draft(), await write_scopes(writer, snapshot_id=late))
    die(writer)
    (root / staged(late, manifest_path(late))).write_text("{}")
    done = prune(root, LAST, NOW)
    assert [entry.snapshot_id for entry in done.removed] == [OLD]
    [stuck] = done.stuck
    assert stuck.startswith(f"snapshot {late} can't be completed: _staging/{late}/_snapshots/{late}.json is not a")
    assert (root / staged(late)).is_dir()


def link_instead(path):
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def file_instead(path):
    shutil.rmtree(path)
    path.write_text("")


def folder_instead(path):
    part = path / "part-00000.parquet"
    part.unlink()
    (part / "inner").mkdir(parents=True)


@pytest.mark.parametrize("change", [link_instead, file_instead, folder_instead])
async def test_removal_that_ends_at_what_no_crawl_made_keeps_no_other_from_being_removed(root, change):
    """F75: twice, as the next prune finds the manifest moved away already."""
    late = "20261122T020000Z-0001"
    await write_snapshot(root, late)
    change(root / FOLDER)
    for removed in ([NEW, OLD], []):
        done = prune(root, LAST, NOW)
        assert [entry.snapshot_id for entry in done.removed] == removed
        [stuck] = done.stuck
        assert stuck.startswith(f"the removal of {OLD} can't be completed: ")
    assert manifest_ids(root) == {late}
    shutil.rmtree(root / pruned(OLD))
    assert prune(root, LAST, NOW).stuck == []


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", [f"prune-{OLD}", OLD.replace("00aa", "00bb")])
async def test_odd_files_among_the_staged_ones_end_no_prune(root, kind, name):
    """F75"""
    put(root / "_staging" / name, kind)
    with ends_within(20):
        assert [entry.snapshot_id for entry in prune(root, LAST, NOW).removed] == [OLD]


@pytest.mark.parametrize("name", ["20261399T020000Z-0000", "99991231T235959Z-0000", "00000101T000000Z-0000"])
def test_name_of_a_day_that_does_not_exist_ends_no_prune(root, name):
    """F75: beside the staged snapshots, and beside the manifests."""
    (root / staged("20261101T000000Z-0000")).parent.joinpath(name).mkdir()
    (root / "_snapshots" / f"{name}.json").write_text("{}")
    assert [entry.snapshot_id for entry in prune(root, LAST, NOW).removed] == [OLD]
    assert name in staging_names(root)


def test_a_removal_that_had_not_begun_is_forgotten(root):
    (root / pruned(OLD)).mkdir(parents=True)
    disk = Disk(root)
    finish_removals(disk)
    disk.close_root()
    assert staging_names(root) == []
    assert manifest_ids(root) == {OLD, NEW}


# --- a model -------------------------------------------------------------------------------------------------------

COUNTS = st.integers(0, 2)


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """A complete and a partial snapshot of each of these days, written once and copied by the examples."""
    folder = tmp_path_factory.mktemp("templates")

    async def write():
        for day in DAYS:
            for kind, extra in (("c", []), ("0", [ledger_row("fc_layers", status=Status.DENIED)])):
                await write_snapshot(folder / f"{day}{kind}", snapshot_id(day, kind), extra_rows=extra)

    anyio.run(write)
    return folder


DAYS = (1, 2, 9, 20)


def snapshot_id(day, kind):
    return f"202611{day:02}T020000Z-000{kind}"


@settings(max_examples=examples(25))
@given(
    chosen=st.sets(st.tuples(st.sampled_from(DAYS), st.sampled_from("c0")), min_size=1),
    unfinished=st.sets(st.integers(20, 22)),
    strays=st.sets(st.sampled_from(STRAYS)),
    rounds=st.lists(
        st.builds(KeepRules, last=st.integers(1, 3), daily=COUNTS, weekly=COUNTS, monthly=COUNTS),
        min_size=1,
        max_size=3,
    ),
)
def test_whatever_lies_there_and_whatever_the_rules(templates, tmp_path_factory, chosen, unfinished, strays, rounds):
    root = tmp_path_factory.mktemp("model")
    for day, kind in chosen:
        shutil.copytree(templates / f"{day}{kind}", root, dirs_exist_ok=True)
    complete = sorted(snapshot_id(day, kind) for day, kind in chosen if kind == "c")
    (root / "_snapshots/LATEST").unlink(missing_ok=True)
    if complete:
        (root / "_snapshots/LATEST").write_text(f"{complete[-1]}\n")
    for day in unfinished:
        (root / staged(f"202611{day}T130000Z-dead")).mkdir(parents=True)
    for path in strays:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    there = {snapshot_id(day, kind) for day, kind in chosen}
    for rules in rounds:
        planned = plan_prune(root, rules, NOW)
        done = prune(root, rules, NOW)
        assert [entry.snapshot_id for entry in done.removed] == [entry.snapshot_id for entry in planned.removed]
        there -= {entry.snapshot_id for entry in done.removed}
        assert manifest_ids(root) == there
        assert max(there) == max(snapshot_id(day, kind) for day, kind in chosen), "the newest is kept by `last`"
        assert not complete or complete[-1] in there
        assert all((root / path).read_text() == path for path in strays)
        left = {name for name in staging_names(root) if not name.endswith("mine")}
        assert left == {f"202611{day}T130000Z-dead" for day in unfinished if day > 20}
        assert {v.snapshot_id for v in verify_all(root)[0] if {f.reason for f in v.bad_files} <= {STRAY}} >= there


STRAY = "isn't in the snapshot's manifest, but a reader with a glob pattern reads it"
