"""Seeded asynchronous tasks of both generations of Function Compute: what was run, with its payloads.

Times are epoch milliseconds (https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/
api-fc-2023-03-30-listasynctasks and its page of 2.0, checked 2026-11-22).
"""

from __future__ import annotations

from typing import Any

from crawler.emulator.data.seeded import LocalSeededRandom, epoch_s, sparse

Record = dict[str, Any]

STATUSES = ("Succeeded", "Failed", "Running", "Enqueued", "Stopped", "Expired", "Retrying")


def third(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """A task, as fc ListAsyncTasks returns it."""
    arn = f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{function}"
    record: Record = {
        **_common(dice),
        "taskId": f"job-{dice.uuid()}",
        "functionArn": arn,
        "taskPayload": dice.secret('{{"order":7,"token":"{}"}}'),
        "taskErrorMessage": dice.choice(("UnhandledInvocationError", 'Task "a" failed\nafter 3 tries')),
    }
    return sparse(dice, number, record, "taskErrorMessage", "events", "destinationStatus", "endTime", "instanceId")


def second(dice: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """A stateful invocation, as fc-open ListStatefulAsyncInvocations returns it."""
    record: Record = {
        **_common(dice),
        "invocationId": f"job-{dice.uuid()}",
        "serviceName": service,
        "functionName": function,
        "invocationPayload": dice.secret('{{"user":"{}"}}'),
        "invocationErrorMessage": dice.choice(("UnhandledInvocationError", "超时")),
    }
    return sparse(dice, number, record, "invocationErrorMessage", "events", "destinationStatus", "endTime")


def _common(dice: LocalSeededRandom) -> Record:
    started = epoch_s(dice.moment()) * 1000 + dice.integer(0, 999)
    lasted = dice.integer(1, 86_400_000)
    return {
        "status": dice.choice(STATUSES),
        "destinationStatus": dice.choice(("Succeeded", "Failed")),
        "startedTime": started,
        "endTime": started + lasted,
        "durationMs": lasted,
        "alreadyRetriedTimes": dice.integer(1, 3),
        "qualifier": dice.choice(("LATEST", "prod")),
        "instanceId": f"c-{dice.hex(8)}-{dice.hex(8)}",
        "requestId": dice.uuid(),
        "returnPayload": dice.secret('{{"result":"{}"}}'),
        "events": [
            {"eventId": 1, "status": "Enqueued", "timestamp": started, "eventDetail": "queue"},
            {"eventId": 2, "status": "Running", "timestamp": started + 40, "eventDetail": '{"retry":0}'},
        ],
    }
