"""Seeded sessions and snapshots of Function Compute 3.0; both carry tokens, environments and commands.

Fields: the response models of alibabacloud-fc20230330 4.8.3; states and times: https://www.alibabacloud.com/help/ja/
functioncompute/api-fc-2023-03-30-listsnapshots and https://help.aliyun.com/en/functioncompute/
api-fc-2023-03-30-listsessions (checked 2026-11-22).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.fc_mounts import mounts
from crawler.emulator.data.seeded import WHOLE, LocalSeededRandom, iso_z, sparse

Record = dict[str, Any]


def session(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """A session, as fc ListSessions returns it."""
    created = dice.moment()
    record: Record = {
        "sessionId": f"{dice.hex(8)}{dice.uuid()}",
        "functionName": function,
        "qualifier": dice.choice(("LATEST", "prod")),
        "containerId": f"c-{dice.hex(8)}-{dice.hex(12)}",
        "sessionStatus": dice.choice(("Active", "Expired")),
        "sessionAffinityType": dice.choice(("HEADER_FIELD", "GENERATED_COOKIE", "MCP_SSE")),
        "sessionIdleTimeoutInSeconds": dice.integer(1, 1800),
        "sessionTTLInSeconds": dice.choice((21600, 86400)),
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(seconds=dice.integer(0, 86_400))),
        "allowInternetAccess": True,
        "disableSessionIdReuse": True,
        "enableAutoPause": True,
        "enableAutoResume": True,
        "trafficAccessToken": dice.secret(),
    }
    if number < WHOLE or dice.chance(0.3):
        record |= {**mounts(dice), "network": _network(dice)}
    return sparse(dice, number, record, "allowInternetAccess", "enableAutoPause", "enableAutoResume", "qualifier")


def _network(dice: LocalSeededRandom) -> Record:
    return {
        "allowOut": ["api.example.com:443"],
        "denyOut": ["0.0.0.0/0"],
        "allowPublicTraffic": True,
        "maskRequestHost": "internal.example.com",
        "rules": {
            "api.example.com": [
                {
                    "transform": {
                        "headers": {"Authorization": dice.secret("Bearer {}"), "x-env": dice.secret()},
                        "headerValueReplacements": [{"placeholder": "${KEY}", "value": dice.secret()}],
                    }
                }
            ],
            "*.example.org": [],
        },
    }


def snapshot(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """A snapshot, as fc ListSnapshots returns it."""
    created = dice.moment()
    record: Record = {
        "snapshotId": dice.uuid(),
        "functionName": function,
        "qualifier": dice.choice(("LATEST", "prod")),
        "resolvedVersion": dice.choice(("LATEST", "3")),
        "sourceSessionId": dice.hex(32),
        "status": "Available",
        "description": words.description(dice) or "nightly",
        "createdTime": iso_z(created),
        "expiredTime": iso_z(created + timedelta(days=30)),
        "cpu": dice.choice((1, 2, 4)),
        "memoryMB": dice.choice((512, 4096)),
        "diskSizeMB": dice.choice((512, 10240)),
        "artifactDiskUsedSizeInB": dice.integer(1, 2**40),
        "artifactMemUsedSizeInB": dice.integer(1, 2**33),
        "imageRepository": f"registry.{dice.region_id}.aliyuncs.com/team/{dice.choice(words.VERBS)}",
        "imageDigest": f"sha256:{dice.hex(64)}",
        "osType": "linux",
        "envs": {"API_TOKEN": dice.secret("sk-{}"), "环境": dice.secret(), "EMPTY": ""},
        "startCommand": dice.secret("start --key {}"),
        "readyCommand": dice.secret("curl -H 'Authorization: {}' localhost"),
    }
    return sparse(dice, number, record, "description", "resolvedVersion", "imageDigest")
