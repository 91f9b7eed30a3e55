"""Seeded triggers of both generations of Function Compute.

Their `triggerConfig` is JSON in a string, by the type of the trigger
(https://help.aliyun.com/zh/functioncompute/fc/developer-reference/api-fc-2023-03-30-listtriggers and the pages of the
configurations there, checked 2026-11-22): with line breaks, as in the samples; once encoded twice, once cut short.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson

from crawler.emulator.data import seeded as words
from crawler.emulator.data.seeded import LocalSeededRandom, iso_offset, iso_z, sparse

Record = dict[str, Any]


def third(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """A trigger of a function of 3.0, as fc ListTriggers returns it; `number` also chooses the type."""
    kind, config = KINDS[number % len(KINDS)]
    created = dice.moment()
    host = f"{function[:20].lower()}-{dice.text(10)}.{dice.region_id}"
    is_http = kind == "http"
    record: Record = {
        **_common(dice, kind, config, number),
        "createdTime": iso_z(created),
        "lastModifiedTime": iso_z(created + timedelta(minutes=dice.integer(0, 400_000))),
        "httpTrigger": {
            "urlInternet": f"https://{host}.fcapp.run",
            "urlIntranet": f"https://{host}-vpc.fcapp.run",
        }
        if is_http
        else None,
        "status": dice.choice(("enabled", "")),
        "targetArn": f"acs:fc:{dice.region_id}:{dice.account_id}:functions/{function}",
    }
    return sparse(dice, number, record, "description", "status", "qualifier")


def second(dice: LocalSeededRandom, function: str, number: int) -> Record:
    """A trigger of a function of 2.0, as fc-open ListTriggers returns it; `number` also chooses the type."""
    kind, config = KINDS[number % len(KINDS)]
    created = dice.moment()
    modified = iso_offset(created + timedelta(days=dice.integer(0, 300)), dice.integer(0, 999))
    domain = f"{function[:20].lower()}-{dice.text(10)}" if kind == "http" else ""
    url = f"https://{domain}.{dice.region_id}.fcapp.run" if domain else ""
    record: Record = {
        **_common(dice, kind, config, number),
        # Older pages show milliseconds and +0000, one of them a time that has lost its first digit; newer ones a Z.
        "createdTime": iso_z(created) if number == 2 else iso_offset(created, dice.integer(0, 999)),
        "lastModifiedTime": modified[1:] if number == 1 else modified,
        "domainName": domain,
        "urlInternet": url,
        "urlIntranet": url.replace(".fcapp", "-vpc.fcapp"),
    }
    return sparse(dice, number, record, "description", "invocationRole", "urlIntranet")


def _common(dice: LocalSeededRandom, kind: str, config: Callable[[LocalSeededRandom], str], number: int) -> Record:
    return {
        "triggerName": f"{kind}_{dice.choice(words.VERBS)}-{number:02d}",
        "triggerId": dice.uuid(),
        "triggerType": kind,
        "triggerConfig": config(dice),
        "description": words.description(dice),
        "invocationRole": f"acs:ram::{dice.account_id}:role/fc-trigger",
        "sourceArn": ""
        if kind in {"http", "timer"}
        else f"acs:{kind}:{dice.region_id}:{dice.account_id}:source-{number}",
        "qualifier": dice.choice(("LATEST", "prod", "1")),
    }


def _text(config: object) -> str:
    """With line breaks, as the samples have it."""
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode()


def _http(dice: LocalSeededRandom) -> str:
    keys = {"jwks": {"keys": [{"kty": "oct", "k": dice.secret()}]}, "tokenLookup": "header:Authorization:Bearer "}
    return _text(
        {
            "methods": ["GET", "POST"],
            "authType": dice.choice(("function", "jwt", "function", "anonymous")),
            "authConfig": orjson.dumps(keys).decode(),
            "disableURLInternet": dice.chance(0.3),
        }
    )


def _timer(dice: LocalSeededRandom) -> str:
    return _text(
        {"cronExpression": "@every 5m", "enable": dice.chance(0.8), "payload": dice.secret('{{"token":"{}"}}')}
    )


def _oss(dice: LocalSeededRandom) -> str:
    filters = {"key": {"prefix": "incoming/", "suffix": dice.choice((".zip", ".png", ""))}}
    return _text({"events": ["oss:ObjectCreated:*", "oss:ObjectRemoved:DeleteObject"], "filter": filters})


def _log(dice: LocalSeededRandom) -> str:
    return _text(
        {
            "sourceConfig": {"logstore": "source"},
            "jobConfig": {"maxRetryTime": dice.integer(0, 100), "triggerInterval": 60},
            "functionParameter": {"stage": dice.choice(words.STAGES)},
            "logConfig": {"project": f"project-{dice.region_id}", "logstore": "trigger-log"},
            "enable": True,
        }
    )


def _tablestore(dice: LocalSeededRandom) -> str:  # noqa: ARG001 - it is configured at its source
    return ""


def _cdn(dice: LocalSeededRandom) -> str:
    filters = {"filter": {"domain": [f"{dice.text(6)}.example.com"]}}
    return _text({"eventName": "CachedObjectsRefreshed", "eventVersion": "1.0.0", "notes": "refresh", **filters})


def _mns(dice: LocalSeededRandom) -> str:
    strategy = dice.choice(("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"))
    return _text({"notifyContentFormat": "JSON", "notifyStrategy": strategy, "filterTag": ""})


def _rocketmq(dice: LocalSeededRandom) -> str:
    parameters = {
        "RegionId": dice.region_id,
        "InstanceId": f"MQ_INST_{dice.digits(12)}",
        "Topic": "orders",
        "Tag": "*",
        "GroupID": "GID_inventory",
        "Offset": "CONSUME_FROM_LAST_OFFSET",
        "AuthType": "ACL",
        "InstanceUsername": dice.secret("user-{}"),
        "InstancePassword": dice.secret(),
    }
    return _text(_eventbridge(dice, "RocketMQ", {"sourceRocketMQParameters": parameters}))


def _dts(dice: LocalSeededRandom) -> str:
    """Encoded twice: a JSON string that holds JSON."""
    parameters = {
        "BrokerUrl": f"dts-{dice.region_id}-vpc.aliyuncs.com:18001",
        "Topic": f"cn_hangzhou_{dice.text(8)}_version2",
        "Sid": f"dts{dice.text(12)}",
        "TaskId": dice.digits(9),
        "InitCheckPoint": 1_677_340_805,
        "Username": dice.secret("reader-{}"),
        "Password": dice.secret(),
    }
    config = _eventbridge(dice, "DTS", {"sourceDTSParameters": parameters})
    return orjson.dumps(orjson.dumps(config).decode()).decode()


def _eventbridge(dice: LocalSeededRandom, kind: str, parameters: Record) -> Record:
    return {
        "triggerEnable": True,
        "asyncInvocationType": dice.chance(0.5),
        "eventRuleFilterPattern": '{"source":["acs.oss"]}',
        "eventSourceConfig": {"eventSourceType": kind, "eventSourceParameters": parameters},
        "eventSinkConfig": {"deliveryOption": {"concurrency": 2, "eventSchema": "CloudEvents"}},
        "runOptions": {
            "batchWindow": {"countBasedWindow": 10, "timeBasedWindow": 5},
            "retryStrategy": {"PushRetryStrategy": "BACKOFF_RETRY"},
            "errorsTolerance": "ALL",
        },
    }


def _cut(dice: LocalSeededRandom) -> str:
    """A timer's configuration that ends too early to be JSON."""
    return f'{{\n  "cronExpression": "0 0 4 * * *",\n  "payload": "{dice.secret()}'


# A function with that many triggers has one of each.
KINDS: tuple[tuple[str, Callable[[LocalSeededRandom], str]], ...] = (
    ("http", _http),
    ("timer", _timer),
    ("eventbridge", _rocketmq),
    ("oss", _oss),
    ("log", _log),
    ("tablestore", _tablestore),
    ("cdn_events", _cdn),
    ("mns_topic", _mns),
    ("eventbridge", _dts),
    ("timer", _cut),
)
