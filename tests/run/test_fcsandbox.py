"""Function Compute's sandboxes: crawled rows against the official SDK's asynchronous client, and what is asked when."""

from __future__ import annotations

from collections import defaultdict

import anyio
import pytest
from alibabacloud_fcsandbox20260509 import models
from alibabacloud_fcsandbox20260509.client import Client
from alibabacloud_tea_openapi.models import Config

from crawler.catalog import load_catalog
from crawler.emulator import Body, Deny, Error
from crawler.errors import CatalogError
from crawler.normalizer.redaction import Redaction
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, scope_statuses, site
from tests.support.expected_records import Comparison
from tests.support.secret_sweep import MARKER, Sweep

KEY = b"the-demo-has-no-secrets-to-protect"
TABLES = {
    operation.table: operation for operation in load_catalog().operations.values() if operation.product == "fcsandbox"
}
TEAMS, KEYS, QUOTA = "fcsandbox_teams", "fcsandbox_api_keys", "fcsandbox_quota"
OF_TEAM = ("fcsandbox_templates", "fcsandbox_template_cache", "fcsandbox_volumes")


def crawl(output, *faults, cloud=None, **options):
    async def main():
        async with site(output, cloud) as here:
            for effect, selectors in faults:
                here.cloud.faults.add(effect, product="fcsandbox", **selectors)
            return here, await here.crawl(here.config(**{"tables": ["fcsandbox_*"], **options}))

    return anyio.run(main)


def plain(value):
    """Remove nulls and empty lists, which the SDK's models don't tell from absent values."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item not in (None, [])}
    return [plain(item) for item in value] if isinstance(value, list) else value


async def listed(emulator, account, region):
    """All records that the official client lists in one place, by table."""
    key_id, secret = emulator.cloud.credentials(account)
    endpoint = emulator.url("fcsandbox", region).removeprefix("http://")
    client = Client(
        Config(endpoint=endpoint, protocol="HTTP", region_id=region, access_key_id=key_id, access_key_secret=secret)
    )

    async def numbered(call, request, field):
        found, number = [], 1
        while True:
            body = (await call(request(page_number=number, page_size=30))).body
            found += getattr(body, field)
            if len(found) >= body.total:
                return found
            number += 1

    async def after_token(call, request, field, **parameters):
        found, token = [], None
        while True:
            body = (await call(request(max_results=15, next_token=token, **parameters))).body
            found += getattr(body, field)
            token = body.next_token
            if not token:
                return found

    calls = {
        "fcsandbox_templates": (client.list_templates_async, models.ListTemplatesRequest, "templates"),
        "fcsandbox_template_cache": (
            client.list_template_cache_async,
            models.ListTemplateCacheRequest,
            "template_caches",
        ),
        "fcsandbox_volumes": (client.list_volumes_async, models.ListVolumesRequest, "volumes"),
    }
    teams = await numbered(client.list_teams_async, models.ListTeamsRequest, "teams")
    return {
        TEAMS: teams,
        KEYS: await numbered(client.list_api_keys_async, models.ListApiKeysRequest, "api_keys"),
        QUOTA: await after_token(client.list_quota_async, models.ListQuotaRequest, "quotas"),
        **{
            table: [found for team in teams for found in await after_token(*call, team_id=team.team_id)]
            for table, call in calls.items()
        },
    }


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """A crawl of all tables, and what the official client lists, by account, region and table."""

    async def main():
        async with site(tmp_path_factory.mktemp("fcsandbox"), fast_cloud()) as here:
            result = await here.crawl(here.config(tables=["fcsandbox_*"]))
            spec = here.cloud.spec
            places = [(account, region) for account in spec.accounts for region in spec.regions]
            return here, result, {place: await listed(here.emulator, *place) for place in places}

    return anyio.run(main)


@pytest.mark.parametrize("table", TABLES)
def test_the_rows_are_what_the_official_client_lists(crawled, table):
    here, _, lists = crawled
    operation = TABLES[table]
    rows = defaultdict(list)
    for row in here.rows(table):
        rows[row["account_id"], row["region_id"]].append(row)
    comparison = Comparison(
        Redaction("fingerprint", "fingerprint", KEY, scope="account"),
        lambda text: bool(MARKER.search(text.encode())),
    )
    [key] = operation.key
    wire = next(wire for wire, name in operation.column_names.items() if name == key)
    assert rows.keys() == lists.keys()
    for place, found in lists.items():
        records = sorted((plain(model.to_map()) for model in found[table]), key=lambda record: record[wire])
        for record, row in zip(records, sorted(rows[place], key=lambda row: row[key]), strict=True):
            comparison.check(record, row, ["team_id"])
    assert comparison.in_extra == {}


def test_every_scope_is_complete_and_every_page_is_read(crawled):
    here, result, _ = crawled
    assert (result.exit_code, scope_statuses(result), result.unknown_fields) == (0, {}, {})
    read = {row.table: row for row in result.ledger if (row.account_id, row.region_id) == (BIG, "cn-hangzhou")}
    teams = here.cloud.records(BIG, "cn-hangzhou", "fcsandbox.ListTeams")
    assert len(teams) > 50
    # Both readings of a list by page numbers end with the page after the last record.
    assert (read[TEAMS].rows, read[TEAMS].pages) == (len(teams), 2 * 3)
    assert read[KEYS].pages > read[TEAMS].pages
    assert (read[QUOTA].pages, read[QUOTA].walk) == (2, "token")
    for table in OF_TEAM:
        assert read[table].lists == len(teams)
    assert read["fcsandbox_templates"].requests > len(teams)


def test_no_planted_secret_is_written_anywhere(crawled):
    here, result, _ = crawled
    planted = {
        text
        for text in here.cloud.canaries
        if text in repr(here.cloud.lists(BIG, "cn-hangzhou", "fcsandbox.ListApiKeys"))
    }
    assert planted
    assert Sweep(*planted).found_in_folder(here.output) == {}
    assert Sweep().found(repr(result).encode()) == set()
    rows = here.rows(KEYS)
    assert all(row["api_key_value"].startswith("hmac:") and row["api_key_mask"].startswith("hmac:") for row in rows)


def test_only_a_pattern_that_begins_with_the_prefix_chooses_them():
    catalog = load_catalog()
    assert not {*catalog.select(["*", "fc*"])} & TABLES.keys()
    with pytest.raises(CatalogError, match=r"needs a pattern that begins with 'fcsandbox_'"):
        catalog.select(["*_teams"])
    assert {*catalog.select(["fcsandbox_*"])} == TABLES.keys()


def test_a_team_that_is_gone_has_no_lists(tmp_path):
    gone = (Error(status=200, code="TeamNotFound"), {"action": "ListVolumes", "nth": (1,), "account": SMALL})
    _, result = crawl(tmp_path, gone, tables=["fcsandbox_volumes"], regions=["cn-shanghai"])
    assert (result.exit_code, scope_statuses(result)) == (0, {})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code": "409", "message": "busy", "teams": [], "total": 0}', "409"),
        (b'{"code": "200", "message": "success", "total": 0}', "ListMissing"),
        (b'{"code": "Forbidden", "message": "not for you"}', "Forbidden"),
    ],
)
def test_an_answer_without_the_code_of_success_or_without_a_list_is_no_empty_list(tmp_path, body, code):
    fault = (Body(body=body), {"action": "ListTeams", "account": BIG})
    _, result = crawl(tmp_path, fault, tables=[TEAMS], regions=["cn-hangzhou"])
    [row] = [row for row in result.ledger if row.account_id == BIG]
    assert (row.status != "complete", row.error_code, row.rows) == (True, code, 0)


def test_a_denial_names_the_action(tmp_path):
    _, result = crawl(tmp_path, (Deny(), {"action": "ListQuota"}), tables=[QUOTA], regions=["cn-hangzhou"])
    assert {row.status for row in result.ledger} == {"denied"}
    assert all("fcsandbox:ListQuota" in row.error_message for row in result.ledger)


def test_it_is_asked_in_its_regions_only(tmp_path):
    cloud = fast_cloud(fcsandbox_regions=("cn-shanghai",), regions=("cn-shanghai", "cn-qingdao"))
    here, result = crawl(tmp_path, cloud=cloud, tables=[TEAMS, "fc_layers"], regions=["cn-shanghai", "cn-qingdao"])
    assert result.exit_code == 0
    assert {(row.table, row.region_id) for row in result.ledger} == {
        *(("fc_layers", region) for region in ("cn-shanghai", "cn-qingdao")),
        (TEAMS, "cn-shanghai"),
    }
    assert {entry.region for entry in here.cloud.requests.entries if entry.product == "fcsandbox"} == {"cn-shanghai"}


def test_a_region_of_the_configuration_is_asked_too(tmp_path):
    cloud = fast_cloud(regions=("cn-hangzhou", "cn-qingdao"))
    _, result = crawl(tmp_path, cloud=cloud, tables=[TEAMS], regions=["cn-hangzhou", "cn-qingdao"])
    assert {row.region_id for row in result.ledger} == {"cn-hangzhou", "cn-qingdao"}
