"""Seeded services, functions and their children of Function Compute 2.0, as fc-open (2021-04-06) returns them.

Fields: the response models of alibabacloud-fc-open20210406 2.0.12; shapes of values, oddities among them: the
operations' documentation pages (https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/ and
https://www.alibabacloud.com/help/en/fc/developer-reference/, checked 2026-11-22): times of functions and aliases with
milliseconds and `+0000`, all others with `Z`; a `versionId` that is a string on some pages and an integer on others;
container arguments as JSON lists in strings; a description that ends in a line break, a weight that is an integer;
resources in two notations; an epoch value and a boolean in text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from crawler.emulator.data import seeded
from crawler.emulator.data.fc_configs import provisioned
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeedPath, changed, epoch_s, iso_offset, iso_z, sparse, times
from crawler.emulator.records import Record
from crawler.emulator.spec import Shape


@dataclass(slots=True)
class Services:
    """All of Function Compute 2.0 in one account and region; children by service, or by service and function."""

    services: list[Record] = field(default_factory=list)
    functions: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    instances: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    configs: dict[tuple[str, ...], list[Record]] = field(default_factory=dict)
    stateful: list[Record] = field(default_factory=list)


def services(data: RegionData, where: SeedPath, shape: Shape) -> Services:
    """Make services, functions and their children. The first service has a third of the functions, the last none."""
    made = Services()
    for number in range(shape.services):
        made.services.append(_service(data.rng(where, "fc-open", number), number))
        made.functions[(made.services[-1]["serviceName"],)] = []
    names = [record["serviceName"] for record in made.services]
    for number in range(shape.service_functions):
        rng = data.rng(where, "fc-open/function", number)
        is_first = number < 2 + shape.service_functions // 3
        service = names[0] if is_first else names[1 + number % max(1, len(names) - 2)]
        _add_function(made, rng, service, number)
    made.stateful = _stateful(data.rng(where, "fc-open/stateful"), made, shape.stateful)
    return made


def _service(rng: LocalSeededRandom, number: int) -> Record:
    created = rng.moment()
    record: Record = {
        "serviceName": seeded.name(rng, number, longest=128).ljust(128 if number == 1 else 0, "_"),
        "serviceId": rng.uuid(),
        "description": seeded.description(rng),
        "internetAccess": rng.chance(0.8),
        "role": rng.choice(("", f"acs:ram::{rng.account_id}:role/fc-default")),
        **times(rng, created, 400_000),
    }
    if number < 2 or rng.chance(0.3):
        record |= _service_settings(rng)
    if rng.chance(0.2):
        record |= {"vpcConfig": None, "nasConfig": {}}
    return record


def _service_settings(rng: LocalSeededRandom) -> Record:
    return {
        "useSLRAuthentication": rng.chance(0.5),
        "logConfig": {
            "project": f"project-{rng.region_id}",
            "logstore": "service-log",
            "logBeginRule": "DefaultRegex",
            "enableInstanceMetrics": True,
            "enableRequestMetrics": True,
        },
        "nasConfig": {
            "userId": 10003,
            "groupId": 10003,
            "mountPoints": [{"serverAddr": f"{rng.hex(10)}.nas.com:/", "mountDir": "/mnt/auto", "enableTLS": False}],
        },
        "ossMountConfig": {
            "mountPoints": [
                {
                    "bucketName": f"bucket-{rng.text(6)}",
                    "bucketPath": "/data",
                    "endpoint": f"http://oss-{rng.region_id}.aliyuncs.com",
                    "mountDir": "/mnt/oss",
                    "readOnly": True,
                }
            ]
        },
        "tracingConfig": {"type": "Jaeger", "params": {"endpoint": rng.secret("http://jaeger/{}/api/traces")}},
        "vpcConfig": {
            "vpcId": f"vpc-{rng.text(20)}",
            "vSwitchIds": [f"vsw-{rng.text(20)}"],
            "securityGroupId": f"sg-{rng.text(20)}",
            "role": f"acs:ram::{rng.account_id}:role/fc-vpc",
        },
    }


def _add_function(made: Services, rng: LocalSeededRandom, service: str, number: int) -> None:
    record = _function(rng, number)
    made.functions[(service,)].append(record)
    parent = (service, record["functionName"])
    made.instances[parent] = _instances(rng, 0 if rng.chance(0.25) else rng.integer(1, 30), number)
    made.configs[parent] = _configs(rng, service, record["functionName"], 23 if number == 0 else rng.integer(0, 3))


def _function(rng: LocalSeededRandom, number: int) -> Record:
    created = rng.moment()
    modified = iso_offset(changed(rng, created, 300, "days"), rng.integer(0, 999))
    record: Record = {
        "functionName": seeded.name(rng, number),
        "functionId": rng.uuid(),
        "description": seeded.description(rng),
        "runtime": rng.choice(("python3", "nodejs12", "java8", "custom", "custom-container")),
        "handler": "index.handler",
        "memorySize": rng.choice((128, 512, 3072)),
        "timeout": rng.integer(1, 600),
        "codeSize": rng.integer(400, 50_000_000),
        "codeChecksum": rng.digits(19),
        "instanceConcurrency": rng.choice((1, 20)),
        "instanceType": rng.choice(("e1", "c1", "g1")),
        "createdTime": iso_offset(created, rng.integer(0, 999)),
        # The documentation shows one time without its first digit.
        "lastModifiedTime": modified[1:] if number == 1 else modified,
    }
    if number < 2 or rng.chance(0.4):
        record |= _function_settings(rng)
    if rng.chance(0.2):
        record |= {"layers": [], "initializer": None}
    return record


def _function_settings(rng: LocalSeededRandom) -> Record:
    return {
        "environmentVariables": {"DB_PASSWORD": rng.secret("pw-{}"), "AccessKeySecret": rng.secret()},
        "caPort": 9000,
        "cpu": rng.choice((0.5, 1)),
        "diskSize": 512,
        "gpuMemorySize": 16384,
        "initializer": "index.initialize",
        "initializationTimeout": 3,
        "instanceSoftConcurrency": 5,
        "instanceLifecycleConfig": {
            "preFreeze": {"handler": "index.freeze", "timeout": 3},
            "preStop": {"handler": "index.stop", "timeout": 3},
        },
        "layers": [f"{rng.hex(32)}#runtime#1"],
        "layersArnV2": [f"acs:fc:{rng.region_id}:official:layers/Python3/versions/1"],
        "customContainerConfig": {
            "image": f"registry.{rng.region_id}.aliyuncs.com/team/legacy:v1",
            "command": rng.secret('["/bin/run","{}"]'),
            "args": rng.secret('["--token","{}"]'),
            "accelerationType": "Default",
            "instanceID": f"cri-{rng.text(16)}",
            "webServerMode": True,
        },
        "customRuntimeConfig": {"command": [rng.secret("run {}")], "args": ["-v", rng.secret("--key={}")]},
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


def _instances(rng: LocalSeededRandom, count: int, number: int) -> list[Record]:
    version: object = str(rng.integer(0, 9))
    if number % 2:
        version = rng.integer(0, 9)
    return [{"instanceId": rng.uuid(), "versionId": version} for _ in range(count)]


def instances(data: RegionData, where: SeedPath, count: int) -> list[Record]:
    """Make `count` instances."""
    return _instances(data.rng(where, "fc-open/instances"), count, 0)


def _configs(rng: LocalSeededRandom, service: str, function: str, count: int) -> list[Record]:
    qualifiers = ["LATEST", *(f"alias-{number:02d}" for number in range(1, count))]
    return [_config(rng, service, function, qualifier) for qualifier in qualifiers[:count]]


def _config(rng: LocalSeededRandom, service: str, function: str, qualifier: str) -> Record:
    created = rng.moment()
    success = {"destination": f"acs:fc:cn-hangzhou:1:services/{service}/functions/{function}"}
    return {
        "service": service,
        "function": function,
        "qualifier": qualifier,
        **times(rng, created, 900, "hours"),
        "destinationConfig": rng.choice(
            (None, {"onSuccess": success, "onFailure": success}, {"onSuccess": None, "onFailure": success})
        ),
        "maxAsyncEventAgeInSeconds": rng.choice((None, 300, 86400)),
        "maxAsyncRetryAttempts": rng.choice((None, 0, 3, 8)),
        "statefulInvocation": rng.choice((None, True, False)),
    }


def _stateful(rng: LocalSeededRandom, made: Services, count: int) -> list[Record]:
    parents = sorted(made.instances)
    records: list[Record] = []
    for number in range(count if parents else 0):
        service, function = parents[number % len(parents)]
        turn = number // len(parents)
        qualifier = "LATEST" if turn == 0 else f"v{turn:03d}-{rng.choice(seeded.STAGES)}"
        records.append({"serviceName": service, "functionName": function, "qualifier": qualifier})
    return records


def alias(rng: LocalSeededRandom, number: int) -> Record:
    """Make an alias of a service, as fc-open ListAliases returns it."""
    created = rng.moment()
    item = {"type": "header", "key": "x-team", "operator": "=", "value": rng.choice(seeded.SUBJECTS)}
    record: Record = {
        "aliasName": f"{rng.choice(seeded.STAGES)}-{number:03d}",
        "versionId": str(rng.integer(1, 9)),
        "description": "the alias of the nightly build\n" if number == 0 else seeded.description(rng),
        "additionalVersionWeight": {"2": 1} if number == 1 else {"2": 0.2, "3": 0.05},
        "resolvePolicy": rng.choice(("Random", "Policy")),
        "routePolicy": {"condition": "AND", "policyItems": [item]},
        "createdTime": iso_offset(created, rng.integer(0, 999)),
        "lastModifiedTime": iso_offset(changed(rng, created, 900, "hours"), rng.integer(0, 999)),
    }
    return sparse(rng, number, record, "additionalVersionWeight", "routePolicy", "resolvePolicy", "description")


def version(rng: LocalSeededRandom, number: int) -> Record:
    """Make a version of a service, as fc-open ListServiceVersions returns it; the third was deleted."""
    created = rng.moment()
    record: Record = {
        "versionId": str(number + 1 if number < 2 else number + 2),
        "description": seeded.description(rng) or "release",
        **times(rng, created, 900, "hours"),
    }
    return sparse(rng, number, record, "description")


def event_source(rng: LocalSeededRandom, number: int) -> Record:
    """Make an event source of a function, as fc-open ListEventSources returns it."""
    arn = f"acs:oss:{rng.region_id}:{rng.account_id}:bucket-{number}"
    return {"sourceArn": arn, "createdTime": iso_z(rng.moment())}


def on_demand(rng: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """Make a configuration, as fc-open ListOnDemandConfigs returns it."""
    resource = f"services/{service}.prod/functions/{function}"
    if number % 2:
        resource = f"{rng.account_id}#{service}#prod#{function}"
    return {"resource": resource, "maximumInstanceCount": rng.integer(1, 300)}


def provision(rng: LocalSeededRandom, service: str, function: str, number: int) -> Record:
    """Make a configuration, as fc-open ListProvisionConfigs returns it."""
    record = {"resource": f"{rng.account_id}#{service}#prod#{function}", **provisioned(rng)}
    return sparse(rng, number, record, "scheduledActions", "targetTrackingPolicies", "currentError")


def reserved(rng: LocalSeededRandom, number: int) -> Record:
    """Make a prepaid capacity, as fc-open ListReservedCapacities returns it."""
    created = rng.moment()
    record: Record = {
        "instanceId": f"fc-{rng.text(10)}-{number:02d}",
        "cu": rng.integer(1, 50),
        "deadline": str(epoch_s(created + timedelta(days=365)) * 1000),
        "isRefunded": "true" if number == 1 else "false",
        **times(rng, created, 300, "days"),
    }
    return sparse(rng, number, record, "isRefunded")


def tagged(rng: LocalSeededRandom, service: str) -> Record:
    """Make the tags of a service, as fc-open ListTaggedResources returns them."""
    tags = {"team": rng.choice(("搜索", "payments")), "cost-center": rng.digits(5), "empty": ""}
    return {"resourceArn": rng.arn(f"services/{service}"), "tags": tags}
