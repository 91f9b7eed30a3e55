"""Seeded sessions and snapshots of Function Compute 3.0; both have tokens, environments and commands.

Fields: the response models of alibabacloud-fc20230330 4.8.3; states and times: https://www.alibabacloud.com/help/ja/
functioncompute/api-fc-2023-03-30-listsnapshots and https://help.aliyun.com/en/functioncompute/
api-fc-2023-03-30-listsessions (checked 2026-11-22).
"""

from __future__ import annotations

from datetime import timedelta

from crawler.emulator.data import seeded
from crawler.emulator.data.fc_mounts import mounts
from crawler.emulator.data.seeded import COMPLETE_RECORDS, LocalSeededRandom, iso_z, sparse, times
from crawler.emulator.records import Record


def session(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a session, as fc ListSessions returns it."""
    created = rng.moment()
    record: Record = {
        "sessionId": f"{rng.hex(8)}{rng.uuid()}",
        "functionName": function,
        "qualifier": rng.choice(("LATEST", "prod")),
        "containerId": f"c-{rng.hex(8)}-{rng.hex(12)}",
        "sessionStatus": rng.choice(("Active", "Expired")),
        "sessionAffinityType": rng.choice(("HEADER_FIELD", "GENERATED_COOKIE", "MCP_SSE")),
        "sessionIdleTimeoutInSeconds": rng.integer(1, 1800),
        "sessionTTLInSeconds": rng.choice((21600, 86400)),
        **times(rng, created, 86_400, "seconds"),
        **dict.fromkeys(("allowInternetAccess", "disableSessionIdReuse", "enableAutoPause", "enableAutoResume"), True),
        "trafficAccessToken": rng.secret(),
    }
    if number < COMPLETE_RECORDS or rng.chance(0.3):
        record |= {**mounts(rng), "network": _network(rng)}
    return sparse(rng, number, record, "allowInternetAccess", "enableAutoPause", "enableAutoResume", "qualifier")


def _network(rng: LocalSeededRandom) -> Record:
    return {
        "allowOut": ["api.example.com:443"],
        "denyOut": ["0.0.0.0/0"],
        "allowPublicTraffic": True,
        "maskRequestHost": "internal.example.com",
        "rules": {
            "api.example.com": [
                {
                    "transform": {
                        "headers": {"Authorization": rng.secret("Bearer {}"), "x-env": rng.secret()},
                        "headerValueReplacements": [{"placeholder": "${KEY}", "value": rng.secret()}],
                    }
                }
            ],
            "*.example.org": [],
        },
    }


def snapshot(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a snapshot, as fc ListSnapshots returns it."""
    created = rng.moment()
    record: Record = {
        "snapshotId": rng.uuid(),
        "functionName": function,
        "qualifier": rng.choice(("LATEST", "prod")),
        "resolvedVersion": rng.choice(("LATEST", "3")),
        "sourceSessionId": rng.hex(32),
        "status": "Available",
        "description": seeded.description(rng) or "nightly",
        "createdTime": iso_z(created),
        "expiredTime": iso_z(created + timedelta(days=30)),
        "cpu": rng.choice((1, 2, 4)),
        "memoryMB": rng.choice((512, 4096)),
        "diskSizeMB": rng.choice((512, 10240)),
        "artifactDiskUsedSizeInB": rng.integer(1, 2**40),
        "artifactMemUsedSizeInB": rng.integer(1, 2**33),
        "imageRepository": f"registry.{rng.region_id}.aliyuncs.com/team/{rng.choice(seeded.VERBS)}",
        "imageDigest": f"sha256:{rng.hex(64)}",
        "osType": "linux",
        "envs": {"API_TOKEN": rng.secret("sk-{}"), "环境": rng.secret(), "EMPTY": ""},
        "startCommand": rng.secret("start --key {}"),
        "readyCommand": rng.secret("curl -H 'Authorization: {}' localhost"),
    }
    return sparse(rng, number, record, "description", "resolvedVersion", "imageDigest")
