"""What OpenSearch has in one account and region."""

from __future__ import annotations

from crawler.emulator.data import opensearch_abtests as opensearch_abtest_seed
from crawler.emulator.data import opensearch_apps as opensearch_seed
from crawler.emulator.data import opensearch_dictionaries as opensearch_dictionary_seed
from crawler.emulator.data import opensearch_functions as opensearch_function_seed
from crawler.emulator.data import opensearch_maintenance as opensearch_upkeep_seed
from crawler.emulator.data import opensearch_ranks as opensearch_rank_seed
from crawler.emulator.data import opensearch_reports as opensearch_report_seed
from crawler.emulator.data.fc import local_name
from crawler.emulator.data.opensearch_context import Record, SeedContext
from crawler.emulator.data.region import RegionData
from crawler.emulator.spec import CloudSpec


def fill(place: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists; every region knows where OpenSearch is, also one that hasn't got it."""
    place.put("opensearch.DescribeRegions", [_region(region) for region in filter(spec.has_opensearch, spec.regions)])
    if not spec.has_opensearch(region_id):
        return
    shape = spec.shape(account_id, region_id)
    account, region = spec.accounts.index(account_id), spec.regions.index(region_id)
    spot = SeedContext(
        place,
        spec.seed,
        account_id,
        region_id,
        is_older=account % 2 == 1,
        is_plain=(account, region) == (0, 0),
        is_big=shape.longest > 3,
    )
    groups = opensearch_seed.groups(spot, shape.app_groups)
    for number, group in enumerate(groups):
        _put_group(spot, group, number)
    opensearch_upkeep_seed.put_tags(spot, groups)
    opensearch_dictionary_seed.put(spot, [group["name"] for group in groups])
    opensearch_report_seed.put_sources(spot)


def _region(region: str) -> dict[str, str]:
    return {
        "regionId": region,
        "localName": f"{local_name(region)}\n",
        "endpoint": f"opensearch.{region}.aliyuncs.com",
        "consoleUrl": f"https://opensearch.console.aliyun.com/?region={region}",
    }


def _put_group(spot: SeedContext, group: Record, number: int) -> None:
    name = group["name"]
    apps = opensearch_seed.apps(spot, name, number)
    for app in apps:
        opensearch_rank_seed.put(spot, name, app)
    functions = apps[0]["domain"]["functions"]["algo"] if apps else []
    opensearch_function_seed.put(spot, name, functions, is_first=number == 0)
    opensearch_upkeep_seed.put(spot, group, number)
    opensearch_report_seed.put(spot, name, number)
    opensearch_abtest_seed.put(spot, name, 2 if number == 0 else number % 2)
