"""P30: each document of a run is created once, whoever writes it, and never changed."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from crawler.errors import OutputError
from crawler.snapshot.layout import joined_path, lease_path, plan_path, report_path, shard_role
from crawler.snapshot.shards import run_files
from crawler.snapshot.shards.documents import encode
from crawler.snapshot.shards.lease import Lease
from crawler.snapshot.shards.run_files import RunFiles
from crawler.testing import FakeClock
from tests.support.run_documents import FOLDER, JOINED, KEY, PLAN, REPORT


@pytest.fixture
def files(any_place):
    return RunFiles.of_key(any_place.store, KEY)


async def test_a_run_that_nobody_began_has_nothing(files):
    assert files.folder == FOLDER
    assert await files.plan() is None
    assert await files.joined() is None
    assert await files.reported() == set()
    assert await files.report(PLAN, 1) is None
    assert await files.attempts([1]) == {}


async def test_of_two_planners_the_first_ones_plan_is_that_of_both(files):
    assert await files.create_plan(PLAN) == PLAN
    other = msgspec.structs.replace(PLAN, started_at=PLAN.started_at + timedelta(seconds=1))
    assert await files.create_plan(other) == PLAN
    assert await files.plan() == PLAN


async def test_of_two_attempts_the_first_ones_report_counts(files):
    """P30."""
    assert await files.create_report(REPORT)
    assert await files.create_report(REPORT), "the same again: the answer to the first request was lost"
    assert not await files.create_report(msgspec.structs.replace(REPORT, attempt=3, requests=0))
    assert await files.report(PLAN, 1) == REPORT
    assert await files.reported() == {1}


async def test_the_note_of_a_joined_run_stays_as_it_is(files):
    await files.create_joined(JOINED)
    await files.create_joined(msgspec.structs.replace(JOINED, status="none", exit_code=1))
    assert await files.joined() == JOINED


async def test_only_reports_are_taken_for_reports(place):
    files = RunFiles.of_key(place.store, KEY)
    for name in ("s00001.report.json.bak", "s1.report.json", "s000001.report.json", "x00001.report.json"):
        place.write(f"{FOLDER}/{name}", b"{}")
    place.write(f"{FOLDER}/s00001-a001.lease", b"{}")
    place.write(f"{FOLDER}/new-s00001.report.json", b"{}")
    assert await files.reported() == set()
    place.write(report_path(FOLDER, 7), b"{}")
    assert await files.reported() == {7}
    with pytest.raises(OutputError, match=r"^_staging/run-[0-9a-f]{16}/s00007.report.json can't be read"):
        await files.report(PLAN, 7)


async def test_a_plan_that_another_program_removes_is_named(place, monkeypatch):
    files = RunFiles.of_key(place.store, KEY)
    await files.create_plan(PLAN)

    async def gone():
        return None

    monkeypatch.setattr(files, "plan", gone)
    with pytest.raises(OutputError, match=r"plan.json disappeared; another program removes files"):
        await files.create_plan(msgspec.structs.replace(PLAN, shard_count=2, at_once=1))


@pytest.mark.parametrize("name", ["plan", "report", "joined"])
async def test_a_document_that_is_larger_than_any_is_refused_before_it_is_read(place, monkeypatch, name):
    """F128."""
    files = RunFiles.of_key(place.store, KEY)
    monkeypatch.setattr(run_files, f"{name.upper()}_BYTES", 100)
    paths = {"plan": plan_path(FOLDER), "report": report_path(FOLDER, 1), "joined": joined_path(FOLDER)}
    documents = {"plan": PLAN, "report": REPORT, "joined": JOINED}
    text = encode(documents[name])
    place.write(paths[name], text)
    assert len(text) > 100
    with pytest.raises(OutputError, match=paths[name]):
        await (files.report(PLAN, 1) if name == "report" else getattr(files, name)())


async def test_attempts_are_counted_by_their_leases_and_the_last_host_is_named(place):
    files, clock = RunFiles.of_key(place.store, KEY), FakeClock()
    for _ in range(2):
        lease = await Lease.acquire(place.store, FOLDER, shard_role(1), clock, "x", boottime=clock.monotonic)
        await lease.release()
    number, [host] = (await files.attempts([1]))[1]
    assert await files.attempts([]) == {1: (number, [])}
    assert number == 2
    assert host
    place.write(lease_path(FOLDER, shard_role(1), 3), b"garbage")
    assert await files.attempts([1]) == {1: (3, [])}
