"""Seeded asynchronous tasks of both generations of Function Compute, with their payloads.

Times are epoch milliseconds (https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/
api-fc-2023-03-30-listasynctasks and its page of 2.0, checked 2026-11-22).
"""

from __future__ import annotations

from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, sparse
from crawler.emulator.records import Record

STATUSES = ("Succeeded", "Failed", "Running", "Enqueued", "Stopped", "Expired", "Retrying")


def v3_task(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a task, as fc ListAsyncTasks returns it."""
    record: Record = {
        **_common(rng),
        "taskId": f"job-{rng.uuid()}",
        "functionArn": rng.arn(f"functions/{function}"),
        "taskPayload": rng.secret('{{"order":7,"token":"{}"}}'),
        "taskErrorMessage": rng.choice(("UnhandledInvocationError", 'Task "a" failed\nafter 3 tries')),
    }
    return sparse(rng, number, record, "taskErrorMessage", "events", "destinationStatus", "endTime", "instanceId")


def v2_task(rng: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """Make a stateful invocation, as fc-open ListStatefulAsyncInvocations returns it."""
    record: Record = {
        **_common(rng),
        "invocationId": f"job-{rng.uuid()}",
        "serviceName": service,
        "functionName": function,
        "invocationPayload": rng.secret('{{"user":"{}"}}'),
        "invocationErrorMessage": rng.choice(("UnhandledInvocationError", "超时")),
    }
    return sparse(rng, number, record, "invocationErrorMessage", "events", "destinationStatus", "endTime")


def _common(rng: LocalSeededRandom) -> Record:
    started = epoch_s(rng.moment()) * 1000 + rng.integer(0, 999)
    lasted = rng.integer(1, 86_400_000)
    return {
        "status": rng.choice(STATUSES),
        "destinationStatus": rng.choice(("Succeeded", "Failed")),
        "startedTime": started,
        "endTime": started + lasted,
        "durationMs": lasted,
        "alreadyRetriedTimes": rng.integer(1, 3),
        "qualifier": rng.choice(("LATEST", "prod")),
        "instanceId": f"c-{rng.hex(8)}-{rng.hex(8)}",
        "requestId": rng.uuid(),
        "returnPayload": rng.secret('{{"result":"{}"}}'),
        "events": [
            {"eventId": 1, "status": "Enqueued", "timestamp": started, "eventDetail": "queue"},
            {"eventId": 2, "status": "Running", "timestamp": started + 40, "eventDetail": '{"retry":0}'},
        ],
    }
