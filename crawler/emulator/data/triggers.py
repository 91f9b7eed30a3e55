"""Seeded triggers of both generations of Function Compute.

Their `triggerConfig` is JSON in a string, by the type of the trigger
(https://help.aliyun.com/zh/functioncompute/fc/developer-reference/api-fc-2023-03-30-listtriggers and the pages of the
configurations there, checked 2026-11-22): with line breaks, as in the samples; once encoded twice, once cut short.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from crawler.emulator.data import seeded
from crawler.emulator.data.seeded import LocalSeededRandom, changed, iso_offset, iso_z, sparse, times
from crawler.emulator.records import Record


def v3_trigger(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a trigger of a function of 3.0, as fc ListTriggers returns it; `number` also selects the type."""
    kind, config = KINDS[number % len(KINDS)]
    created = rng.moment()
    host = f"{function[:20].lower()}-{rng.text(10)}.{rng.region_id}"
    urls = {"urlInternet": f"https://{host}.fcapp.run", "urlIntranet": f"https://{host}-vpc.fcapp.run"}
    record: Record = {
        **_common(rng, kind, config, number),
        **times(rng, created, 400_000),
        "httpTrigger": urls if kind == "http" else None,
        "status": rng.choice(("enabled", "")),
        "targetArn": rng.arn(f"functions/{function}"),
    }
    return sparse(rng, number, record, "description", "status", "qualifier")


def v2_trigger(rng: LocalSeededRandom, function: str, number: int) -> Record:
    """Make a trigger of a function of 2.0, as fc-open ListTriggers returns it; `number` also selects the type."""
    kind, config = KINDS[number % len(KINDS)]
    created = rng.moment()
    modified = iso_offset(changed(rng, created, 300, "days"), rng.integer(0, 999))
    domain = f"{function[:20].lower()}-{rng.text(10)}" if kind == "http" else ""
    url = f"https://{domain}.{rng.region_id}.fcapp.run" if domain else ""
    record: Record = {
        **_common(rng, kind, config, number),
        # Older pages show milliseconds and +0000, one of them a time without its first digit; newer ones a Z.
        "createdTime": iso_z(created) if number == 2 else iso_offset(created, rng.integer(0, 999)),
        "lastModifiedTime": modified[1:] if number == 1 else modified,
        "domainName": domain,
        "urlInternet": url,
        "urlIntranet": url.replace(".fcapp", "-vpc.fcapp"),
    }
    return sparse(rng, number, record, "description", "invocationRole", "urlIntranet")


def _common(rng: LocalSeededRandom, kind: str, config: Callable[[LocalSeededRandom], str], number: int) -> Record:
    source = f"acs:{kind}:{rng.region_id}:{rng.account_id}:source-{number}"
    return {
        "triggerName": f"{kind}_{rng.choice(seeded.VERBS)}-{number:02d}",
        "triggerId": rng.uuid(),
        "triggerType": kind,
        "triggerConfig": config(rng),
        "description": seeded.description(rng),
        "invocationRole": f"acs:ram::{rng.account_id}:role/fc-trigger",
        "sourceArn": "" if kind in {"http", "timer"} else source,
        "qualifier": rng.choice(("LATEST", "prod", "1")),
    }


def _text(config: object) -> str:
    """Encode a configuration as JSON with line breaks, as in the samples."""
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode()


def _http(rng: LocalSeededRandom) -> str:
    keys = {"jwks": {"keys": [{"kty": "oct", "k": rng.secret()}]}, "tokenLookup": "header:Authorization:Bearer "}
    return _text(
        {
            "methods": ["GET", "POST"],
            "authType": rng.choice(("function", "jwt", "function", "anonymous")),
            "authConfig": orjson.dumps(keys).decode(),
            "disableURLInternet": rng.chance(0.3),
        }
    )


def _timer(rng: LocalSeededRandom) -> str:
    return _text({"cronExpression": "@every 5m", "enable": rng.chance(0.8), "payload": rng.secret('{{"token":"{}"}}')})


def _oss(rng: LocalSeededRandom) -> str:
    filters = {"key": {"prefix": "incoming/", "suffix": rng.choice((".zip", ".png", ""))}}
    return _text({"events": ["oss:ObjectCreated:*", "oss:ObjectRemoved:DeleteObject"], "filter": filters})


def _log(rng: LocalSeededRandom) -> str:
    return _text(
        {
            "sourceConfig": {"logstore": "source"},
            "jobConfig": {"maxRetryTime": rng.integer(0, 100), "triggerInterval": 60},
            "functionParameter": {"stage": rng.choice(seeded.STAGES)},
            "logConfig": {"project": f"project-{rng.region_id}", "logstore": "trigger-log"},
            "enable": True,
        }
    )


def _cdn(rng: LocalSeededRandom) -> str:
    filters = {"filter": {"domain": [f"{rng.text(6)}.example.com"]}}
    return _text({"eventName": "CachedObjectsRefreshed", "eventVersion": "1.0.0", "notes": "refresh", **filters})


def _mns(rng: LocalSeededRandom) -> str:
    strategy = rng.choice(("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"))
    return _text({"notifyContentFormat": "JSON", "notifyStrategy": strategy, "filterTag": ""})


def _rocketmq(rng: LocalSeededRandom) -> str:
    parameters = {
        "RegionId": rng.region_id,
        "InstanceId": f"MQ_INST_{rng.digits(12)}",
        "Topic": "orders",
        "Tag": "*",
        "GroupID": "GID_inventory",
        "Offset": "CONSUME_FROM_LAST_OFFSET",
        "AuthType": "ACL",
        "InstanceUsername": rng.secret("user-{}"),
        "InstancePassword": rng.secret(),
    }
    return _text(_eventbridge(rng, "RocketMQ", {"sourceRocketMQParameters": parameters}))


def _dts(rng: LocalSeededRandom) -> str:
    """Make a configuration that is encoded twice: a JSON string that contains JSON."""
    parameters = {
        "BrokerUrl": f"dts-{rng.region_id}-vpc.aliyuncs.com:18001",
        "Topic": f"cn_hangzhou_{rng.text(8)}_version2",
        "Sid": f"dts{rng.text(12)}",
        "TaskId": rng.digits(9),
        "InitCheckPoint": 1_677_340_805,
        "Username": rng.secret("reader-{}"),
        "Password": rng.secret(),
    }
    config = _eventbridge(rng, "DTS", {"sourceDTSParameters": parameters})
    return orjson.dumps(orjson.dumps(config).decode()).decode()


def _eventbridge(rng: LocalSeededRandom, kind: str, parameters: Record) -> Record:
    return {
        "triggerEnable": True,
        "asyncInvocationType": rng.chance(0.5),
        "eventRuleFilterPattern": '{"source":["acs.oss"]}',
        "eventSourceConfig": {"eventSourceType": kind, "eventSourceParameters": parameters},
        "eventSinkConfig": {"deliveryOption": {"concurrency": 2, "eventSchema": "CloudEvents"}},
        "runOptions": {
            "batchWindow": {"countBasedWindow": 10, "timeBasedWindow": 5},
            "retryStrategy": {"PushRetryStrategy": "BACKOFF_RETRY"},
            "errorsTolerance": "ALL",
        },
    }


def _cut(rng: LocalSeededRandom) -> str:
    """Make a timer's configuration that is truncated and therefore invalid JSON."""
    return f'{{\n  "cronExpression": "0 0 4 * * *",\n  "payload": "{rng.secret()}'


# A function with this many triggers has one of each kind.
KINDS: tuple[tuple[str, Callable[[LocalSeededRandom], str]], ...] = (
    ("http", _http),
    ("timer", _timer),
    ("eventbridge", _rocketmq),
    ("oss", _oss),
    ("log", _log),
    ("tablestore", lambda _: ""),  # it is configured at its source
    ("cdn_events", _cdn),
    ("mns_topic", _mns),
    ("eventbridge", _dts),
    ("timer", _cut),
)
