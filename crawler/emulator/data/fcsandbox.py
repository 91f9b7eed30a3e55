"""The teams of Function Compute's sandboxes in one account and region, with their keys, templates and volumes.

Fields and their values: the models of alibabacloud-fcsandbox20260509 1.6.1 and of the same version of the SDK for Java,
which has examples; states of templates as its users poll them (checked 2026-12-01). The IDs of templates are UUIDs
here, so that a copy of a team has templates of its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crawler.emulator.data import seeded
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, changed, iso_z, sparse
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudSpec

PLANS = ("pro", "std", "eco")
CACHE_STATUSES = ("Success", "InProgress", "Failed", "Deleting", "Evicted")
VOLUME_STATUSES = ("AVAILABLE", "CREATING", "ERROR", "DELETING")


def fill(data: RegionData, spec: CloudSpec, account_id: str, region_id: str) -> None:
    """Put the seeded lists. The longest list of the region's shape decides how many teams there are."""
    if not spec.has_product("fcsandbox", region_id):
        return
    longest = spec.shape(account_id, region_id).longest
    teams, keys, quotas = [], [], []
    for number in range(longest // 2 + 2):
        rng = data.rng((spec.seed, account_id, region_id), "fcsandbox", number)
        teams.append(_team(rng, number))
        keys += [_api_key(rng, teams[-1], index) for index in range(number % 3)]
        if number % 2 == 0:
            quotas.append({"tagValue": teams[-1]["teamID"], "cpuCores": 8 * number, "memoryGB": 16 * number})
        _put_children(data, rng, teams[-1], longest * 2 // 5 if number == 0 else (number + 1) % 3)
    data.put("fcsandbox.ListTeams", teams)
    data.put("fcsandbox.ListApiKeys", keys)
    data.put("fcsandbox.ListQuota", quotas)


def _put_children(data: RegionData, rng: LocalSeededRandom, team: Record, count: int) -> None:
    templates = [_template(rng, team, number) for number in range(count)]
    made = {
        "ListTemplates": templates,
        "ListTemplateCache": [_cache(rng, template, number) for number, template in enumerate(templates)],
        "ListVolumes": [_volume(rng, team, number) for number in range(count)],
    }
    for action, records in made.items():
        data.put(f"fcsandbox.{action}", records, (team["teamID"],))


def _team(rng: LocalSeededRandom, number: int) -> Record:
    record: Record = {
        "teamID": rng.uuid(),
        "teamName": seeded.name(rng, number),
        "description": seeded.description(rng),
        "plan": PLANS[number % 3],
        "status": "active",
        "readOnly": number == 1,
        "allowUpdateTeamName": number > 0,
        "resourceGroupID": f"rg-{rng.text(15)}",
        "userID": rng.digits(18),
        "createdTime": iso_z(rng.moment()),
    }
    return sparse(rng, number, record, "description", "plan", "resourceGroupID")


def _api_key(rng: LocalSeededRandom, team: Record, number: int) -> Record:
    created = rng.moment()
    record: Record = {
        "apiKeyID": rng.uuid(),
        "apiKeyName": f"key-{number}",
        "apiKeyValue": rng.secret("e2b_{}"),
        "apiKeyMask": rng.secret("e2b_{}****"),
        "source": rng.choice(("system", "import")),
        "status": rng.choice(("active", "inactive")),
        "teamID": team["teamID"],
        "teamName": team["teamName"],
        "teamPlan": team.get("plan") or "pro",
        "resourceGroupID": team.get("resourceGroupID") or "",
        "userID": rng.digits(18),
        "username": f"user-{rng.text(6)}",
        "ipWhitelist": [{"ipAddress": "198.51.100.0/24", "description": seeded.description(rng)}],
        "ipBlacklist": [{"ipAddress": "203.0.113.9", "description": "left the company"}],
        "createdTime": iso_z(created),
        "expireTime": iso_z(created + timedelta(days=365)),
        "lastUsedTime": iso_z(changed(rng, created, 300_000)),
    }
    return sparse(rng, number + 2, record, "ipBlacklist", "ipWhitelist", "expireTime", "lastUsedTime", "username")


def _template(rng: LocalSeededRandom, team: Record, number: int) -> Record:
    created = rng.moment()
    status: Record = {"state": "ready", "finishedAt": _milliseconds(iso_z(changed(rng, created, 30)))}
    if number % 5 == 1:
        status = {"state": "error", "reason": {"message": "pull image failed: timeout", "step": "FROM"}}
    record: Record = {
        "templateID": rng.uuid(),
        "name": f"{seeded.name(rng, number, 40)}",
        "teamID": team["teamID"],
        "teamName": team["teamName"],
        "resourceGroupID": team.get("resourceGroupID") or "",
        "createdTime": _milliseconds(iso_z(created)),
        "status": status,
        "runtimeConfig": _runtime(rng, number),
    }
    return sparse(rng, number, record, "resourceGroupID", "teamName")


def _runtime(rng: LocalSeededRandom, number: int) -> Record:
    network = {"vpcId": f"vpc-{rng.text(20)}", "securityGroupId": f"sg-{rng.text(18)}"}
    record: Record = {
        "cpu": rng.choice((0.5, 1.0, 2.0)),
        "memorySize": rng.choice((1024, 2048, 4096)),
        "diskSize": 10_240,
        "internetAccess": rng.chance(0.5),
        "logConfig": {"project": f"sls-{rng.text(8)}", "logstore": "sandbox"},
        "vpcConfig": {**network, "vSwitchIds": [f"vsw-{rng.text(20)}"], "role": "AliyunFCDefaultRole"},
        "sandboxConfig": {
            "image": f"registry.{rng.region_id}.aliyuncs.com/demo/agent:{number}",
            "acrInstanceId": f"cri-{rng.text(16)}",
            "generation": rng.integer(1, 2),
            "osType": "linux",
            "startCommand": rng.secret("serve --token {}"),
            "readyCommand": rng.secret("curl -sf -H 'Authorization: {}' http://127.0.0.1:8080/healthz"),
            "registryConfig": {"networkConfig": {**network, "vSwitchId": f"vsw-{rng.text(20)}"}},
            "steps": [{"type": "ENV", "args": ["TOKEN", rng.secret()]}, {"type": "WORKDIR", "args": ["/app"]}],
        },
    }
    return sparse(rng, number, record, "logConfig", "vpcConfig", "internetAccess")


def _cache(rng: LocalSeededRandom, template: Record, number: int) -> Record:
    created, status = rng.moment(), CACHE_STATUSES[number % 5]
    record: Record = {
        "templateID": template["templateID"],
        "teamID": template["teamID"],
        "status": status,
        "statusReason": "" if status == "Success" else "The image prefetch task is queued",
        "progress": 100 if status == "Success" else rng.integer(0, 99),
        "imageDigest": f"sha256:{rng.hex(64)}",
        "imageSizeMB": rng.integer(80, 4000),
        "createdTime": iso_z(created),
        "readyTime": iso_z(changed(rng, created, 30)),
    }
    return sparse(rng, number, record, "readyTime", "imageDigest", "imageSizeMB")


def _volume(rng: LocalSeededRandom, team: Record, number: int) -> Record:
    created = rng.moment()
    record: Record = {
        "volumeID": rng.uuid(),
        "volumeName": f"workspace-{number}",
        "teamID": team["teamID"],
        "userID": rng.digits(18),
        "resourceGroupID": team.get("resourceGroupID") or "",
        "status": VOLUME_STATUSES[number % 4],
        "statusReason": "bucket not found" if number % 4 == 2 else "",
        "createdAt": iso_z(created),
        "updatedAt": iso_z(changed(rng, created, 90_000)),
        **_storage(rng, number),
    }
    return sparse(rng, number, record, "resourceGroupID", "mountConfig", "statusReason")


def _storage(rng: LocalSeededRandom, number: int) -> dict[str, Any]:
    bucket = {"bucketName": f"bucket-{rng.text(8)}", "bucketPath": "/data", "readOnly": rng.chance(0.5)}
    endpoint = f"oss-{rng.region_id}-internal.aliyuncs.com"
    vpc = {"vpcId": f"vpc-{rng.text(20)}", "securityGroupId": f"sg-{rng.text(18)}", "vSwitchIds": ["vsw-1", "vsw-2"]}
    mount = {"mountConfig": {"role": f"acs:ram::{rng.account_id}:role/sandbox-mount", "vpcConfig": vpc}}
    if number % 3 == 0:
        return {"storageClass": "OSS", "ossVolumeConfig": {**bucket, "endpoint": endpoint}, **mount}
    if number % 3 == 1:
        served = {"serverAddr": f"{rng.text(10)}.{rng.region_id}.nas.aliyuncs.com", "userID": 1000, "groupID": 1000}
        return {"storageClass": "AGENTIC_FS", "agenticFSVolumeConfig": served, **mount}
    agentic = {**bucket, "agenticBucket": f"agentic-{rng.text(8)}", "endpoint": endpoint}
    return {"storageClass": "OSS", "agenticBucketVolumeConfig": agentic, **mount}


def _milliseconds(text: str) -> str:
    return text.replace("Z", ".000Z")
