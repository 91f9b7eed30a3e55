"""What all products have in one account and region."""

from __future__ import annotations

from crawler.emulator.data import fc as fc_place
from crawler.emulator.data import fc_open as fc_open_place
from crawler.emulator.data import fnf as fnf_place
from crawler.emulator.data import opensearch as opensearch_place
from crawler.emulator.data.region import Place
from crawler.emulator.days import days
from crawler.emulator.spec import CloudSpec


def build(spec: CloudSpec, account_id: str, region_id: str) -> Place:
    """The seeded resources of one account in one region, on the day that the recipe names."""
    place = Place()
    for product in (fc_place, fc_open_place, opensearch_place, fnf_place):
        product.fill(place, spec, account_id, region_id)
    for day in range(2, spec.day + 1):
        days.pass_day(place, spec, account_id, region_id, day)
    return place
