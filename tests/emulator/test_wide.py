"""A wide cloud: a few records in each of many accounts and regions, built when they are asked for, and not kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from alibabacloud_fc20230330 import models as fc_models
from alibabacloud_fc20230330.client import Client as FcClient
from alibabacloud_opensearch20171225.client import Client as SearchClient
from alibabacloud_tea_openapi.models import Config

from crawler.emulator import Cloud, CloudOrganization, CloudSpec, serve
from crawler.emulator import cloud as cloud_module
from crawler.emulator.apis.operations import TABLES
from crawler.emulator.request_log import RequestLog
from crawler.emulator.server import throttle
from crawler.emulator.spec import SMALL_SIZES

ACCOUNTS = tuple(str(1000000000000001 + number) for number in range(200))
REGIONS = tuple(f"cn-region-{number}" for number in range(20))
WIDE = CloudSpec(accounts=ACCOUNTS, regions=REGIONS, opensearch_regions=REGIONS[:3], is_wide=True)
FIRST, SECOND, LAST = ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[-1]
# Records that describe the service itself are the same in every account.
OWN = [name for name in TABLES if name not in {"fc.DescribeRegions", "opensearch.DescribeRegions"}]


@pytest.fixture
def built(monkeypatch):
    """Count how often each place is built."""
    counts, build = Counter(), cloud_module.build

    def counting(spec, account, region):
        counts[account, region] += 1
        return build(spec, account, region)

    monkeypatch.setattr(cloud_module, "build", counting)
    return counts


def everything(cloud, account, region):
    return {name: cloud.lists(account, region, name) for name in OWN}


def test_each_account_has_a_few_records_in_each_region_and_the_first_no_more():
    cloud = Cloud(WIDE)
    for account in (FIRST, SECOND, LAST):
        for region in REGIONS[:5]:
            numbers = {name: len(cloud.records(account, region, name)) for name in OWN}
            assert 1 <= numbers["fc.ListFunctions"] <= SMALL_SIZES["functions"][1]
            assert 1 <= numbers["fc-open.ListFunctions"] <= SMALL_SIZES["service_functions"][1]
            assert max(numbers.values()) < 60
            assert sum(numbers.values()) < 400


def test_no_two_accounts_and_no_two_regions_have_the_same_functions():
    cloud = Cloud(WIDE)
    places = [(account, region) for account in ACCOUNTS[:20] for region in REGIONS[:3]]
    for name in ("fc.ListFunctions", "fc-open.ListServices", "fc.ListLayers"):
        found = [repr(cloud.records(account, region, name)) for account, region in places]
        assert len(set(found)) == len(places)


def test_the_records_follow_from_seed_account_and_region_alone():
    fewer = Cloud(CloudSpec(accounts=(SECOND,), regions=REGIONS[:4], opensearch_regions=REGIONS[:3], is_wide=True))
    of_200 = everything(Cloud(WIDE), SECOND, REGIONS[3])
    assert everything(fewer, SECOND, REGIONS[3]) == of_200
    other = Cloud(CloudSpec(seed=1, accounts=ACCOUNTS, regions=REGIONS, is_wide=True))
    assert everything(other, SECOND, REGIONS[3])["fc.ListFunctions"] != of_200["fc.ListFunctions"]


async def test_nothing_is_built_before_it_is_asked_for(built):
    async with serve(Cloud(WIDE)):
        assert not built


def test_only_the_places_asked_for_last_are_kept_and_built_again_they_are_the_same(built, monkeypatch):
    monkeypatch.setattr(cloud_module, "MOST_PLACES", 3)
    cloud = Cloud(WIDE)
    before = everything(cloud, FIRST, REGIONS[0])
    for region in REGIONS[1:4]:
        cloud.place(FIRST, region)
    assert everything(cloud, FIRST, REGIONS[0]) == before
    cloud.place(FIRST, REGIONS[3])
    assert built == {(FIRST, REGIONS[0]): 2, **{(FIRST, region): 1 for region in REGIONS[1:4]}}


def test_an_edited_list_stays_edited(built, monkeypatch):
    monkeypatch.setattr(cloud_module, "MOST_PLACES", 1)
    cloud = Cloud(WIDE)
    cloud.edit(FIRST, REGIONS[0], "fc.ListFunctions", [])
    cloud.place(FIRST, REGIONS[1])
    assert cloud.records(FIRST, REGIONS[0], "fc.ListFunctions") == []
    assert built[FIRST, REGIONS[0]] == 1


def test_the_next_day_differs_and_is_built_for_one_place_alone(built):
    one, other = Cloud(WIDE), Cloud(replace(WIDE, day=2))
    assert everything(one, FIRST, REGIONS[0]) != everything(other, FIRST, REGIONS[0])
    assert built == {(FIRST, REGIONS[0]): 2}


async def test_the_official_clients_list_every_region_and_the_functions_of_the_last_account():
    cloud, region = Cloud(WIDE), REGIONS[2]
    key_id, secret = cloud.credentials(LAST)
    async with serve(cloud) as emulator:

        def configured(product):
            endpoint = emulator.url(product, region).removeprefix("http://")
            keys = {"access_key_id": key_id, "access_key_secret": secret}
            return Config(endpoint=endpoint, protocol="HTTP", region_id=region, **keys)

        fc, search = FcClient(configured("fc")), SearchClient(configured("opensearch"))
        described = (await fc.describe_regions_async(fc_models.DescribeRegionsRequest())).body.regions.region
        searched = (await search.describe_regions_async()).body.result
        listed = (await fc.list_functions_async(fc_models.ListFunctionsRequest(fc_version="v3"))).body.functions
    assert sorted(one.region_id for one in described) == sorted(REGIONS)
    assert sorted(one.region_id for one in searched) == sorted(REGIONS[:3])
    names = [record["functionName"] for record in cloud.records(LAST, region, "fc.ListFunctions")]
    assert [one.function_name for one in listed] == names


@pytest.fixture
def spec():
    return replace(WIDE, organization=CloudOrganization())


async def test_all_other_accounts_are_members_and_the_last_one_lists_with_its_role(client, cloud):
    assert [record["AccountId"] for record in cloud.directory.members] == list(ACCOUNTS[:0:-1])
    client.region = REGIONS[-1]
    query = {"RoleArn": f"acs:ram::{LAST}:role/inventory-reader", "RoleSessionName": "crawl"}
    found = (await client.get("sts.AssumeRole", "/", query, method="POST")).json["Credentials"]
    keys = {"key": (found["AccessKeyId"], found["AccessKeySecret"]), "token": found["SecurityToken"]}
    listed = await client.get("fc.ListFunctions", "/2023-03-30/functions", {"fcVersion": "v3"}, **keys)
    assert listed.json["functions"] == cloud.records(LAST, REGIONS[-1], "fc.ListFunctions")


@pytest.mark.parametrize(("size", "kept"), [(0, 0), (1, 1)])
async def test_a_log_of_size_0_neither_keeps_nor_counts(client, cloud, size, kept):
    client.region = REGIONS[0]
    cloud.requests = RequestLog(size)
    assert (await client.functions()).status == 200
    assert (len(cloud.requests.entries), cloud.requests.count()) == (kept, kept)


def test_buckets_that_are_full_again_are_forgotten_and_others_kept(clock, monkeypatch):
    monkeypatch.setattr(throttle, "SWEEP", 10)
    limits = throttle.Throttler(CloudSpec(rate=throttle.Rate(rate=1, burst=2)), clock)
    for number in range(9):
        limits.take(str(number), "r", "fc", "ListFunctions")
    clock.elapsed_s = 0.5
    limits.take("new", "r", "fc", "ListFunctions")
    clock.elapsed_s = 2.0
    for _ in range(2):
        limits.take("late", "r", "fc", "ListFunctions")
    for number in range(20):
        limits.take(f"more {number}", "r", "fc", "ListFunctions")
    assert len(limits._buckets) < 25
    with pytest.raises(throttle.RefusedError):
        limits.take("late", "r", "fc", "ListFunctions")
