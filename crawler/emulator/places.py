"""What all products have in one account and region."""

from __future__ import annotations

from crawler.emulator import fc_open_place, fc_place, fnf_place, opensearch_place
from crawler.emulator.place import Place
from crawler.emulator.spec import CloudSpec


def build(spec: CloudSpec, account_id: str, region_id: str) -> Place:
    """The seeded resources of one account in one region."""
    place = Place()
    for product in (fc_place, fc_open_place, opensearch_place, fnf_place):
        product.fill(place, spec, account_id, region_id)
    return place
