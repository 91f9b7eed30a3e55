"""Seeded configurations of functions of 3.0: asynchronous invocation, concurrency, provision and scaling.

Shapes of values: the pages of the four List operations of 2023-03-30 (checked 2026-11-22). Scheduled policies have
epoch milliseconds in text, their siblings ISO 8601; an ARN may end with an alias, and one page has a slash before
`functions`.
"""

from __future__ import annotations

from datetime import timedelta

from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, iso_local, iso_z, sample_times, sparse
from crawler.emulator.records import Record


def async_invoke(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a configuration, as fc ListAsyncInvokeConfigs returns it."""
    arn, target = rng.arn(f"functions/{function}"), {"destination": rng.arn(f"functions/{function}-after")}
    record: Record = {
        "functionArn": arn.replace(":functions", "/functions") if number == 2 else arn,
        **sample_times(rng, number, 900, "hours"),
        "asyncTask": True,
        "destinationConfig": {"onSuccess": target, "onFailure": target},
        "maxAsyncEventAgeInSeconds": rng.choice((300, 86400)),
        "maxAsyncRetryAttempts": rng.choice((1, 3, 8)),
    }
    optional = ("asyncTask", "destinationConfig", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts")
    return sparse(rng, number, record, *optional)


def concurrency(rng: LocalSeededRandom, function: str) -> Record:
    """Make a configuration, as fc ListConcurrencyConfigs returns it."""
    return {"functionArn": rng.arn(f"functions/{function}"), "reservedConcurrency": rng.integer(1, 300)}


def provision(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a configuration, as fc ListProvisionConfigs returns it."""
    record: Record = {
        "functionArn": rng.arn(f"functions/{function}/prod"),
        **provisioned(rng),
        "alwaysAllocateGPU": True,
        "defaultTarget": rng.integer(1, 5),
    }
    for policy in (*record["scheduledActions"], *record["targetTrackingPolicies"]):
        policy["timeZone"] = "Asia/Shanghai"
        if number % 2 == 0:  # local times of that zone, as the documentation shows them
            policy |= {name: iso_local(policy[name], hours=8) for name in ("startTime", "endTime")}
    return sparse(rng, number, record, "scheduledActions", "targetTrackingPolicies", "currentError", "defaultTarget")


def provisioned(rng: LocalSeededRandom) -> Record:
    """Make the fields that provision configurations of 3.0 and 2.0 share."""
    start = rng.moment()
    span = {"startTime": iso_z(start), "endTime": iso_z(start + timedelta(days=rng.integer(1, 90)))}
    return {
        "alwaysAllocateCPU": True,
        "current": rng.integer(1, 9),
        "target": rng.integer(1, 9),
        # The message is in a successful response.
        "currentError": rng.choice(("image not found", 'Quota of "prod" exceeded')),
        "scheduledActions": [
            {"name": "morning", "scheduleExpression": "cron(0 0 8 * * *)", "target": rng.integer(1, 9), **span}
        ],
        "targetTrackingPolicies": [
            {
                "name": "track",
                "metricType": "ProvisionedConcurrencyUtilization",
                "metricTarget": rng.choice((0.6, 1)),
                "minCapacity": 1,
                "maxCapacity": rng.integer(2, 100),
                **span,
            }
        ],
    }


def scaling(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a configuration, as fc ListScalingConfigs returns it."""
    start = rng.moment()
    record: Record = {
        "functionArn": rng.arn(f"functions/{function}/prod"),
        "residentPoolId": f"fc-pool-{rng.text(16)}",
        **{f"{name}Instances": rng.integer(1, 5) for name in ("min", "current", "target")},
        "currentError": rng.choice(("image not found", "no capacity")),
        "enableOnDemandScaling": True,
        "enableMixMode": True,
        "requestDispatchPolicy": rng.choice(("INSTANCE_FIRST", "POOL_FIRST")),
        "scheduledPolicies": [
            {
                "name": "night",
                "scheduleExpression": "cron(0 0 22 * * *)",
                "target": rng.integer(1, 9),
                "timeZone": "Asia/Shanghai",
                "startTime": str(epoch_s(start) * 1000),
                "endTime": str(epoch_s(start - timedelta(days=1)) * 1000),  # as in the sample: before the start
            }
        ],
        "horizontalScalingPolicies": [
            {
                "name": "cpu",
                "metricType": "CPUUtilization",
                "metricTarget": rng.choice((0.6, 1)),
                "minInstances": 1,
                "maxInstances": rng.integer(2, 50),
                "timeZone": "",
                "startTime": iso_z(start),
                "endTime": iso_z(start + timedelta(days=30)),
            }
        ],
    }
    if number == 0:
        record["horizontalScalingPolicies"][0]["timeZone"] = "UTC"
    optional = ("scheduledPolicies", "horizontalScalingPolicies", "currentError", "enableMixMode")
    return sparse(rng, number, record, *optional)
