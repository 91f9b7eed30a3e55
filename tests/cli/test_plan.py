"""Plans of the emulated cloud, compared with the crawls that they predict; and plans from unusual snapshots."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.cli.plan_text import print_plan
from crawler.cli.plan_values import plan_value
from crawler.clock import SystemClock
from crawler.config import resolve
from crawler.config.resolve import resolve_config
from crawler.emulator import Deny, spec
from crawler.emulator.spec import Shape
from crawler.snapshot import list_snapshots, read_manifest
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site

CATALOG = load_catalog()


async def plan(here, config=None, clock=None):
    config = config or here.config()
    return await plan_value(resolve_config(config), replace(here.surroundings(), clock=clock or SystemClock()))


def limited(line):
    """A change of a configuration's text: this line in place of the one that limits fc-open."""
    return lambda text: re.sub(r"^fc-open = \{.*$", line, text, flags=re.MULTILINE)


def sent(result):
    """(account, region) → requests, and lists, as the crawl's ledger counts them."""
    requests, lists = Counter(), Counter()
    for row in result.ledger:
        requests[row.account_id, row.region_id] += row.requests
        lists[row.account_id, row.region_id] += row.lists
    return requests, lists


def by_target(value, key):
    return {(entry["account_id"], entry["region_id"]): entry[key] for entry in value["per_target"]}


@pytest.fixture(scope="module", autouse=True)
def briefly():
    """A cloud of few records, except for lists of several pages in one place, which tell the kinds of requests apart.

    More records, or reading the schema files for every plan, would only take longer.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "load_catalog", lambda extra: CATALOG)
        long = Shape(functions=3, services=2, service_functions=3, stateful=101, app_groups=2, longest=103)
        patch.setattr(spec, "SHAPES", {(0, 0): long})
        yield


@pytest.fixture(scope="module")
def crawled(tmp_path_factory, briefly):
    """A cloud's default tables, all of them: planned, crawled, planned, crawled again."""

    async def main():
        async with site(tmp_path_factory.mktemp("plan"), fast_cloud(regions=("cn-hangzhou", "cn-shanghai"))) as here:
            before, first = await plan(here), await here.crawl()
            after, second = await plan(here), await here.crawl()
            return before, first, after, second

    return anyio.run(main)


def test_a_first_plan_has_what_is_sure_only(crawled):
    before, first, _, _ = crawled
    operations = CATALOG.operations
    roots = Counter((row.account_id, row.region_id) for row in first.ledger if not operations[row.table].parents)
    assert by_target(before, "requests_at_least") == by_target(before, "lists_at_least") == roots
    assert before["least_requests"] == roots.total() < sent(first)[0].total()
    assert before["last_snapshot"] is before["expected_requests"] is before["expected_seconds"] is None
    assert set(by_target(before, "requests_expected").values()) == {None}
    assert {entry["last_rows"] for entry in before["tables"]} == {None}
    assert before["scopes"] == len(first.ledger)


def test_a_later_plan_has_exactly_the_requests_that_the_next_crawl_sends(crawled):
    _, _, after, second = crawled
    requests, lists = sent(second)
    assert second.requests.retries == 0
    assert {row.table for row in second.ledger} == set(CATALOG.select(["*"], []))
    assert any("2 readings" in row.walk for row in second.ledger), "a list that is read twice is among them"
    paged = {row.table for row in second.ledger if row.walk.startswith("token") and row.pages > row.lists}
    assert paged >= {"fc_aliases", "fc2_stateful_async_invocation_functions"}, "and lists of several pages"
    assert by_target(after, "requests_expected") == requests
    assert by_target(after, "lists_expected") == lists
    assert after["expected_requests"] == second.requests.requests - sum(second.overhead.values())
    assert after["discovery_requests"] == second.overhead


def test_a_later_plan_names_its_snapshot_and_has_its_rows(crawled):
    _, first, after, _ = crawled
    last = after["last_snapshot"]
    assert (last["snapshot_id"], last["status"]) == (first.snapshot_id, "complete")
    assert (last["known_scopes"], last["estimated_scopes"], last["unknown_scopes"]) == (len(first.ledger), 0, 0)
    assert {entry["table"]: entry["last_rows"] for entry in after["tables"]} == {
        table: entry.rows for table, entry in first.manifest.tables.items()
    }
    assert after["least_requests"] < after["expected_requests"]


async def test_details_are_requests_of_their_own(tmp_path):
    async with site(tmp_path) as here:
        tables = {"tables": ["fc_functions"]}
        first = await here.crawl(here.config(**tables))
        detailed = here.config(**tables, details=["fc_functions"])
        expected = await plan(here, detailed)
        second = await here.crawl(detailed)
        assert expected["expected_requests"] == sent(second)[0].total() == sent(first)[0].total() + second.rows
        # Now the ledger counts both, and a plan without details takes them out again.
        for config, result in ((detailed, second), (here.config(**tables), first)):
            value = await plan(here, config)
            assert by_target(value, "requests_expected") == sent(result)[0]


async def test_a_limit_of_the_details_operation_can_be_configured_and_binds(tmp_path):
    async with site(tmp_path) as here:
        slow = '"fc.GetFunction" = { rate = 2, burst = 1 }\n\n[[accounts]]'
        config = here.config(
            change=lambda text: text.replace("[[accounts]]", slow, 1), tables=["fc_functions"], details=["fc_functions"]
        )
        await here.crawl(here.config(tables=["fc_functions"]))
        value = await plan(here, config)
    assert value["rate_limits"]["fc.GetFunction"] == {"rate": 2, "burst": 1}
    assert {entry["bucket"] for entry in value["per_target"] if entry["expected_seconds"]} == {"fc.GetFunction"}


async def test_a_crawl_takes_the_least_time_that_its_plan_says_or_more(tmp_path):
    async with site(tmp_path) as here:
        tables = ["fc2_functions", "fc2_triggers"]
        await here.crawl(here.config(tables=tables))
        most = max(by_target(await plan(here, here.config(tables=tables)), "requests_expected").values())
        slow = here.config(change=limited(f"fc-open = {{ rate = {(most - 1) * 2}, burst = 1 }}"), tables=tables)
        value, began_at = await plan(here, slow), anyio.current_time()
        await here.crawl(slow)
        took_s = anyio.current_time() - began_at
    assert value["expected_seconds"] == pytest.approx(0.5, abs=0.06), "the rate was chosen so"
    assert value["expected_seconds"] - 0.05 <= took_s, "0.05: what rounding may add"


async def test_what_the_last_crawl_did_not_ask_for_is_estimated_and_told_apart(tmp_path):
    async with site(tmp_path) as here:
        await here.crawl(here.config(tables=["fc2_services"]))
        wider = here.config(tables=["fc2_functions", "fc2_triggers"])
        value = await plan(here, wider)
        services = here.rows("fc2_services")
        result = await here.crawl(wider)
    last = value["last_snapshot"]
    assert (last["known_scopes"], last["estimated_scopes"], last["unknown_scopes"]) == (6, 6, 6)
    of_functions = sum(row.lists for row in result.ledger if row.table == "fc2_functions")
    assert of_functions == len(services)
    assert sum(by_target(value, "lists_expected").values()) == 6 + of_functions
    assert value["expected_requests"] <= sent(result)[0].total()


async def test_a_partial_snapshot_is_gone_by_where_it_is_newer(tmp_path):
    async with site(tmp_path) as here:
        here.cloud.faults.add(Deny(), account=SMALL, product="fc")
        config = here.config(tables=["fc_functions", "fc2_services"])
        result = await here.crawl(config)
        value = await plan(here, config)
    assert result.exit_code == 3
    last = value["last_snapshot"]
    assert (last["snapshot_id"], last["status"]) == (result.snapshot_id, "partial")
    assert (last["known_scopes"], last["estimated_scopes"]) == (9, 3)
    assert value["expected_requests"] == sent(result)[0].total()


def spoil_manifest(output, manifest):
    path = output / f"_snapshots/{manifest.snapshot_id}.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    path.with_suffix(".json.sha256").unlink()


def spoil_ledger(output, manifest):
    with (output / manifest.ledger.path).open("r+b") as file:
        file.write(b"PAR2")


def remove_ledger(output, manifest):
    (output / manifest.ledger.path).unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(spoil_manifest, "has format 3", id="a later format"),
        pytest.param(spoil_ledger, "isn't what its manifest names", id="a damaged ledger"),
        pytest.param(remove_ledger, "isn't in ", id="a removed ledger"),
    ],
)
async def test_a_snapshot_that_cannot_be_read_is_one_warning(tmp_path, capsys, spoil, said):
    async with site(tmp_path) as here:
        config = here.config(tables=["fc_functions"])
        before = await plan(here, config)
        await here.crawl(config)
        [summary] = list_snapshots(here.output)
        spoil(here.output, read_manifest(here.output, summary.snapshot_id))
        value = await plan(here, config)
    [warning] = value["warnings"]
    assert said in warning
    assert value == {**before, "warnings": [warning]}
    print_plan(value, resolve_config(config).catalog)
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning ")]
    assert said in line


async def test_a_deadline_that_the_limits_do_not_keep_is_a_warning(tmp_path):
    async with site(tmp_path) as here:
        await here.crawl(here.config(tables=["fc2_functions"]))
        slow = here.config(change=limited("fc-open = { rate = 0.1 }"), tables=["fc2_functions"], deadline=5)
        value = await plan(here, slow)
    assert value["expected_seconds"] > 10
    [warning] = value["warnings"]
    assert warning.startswith("[crawl] deadline is 5.0 s")


async def test_a_warning_of_the_catalog_is_one_of_the_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(resolve, "load_catalog", lambda extra: replace(CATALOG, warnings=("a key is ignored",)))
    async with site(tmp_path) as here:
        value = await plan(here, here.config(tables=["fc_functions"]))
    assert value["warnings"] == ["a key is ignored"]


async def test_the_snapshots_age_is_told(tmp_path, capsys):
    async with site(tmp_path) as here:
        config = here.config(tables=["opensearch_app_groups"])
        result = await here.crawl(config)
        path = here.output / f"_snapshots/{result.snapshot_id}.json"
        path.with_suffix(".json.sha256").unlink()
        text, finished_at = path.read_text(), read_manifest(here.output, result.snapshot_id).finished_at
        [written] = re.findall(r'"finished_at": "(.*?)"', text.partition('"scopes"')[0])
        for moved, least_s, said in (
            (timedelta(), 0, r"\d.* s old"),
            (timedelta(hours=-47), 47 * 3600, r"47 h \d+ min old"),
            (timedelta(days=-30, hours=-5), 30 * 86_400, "30 days old"),
            (timedelta(hours=3), 0, r"0\.0 s old"),  # the clock was set back since
        ):
            path.write_text(text.replace(written, (finished_at + moved).isoformat(), 1))
            value = await plan(here, config)
            assert value["last_snapshot"]["age_seconds"] >= least_s
            print_plan(value, CATALOG)
            assert re.search(rf"from snapshot {result.snapshot_id}, {said}, complete\.", capsys.readouterr().out)


def test_few_targets_are_all_shown_and_of_many_the_slowest(crawled, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    value, catalog = crawled[2], CATALOG
    print_plan(value, catalog)
    text = capsys.readouterr().out
    assert all(re.search(rf"{account} +{region} ", text) for account, region in by_target(value, "bucket"))
    assert "more accounts" not in text
    many = [
        {**value["per_target"][0], "account_id": str(10**15 + n // 20), "region_id": f"cn-r{n % 20}"}
        | {"expected_seconds": float(n)}
        for n in range(2000)
    ]
    accounts = [{**value["accounts"][0], "account_id": str(10**15 + n)} for n in range(100)]
    print_plan({**value, "per_target": many, "accounts": accounts}, catalog)
    grown = capsys.readouterr().out
    shown = re.findall(r"^ *(\d{16}) +cn-r(\d+) ", grown, flags=re.MULTILINE)
    assert shown == [(str(10**15 + 99), str(n)) for n in range(19, -1, -1)]
    assert "… and 1,980 more accounts and regions; --json lists all." in grown
    assert "… and 80 more accounts; --json lists all." in grown
    assert len(grown.splitlines()) <= len(text.splitlines()) + 2 * 20


def test_accounts_that_cannot_be_crawled_come_first_and_not_among_the_targets(crawled, capsys):
    value = crawled[2]
    refused = [{**entry, "refusal": "AccountMismatch: \x1b[2Jnot\nyours"} for entry in value["accounts"][1:]]
    targets = [{**entry, "refused": entry["account_id"] == SMALL} for entry in value["per_target"]]
    print_plan({**value, "accounts": value["accounts"][:1] + refused, "per_target": targets}, CATALOG)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    [line] = [line for line in text.splitlines() if SMALL in line]
    assert "AccountMismatch" in line
    assert text.index(SMALL) < text.index(BIG)
