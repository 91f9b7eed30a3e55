"""Measures the decoding of a page of 100 functions, step by step: `python benchmarks/decode.py`.

CPU time of one process, the minimum of several rounds. The steps are interleaved, so that a busy machine slows all.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from crawler.catalog import load_catalog
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.fast import gate, reader
from crawler.normalizer.fast.arrow_columns import read_json
from crawler.normalizer.fast.decoder import ArrowDecoder
from crawler.normalizer.fast.variants import SchemaVariant
from crawler.normalizer.pending import UndecodedPage
from crawler.normalizer.redaction import Redaction

PAGES, RECORDS, JOINED, ROUNDS = 40, 100, 8, 5
CONTEXT = RowContext("1000000000000001", "cn-hangzhou", datetime(2026, 11, 22, tzinfo=UTC), {})


def function(number: int, chance: random.Random) -> dict[str, Any]:
    """A record of about 3 KB: 45 fields, 102 leaves."""

    def digits(count: int) -> str:
        return f"{chance.getrandbits(4 * count):0{count}x}"

    def moment() -> str:
        return f"2026-{chance.randint(1, 9):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:30:12Z"

    name = f"svc-{number:07}-order"
    probe = {"failureThreshold": 3, "httpGetUrl": "/ready", "initialDelaySeconds": 1, "periodSeconds": 3}
    probe |= {"successThreshold": 1, "timeoutSeconds": 2}
    image = f"registry.cn-hangzhou.aliyuncs.com/team/{name}"
    return {
        "codeChecksum": str(chance.getrandbits(63)),
        "codeSize": chance.randint(1000, 50_000_000),
        "cpu": chance.choice([0.35, 0.5, 1, 2]),
        "createdTime": moment(),
        "customContainerConfig": {
            "accelerationInfo": {"status": "Ready"},
            "accelerationType": "Default",
            "acrInstanceId": f"cri-{digits(16)}",
            "command": ["/bin/sh", "-c"],
            "entrypoint": ["/app/run"],
            "healthCheckConfig": probe,
            "image": f"{image}:v{number}",
            "port": 9000,
            "resolvedImageUri": f"{image}@sha256:{digits(64)}",
        },
        "customDNS": {
            "dnsOptions": [{"name": "ndots", "value": "1"}],
            "nameServers": ["223.5.5.5", "223.6.6.6"],
            "searches": ["ns1.svc.cluster-domain.example"],
        },
        "customRuntimeConfig": {
            "args": ["--port", "9000"],
            "command": ["node", "index.js"],
            "healthCheckConfig": probe,
            "port": 9000,
        },
        "description": f"handles {name} events from the queue",
        "disableInjectCredentials": "None",
        "disableOndemand": False,
        "diskSize": 512,
        "enableLongLiving": False,
        "environmentVariables": {
            "DB_HOST": "rm-bp1.mysql.rds.aliyuncs.com",
            "DB_PASSWORD": digits(20),
            "LOG_LEVEL": "info",
            "REGION": "cn-hangzhou",
            "STAGE": chance.choice(["prod", "test"]),
        },
        "functionArn": f"acs:fc:cn-hangzhou:1000000000000001:functions/{name}",
        "functionId": digits(32),
        "functionName": name,
        "gpuConfig": {"gpuMemorySize": 0, "gpuType": ""},
        "handler": "index.handler",
        "idleTimeout": 60,
        "instanceConcurrency": chance.randint(1, 100),
        "instanceIsolationMode": "SHARE",
        "instanceLifecycleConfig": {
            "initializer": {"command": [], "handler": "index.init", "timeout": 3},
            "preStop": {"command": [], "handler": "index.stop", "timeout": 3},
        },
        "internetAccess": True,
        "invocationRestriction": {"disable": False, "lastModifiedTime": "2026-05-01T00:00:00Z", "reason": ""},
        "lastModifiedTime": moment(),
        "lastUpdateStatus": "Successful",
        "lastUpdateStatusReason": "",
        "lastUpdateStatusReasonCode": "",
        "layers": [{"arn": "acs:fc:cn-hangzhou:official:layers/Nodejs-SDK/versions/3", "size": 71_024}],
        "logConfig": {
            "enableInstanceMetrics": True,
            "enableRequestMetrics": True,
            "logBeginRule": "DefaultRegex",
            "logstore": "function-log",
            "project": "serverless-cn-hangzhou-1",
        },
        "memorySize": chance.choice([512, 1024]),
        "nasConfig": {
            "groupId": -1,
            "mountPoints": [{"enableTLS": False, "mountDir": "/mnt/nas", "serverAddr": "a.nas.aliyuncs.com:/"}],
            "userId": -1,
        },
        "ossMountConfig": {
            "mountPoints": [
                {
                    "bucketName": "bucket",
                    "bucketPath": "/",
                    "endpoint": "http://oss-cn-hangzhou-internal.aliyuncs.com",
                    "mountDir": "/mnt/oss",
                    "readOnly": True,
                }
            ]
        },
        "resourceGroupId": f"rg-{digits(14)}",
        "role": "acs:ram::1000000000000001:role/aliyunfcdefaultrole",
        "runtime": chance.choice(["nodejs20", "python3.10", "custom"]),
        "sessionAffinity": "NONE",
        "sessionAffinityConfig": "",
        "state": "Active",
        "stateReason": "",
        "stateReasonCode": "",
        "tags": [{"Key": "team", "Value": chance.choice("abc")}, {"Key": "env", "Value": "prod"}],
        "timeout": chance.randint(1, 600),
        "tracingConfig": {"params": {}, "type": ""},
        "vpcConfig": {
            "role": "",
            "securityGroupId": f"sg-{digits(18)}",
            "vSwitchIds": [f"vsw-{digits(18)}"],
            "vpcId": f"vpc-{digits(18)}",
        },
    }


def bodies(pages: int = PAGES) -> list[bytes]:
    """Return pages of functions, the same in every run."""
    chance = random.Random(1)
    return [
        json.dumps(
            {"functions": [function(page * RECORDS + row, chance) for row in range(RECORDS)], "nextToken": f"t{page}"},
            separators=(",", ":"),
        ).encode()
        for page in range(pages)
    ]


def undecoded(normalizer: Normalizer, pages: Sequence[bytes]) -> list[UndecodedPage]:
    """Read pages and return their rows, which must not be decoded yet."""
    return [cast("UndecodedPage", normalizer.read(body, CONTEXT).rows) for body in pages]


def main() -> None:
    """Measure and print."""
    pages, operation = bodies(), load_catalog().operations["fc_functions"]
    redaction = Redaction("fingerprint", "fingerprint", b"k" * 32)
    reader.FAST_FROM_BYTES = 0
    fast = Normalizer(operation, redaction, "s")
    exact = Normalizer(operation, redaction, "s", is_fast=False)
    rows = undecoded(fast, pages)
    runs = [rows[at : at + JOINED] for at in range(0, PAGES, JOINED)]
    decoder, opening = cast("ArrowDecoder", rows[0].source), gate.SchemaGate(operation, SchemaVariant())
    wire, tail = decoder.wire, slice(0, PAGES // 10)

    def arro3() -> None:
        for run in runs:
            read_json(b"\n".join(page.body for page in run), wire, len(run))

    def whole() -> None:
        for at in range(0, PAGES, JOINED):
            decoder.decode_fast(undecoded(fast, pages[at : at + JOINED]))

    parts: dict[str, tuple[Callable[[], object], int]] = {
        "orjson.loads (floor)": (lambda: [orjson.loads(body) and None for body in pages], PAGES),
        "gate: types, checks, digests": (lambda: [opening.open(body) and None for body in pages], PAGES),
        "all work in the event loop": (lambda: [fast.read(body, CONTEXT).seen for body in pages], PAGES),
        f"arro3, {JOINED} pages joined": (arro3, PAGES),
        "arro3, secrets, instants, names": (lambda: [decoder.decode_fast(run).num_rows for run in runs], PAGES),
        "fast path": (whole, PAGES),
        "exact path": (lambda: [exact.read(body, CONTEXT).seen for body in pages[tail]], PAGES // 10),
    }
    least = dict.fromkeys(parts, float("inf"))
    for _ in range(ROUNDS):
        for name, (run, count) in parts.items():
            began = time.process_time()
            run()
            least[name] = min(least[name], (time.process_time() - began) / count)
    floor = least["orjson.loads (floor)"]
    print(f"{PAGES} pages of {RECORDS} functions, {len(pages[0]) / 1000:.0f} KB each")
    for name, seconds in least.items():
        rate, ratio = RECORDS / seconds, seconds / floor
        print(f"{name:36} {seconds * 1000:8.2f} ms per page {rate:10,.0f} rows/s {ratio:6.2f} × floor")


if __name__ == "__main__":
    main()
