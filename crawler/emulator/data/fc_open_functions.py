"""Seeded services, functions and their children of Function Compute 2.0, as fc-open (2021-04-06) returns them.

Fields: the response models of alibabacloud-fc-open20210406 2.0.12; shapes of values, oddities among them: the
operations' documentation pages (https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/, checked
2026-11-22): times of functions with milliseconds and `+0000`, of everything else with `Z`; a `versionId` that is a
string on some pages and an integer on others; container arguments as JSON lists in strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.seeded import SeededRandom, iso_offset, iso_z
from crawler.emulator.spec import Shape

Record = dict[str, Any]


@dataclass(slots=True)
class Services:
    """All of Function Compute 2.0 in one account and region; children by service, or by service and function."""

    services: list[Record] = field(default_factory=list)
    functions: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    instances: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    configs: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    stateful: list[Record] = field(default_factory=list)


def services(seed: int, account_id: str, region_id: str, shape: Shape, secrets: list[str]) -> Services:
    """Services, functions and their children; the markers of secret values are added to `secrets`.

    A third of the functions belong to the first service, the last service has none.
    """
    made = Services()
    for number in range(shape.services):
        dice = SeededRandom(seed, account_id, region_id, "fc-open", number)
        made.services.append(_service(dice, account_id, region_id, number))
        made.functions[(made.services[-1]["serviceName"],)] = []
        secrets.extend(dice.secrets)
    names = [record["serviceName"] for record in made.services]
    for number in range(shape.service_functions):
        dice = SeededRandom(seed, account_id, region_id, "fc-open/function", number)
        is_first = number < 2 + shape.service_functions // 3
        service = names[0] if is_first else names[1 + number % max(1, len(names) - 2)]
        _add_function(made, dice, service, number, region_id)
        secrets.extend(dice.secrets)
    made.stateful = _stateful(SeededRandom(seed, account_id, region_id, "fc-open/stateful"), made, shape.stateful)
    return made


def _service(dice: SeededRandom, account_id: str, region_id: str, number: int) -> Record:
    created = dice.moment()
    record: Record = {
        "serviceName": words.name(dice, number, longest=128).ljust(128 if number == 1 else 0, "_"),
        "serviceId": dice.uuid(),
        "description": words.description(dice),
        "internetAccess": dice.chance(0.8),
        "role": dice.choice(("", f"acs:ram::{account_id}:role/fc-default")),
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(minutes=dice.integer(0, 400_000))),
    }
    if number < 2 or dice.chance(0.3):
        record |= _service_settings(dice, account_id, region_id)
    if dice.chance(0.2):
        record |= {"vpcConfig": None, "nasConfig": {}}
    return record


def _service_settings(dice: SeededRandom, account_id: str, region_id: str) -> Record:
    return {
        "useSLRAuthentication": dice.chance(0.5),
        "logConfig": {
            "project": f"project-{region_id}",
            "logstore": "service-log",
            "logBeginRule": "DefaultRegex",
            "enableInstanceMetrics": True,
            "enableRequestMetrics": True,
        },
        "nasConfig": {
            "userId": 10003,
            "groupId": 10003,
            "mountPoints": [{"serverAddr": f"{dice.hex(10)}.nas.com:/", "mountDir": "/mnt/auto", "enableTLS": False}],
        },
        "ossMountConfig": {
            "mountPoints": [
                {
                    "bucketName": f"bucket-{dice.text(6)}",
                    "bucketPath": "/data",
                    "endpoint": f"http://oss-{region_id}.aliyuncs.com",
                    "mountDir": "/mnt/oss",
                    "readOnly": True,
                }
            ]
        },
        "tracingConfig": {"type": "Jaeger", "params": {"endpoint": dice.secret("http://jaeger/{}/api/traces")}},
        "vpcConfig": {
            "vpcId": f"vpc-{dice.text(20)}",
            "vSwitchIds": [f"vsw-{dice.text(20)}"],
            "securityGroupId": f"sg-{dice.text(20)}",
            "role": f"acs:ram::{account_id}:role/fc-vpc",
        },
    }


def _add_function(made: Services, dice: SeededRandom, service: str, number: int, region_id: str) -> None:
    record = _function(dice, number, region_id)
    made.functions[(service,)].append(record)
    parent = (service, record["functionName"])
    made.instances[parent] = _instances(dice, 0 if dice.chance(0.25) else dice.integer(1, 30), number)
    made.configs[parent] = _configs(dice, service, record["functionName"], 23 if number == 0 else dice.integer(0, 3))


def _function(dice: SeededRandom, number: int, region_id: str) -> Record:
    created = dice.moment()
    modified = iso_offset(created + timedelta(days=dice.integer(0, 300)), dice.integer(0, 999))
    record: Record = {
        "functionName": words.name(dice, number),
        "functionId": dice.uuid(),
        "description": words.description(dice),
        "runtime": dice.choice(("python3", "nodejs12", "java8", "custom", "custom-container")),
        "handler": "index.handler",
        "memorySize": dice.choice((128, 512, 3072)),
        "timeout": dice.integer(1, 600),
        "codeSize": dice.integer(400, 50_000_000),
        "codeChecksum": dice.digits(19),
        "instanceConcurrency": dice.choice((1, 20)),
        "instanceType": dice.choice(("e1", "c1", "g1")),
        "createdTime": iso_offset(created, dice.integer(0, 999)),
        # The documentation shows one time that has lost its first digit.
        "lastModifiedTime": modified[1:] if number == 1 else modified,
    }
    if number < 2 or dice.chance(0.4):
        record |= _function_settings(dice, region_id)
    if dice.chance(0.2):
        record |= {"layers": [], "initializer": None}
    return record


def _function_settings(dice: SeededRandom, region_id: str) -> Record:
    return {
        "environmentVariables": {
            "DB_PASSWORD": dice.secret("pw-{}"),
            "AccessKeySecret": dice.secret(),
        },
        "caPort": 9000,
        "cpu": dice.choice((0.5, 1)),
        "diskSize": 512,
        "gpuMemorySize": 16384,
        "initializer": "index.initialize",
        "initializationTimeout": 3,
        "instanceSoftConcurrency": 5,
        "instanceLifecycleConfig": {
            "preFreeze": {"handler": "index.freeze", "timeout": 3},
            "preStop": {"handler": "index.stop", "timeout": 3},
        },
        "layers": [f"{dice.hex(32)}#runtime#1"],
        "layersArnV2": [f"acs:fc:{region_id}:official:layers/Python3/versions/1"],
        "customContainerConfig": {
            "image": f"registry.{region_id}.aliyuncs.com/team/legacy:v1",
            "command": dice.secret('["/bin/run","{}"]'),
            "args": dice.secret('["--token","{}"]'),
            "accelerationType": "Default",
            "instanceID": f"cri-{dice.text(16)}",
            "webServerMode": True,
        },
        "customRuntimeConfig": {"command": [dice.secret("run {}")], "args": ["-v", dice.secret("--key={}")]},
        "customDNS": {
            "nameServers": ["10.0.0.2"],
            "searches": ["svc.example"],
            "dnsOptions": [{"name": "ndots", "value": "1"}],
        },
        "customHealthCheckConfig": {
            "httpGetUrl": "/health",
            "initialDelaySeconds": 1,
            "periodSeconds": 5,
            "timeoutSeconds": 1,
            "failureThreshold": 3,
            "successThreshold": 1,
        },
    }


def _instances(dice: SeededRandom, count: int, number: int) -> list[Record]:
    version: object = str(dice.integer(0, 9))
    if number % 2:
        version = dice.integer(0, 9)
    return [{"instanceId": dice.uuid(), "versionId": version} for _ in range(count)]


def instances(seed: int, account_id: str, region_id: str, count: int) -> list[Record]:
    """Exactly `count` instances."""
    return _instances(SeededRandom(seed, account_id, region_id, "fc-open/instances"), count, 0)


def _configs(dice: SeededRandom, service: str, function: str, count: int) -> list[Record]:
    qualifiers = ["LATEST", *(f"alias-{number:02d}" for number in range(1, count))]
    return [_config(dice, service, function, qualifier) for qualifier in qualifiers[:count]]


def _config(dice: SeededRandom, service: str, function: str, qualifier: str) -> Record:
    created = dice.moment()
    success = {"destination": f"acs:fc:cn-hangzhou:1:services/{service}/functions/{function}"}
    return {
        "service": service,
        "function": function,
        "qualifier": qualifier,
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(hours=dice.integer(0, 900))),
        "destinationConfig": dice.choice(
            (None, {"onSuccess": success, "onFailure": success}, {"onSuccess": None, "onFailure": success})
        ),
        "maxAsyncEventAgeInSeconds": dice.choice((None, 300, 86400)),
        "maxAsyncRetryAttempts": dice.choice((None, 0, 3, 8)),
        "statefulInvocation": dice.choice((None, True, False)),
    }


def _stateful(dice: SeededRandom, made: Services, count: int) -> list[Record]:
    parents = sorted(made.instances)
    records: list[Record] = []
    for number in range(count if parents else 0):
        service, function = parents[number % len(parents)]
        turn = number // len(parents)
        qualifier = "LATEST" if turn == 0 else f"v{turn:03d}-{dice.choice(words.STAGES)}"
        records.append({"serviceName": service, "functionName": function, "qualifier": qualifier})
    return records
