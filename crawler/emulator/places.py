"""What all products have in one account and region."""

from __future__ import annotations

from crawler.emulator import days, fc_open_place, fc_place, fnf_place, opensearch_place
from crawler.emulator.place import Place
from crawler.emulator.spec import CloudSpec


def build(spec: CloudSpec, account_id: str, region_id: str) -> Place:
    """The seeded resources of one account in one region, on the day that the recipe names."""
    place = Place()
    for product in (fc_place, fc_open_place, opensearch_place, fnf_place):
        product.fill(place, spec, account_id, region_id)
    for day in range(2, spec.day + 1):
        days.pass_day(place, spec, account_id, region_id, day)
    return place
