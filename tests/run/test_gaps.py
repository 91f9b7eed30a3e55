"""Known gaps: they count as complete until a date, they never look whole, and their age is known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from crawler.audit.database import open_snapshot
from crawler.audit.diff.comparison import compare, table_keys
from crawler.catalog import load_catalog
from crawler.clock import SystemClock
from crawler.config.sections import AcceptedSection
from crawler.emulator import Cloud, CloudSpec, Deny
from crawler.run.accepted import AcceptedRules
from crawler.run.gaps import EarlierLedger, GapMarker
from crawler.run.run import crawl
from crawler.run.system import System
from crawler.snapshot import Ledger, ScopeRow, Status, StoredLedger
from crawler.snapshot.ledger import judged_statuses, ledger_batch
from crawler.snapshot.ledger_merge import revised
from crawler.snapshot.manifest import count_scopes
from crawler.snapshot.reader import list_snapshots, read_manifest
from crawler.snapshot.verify import verify_all
from crawler.telemetry.metrics import CrawlFigures, render
from tests.support.crawl_runner import BIG, FAST, SMALL, site
from tests.support.ledger_rows import stored
from tests.support.shared_crawls import shared_output

TABLES = ["fc_functions", "fc_layers"]
START = datetime(2026, 11, 21, 2, tzinfo=UTC)


class NightClock(SystemClock):
    """The machine's clock, a number of nights ahead."""

    nights = 0

    def now(self) -> datetime:
        return super().now() + timedelta(days=self.nights)


def accepting(until: date, table: str = "*", reason: str = "not ours to read") -> str:
    return f'\n[[accepted]]\naccount = "{SMALL}"\ntable = "{table}"\nreason = "{reason}"\nuntil = {until}\n'


class Nights:
    """Crawls of one cloud, a night after the other."""

    def __init__(self, here, clock: NightClock) -> None:
        self.here, self.clock = here, clock

    def config(self, more="", **keys):
        named = f'id = "{SMALL}"\nname = "payments"'
        return self.here.config(
            more, change=lambda text: text.replace(f'id = "{SMALL}"', named), **{"tables": TABLES, **keys}
        )

    async def crawl(self, night, more="", *, overrides=None, **keys):
        self.clock.nights = night
        config = self.config(more, **keys)
        config = config.with_overrides(**overrides) if overrides else config
        return await crawl(config, System(environ={}, home=self.here.folder, clock=self.clock))

    def deny(self, product="fc"):
        self.here.cloud.faults.add(Deny(), account=SMALL, product=product)

    def allow(self):
        self.here.cloud.faults.clear()

    @property
    def latest(self):
        return next((found.snapshot_id for found in list_snapshots(self.here.output) if found.is_latest), "")


def cloud_at(clock, **more):
    rates = {"rate": FAST, "rates": {"sts": FAST}}
    return Cloud(CloudSpec(**rates, accounts=(BIG, SMALL), regions=("cn-hangzhou",), **more), clock)


@pytest.fixture
async def nights(tmp_path):
    clock = NightClock()
    async with site(tmp_path, cloud_at(clock)) as here:
        yield Nights(here, clock)


def since(result):
    return {row.incomplete_since for row in result.ledger if row.account_id == SMALL}


async def test_an_account_denied_for_three_nights_is_accepted_until_the_rule_expires(nights):
    last_day = (datetime.now(UTC) + timedelta(days=3)).date()
    rule = accepting(last_day)
    first = await nights.crawl(0, rule, require_complete=True)
    assert (first.exit_code, first.manifest.accepted[0].scopes, since(first)) == (0, 0, {None})
    nights.deny()
    lake = nights.here.output / "fc_functions"
    for night in (1, 2, 3):
        config = nights.config(rule, require_complete=True).with_overrides(output_format="delta")
        nights.clock.nights = night
        result = await crawl(config, System(environ={}, home=nights.here.folder, clock=nights.clock))
        manifest = read_manifest(nights.here.output, result.snapshot_id)
        assert (result.exit_code, manifest.status, nights.latest) == (0, "complete", result.snapshot_id)
        assert DeltaTable(str(lake)).history()[0]["version"] == night - 1
        if night == 1:
            begun = result.started_at
        rows = [row for row in result.ledger if row.account_id == SMALL]
        assert {(row.status, row.accepted_reason, row.accepted_until) for row in rows} == {
            ("denied", "not ours to read", str(last_day))
        }
        assert since(result) == {begun}
        assert (manifest.scopes.accepted, manifest.scopes.by_status["denied"]) == (len(rows), len(rows))
        assert {row.accepted_reason for row in manifest.scopes.not_complete} == {"not ours to read"}
        [entry] = manifest.accepted
        assert (entry.account, entry.region, entry.table, entry.scopes) == (SMALL, "*", "*", len(rows))
        figures = CrawlFigures(0, result.started_at, result.finished_at, result.ledger)
        assert f"acs_inventory_scopes_accepted {len(rows)}\n" in render(figures)
    assert any("expires today" in warning for warning in result.warnings)
    ids = [found.snapshot_id for found in list_snapshots(nights.here.output)]
    old, new = (open_snapshot(nights.here.output, snapshot_id) for snapshot_id in (ids[-1], ids[0]))
    with compare(old, new, table_keys(load_catalog())) as tables:
        found = tables["fc_functions"].read(10)
    assert [pair.account_id for pair in found.unknown_scopes] == [SMALL]
    assert not found.counts.get("removed")

    version = DeltaTable(str(lake)).version()
    latest = nights.latest
    expired = await nights.crawl(4, rule)
    assert (expired.exit_code, expired.manifest.status, nights.latest) == (3, "partial", latest)
    assert (since(expired), expired.manifest.scopes.accepted, expired.manifest.accepted) == ({begun}, 0, [])
    assert DeltaTable(str(lake)).version() == version
    assert any(f"expired on {last_day}" in warning for warning in expired.warnings)
    assert any("the oldest since" in warning and "3 days" in warning for warning in expired.warnings)
    assert all(verdict.is_whole for verdict in verify_all(nights.here.output)[0])

    nights.allow()
    assert since(await nights.crawl(5)) == {None}
    nights.deny()
    again = await nights.crawl(6)
    assert since(again) == {again.started_at}


async def test_without_a_rule_or_with_another_the_gap_counts(nights):
    nights.deny()
    for more in ("", accepting(date(2099, 1, 1), table="fc_layers")):
        result = await nights.crawl(0, more)
        assert (result.exit_code, result.manifest.status) == (3, "partial")


async def test_an_account_whose_credentials_fail_can_be_accepted_too(nights):
    nights.deny("sts")
    result = await nights.crawl(0, accepting(date(2099, 1, 1)))
    assert (result.exit_code, result.manifest.status) == (0, "complete")
    assert {row.error_code for row in result.ledger.not_whole()} == {"InvalidCredentials"}


async def test_a_crawl_in_which_no_scope_is_whole_commits_nothing_whatever_is_accepted(nights):
    nights.deny()
    result = await nights.crawl(0, accepting(date(2099, 1, 1)), overrides={"accounts": [SMALL]})
    assert (result.exit_code, result.manifest) == (1, None)


async def test_crawls_of_a_part_keep_the_age_of_a_gap(nights):
    """A whole scope of such a crawl ends a gap; scopes that it didn't ask for keep theirs."""
    nights.deny()
    begun = (await nights.crawl(0)).started_at
    await nights.crawl(1, overrides={"accounts": ["payments"], "tables": ["fc_layers"]})
    await nights.crawl(2, overrides={"accounts": [BIG]})
    assert since(await nights.crawl(3)) == {begun}
    nights.allow()
    await nights.crawl(4, overrides={"accounts": [SMALL], "tables": ["fc_layers"]})
    nights.deny()
    last = await nights.crawl(5)
    found = {row.table: row.incomplete_since for row in last.ledger if row.account_id == SMALL}
    assert found == {"fc_functions": begun, "fc_layers": last.started_at}


async def test_an_earlier_ledger_that_is_damaged_ends_no_crawl(nights):
    nights.deny()
    await nights.crawl(0)
    [ledger] = nights.here.output.glob("_snapshots/*.scopes.parquet")
    ledger.write_bytes(ledger.read_bytes()[:-9])
    result = await nights.crawl(1)
    assert (result.exit_code, since(result)) == (3, {result.started_at})


@pytest.mark.parametrize("kind", ["folder", "s3"])
async def test_shards_accept_the_gaps_and_know_names_and_ages(tmp_path, kind):
    clock = NightClock()
    rule = accepting(date(2099, 1, 1))
    async with shared_output(kind, tmp_path, cloud_at(clock), clock=clock) as output:
        named = f'id = "{SMALL}"\nname = "payments"'

        def config(more):
            return output.config(more, change=lambda text: text.replace(f'id = "{SMALL}"', named), tables=TABLES)

        output.cloud.cloud.faults.add(Deny(), account=SMALL, product="fc")
        first = await output.shards(2, "a", config=config(""))
        assert (first.exit_code, first.manifest.scopes.accepted) == (3, 0)
        clock.nights = 1
        second = await output.shards(2, "b", config=config(rule))
    manifest = second.manifest
    assert (second.exit_code, manifest.status, manifest.scopes.accepted) == (0, "complete", len(TABLES))
    assert manifest.account_names == {BIG: "", SMALL: "payments"}
    for row in output.ledger(manifest):
        is_gap = row["account_id"] == SMALL
        assert row["account_name"] == ("payments" if is_gap else "")
        assert row["accepted_until"] == ("2099-01-01" if is_gap else "")
        assert row["incomplete_since"] == (first.started_at if is_gap else None)


# --- the rules ---


def rule(account="*", region="*", table="*", until=date(2026, 12, 31), reason="why"):
    return AcceptedSection(account=account, region=region, table=table, until=until, reason=reason)


def test_the_first_rule_that_matches_counts_and_a_rule_holds_on_its_last_day():
    rules = [rule(account="1*", table="fc_*", reason="a"), rule(region="cn-*", reason="b")]
    on_last_day = AcceptedRules(rules, date(2026, 12, 31))
    assert on_last_day.covering("10", "cn-hangzhou", "fc_layers").reason == "a"
    assert on_last_day.covering("10", "cn-hangzhou", "opensearch_apps").reason == "b"
    assert on_last_day.covering("20", "ap-southeast-1", "fc_layers") is None
    assert not AcceptedRules(rules, date(2027, 1, 1))
    assert AcceptedRules(rules, date(2027, 1, 1)).covering("10", "cn-hangzhou", "fc_layers") is None


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (date(2026, 12, 15), []),
        (date(2026, 12, 14), ["expires in 13 days (2026-12-14)"]),
        (date(2026, 12, 2), ["expires tomorrow (2026-12-02)"]),
        (date(2026, 12, 1), ["expires today (2026-12-01)"]),
        (date(2026, 11, 30), ["expired on 2026-11-30"]),
    ],
)
def test_a_rule_warns_before_it_expires_and_afterwards(until, said):
    found = AcceptedRules([rule(until=until)], date(2026, 12, 1)).date_warnings()
    assert len(found) == len(said) or until == date(2026, 12, 15)
    assert all(words in warning for words, warning in zip(said, found, strict=False))


def test_a_rule_that_matches_no_scope_is_a_warning():
    rules = AcceptedRules([rule(account="10"), rule(table="fc_layer"), rule(region="us-*")], date(2026, 12, 1))
    places = [("10", "cn-hangzhou", ("fc_layers",)), ("20", "cn-shanghai", ("fc_layers",))]
    found = rules.unmatched_warnings(places)
    assert len(found) == 2
    assert found[0].startswith("[[accepted]] for account *, table fc_layer matches no scope")
    assert found[1].startswith("[[accepted]] for account *, region us-*, table * matches no scope")


# --- the ledgers ---


def gap(table="fc_layers", account=SMALL, status=Status.DENIED, **more):
    return ScopeRow(account, "cn-hangzhou", table, status, **more)


def marker_after(*ledgers, rules=()):
    earlier = [
        EarlierLedger(ledger, START, is_last=number == len(ledgers) - 1) for number, ledger in enumerate(ledgers)
    ]
    return GapMarker(AcceptedRules(rules, date(2026, 12, 1)), datetime(2026, 12, 1, 2, tzinfo=UTC), lambda: earlier)


def old_ledger(rows) -> StoredLedger:
    """Return a ledger as versions before this one wrote it."""
    new = ("account_name", "accepted_reason", "accepted_until", "incomplete_since")
    table = pa.Table.from_batches([ledger_batch(rows)]).drop_columns(list(new))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return StoredLedger(pa.BufferReader(sink.getvalue()), "old")


def test_an_old_ledger_begins_the_age_of_its_gaps_and_accepts_nothing():
    ledger = old_ledger([gap("fc_functions", BIG, Status.COMPLETE), gap()])
    row = gap()
    marker_after(ledger).mark(row)
    assert (row.incomplete_since, ledger.accepted, ledger.not_whole()[0].account_name) == (START, {}, "")
    assert judged_statuses(ledger) == {Status.COMPLETE, Status.DENIED}
    assert count_scopes(ledger).accepted == 0


@pytest.mark.parametrize("batch_rows", [1, 2, 5])
def test_a_ledger_in_batches_is_marked_as_one_in_memory(batch_rows):
    earlier = [gap(f"fc_t{number}", incomplete_since=START) for number in range(0, 9, 2)]
    rows = [
        gap(f"fc_t{number}", account, Status.DENIED if number % 3 else Status.COMPLETE)
        for number in range(9)
        for account in (BIG, SMALL)
    ]
    rules = [rule(account=SMALL, table="fc_t[12]")]
    in_memory = Ledger(rows)
    in_memory.revise(marker_after(stored(earlier), rules=rules).mark)
    plain = [gap(row.table, row.account_id, row.status) for row in rows]
    batches = [ledger_batch(plain[first : first + batch_rows]) for first in range(0, len(plain), batch_rows)]
    marked = pa.Table.from_batches(list(revised(batches, marker_after(stored(earlier), rules=rules).mark)))
    assert marked.to_pylist() == pa.Table.from_batches(list(in_memory.batches())).to_pylist()
    assert in_memory.accepted == {Status.DENIED: 2}
    assert stored(list(in_memory)).accepted == in_memory.accepted
    assert [row.incomplete_since for row in in_memory if row.table == "fc_t2" and row.account_id == SMALL] == [START]


def test_ledgers_are_not_opened_where_all_scopes_are_whole():
    def fail():
        raise AssertionError("no ledger is needed")

    marker = GapMarker(AcceptedRules((), date(2026, 12, 1)), START, fail)
    assert list(revised([ledger_batch([gap(status=Status.COMPLETE)])], marker.mark))
    assert marker.warnings() == []
