"""Seeded children of services and functions of Function Compute 2.0, and what it lists by resource name.

Shapes of values: the operations' pages of 2021-04-06 (https://www.alibabacloud.com/help/en/fc/developer-reference/,
checked 2026-11-22): aliases with milliseconds and `+0000`, a description that ends in a line break, a weight that is
an integer; resources in two notations; an epoch value and a boolean in text.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.fc_configs import provisioned
from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, iso_offset, iso_z, sparse

Record = dict[str, Any]


def alias(dice: LocalSeededRandom, number: int) -> Record:
    """An alias of a service, as fc-open ListAliases returns it."""
    created = dice.moment()
    item = {"type": "header", "key": "x-team", "operator": "=", "value": dice.choice(words.SUBJECTS)}
    record: Record = {
        "aliasName": f"{dice.choice(words.STAGES)}-{number:03d}",
        "versionId": str(dice.integer(1, 9)),
        "description": "the alias of the nightly build\n" if number == 0 else words.description(dice),
        "additionalVersionWeight": {"2": 1} if number == 1 else {"2": 0.2, "3": 0.05},
        "resolvePolicy": dice.choice(("Random", "Policy")),
        "routePolicy": {"condition": "AND", "policyItems": [item]},
        "createdTime": iso_offset(created, dice.integer(0, 999)),
        "lastModifiedTime": iso_offset(created + timedelta(hours=dice.integer(0, 900)), dice.integer(0, 999)),
    }
    return sparse(dice, number, record, "additionalVersionWeight", "routePolicy", "resolvePolicy", "description")


def version(dice: LocalSeededRandom, number: int) -> Record:
    """A version of a service, as fc-open ListServiceVersions returns it; the third was deleted."""
    created = dice.moment()
    record: Record = {
        "versionId": str(number + 1 if number < 2 else number + 2),
        "description": words.description(dice) or "release",
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(hours=dice.integer(0, 900))),
    }
    return sparse(dice, number, record, "description")


def event_source(dice: LocalSeededRandom, number: int) -> Record:
    """Where a function's events come from, as fc-open ListEventSources returns it."""
    arn = f"acs:oss:{dice.region_id}:{dice.account_id}:bucket-{number}"
    return {"sourceArn": arn, "createdTime": iso_z(dice.moment())}


def on_demand(dice: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """As fc-open ListOnDemandConfigs returns it."""
    resource = f"services/{service}.prod/functions/{function}"
    if number % 2:
        resource = f"{dice.account_id}#{service}#prod#{function}"
    return {"resource": resource, "maximumInstanceCount": dice.integer(1, 300)}


def provision(dice: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """As fc-open ListProvisionConfigs returns it."""
    record = {"resource": f"{dice.account_id}#{service}#prod#{function}", **provisioned(dice)}
    return sparse(dice, number, record, "scheduledActions", "targetTrackingPolicies", "currentError")


def reserved(dice: LocalSeededRandom, number: int) -> Record:
    """Capacity paid for in advance, as fc-open ListReservedCapacities returns it."""
    created = dice.moment()
    record: Record = {
        "instanceId": f"fc-{dice.text(10)}-{number:02d}",
        "cu": dice.integer(1, 50),
        "deadline": str(epoch_s(created + timedelta(days=365)) * 1000),
        "isRefunded": "true" if number == 1 else "false",
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(days=dice.integer(0, 300))),
    }
    return sparse(dice, number, record, "isRefunded")


def tagged(dice: LocalSeededRandom, service: str) -> Record:
    """The tags of a service, as fc-open ListTaggedResources returns them."""
    tags = {"team": dice.choice(("搜索", "payments")), "cost-center": dice.digits(5), "empty": ""}
    return {"resourceArn": f"acs:fc:{dice.region_id}:{dice.account_id}:services/{service}", "tags": tags}
