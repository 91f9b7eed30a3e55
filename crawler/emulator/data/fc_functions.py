"""Seeded functions of Function Compute 3.0, as fc GetFunction and ListFunctions (2023-03-30) return them.

Fields: the response model of alibabacloud-fc20230330 4.8.3; shapes of values: ListFunctions' documentation page
(https://www.alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-listfunctions, checked 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable

from crawler.emulator.data import seeded
from crawler.emulator.data.fc_mounts import mounts, registry
from crawler.emulator.data.region import RegionData
from crawler.emulator.data.seeded import LocalSeededRandom, SeededRandom, SeedPath, iso_z, times
from crawler.emulator.records import Record

RUNTIMES = ("python3.10", "python3.12", "nodejs20", "java11", "go1", "custom.debian10", "custom-container")
STATES = (("Active", "", ""), ("Pending", "Function creating", "Creating"), ("Inactive", "Idle for 14 days", "Idle"))
OPTIMIZING = "The system is currently processing the acceleration optimization for the image."
UPDATES = (("InProgress", OPTIMIZING, "ImageOptimizing"), ("Successful", "", ""))


# Fields that only GetFunction always returns, according to the page of ListFunctions (checked 2026-11-22).
DETAIL_ONLY = tuple(f"{stem}{end}" for stem in ("state", "lastUpdateStatus") for end in ("", "Reason", "ReasonCode"))


def functions(data: RegionData, where: SeedPath, count: int) -> list[Record]:
    """Make `count` functions of 3.0 with all fields."""
    return [_function(data.rng(where, "fc", number), number) for number in range(count)]


def listed(detail: Record, number: int) -> Record:
    """Return a function as ListFunctions returns it: the first three with all fields, the others without details."""
    return detail if number < 3 else {name: detail[name] for name in detail if name not in DETAIL_ONLY}


def _function(rng: LocalSeededRandom, number: int) -> Record:
    name = seeded.name(rng, number)
    created = rng.moment()
    record: Record = {
        "functionName": name,
        "functionId": rng.uuid(),
        "functionArn": rng.arn(f"functions/{name}"),
        "runtime": rng.choice(RUNTIMES),
        "handler": rng.choice(("index.handler", "main.Handler", "com.example.App::handleRequest")),
        "memorySize": rng.choice((128, 512, 1024, 3072, 32768)),
        "cpu": rng.choice((0.05, 0.35, 1, 2, 16)),
        "diskSize": rng.choice((512, 10240)),
        "timeout": rng.integer(1, 86400),
        "codeSize": rng.integer(400, 500_000_000),
        "codeChecksum": rng.digits(19),
        "instanceConcurrency": rng.choice((1, 10, 200)),
        "internetAccess": rng.chance(0.8),
        **times(rng, created, 500_000),
    }
    record |= zip(DETAIL_ONLY, (*STATES[number % len(STATES)], *UPDATES[number % len(UPDATES)]), strict=True)
    for part, share in PARTS:
        if number < 3 or rng.chance(share):
            record.update(part(rng))
    if rng.chance(0.1):
        record[rng.choice(("description", "role", "layers", "vpcConfig"))] = None
    if "environmentVariables" not in record and rng.chance(0.1):
        record["environmentVariables"] = rng.choice((None, {}))
    if number in {1, 2}:
        # Two functions share the account's secret. It has no marker, because each marker occurs once.
        record["environmentVariables"]["CACHE_PASSWORD"] = "pw-" + SeededRandom("fc/shared", rng.account_id).hex(24)
    return record


def _text(rng: LocalSeededRandom) -> Record:
    return {
        "description": seeded.description(rng),
        "role": f"acs:ram::{rng.account_id}:role/fc-{rng.choice(seeded.SUBJECTS)}",
        "resourceGroupId": f"rg-{rng.text(15)}",
    }


def _environment(rng: LocalSeededRandom) -> Record:
    return {
        "environmentVariables": {
            "DATABASE_URL": rng.secret("mysql://app:{}@rm-bp1.mysql.rds.aliyuncs.com:3306/app?charset=utf8"),
            "API_TOKEN": rng.secret("sk-{}"),
            "TLS_KEY": rng.secret("-----BEGIN PRIVATE KEY-----\nMIIE{}\n-----END PRIVATE KEY-----\n"),
            "UPLOAD_URL": rng.secret("https://b.oss-cn-hangzhou.aliyuncs.com/x?Expires=1&Signature={}"),
            "环境": rng.secret("值-{}"),
            "EMPTY": "",
        }
    }


def _restriction(rng: LocalSeededRandom) -> Record:
    return {
        "invocationRestriction": {
            "disable": rng.chance(0.5),
            "reason": "Disabled by the operator",
            "lastModifiedTime": iso_z(rng.moment()),
        }
    }


def _health(rng: SeededRandom) -> Record:
    return {
        "httpGetUrl": "/ready",
        "initialDelaySeconds": rng.integer(0, 120),
        "periodSeconds": rng.integer(1, 120),
        "timeoutSeconds": rng.integer(1, 3),
        **{name: rng.integer(1, 120) for name in ("failureThreshold", "successThreshold")},
    }


def _container(rng: LocalSeededRandom) -> Record:
    image = f"registry-vpc.{rng.region_id}.aliyuncs.com/team/{rng.choice(seeded.VERBS)}"
    return {
        "customContainerConfig": {
            "image": f"{image}:v{rng.integer(1, 40)}",
            "resolvedImageUri": f"{image}@sha256:{rng.hex(64)}",
            "port": 9000,
            "acrInstanceId": f"cri-{rng.text(16)}",
            "accelerationType": "Default",
            "accelerationInfo": {"status": rng.choice(("Ready", "Preparing"))},
            "entrypoint": ["/code/bootstrap", rng.secret("--license={}")],
            "command": ["serve", rng.secret("--token={}")],
            "healthCheckConfig": _health(rng),
            "registryConfig": registry(rng),
        }
    }


def _runtime(rng: LocalSeededRandom) -> Record:
    return {
        "customRuntimeConfig": {
            "command": ["/code/bootstrap", rng.secret("--password={}")],
            "args": ["--port", "9000", rng.secret("--key={}")],
            "port": 9000,
            "healthCheckConfig": _health(rng),
        },
        "instanceLifecycleConfig": {
            "initializer": {"handler": "index.initialize", "timeout": 10, "command": ["sh", rng.secret("-c {}")]},
            "preStop": {"handler": "index.stop", "timeout": 30, "command": [rng.secret("bye {}")]},
        },
    }


def _network(rng: LocalSeededRandom) -> Record:
    return {
        "vpcConfig": {
            "vpcId": f"vpc-{rng.text(20)}",
            "vSwitchIds": [f"vsw-{rng.text(20)}" for _ in range(rng.integer(1, 3))],
            "securityGroupId": f"sg-{rng.text(20)}",
            "role": f"acs:ram::{rng.account_id}:role/fc-vpc",
        },
        "customDNS": {
            "nameServers": ["10.0.0.2", "10.0.0.3"],
            "searches": ["svc.cluster.example"],
            "dnsOptions": [{"name": "ndots", "value": "2"}],
        },
    }


def _observability(rng: LocalSeededRandom) -> Record:
    return {
        "logConfig": {
            "project": f"project-{rng.region_id}",
            "logstore": "function-log",
            "logBeginRule": rng.choice(("DefaultRegex", "None")),
            "enableInstanceMetrics": True,
            "enableRequestMetrics": rng.chance(0.5),
            "enableLlmMetrics": False,
        },
        "tracingConfig": {"type": "Jaeger", "params": {"endpoint": rng.secret("http://tracing/{}/api/traces")}},
        "tags": [
            {"Key": "team", "Value": rng.choice(("搜索", "payments", ""))},
            {"Key": "cost-center", "Value": rng.digits(5)},
        ],
        "layers": [{"arn": rng.arn(f"layers/common/versions/{rng.integer(1, 9)}"), "size": 421}],
    }


def _sandbox(rng: LocalSeededRandom) -> Record:
    return {
        "microSandboxConfig": {
            "image": f"registry.{rng.region_id}.aliyuncs.com/sandbox/base:latest",
            "acrInstanceId": f"cri-{rng.text(16)}",
            "osType": "linux",
            "startCommand": rng.secret("start --key {}"),
            "readyCommand": rng.secret("curl -H 'Authorization: {}' localhost"),
            "registryConfig": registry(rng),
        },
        "gpuConfig": {"gpuType": "fc.gpu.ampere.1", "gpuMemorySize": rng.choice((8192, 24576))},
        "sessionAffinity": "HEADER_FIELD",
        "sessionAffinityConfig": '{"affinityHeaderFieldName":"x-session","sessionTTLInSeconds":21600}',
        "instanceIsolationMode": "SHARE",
        "idleTimeout": rng.integer(60, 3600),
        **{name: rng.chance(0.5) for name in ("enableLongLiving", "disableOndemand")},
        "disableInjectCredentials": rng.choice(("None", "Env", "All")),
    }


def _lock(rng: LocalSeededRandom) -> Record:
    return {
        "lockInfo": {
            "lockedAt": iso_z(rng.moment()),
            "lockedBy": f"acs:ram::{rng.account_id}:role/workbench",
            "lockedResources": ["function", "trigger"],
        }
    }


# The parts of a function, and the share of functions that have them. The first three functions have every part.
PARTS: tuple[tuple[Callable[[LocalSeededRandom], Record], float], ...] = (
    (_text, 0.8),
    (_environment, 0.5),
    (_restriction, 0.4),
    (_container, 0.2),
    (_runtime, 0.2),
    (_network, 0.4),
    (mounts, 0.1),
    (_observability, 0.5),
    (_sandbox, 0.1),
    (_lock, 0.05),
)
