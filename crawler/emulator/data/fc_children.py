"""Seeded aliases, versions, instances and VPC bindings of the functions of Function Compute 3.0.

Shapes of values: the pages of ListAliases, ListFunctionVersions (whose samples show Go's layout for times in place of
a time) and ListInstances (zeros and empty text for what isn't known) of 2023-03-30, checked 2026-11-22.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, iso_z, sparse

Record = dict[str, Any]

LAYOUT = "2006-01-02T15:04:05Z07:00"


def alias(dice: LocalSeededRandom, number: int) -> Record:
    """An alias, as fc ListAliases returns it."""
    record: Record = {
        "aliasName": f"{dice.choice(words.STAGES)}-{number:03d}",
        "versionId": str(dice.integer(1, 9)),
        "description": words.description(dice) or "alias",
        "additionalVersionWeight": {"2": 0.05, "3": dice.choice((0.2, 0.35))},
        **_times(dice, number),
    }
    return sparse(dice, number, record, "description", "additionalVersionWeight")


def version(dice: LocalSeededRandom, number: int) -> Record:
    """A version, as fc ListFunctionVersions returns it; the first is 1, and the third was deleted."""
    record: Record = {
        "versionId": str(number + 1 if number < 2 else number + 2),
        "description": words.description(dice) or "release",
        **_times(dice, number),
    }
    return sparse(dice, number, record, "description")


def _times(dice: LocalSeededRandom, number: int) -> Record:
    created = dice.moment()
    modified = iso_z(created + timedelta(minutes=dice.integer(0, 500_000)))
    return {"createdTime": LAYOUT if number == 1 else iso_z(created), "lastModifiedTime": modified}


def instance(dice: LocalSeededRandom, number: int) -> Record:
    """An instance, as fc ListInstances returns it; every other one has nothing but its ID."""
    if number % 2:
        unknown: Record = dict.fromkeys(("status", "qualifier", "resourceType"), "")
        unknown |= {"createdTimeMs": 0, "destroyedTimeMs": 0}
        return {"instanceId": f"c-{dice.uuid()}", "versionId": dice.choice(("0", "LATEST")), **unknown}
    created = epoch_s(dice.moment()) * 1000 + dice.integer(0, 999)
    return {
        "instanceId": f"c-{dice.uuid()}",
        "versionId": str(dice.integer(0, 9)),
        "qualifier": "prod",
        "status": dice.choice(("Running", "Destroyed")),
        "createdTimeMs": created,
        "destroyedTimeMs": created + dice.integer(1, 10_000_000),
        "resourceType": dice.choice(("ondemand", "provisioned")),
    }


def vpc_ids(dice: LocalSeededRandom, count: int) -> list[str]:
    """The IDs of the VPCs that may call a function."""
    return [f"vpc-{dice.text(20)}" for _ in range(count)]
