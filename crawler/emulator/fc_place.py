"""What Function Compute 3.0 has in one account and region."""

from __future__ import annotations

from crawler.emulator import fc_seed
from crawler.emulator.place import Place
from crawler.emulator.spec import CloudSpec

LOCAL_NAMES = {"cn-hangzhou": "华东1（杭州）", "cn-shanghai": "华东2（上海）", "ap-southeast-1": "Singapore"}


def local_name(region_id: str) -> str:
    """What people call a region."""
    return LOCAL_NAMES.get(region_id, region_id)


def fill(place: Place, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists."""
    regions = [{"RegionId": region, "LocalName": local_name(region)} for region in spec.regions]
    place.put("fc.DescribeRegions", regions)
    count = spec.shape(account_id, region_id).functions
    place.put("fc.ListFunctions", fc_seed.functions(spec.seed, account_id, region_id, count, place.secrets))
