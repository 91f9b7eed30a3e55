"""The seeded data: equal everywhere, rich, and with a marker in each secret."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from crawler.emulator import Cloud, CloudSpec, Rate
from crawler.errors import ConfigError

FIRST, SECOND = "1000000000000001", "1000000000000002"
DIGEST = """
import hashlib, orjson
from crawler.emulator import Cloud, CloudSpec
cloud = Cloud(CloudSpec(seed=5))
everything = [[account, region, name, cloud.records(account, region, name)] for account, region, name in cloud.counts()]
everything += [[account, cloud.records(account, "global", "ram.GetRole")] for account in cloud.spec.accounts]
print(hashlib.sha256(orjson.dumps([everything, cloud.canaries, cloud.credentials("1000000000000001")])).hexdigest())
"""


def everything(cloud: Cloud) -> list:
    found = [[account, region, name, cloud.records(account, region, name)] for account, region, name in cloud.counts()]
    return found + [[account, cloud.records(account, "global", "ram.GetRole")] for account in cloud.spec.accounts]


def test_the_same_seed_gives_the_same_cloud_in_any_process():
    digests = set()
    for hash_seed in ("0", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    cloud = Cloud(CloudSpec(seed=5))
    parts = [everything(cloud), cloud.canaries, cloud.credentials(FIRST)]
    assert digests == {hashlib.sha256(orjson.dumps(parts)).hexdigest()}


def test_the_order_in_which_places_are_asked_for_changes_nothing():
    one, other = Cloud(), Cloud()
    other.place(SECOND, "cn-shanghai")
    assert everything(one) == everything(other)


def test_another_seed_gives_another_cloud():
    one, other = Cloud(CloudSpec(seed=1)), Cloud(CloudSpec(seed=2))
    assert one.records(FIRST, "cn-hangzhou", "fc.ListFunctions") != other.records(
        FIRST, "cn-hangzhou", "fc.ListFunctions"
    )
    assert not set(one.canaries) & set(other.canaries)
    assert one.credentials(FIRST) != other.credentials(FIRST)


def test_the_default_cloud_is_several_pages_deep_and_has_its_edges():
    counts = Cloud().counts()
    assert counts[FIRST, "cn-hangzhou", "fc.ListFunctions"] == 103
    assert counts[FIRST, "cn-hangzhou", "fc-open.ListServices"] == 6
    assert counts[FIRST, "cn-hangzhou", "opensearch.ListAppGroups"] == 5
    assert counts[FIRST, "ap-southeast-1", "fc.ListFunctions"] == 5
    assert counts[SECOND, "cn-hangzhou", "fc.ListFunctions"] == 100
    assert counts[SECOND, "ap-southeast-1", "fc.ListFunctions"] == 0
    assert (FIRST, "cn-shanghai", "opensearch.ListAppGroups") not in counts


def test_a_service_has_no_functions_and_a_function_no_instances():
    cloud = Cloud()
    lists = {name: cloud.lists(FIRST, "cn-hangzhou", f"fc-open.{name}") for name in ("ListFunctions", "ListInstances")}
    assert [] in lists["ListFunctions"].values()
    assert [] in lists["ListInstances"].values()
    assert max(map(len, lists["ListInstances"].values())) < 1000


def test_names_are_unique_and_some_are_as_long_as_allowed():
    cloud = Cloud()
    functions = [record["functionName"] for record in cloud.records(FIRST, "cn-hangzhou", "fc.ListFunctions")]
    services = [record["serviceName"] for record in cloud.records(FIRST, "cn-hangzhou", "fc-open.ListServices")]
    assert len(set(functions)) == 103
    assert (max(map(len, functions)), max(map(len, services))) == (64, 128)
    assert all(name.replace("-", "").replace("_", "").isalnum() and name.isascii() for name in functions + services)


def test_values_have_the_documented_oddities():
    cloud = Cloud()
    versions = {type(record["versionId"]) for record in cloud.records(FIRST, "cn-hangzhou", "fc-open.ListInstances")}
    assert versions == {int, str}
    functions = cloud.records(FIRST, "cn-hangzhou", "fc-open.ListFunctions")
    assert all(record["createdTime"].endswith("+0000") for record in functions)
    assert sum(record["lastModifiedTime"].startswith("0") for record in functions) == 1
    apps = cloud.records(FIRST, "cn-hangzhou", "opensearch.DescribeApps")
    assert {type(record["isCurrent"]) for record in apps} == {bool, int}
    assert any(int(record["codeChecksum"]) > 2**53 for record in functions)
    fc = cloud.records(FIRST, "cn-hangzhou", "fc.ListFunctions")
    assert any(record.get("description", "") is None for record in fc)
    assert any("description" not in record for record in fc)
    assert any("🚀" in (record.get("description") or "") for record in fc)
    groups = cloud.records(FIRST, "cn-hangzhou", "opensearch.ListAppGroups")
    assert any(record["description"] == '""' for record in groups)


def test_every_canary_is_in_the_data_once():
    cloud = Cloud()
    found = re.findall(r"canary[0-9a-f]{24}", orjson.dumps(everything(cloud)).decode())
    assert len(found) > 1000
    assert sorted(found) == sorted(cloud.canaries)
    assert len(set(found)) == len(found)


def test_scale_multiplies_the_records():
    one, two = Cloud().counts(), Cloud(CloudSpec(scale=2)).counts()
    for name in ("fc.ListFunctions", "fc-open.ListServices", "fc-open.ListFunctions", "opensearch.ListAppGroups"):
        assert two[FIRST, "cn-hangzhou", name] == 2 * one[FIRST, "cn-hangzhou", name]


def test_other_accounts_and_regions_are_small():
    cloud = Cloud(
        CloudSpec(accounts=("1", "2", "3"), regions=("eu-central-1", "us-west-1", "us-east-1", "me-central-1"))
    )
    assert cloud.counts()["3", "me-central-1", "fc.ListFunctions"] == 7


@pytest.mark.parametrize(
    "parts",
    [
        {"accounts": ("x",)},
        {"accounts": ()},
        {"accounts": ("1", "1")},
        {"regions": ()},
        {"regions": ("Hangzhou",)},
        {"scale": 0},
        {"rate": Rate(rate=0)},
        {"rates": {"fc": Rate(burst=0)}},
    ],
)
def test_a_recipe_that_can_t_be_built_is_refused(parts):
    with pytest.raises(ConfigError, match=r"^The emulated cloud can't be built: "):
        CloudSpec(**parts)
