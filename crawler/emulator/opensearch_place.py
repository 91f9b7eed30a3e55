"""What OpenSearch has in one account and region."""

from __future__ import annotations

from crawler.emulator import opensearch_seed
from crawler.emulator.fc_place import local_name
from crawler.emulator.place import Place
from crawler.emulator.spec import CloudSpec


def fill(place: Place, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists; every region knows where OpenSearch is, also one that hasn't got it."""
    place.put("opensearch.DescribeRegions", [_region(region) for region in filter(spec.has_opensearch, spec.regions)])
    if spec.has_opensearch(region_id):
        _put_app_groups(place, spec, account_id, region_id)


def _region(region: str) -> dict[str, str]:
    return {
        "regionId": region,
        "localName": f"{local_name(region)}\n",
        "endpoint": f"opensearch.{region}.aliyuncs.com",
        "consoleUrl": f"https://opensearch.console.aliyun.com/?region={region}",
    }


def _put_app_groups(place: Place, spec: CloudSpec, account_id: str, region_id: str) -> None:
    count = spec.shape(account_id, region_id).app_groups
    made = opensearch_seed.app_groups(spec.seed, account_id, region_id, count, place.secrets)
    place.put("opensearch.ListAppGroups", made.groups)
    for parent, apps in made.apps.items():
        place.put("opensearch.DescribeApps", apps, parent)
    for parent, instances in made.instances.items():
        place.put("opensearch.ListFunctionInstances", instances, parent)
    place.names.update(("opensearch", *parent) for parent in (*made.apps, *made.instances))
