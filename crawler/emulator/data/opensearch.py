"""The resources of OpenSearch in one account and region."""

from __future__ import annotations

from crawler.emulator.data import (
    opensearch_abtests,
    opensearch_apps,
    opensearch_dictionaries,
    opensearch_functions,
    opensearch_maintenance,
    opensearch_ranks,
    opensearch_reports,
)
from crawler.emulator.data.fc import local_name
from crawler.emulator.data.opensearch_context import SeedContext
from crawler.emulator.data.region import RegionData
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudSpec


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists. Regions without OpenSearch list its regions, too."""
    regions = [_region(spec, region) for region in filter(spec.has_opensearch, spec.open_regions)]
    data.put("opensearch.DescribeRegions", regions)
    if not spec.has_opensearch(region_id):
        return
    shape = spec.shape(account_id, region_id)
    account, region = spec.accounts.index(account_id), spec.regions.index(region_id)
    context = SeedContext(
        data,
        spec.seed,
        account_id,
        region_id,
        is_older=account % 2 == 1,
        fits_sdk_models=(account, region) == (0, 0),
        has_long_lists=shape.longest > 3,
    )
    groups = opensearch_apps.groups(context, shape.app_groups)
    for number, group in enumerate(groups):
        _put_group(context, group, number)
    opensearch_maintenance.put_tags(context, groups)
    opensearch_dictionaries.put(context, [group["name"] for group in groups])
    opensearch_reports.put_sources(context)


def _region(spec: CloudSpec, region: str) -> dict[str, str]:
    return {
        "regionId": region,
        "localName": f"{local_name(region)}\n",
        "endpoint": spec.region_hosts.get(f"opensearch.{region}", f"opensearch.{region}.aliyuncs.com"),
        "consoleUrl": f"https://opensearch.console.aliyun.com/?region={region}",
    }


def _put_group(context: SeedContext, group: Record, number: int) -> None:
    name = group["name"]
    apps = opensearch_apps.apps(context, name, number)
    for app in apps:
        opensearch_ranks.put(context, name, app)
    functions = apps[0]["domain"]["functions"]["algo"] if apps else []
    opensearch_functions.put(context, name, functions, is_first=number == 0)
    opensearch_maintenance.put(context, group, number)
    opensearch_reports.put(context, name, number)
    opensearch_abtests.put(context, name, 2 if number == 0 else number % 2)
