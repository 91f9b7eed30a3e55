"""A snapshot has the time of the cloud, whatever this machine's clock says (F96)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from crawler.clock import SystemClock
from crawler.run.run import crawl
from crawler.run.snapshot_clock import SnapshotClock
from crawler.run.system import System
from crawler.snapshot.folder.destination import FolderDestination
from crawler.snapshot.layout import moved_id, started_at
from crawler.snapshot.reader import list_snapshots, read_manifest
from crawler.snapshot.verify import verify_all
from tests.support.crawl_runner import fast_cloud, site
from tests.support.shared_crawls import many_accounts, shared_output

NOW = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)


class WrongClock(SystemClock):
    """The machine's clock, off by some hours."""

    def __init__(self, hours: float) -> None:
        self.off = timedelta(hours=hours)

    def now(self) -> datetime:
        return super().now() + self.off


class Fixed(SystemClock):
    def now(self) -> datetime:
        return NOW


def corrected(*dates: str) -> float:
    clock = SnapshotClock(Fixed())
    for date in dates:
        clock.observe(date)
    assert clock.now() == NOW + timedelta(seconds=clock.skew_s)
    return clock.skew_s


def test_the_first_date_of_sts_corrects_the_clock_and_no_later_one():
    assert corrected(format_datetime(NOW - timedelta(hours=8), usegmt=True)) == -8 * 3600
    later = format_datetime(NOW + timedelta(hours=6), usegmt=True)
    assert corrected(format_datetime(NOW + timedelta(seconds=2), usegmt=True), later) == 0


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Mon, 30 Nov 0001 02:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 30 Feb 2026 02:00:00 GMT",
    ],
)
def test_a_date_out_of_range_or_without_sense_corrects_nothing(date):
    assert corrected(date) == 0


def test_a_difference_of_seconds_is_no_fault():
    assert corrected(format_datetime(NOW + timedelta(seconds=59), usegmt=True)) == 0


@pytest.mark.parametrize("hours", [8, -3])
async def test_rows_and_the_snapshots_id_have_the_time_of_sts(tmp_path, hours):
    """Each stamp of the snapshot lies within the crawl as the cloud's clock shows it."""
    before = datetime.now(UTC).replace(microsecond=0)
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=["fc_layers"], regions=["cn-hangzhou"])
        result = await crawl(config, System(clock=WrongClock(hours), environ={}, home=tmp_path))
        rows = cloud.rows("fc_layers")
    # The header has whole seconds, so the correction may be off by one.
    early, late = before - timedelta(seconds=1), datetime.now(UTC) + timedelta(seconds=1)
    manifest = result.manifest
    assert manifest.clock_skew_s == pytest.approx(-hours * 3600, abs=3)
    stamps = [started_at(manifest.snapshot_id), manifest.started_at, manifest.finished_at]
    stamps += [stamp for row in result.ledger for stamp in (row.started_at, row.finished_at)]
    stamps += [row["fetched_at"] for row in rows]
    assert rows
    assert [stamp for stamp in stamps if not early <= stamp <= late] == []
    assert {row["snapshot_id"] for row in rows} == {manifest.snapshot_id}
    assert verify_all(cloud.output)[1] == []
    assert [path.name for path in (cloud.output / "_staging").glob("2*")] == []


async def test_latest_from_the_future_does_not_hold_a_new_snapshot(tmp_path):
    """A crawl with an uncorrected clock left LATEST hours ahead: the next one moves it back and warns."""
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=["fc_layers"], regions=["cn-hangzhou"])
        ahead = await crawl_ahead(cloud, config, timedelta(hours=8))
        second = await cloud.crawl(config)
        assert read_manifest(cloud.output, "latest").snapshot_id == second.snapshot_id
        assert second.manifest.replaced_latest == ahead
        assert any(ahead in warning for warning in second.warnings)
        assert [bad.reason for bad in verify_all(cloud.output)[1] if bad.path.endswith("LATEST")] == []
        third = await crawl(config, System(clock=WrongClock(30 / 3600), environ={}, home=tmp_path))
        assert not third.manifest.replaced_latest
        assert [entry.snapshot_id for entry in list_snapshots(cloud.output) if entry.is_latest] == [third.snapshot_id]


async def test_latest_that_stays_at_a_snapshot_some_minutes_ahead_is_told(tmp_path):
    """Within an hour two clocks may be right: LATEST stays, and the summary says so."""
    async with site(tmp_path, fast_cloud()) as cloud:
        config = cloud.config(tables=["fc_layers"], regions=["cn-hangzhou"])
        ahead = await crawl_ahead(cloud, config, timedelta(minutes=30))
        second = await cloud.crawl(config)
        assert read_manifest(cloud.output, "latest").snapshot_id == ahead
        assert not second.manifest.replaced_latest
        assert [warning for warning in second.warnings if f"LATEST names {ahead}" in warning]


async def crawl_ahead(cloud, config, ahead):
    """Crawl as a machine whose clock is ahead did. Return the ID of the snapshot, which LATEST names."""
    made = await cloud.crawl(config)
    snapshot_id = moved_id(made.snapshot_id, made.started_at + ahead)
    rename_snapshot(cloud.output, made.snapshot_id, snapshot_id)
    (cloud.output / "_snapshots/LATEST").write_text(f"{snapshot_id}\n")
    return snapshot_id


def rename_snapshot(output, snapshot_id, to):
    """Give a committed snapshot another ID, as the crawl of another clock would have."""
    for path in sorted(output.rglob(f"*{snapshot_id}*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.replace(snapshot_id, to)))
    manifest = output / f"_snapshots/{to}.json"
    before, day = (f"snapshot_date={at[:4]}-{at[4:6]}-{at[6:8]}" for at in (snapshot_id, to))
    text = manifest.read_text().replace(snapshot_id, to).replace(before, day)
    manifest.write_text(text)
    (output / f"_snapshots/{to}.json.sha256").unlink()
    for folder in output.glob("*/snapshot_date=*"):
        if folder.name != day and any(folder.iterdir()):
            folder.rename(folder.with_name(day))


async def test_a_crawl_resumes_whatever_its_clock_was(tmp_path):
    """The age of an unfinished crawl is judged with the correction that its journal notes."""
    from crawler.snapshot import SnapshotWriter
    from tests.support.snapshot_fakes import SCHEMAS

    local = NOW + timedelta(hours=8)
    writer = SnapshotWriter(await FolderDestination.begin(tmp_path, "20261130T100000Z-00aa", local), SCHEMAS)
    await writer.restamp(timedelta(hours=-8))
    assert writer.snapshot_id == "20261130T020000Z-00aa"
    await writer.open_journal("plan", {}, {})
    writer.destination._keeps_staged = True
    await writer.abandon()
    for now in (local, NOW):
        resumed = await FolderDestination.resume(tmp_path, now + timedelta(minutes=5))
        assert resumed.snapshot_id == "20261130T020000Z-00aa"
        await resumed.abandon()


@pytest.mark.parametrize("kind", ["folder", "s3"])
async def test_a_run_has_the_largest_skew_of_its_machines(tmp_path, kind):
    """The machine that plans has the right time, another one is 8 hours ahead."""
    async with shared_output(kind, tmp_path, many_accounts(2, 1)) as output:
        await output.some_shards([0], 2)
        output.clock = WrongClock(8)
        end = await output.shard(1, 2)
    assert end.joined.manifest.clock_skew_s == pytest.approx(-8 * 3600, abs=3)
