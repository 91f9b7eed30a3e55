"""The records of the static cloud: functions of about 3 KB as ListFunctions gives them, and versions of layers.

All records match the declared schema. One function in 500 has JSON in a variable, so that about one page in five has
an escape sequence.
"""

from __future__ import annotations

from random import Random
from typing import Any

Record = dict[str, Any]
_RUNTIMES = ("python3.10", "python3.12", "nodejs20", "java11", "custom.debian12", "custom-container")
_WORDS = ("billing", "catalog", "ingest", "thumbnail", "search", "ledger", "notify", "export")


def function(chance: Random, account: int, region: str, number: int) -> Record:
    """Make a function with all parts of a usual function."""
    name = f"{chance.choice(_WORDS)}-{chance.choice(_WORDS)}-{number:06d}"
    owner = account_id(account)
    return {
        "codeChecksum": str(chance.randrange(10**18, 10**19)),
        "codeSize": chance.randrange(400, 500_000_000),
        "cpu": chance.choice((0.05, 0.35, 0.5, 1, 2)),
        "createdTime": _instant(chance),
        "description": f"{chance.choice(_WORDS)} of the {chance.choice(_WORDS)} pipeline, owned by team {number % 90}",
        "diskSize": chance.choice((512, 10240)),
        "functionArn": f"acs:fc:{region}:{owner}:functions/{name}",
        "functionId": f"{chance.getrandbits(128):032x}",
        "functionName": name,
        "handler": "index.handler",
        "instanceConcurrency": chance.choice((1, 10, 100)),
        "internetAccess": True,
        "lastModifiedTime": _instant(chance),
        "memorySize": chance.choice((128, 512, 1024, 3072)),
        "resourceGroupId": f"rg-{chance.getrandbits(64):016x}",
        "role": f"acs:ram::{owner}:role/aliyunfcdefaultrole",
        "runtime": chance.choice(_RUNTIMES),
        "timeout": chance.randrange(1, 86_400),
        "environmentVariables": _variables(chance, number),
        **_network(chance, owner),
        **_container(chance, region),
        **_lifecycle(),
        **_observability(chance, region, owner),
    }


def layer_version(chance: Random, account: int, region: str, name: str, version: int) -> Record:
    """Make a version of a layer."""
    host = f"https://fc-layers-{region}.oss-{region}.aliyuncs.com"
    access = f"Expires=1763776800&OSSAccessKeyId=LTAI5tLayers&Signature={chance.getrandbits(160):040x}"
    return {
        "layerName": name,
        "version": version,
        "acl": "0",
        "description": f"{chance.choice(_WORDS)} for all teams",
        "code": {"repositoryType": "OSS", "location": f"{host}/{chance.getrandbits(128):032x}.zip?{access}"},
        "codeSize": chance.randrange(400, 500_000_000),
        "codeChecksum": str(chance.randrange(10**18, 10**19)),
        "compatibleRuntime": ["python3.10", "custom.debian12"],
        "createTime": _instant(chance),
        "license": "Apache-2.0",
        "layerVersionArn": f"acs:fc:{region}:{account_id(account)}:layers/{name}/versions/{version}",
    }


def _instant(chance: Random) -> str:
    return f"202{chance.randrange(6)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}T08:15:27Z"


def _variables(chance: Random, number: int) -> Record:
    found = {
        "DATABASE_URL": f"mysql://app:{chance.getrandbits(96):024x}@rm-bp1.mysql.rds.aliyuncs.com:3306/app",
        "API_TOKEN": f"{chance.getrandbits(160):040x}",
        "LOG_LEVEL": "info",
        "REDIS_HOST": f"r-{chance.getrandbits(64):016x}.redis.rds.aliyuncs.com",
        "FEATURES": "search,export,notify",
    }
    if number % 500 == 0:
        found["SETTINGS"] = '{"retries": 3, "queue": "orders"}'
    return found


def _network(chance: Random, owner: str) -> Record:
    return {
        "vpcConfig": {
            "vpcId": f"vpc-{chance.getrandbits(80):020x}",
            "vSwitchIds": [f"vsw-{chance.getrandbits(80):020x}" for _ in range(2)],
            "securityGroupId": f"sg-{chance.getrandbits(80):020x}",
            "role": f"acs:ram::{owner}:role/fc-vpc",
        },
        "customDNS": {
            "nameServers": ["10.0.0.2", "10.0.0.3"],
            "searches": ["svc.cluster.example"],
            "dnsOptions": [{"name": "ndots", "value": "2"}],
        },
        "nasConfig": {
            "userId": 10003,
            "groupId": 10003,
            "mountPoints": [
                {
                    "serverAddr": f"{chance.getrandbits(40):010x}-abc.cn-hangzhou.nas.aliyuncs.com:/data",
                    "mountDir": "/mnt/data",
                    "enableTLS": False,
                }
            ],
        },
    }


def _health() -> Record:
    return {
        "httpGetUrl": "/ready",
        "initialDelaySeconds": 3,
        "periodSeconds": 10,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
        "successThreshold": 1,
    }


def _container(chance: Random, region: str) -> Record:
    image = f"registry-vpc.{region}.aliyuncs.com/team/{chance.choice(_WORDS)}"
    return {
        "customContainerConfig": {
            "image": f"{image}:v{chance.randrange(1, 90)}",
            "resolvedImageUri": f"{image}@sha256:{chance.getrandbits(256):064x}",
            "port": 9000,
            "acrInstanceId": f"cri-{chance.getrandbits(64):016x}",
            "accelerationType": "Default",
            "accelerationInfo": {"status": "Ready"},
            "entrypoint": ["/code/bootstrap", "--workers=4"],
            "command": ["serve", "--port=9000"],
            "healthCheckConfig": _health(),
        }
    }


def _lifecycle() -> Record:
    return {
        "customRuntimeConfig": {
            "command": ["/code/bootstrap"],
            "args": ["--port", "9000"],
            "port": 9000,
            "healthCheckConfig": _health(),
        },
        "instanceLifecycleConfig": {
            "initializer": {"handler": "index.initialize", "timeout": 10},
            "preStop": {"handler": "index.stop", "timeout": 30},
        },
    }


def _observability(chance: Random, region: str, owner: str) -> Record:
    return {
        "logConfig": {
            "project": f"project-{region}-{chance.getrandbits(32):08x}",
            "logstore": "function-log",
            "logBeginRule": "DefaultRegex",
            "enableInstanceMetrics": True,
            "enableRequestMetrics": True,
            "enableLlmMetrics": False,
        },
        "tracingConfig": {"type": "Jaeger", "params": {"endpoint": "http://tracing.example:14268/api/traces"}},
        "tags": [
            {"Key": "team", "Value": chance.choice(_WORDS)},
            {"Key": "cost-center", "Value": str(chance.randrange(10_000, 99_999))},
        ],
        "layers": [{"arn": f"acs:fc:{region}:{owner}:layers/common/versions/{chance.randrange(1, 9)}", "size": 421}],
    }


def account_id(number: int) -> str:
    """Return an account's ID, which contains the number for the static cloud."""
    return f"10000000000{number:05d}"
