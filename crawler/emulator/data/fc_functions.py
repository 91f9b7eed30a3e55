"""Seeded functions of Function Compute 3.0, as fc GetFunction and ListFunctions (2023-03-30) return them.

Fields: the response model of alibabacloud-fc20230330 4.8.3; shapes of values: ListFunctions' documentation page
(https://www.alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-listfunctions, checked 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from crawler.emulator.data import seeded as words
from crawler.emulator.data.fc_mounts import mounts, registry
from crawler.emulator.data.seeded import LocalSeededRandom, SeededRandom, iso_z

Record = dict[str, Any]

RUNTIMES = ("python3.10", "python3.12", "nodejs20", "java11", "go1", "custom.debian10", "custom-container")
STATES = (("Active", "", ""), ("Pending", "Function creating", "Creating"), ("Inactive", "Idle for 14 days", "Idle"))
UPDATES = (
    (
        "InProgress",
        "The system is currently processing the acceleration optimization for the image.",
        "ImageOptimizing",
    ),
    ("Successful", "", ""),
)


# What the page of ListFunctions says that its records may lack and GetFunction has (checked 2026-11-22).
DETAIL_ONLY = (
    "state",
    "stateReason",
    "stateReasonCode",
    "lastUpdateStatus",
    "lastUpdateStatusReason",
    "lastUpdateStatusReasonCode",
)


def functions(seed: int, account_id: str, region_id: str, count: int, secrets: list[str]) -> list[Record]:
    """`count` functions of version 3.0 in full; the markers of their secret values are added to `secrets`."""
    made = []
    for number in range(count):
        dice = LocalSeededRandom(seed, account_id, region_id, "fc", number)
        made.append(_function(dice, number))
        secrets.extend(dice.secrets)
    return made


def listed(detail: Record, number: int) -> Record:
    """What ListFunctions gives of a function: of the first three all, of the others what it surely has."""
    return detail if number < 3 else {name: detail[name] for name in detail if name not in DETAIL_ONLY}


def _function(dice: LocalSeededRandom, number: int) -> Record:
    name = words.name(dice, number)
    created = dice.moment()
    record: Record = {
        "functionName": name,
        "functionId": dice.uuid(),
        "functionArn": f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{name}",
        "runtime": dice.choice(RUNTIMES),
        "handler": dice.choice(("index.handler", "main.Handler", "com.example.App::handleRequest")),
        "memorySize": dice.choice((128, 512, 1024, 3072, 32768)),
        "cpu": dice.choice((0.05, 0.35, 1, 2, 16)),
        "diskSize": dice.choice((512, 10240)),
        "timeout": dice.integer(1, 86400),
        "codeSize": dice.integer(400, 500_000_000),
        "codeChecksum": dice.digits(19),
        "instanceConcurrency": dice.choice((1, 10, 200)),
        "internetAccess": dice.chance(0.8),
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(minutes=dice.integer(0, 500_000))),
    }
    record |= _state(number)
    for part, share in PARTS:
        if number < 3 or dice.chance(share):
            record.update(part(dice))
    if dice.chance(0.1):
        record[dice.choice(("description", "role", "layers", "vpcConfig"))] = None
    if "environmentVariables" not in record and dice.chance(0.1):
        record["environmentVariables"] = dice.choice((None, {}))
    if number in {1, 2}:
        record["environmentVariables"]["CACHE_PASSWORD"] = _shared_secret(dice)
    return record


def _shared_secret(dice: LocalSeededRandom) -> str:
    """One for the whole account, by throws of its own. It has no marker: each marker occurs once."""
    return "pw-" + SeededRandom("fc/shared", dice.account_id).hex(24)


def _text(dice: LocalSeededRandom) -> Record:
    return {
        "description": words.description(dice),
        "role": f"acs:ram::{dice.account_id}:role/fc-{dice.choice(words.SUBJECTS)}",
        "resourceGroupId": f"rg-{dice.text(15)}",
    }


def _environment(dice: LocalSeededRandom) -> Record:
    return {
        "environmentVariables": {
            "DATABASE_URL": dice.secret("mysql://app:{}@rm-bp1.mysql.rds.aliyuncs.com:3306/app?charset=utf8"),
            "API_TOKEN": dice.secret("sk-{}"),
            "TLS_KEY": dice.secret("-----BEGIN PRIVATE KEY-----\nMIIE{}\n-----END PRIVATE KEY-----\n"),
            "UPLOAD_URL": dice.secret("https://b.oss-cn-hangzhou.aliyuncs.com/x?Expires=1&Signature={}"),
            "环境": dice.secret("值-{}"),
            "EMPTY": "",
        }
    }


def _state(number: int) -> Record:
    state, reason, code = STATES[number % len(STATES)]
    update, update_reason, update_code = UPDATES[number % len(UPDATES)]
    return {
        "state": state,
        "stateReason": reason,
        "stateReasonCode": code,
        "lastUpdateStatus": update,
        "lastUpdateStatusReason": update_reason,
        "lastUpdateStatusReasonCode": update_code,
    }


def _restriction(dice: LocalSeededRandom) -> Record:
    return {
        "invocationRestriction": {
            "disable": dice.chance(0.5),
            "reason": "Disabled by the operator",
            "lastModifiedTime": iso_z(dice.moment()),
        },
    }


def _health(dice: SeededRandom) -> Record:
    return {
        "httpGetUrl": "/ready",
        "initialDelaySeconds": dice.integer(0, 120),
        "periodSeconds": dice.integer(1, 120),
        "timeoutSeconds": dice.integer(1, 3),
        "failureThreshold": dice.integer(1, 120),
        "successThreshold": dice.integer(1, 120),
    }


def _container(dice: LocalSeededRandom) -> Record:
    image = f"registry-vpc.{dice.region_id}.aliyuncs.com/team/{dice.choice(words.VERBS)}"
    return {
        "customContainerConfig": {
            "image": f"{image}:v{dice.integer(1, 40)}",
            "resolvedImageUri": f"{image}@sha256:{dice.hex(64)}",
            "port": 9000,
            "acrInstanceId": f"cri-{dice.text(16)}",
            "accelerationType": "Default",
            "accelerationInfo": {"status": dice.choice(("Ready", "Preparing"))},
            "entrypoint": ["/code/bootstrap", dice.secret("--license={}")],
            "command": ["serve", dice.secret("--token={}")],
            "healthCheckConfig": _health(dice),
            "registryConfig": registry(dice),
        }
    }


def _runtime(dice: LocalSeededRandom) -> Record:
    return {
        "customRuntimeConfig": {
            "command": ["/code/bootstrap", dice.secret("--password={}")],
            "args": ["--port", "9000", dice.secret("--key={}")],
            "port": 9000,
            "healthCheckConfig": _health(dice),
        },
        "instanceLifecycleConfig": {
            "initializer": {"handler": "index.initialize", "timeout": 10, "command": ["sh", dice.secret("-c {}")]},
            "preStop": {"handler": "index.stop", "timeout": 30, "command": [dice.secret("bye {}")]},
        },
    }


def _network(dice: LocalSeededRandom) -> Record:
    return {
        "vpcConfig": {
            "vpcId": f"vpc-{dice.text(20)}",
            "vSwitchIds": [f"vsw-{dice.text(20)}" for _ in range(dice.integer(1, 3))],
            "securityGroupId": f"sg-{dice.text(20)}",
            "role": f"acs:ram::{dice.account_id}:role/fc-vpc",
        },
        "customDNS": {
            "nameServers": ["10.0.0.2", "10.0.0.3"],
            "searches": ["svc.cluster.example"],
            "dnsOptions": [{"name": "ndots", "value": "2"}],
        },
    }


def _observability(dice: LocalSeededRandom) -> Record:
    return {
        "logConfig": {
            "project": f"project-{dice.region_id}",
            "logstore": "function-log",
            "logBeginRule": dice.choice(("DefaultRegex", "None")),
            "enableInstanceMetrics": True,
            "enableRequestMetrics": dice.chance(0.5),
            "enableLlmMetrics": False,
        },
        "tracingConfig": {"type": "Jaeger", "params": {"endpoint": dice.secret("http://tracing/{}/api/traces")}},
        "tags": [
            {"Key": "team", "Value": dice.choice(("搜索", "payments", ""))},
            {"Key": "cost-center", "Value": dice.digits(5)},
        ],
        "layers": [
            {
                "arn": f"acs:fc:{dice.region_id}:{dice.account_id}:layers/common/versions/{dice.integer(1, 9)}",
                "size": 421,
            }
        ],
    }


def _sandbox(dice: LocalSeededRandom) -> Record:
    return {
        "microSandboxConfig": {
            "image": f"registry.{dice.region_id}.aliyuncs.com/sandbox/base:latest",
            "acrInstanceId": f"cri-{dice.text(16)}",
            "osType": "linux",
            "startCommand": dice.secret("start --key {}"),
            "readyCommand": dice.secret("curl -H 'Authorization: {}' localhost"),
            "registryConfig": registry(dice),
        },
        "gpuConfig": {"gpuType": "fc.gpu.ampere.1", "gpuMemorySize": dice.choice((8192, 24576))},
        "sessionAffinity": "HEADER_FIELD",
        "sessionAffinityConfig": '{"affinityHeaderFieldName":"x-session","sessionTTLInSeconds":21600}',
        "instanceIsolationMode": "SHARE",
        "idleTimeout": dice.integer(60, 3600),
        "enableLongLiving": dice.chance(0.5),
        "disableOndemand": dice.chance(0.5),
        "disableInjectCredentials": dice.choice(("None", "Env", "All")),
    }


def _lock(dice: LocalSeededRandom) -> Record:
    return {
        "lockInfo": {
            "lockedAt": iso_z(dice.moment()),
            "lockedBy": f"acs:ram::{dice.account_id}:role/workbench",
            "lockedResources": ["function", "trigger"],
        }
    }


# Each part of a function with the share of functions that have it. The first three functions have every part.
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
