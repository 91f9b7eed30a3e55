"""Seeded children of services and functions of Function Compute 2.0, and its lists by resource name.

Shapes of values: the operations' pages of 2021-04-06 (https://www.alibabacloud.com/help/en/fc/developer-reference/,
checked 2026-11-22): aliases with milliseconds and `+0000`, a description that ends in a line break, a weight that is
an integer; resources in two notations; an epoch value and a boolean in text.
"""

from __future__ import annotations

from datetime import timedelta

from crawler.emulator.data import seeded
from crawler.emulator.data.fc_configs import provisioned
from crawler.emulator.data.seeded import LocalSeededRandom, changed, epoch_s, iso_offset, iso_z, sparse, times
from crawler.emulator.records import Record


def alias(rng: LocalSeededRandom, number: int) -> Record:
    """Make an alias of a service, as fc-open ListAliases returns it."""
    created = rng.moment()
    item = {"type": "header", "key": "x-team", "operator": "=", "value": rng.choice(seeded.SUBJECTS)}
    record: Record = {
        "aliasName": f"{rng.choice(seeded.STAGES)}-{number:03d}",
        "versionId": str(rng.integer(1, 9)),
        "description": "the alias of the nightly build\n" if number == 0 else seeded.description(rng),
        "additionalVersionWeight": {"2": 1} if number == 1 else {"2": 0.2, "3": 0.05},
        "resolvePolicy": rng.choice(("Random", "Policy")),
        "routePolicy": {"condition": "AND", "policyItems": [item]},
        "createdTime": iso_offset(created, rng.integer(0, 999)),
        "lastModifiedTime": iso_offset(changed(rng, created, 900, "hours"), rng.integer(0, 999)),
    }
    return sparse(rng, number, record, "additionalVersionWeight", "routePolicy", "resolvePolicy", "description")


def version(rng: LocalSeededRandom, number: int) -> Record:
    """Make a version of a service, as fc-open ListServiceVersions returns it; the third was deleted."""
    created = rng.moment()
    record: Record = {
        "versionId": str(number + 1 if number < 2 else number + 2),
        "description": seeded.description(rng) or "release",
        **times(rng, created, 900, "hours"),
    }
    return sparse(rng, number, record, "description")


def event_source(rng: LocalSeededRandom, number: int) -> Record:
    """Make an event source of a function, as fc-open ListEventSources returns it."""
    arn = f"acs:oss:{rng.region_id}:{rng.account_id}:bucket-{number}"
    return {"sourceArn": arn, "createdTime": iso_z(rng.moment())}


def on_demand(rng: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """Make a configuration, as fc-open ListOnDemandConfigs returns it."""
    resource = f"services/{service}.prod/functions/{function}"
    if number % 2:
        resource = f"{rng.account_id}#{service}#prod#{function}"
    return {"resource": resource, "maximumInstanceCount": rng.integer(1, 300)}


def provision(rng: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """Make a configuration, as fc-open ListProvisionConfigs returns it."""
    record = {"resource": f"{rng.account_id}#{service}#prod#{function}", **provisioned(rng)}
    return sparse(rng, number, record, "scheduledActions", "targetTrackingPolicies", "currentError")


def reserved(rng: LocalSeededRandom, number: int) -> Record:
    """Make a prepaid capacity, as fc-open ListReservedCapacities returns it."""
    created = rng.moment()
    record: Record = {
        "instanceId": f"fc-{rng.text(10)}-{number:02d}",
        "cu": rng.integer(1, 50),
        "deadline": str(epoch_s(created + timedelta(days=365)) * 1000),
        "isRefunded": "true" if number == 1 else "false",
        **times(rng, created, 300, "days"),
    }
    return sparse(rng, number, record, "isRefunded")


def tagged(rng: LocalSeededRandom, service: str) -> Record:
    """Make the tags of a service, as fc-open ListTaggedResources returns them."""
    tags = {"team": rng.choice(("搜索", "payments")), "cost-center": rng.digits(5), "empty": ""}
    return {"resourceArn": rng.arn(f"services/{service}"), "tags": tags}
