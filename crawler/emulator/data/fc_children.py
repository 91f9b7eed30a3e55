"""Seeded aliases, versions, instances and VPC bindings of the functions of Function Compute 3.0.

Shapes of values: the pages of ListAliases, ListFunctionVersions (whose samples show Go's layout for times in place of
a time) and ListInstances (zeros and empty text for unknown values) of 2023-03-30, checked 2026-11-22.
"""

from __future__ import annotations

from crawler.emulator.data import seeded
from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, sample_times, sparse
from crawler.emulator.records import Record


def alias(rng: LocalSeededRandom, number: int) -> Record:
    """Make an alias, as fc ListAliases returns it."""
    record: Record = {
        "aliasName": f"{rng.choice(seeded.STAGES)}-{number:03d}",
        "versionId": str(rng.integer(1, 9)),
        "description": seeded.description(rng) or "alias",
        "additionalVersionWeight": {"2": 0.05, "3": rng.choice((0.2, 0.35))},
        **sample_times(rng, number, 500_000),
    }
    return sparse(rng, number, record, "description", "additionalVersionWeight")


def version(rng: LocalSeededRandom, number: int) -> Record:
    """Make a version, as fc ListFunctionVersions returns it; the first is 1, and the third was deleted."""
    record: Record = {
        "versionId": str(number + 1 if number < 2 else number + 2),
        "description": seeded.description(rng) or "release",
        **sample_times(rng, number, 500_000),
    }
    return sparse(rng, number, record, "description")


def instance(rng: LocalSeededRandom, number: int) -> Record:
    """Make an instance, as fc ListInstances returns it; every second one has only its ID and version."""
    if number % 2:
        unknown: Record = dict.fromkeys(("status", "qualifier", "resourceType"), "")
        unknown |= {"createdTimeMs": 0, "destroyedTimeMs": 0}
        return {"instanceId": f"c-{rng.uuid()}", "versionId": rng.choice(("0", "LATEST")), **unknown}
    created = epoch_s(rng.moment()) * 1000 + rng.integer(0, 999)
    return {
        "instanceId": f"c-{rng.uuid()}",
        "versionId": str(rng.integer(0, 9)),
        "qualifier": "prod",
        "status": rng.choice(("Running", "Destroyed")),
        "createdTimeMs": created,
        "destroyedTimeMs": created + rng.integer(1, 10_000_000),
        "resourceType": rng.choice(("ondemand", "provisioned")),
    }


def vpc_ids(rng: LocalSeededRandom, count: int) -> list[str]:
    """Make the IDs of the VPCs that may call a function."""
    return [f"vpc-{rng.text(20)}" for _ in range(count)]
