"""Seeded children of functions of 3.0: aliases, versions, instances, VPC bindings, sessions and snapshots.

Sessions and snapshots have tokens, environments and commands. Fields: the response models of
alibabacloud-fc20230330 4.8.3. Shapes of values: the pages of ListAliases, ListFunctionVersions (whose samples show Go's
layout for times in place of a time) and ListInstances (zeros and empty text for unknown values) of 2023-03-30; states
and times: https://www.alibabacloud.com/help/ja/functioncompute/api-fc-2023-03-30-listsnapshots and
https://help.aliyun.com/en/functioncompute/api-fc-2023-03-30-listsessions (checked 2026-11-22).
"""

from __future__ import annotations

from datetime import timedelta

from crawler.emulator.data import seeded
from crawler.emulator.data.fc_mounts import mounts
from crawler.emulator.data.seeded import (
    COMPLETE_RECORDS,
    LocalSeededRandom,
    epoch_s,
    iso_z,
    sample_times,
    sparse,
    times,
)
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
