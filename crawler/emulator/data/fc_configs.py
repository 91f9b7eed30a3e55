"""Seeded configurations by which functions of 3.0 run: asynchronous invocation, concurrency, provision and scaling.

Shapes of values: the pages of the four List operations of 2023-03-30 (checked 2026-11-22). Scheduled policies have
epoch milliseconds in text where their siblings have ISO 8601; an ARN may end with an alias, and one page has a slash
before `functions`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, iso_z, sparse

Record = dict[str, Any]

LAYOUT = "2006-01-02T15:04:05Z07:00"


def async_invoke(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """As fc ListAsyncInvokeConfigs returns it."""
    created = dice.moment()
    here = f"acs:fc:{dice.region_id}:{dice.account_id}"
    target = {"destination": f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{function}-after"}
    record: Record = {
        "functionArn": f"{here}/functions/{function}" if number == 2 else f"{here}:functions/{function}",
        "createdTime": LAYOUT if number == 1 else iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(hours=dice.integer(0, 900))),
        "asyncTask": True,
        "destinationConfig": {"onSuccess": target, "onFailure": target},
        "maxAsyncEventAgeInSeconds": dice.choice((300, 86400)),
        "maxAsyncRetryAttempts": dice.choice((1, 3, 8)),
    }
    optional = ("asyncTask", "destinationConfig", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts")
    return sparse(dice, number, record, *optional)


def concurrency(dice: LocalSeededRandom, function: str) -> Record:
    """As fc ListConcurrencyConfigs returns it."""
    arn = f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{function}"
    return {"functionArn": arn, "reservedConcurrency": dice.integer(1, 300)}


def provision(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """As fc ListProvisionConfigs returns it."""
    record: Record = {
        "functionArn": f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{function}/prod",
        **provisioned(dice),
        "alwaysAllocateGPU": True,
        "defaultTarget": dice.integer(1, 5),
    }
    for policy in (*record["scheduledActions"], *record["targetTrackingPolicies"]):
        policy["timeZone"] = "Asia/Shanghai"
    return sparse(dice, number, record, "scheduledActions", "targetTrackingPolicies", "currentError", "defaultTarget")


def provisioned(dice: LocalSeededRandom) -> Record:
    """What provision configurations of 3.0 and 2.0 have in common."""
    start = dice.moment()
    span = {"startTime": iso_z(start), "endTime": iso_z(start + timedelta(days=dice.integer(1, 90)))}
    return {
        "alwaysAllocateCPU": True,
        "current": dice.integer(1, 9),
        "target": dice.integer(1, 9),
        # An answer that succeeds carries this message.
        "currentError": dice.choice(("image not found", 'Quota of "prod" exceeded')),
        "scheduledActions": [
            {"name": "morning", "scheduleExpression": "cron(0 0 8 * * *)", "target": dice.integer(1, 9), **span}
        ],
        "targetTrackingPolicies": [
            {
                "name": "track",
                "metricType": "ProvisionedConcurrencyUtilization",
                "metricTarget": dice.choice((0.6, 1)),
                "minCapacity": 1,
                "maxCapacity": dice.integer(2, 100),
                **span,
            }
        ],
    }


def scaling(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """As fc ListScalingConfigs returns it."""
    start = dice.moment()
    record: Record = {
        "functionArn": f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{function}/prod",
        "residentPoolId": f"fc-pool-{dice.text(16)}",
        "minInstances": dice.integer(1, 5),
        "currentInstances": dice.integer(1, 5),
        "targetInstances": dice.integer(1, 5),
        "currentError": dice.choice(("image not found", "no capacity")),
        "enableOnDemandScaling": True,
        "enableMixMode": True,
        "requestDispatchPolicy": dice.choice(("INSTANCE_FIRST", "POOL_FIRST")),
        "scheduledPolicies": [
            {
                "name": "night",
                "scheduleExpression": "cron(0 0 22 * * *)",
                "target": dice.integer(1, 9),
                "timeZone": "Asia/Shanghai",
                "startTime": str(epoch_s(start) * 1000),
                "endTime": str(epoch_s(start - timedelta(days=1)) * 1000),  # as in the sample: before the start
            }
        ],
        "horizontalScalingPolicies": [
            {
                "name": "cpu",
                "metricType": "CPUUtilization",
                "metricTarget": dice.choice((0.6, 1)),
                "minInstances": 1,
                "maxInstances": dice.integer(2, 50),
                "timeZone": "",
                "startTime": iso_z(start),
                "endTime": iso_z(start + timedelta(days=30)),
            }
        ],
    }
    if number == 0:
        record["horizontalScalingPolicies"][0]["timeZone"] = "UTC"
    return sparse(
        dice, number, record, "scheduledPolicies", "horizontalScalingPolicies", "currentError", "enableMixMode"
    )
