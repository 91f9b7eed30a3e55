"""Rows that each built-in finding must find, and rows that it must ignore."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.finding_case import Case
from tests.support.role_cases import ROLE_CASES
from tests.support.written_snapshots import OTHER_ACCOUNT, START


def fc(name: str, **more: Any) -> dict[str, Any]:
    return {"function_name": name, **more}


def fc2(name: str, **more: Any) -> dict[str, Any]:
    return {"service_name": "svc", "function_name": name, **more}


UNCHECKED = {"cert_config": {"insecure": True}}


def http(name: str, auth: str, *, off: bool | None, **more: Any) -> dict[str, Any]:
    config = {"auth_type": auth, "disable_url_internet": off, "methods": ["GET", "POST"]}
    return {
        "function_name": name,
        "trigger_name": f"{name}-http",
        "trigger_type": "http",
        "trigger_config": config,
        **more,
    }


def domain(name: str, **more: Any) -> dict[str, Any]:
    return {"domain_name": name, **more}


def route(function: str, **more: Any) -> dict[str, Any]:
    return {"routes": [{"path": f"/{function}", "function_name": function, **more}]}


def trigger(function: str, qualifier: str | None, **more: Any) -> dict[str, Any]:
    name = f"{function}-{qualifier}"
    return {"function_name": function, "trigger_name": name, "trigger_type": "oss", "qualifier": qualifier, **more}


SECRET, SAME = "hmac:00112233aabbccdd", "hmac:5ec2e75ec2e75ec2"
SVC = {"service_name": "svc"}
LOGGED = {"project": "logs", "logstore": "functions"}
DAY = timedelta(days=1)

CASES: dict[str, Case] = ROLE_CASES | {
    "anonymous_public_urls": Case(
        {
            "fc_triggers": [
                http("open", "anonymous", off=False),
                http("unsaid", "anonymous", off=None),
                http("checked", "function", off=False),
                http("off", "anonymous", off=True),
            ],
            "fc2_triggers": [http("open2", "Anonymous", off=False, **SVC), http("checked2", "jwt", off=False, **SVC)],
        },
        ["open", "unsaid", "svc/open2"],
        ["checked", "off", "svc/checked2"],
    ),
    "anonymous_http_triggers": Case(
        {
            "fc_triggers": [http("off", "anonymous", off=True), http("open", "anonymous", off=False)],
            "fc2_triggers": [http("off2", "anonymous", off=True, **SVC), http("checked2", "jwt", off=True, **SVC)],
        },
        ["off", "svc/off2"],
        ["open", "svc/checked2"],
    ),
    "secret_names_in_environment": Case(
        {
            "fc_functions": [
                fc("holds", environment_variables=[("DB_PASSWORD", SECRET), ("STAGE", SECRET)]),
                fc("url", environment_variables=[("DATABASE_URL", SECRET)]),
                fc(
                    "harmless",
                    environment_variables=[("TOKEN_TTL", SECRET), ("MONKEY", SECRET), ("SECRET_NAME", SECRET)],
                ),
                fc("empty", environment_variables=[("API_TOKEN", "")]),
                fc("bare", environment_variables=None),
            ],
            "fc2_functions": [fc2("holds2", environment_variables=[("AccessKeySecret", SECRET)])],
        },
        ["holds", "DB_PASSWORD", "url", "svc/holds2", "AccessKeySecret"],
        ["harmless", "empty", "bare", "STAGE"],
    ),
    "shared_secrets": Case(
        {
            "fc_functions": [
                fc("a", environment_variables=[("DB_PASSWORD", SAME)]),
                fc("b", environment_variables=[("PASSWORD", SAME)], account_id=OTHER_ACCOUNT),
                fc("c", environment_variables=[("API_KEY", SECRET), ("OTHER_TOKEN", SECRET)]),
                fc("d", environment_variables=[("STAGE", "hmac:0000000000000001")]),
                fc("e", environment_variables=[("STAGE", "hmac:0000000000000001")]),
            ],
            "fc2_functions": [],
        },
        [SAME, "DB_PASSWORD, PASSWORD"],
        [SECRET, "hmac:0000000000000001"],
    ),
    "retired_runtimes": Case(
        {
            "fc_functions": [fc("old", runtime="nodejs10"), fc("new", runtime="nodejs20")],
            "fc2_functions": [fc2("old2", runtime="python2.7"), fc2("new2", runtime="python3.12")],
        },
        ["old", "svc/old2"],
        ["new", "svc/new2"],
    ),
    "unmaintained_runtimes": Case(
        {
            "fc_functions": [fc("ended", runtime="nodejs14"), fc("kept", runtime="python3.12")],
            "fc2_functions": [fc2("ended2", runtime="python3"), fc2("kept2", runtime="custom")],
        },
        ["ended", "Node.js 14", "svc/ended2", "Python 3.6"],
        ["kept", "svc/kept2"],
    ),
    "internet_without_vpc": Case(
        {
            "fc_functions": [
                fc("outside", internet_access=True, vpc_config=None),
                fc("empty-vpc", internet_access=True, vpc_config={"vpc_id": ""}),
                fc("inside", internet_access=True, vpc_config={"vpc_id": "vpc-1"}),
                fc("closed", internet_access=False),
            ]
        },
        ["outside", "empty-vpc"],
        ["inside", "closed"],
    ),
    "services_without_vpc": Case(
        {
            "fc2_services": [
                {"service_name": "outside", "internet_access": True},
                {"service_name": "inside", "vpc_config": {"vpc_id": "vpc-1"}},
            ],
            "fc2_functions": [{"service_name": "outside", "function_name": "f"}],
        },
        ["outside"],
        ["inside"],
    ),
    "shared_roles": Case(
        {
            "fc_functions": [
                *(fc(f"f{n}", role="acs:ram::1:role/many") for n in range(8)),
                *(fc(f"g{n}", role="acs:ram::1:role/nine") for n in range(9)),
                *(fc(f"h{n}", role="") for n in range(12)),
            ],
            "fc2_services": [{"service_name": "svc", "role": "acs:ram::1:role/many"}],
            "fc2_functions": [fc2("a"), fc2("b")],
        },
        ["acs:ram::1:role/many", "10"],
        ["acs:ram::1:role/nine", ""],
    ),
    "functions_without_role": Case(
        {
            "fc_functions": [fc("bare"), fc("empty", role=""), fc("holds", role="acs:ram::1:role/r")],
            "fc2_services": [
                {"service_name": "bare2", "role": ""},
                {"service_name": "holds2", "role": "acs:ram::1:role/r"},
            ],
        },
        ["bare", "empty", "bare2/"],
        ["holds", "holds2/"],
    ),
    "async_failures_go_nowhere": Case(
        {
            "fc_async_invoke_configs": [
                {"function_arn": "acs:fc:cn-hangzhou:1:functions/lost", "destination_config": None},
                {
                    "function_arn": "acs:fc:cn-hangzhou:1/functions/half",
                    "destination_config": {"on_success": {"destination": "x"}},
                },
                {
                    "function_arn": "acs:fc:cn-hangzhou:1:functions/kept",
                    "destination_config": {"on_failure": {"destination": "q"}},
                },
            ],
            "fc2_function_async_invoke_configs": [
                fc2("lost2", qualifier="LATEST"),
                fc2("kept2", qualifier="LATEST", destination_config={"on_failure": {"destination": "q"}}),
            ],
        },
        ["lost", "half", "svc/lost2", "LATEST"],
        ["kept", "svc/kept2"],
    ),
    "events_without_async_config": Case(
        {
            "fc_triggers": [trigger("bare", None), trigger("set", None), http("asked", "function", off=False)],
            "fc_async_invoke_configs": [{"function_arn": "acs:fc:cn-hangzhou:1:functions/set/prod"}],
        },
        ["bare"],
        ["set", "asked"],
    ),
    "events_without_async_config_2": Case(
        {
            "fc2_triggers": [
                trigger("bare", None, **SVC),
                trigger("set", None, **SVC),
                http("asked", "function", off=False, **SVC),
            ],
            "fc2_function_async_invoke_configs": [fc2("set", qualifier="LATEST")],
        },
        ["svc/bare"],
        ["svc/set", "svc/asked"],
    ),
    "no_log_project": Case(
        {
            "fc_functions": [
                fc("silent"),
                fc("half", log_config={"project": "logs", "logstore": ""}),
                fc("logs", log_config=LOGGED),
            ],
            "fc2_services": [{"service_name": "silent2"}, {"service_name": "logs2", "log_config": LOGGED}],
        },
        ["silent", "half", "silent2/"],
        ["logs", "logs2/"],
    ),
    "no_tracing": Case(
        {
            "fc_functions": [fc("dark"), fc("traced", tracing_config={"type": "Jaeger"})],
            "fc2_services": [
                {"service_name": "dark2"},
                {"service_name": "traced2", "tracing_config": {"type": "Jaeger"}},
            ],
        },
        ["dark", "dark2/"],
        ["traced", "traced2/"],
    ),
    "public_layers": Case(
        {
            "fc_layers": [{"layer_name": "open", "acl": "1"}, {"layer_name": "own", "acl": "0"}],
            "fc2_layers": [{"layer_name": "open2", "acl": 1}, {"layer_name": "own2", "acl": 0}],
        },
        ["open", "open2"],
        ["own", "own2"],
    ),
    "domains_with_plain_http": Case(
        {
            "fc_custom_domains": [domain("plain.example", protocol="HTTP"), domain("safe.example", protocol="HTTPS")],
            "fc2_custom_domains": [
                domain("both.example", protocol="HTTP,HTTPS\t"),
                domain("safe2.example", protocol="HTTPS\t"),
            ],
        },
        ["plain.example", "both.example"],
        ["safe.example", "safe2.example"],
    ),
    "registries_without_tls_check": Case(
        {
            "fc_functions": [
                fc("trusting", custom_container_config={"image": "a", "registry_config": UNCHECKED}),
                fc("boxed", micro_sandbox_config={"registry_config": UNCHECKED}),
                fc("checking", custom_container_config={"registry_config": {"cert_config": {"insecure": False}}}),
                fc("silent", custom_container_config={"image": "b"}),
            ]
        },
        ["trusting", "boxed"],
        ["checking", "silent"],
    ),
    "domains_with_old_tls": Case(
        {
            "fc_custom_domains": [
                domain("old.example", tls_config={"min_version": "TLSv1.0"}),
                domain(
                    "weak.example", tls_config={"min_version": "TLSv1.2", "cipher_suites": ["TLS_RSA_WITH_RC4_128_SHA"]}
                ),
                domain(
                    "new.example", tls_config={"min_version": "TLSv1.2", "cipher_suites": ["TLS_AES_128_GCM_SHA256"]}
                ),
                domain("unsaid.example"),
            ],
            "fc2_custom_domains": [domain("old2.example", tls_config={"min_version": "TLSv1.1\t"})],
        },
        ["old.example", "weak.example", "old2.example"],
        ["new.example", "unsaid.example"],
    ),
    "routes_to_missing_functions": Case(
        {
            "fc_custom_domains": [
                domain("dangling.example", route_config=route("gone")),
                domain("right.example", route_config=route("there"), api_version="2023-03-30"),
                domain("elsewhere.example", route_config=route("gone"), api_version="2021-04-06"),
            ],
            "fc_functions": [fc("there")],
        },
        ["dangling.example", "/gone"],
        ["right.example", "elsewhere.example"],
    ),
    "routes_to_missing_functions_2": Case(
        {
            "fc2_custom_domains": [
                domain("dangling.example", route_config=route("there", service_name="gone")),
                domain("right.example", route_config=route("there", service_name="svc")),
            ],
            "fc2_functions": [fc2("there")],
        },
        ["dangling.example", "gone/there"],
        ["right.example"],
    ),
    "triggers_of_missing_versions": Case(
        {
            "fc_triggers": [
                trigger("f", "gone"),
                trigger("f", "prod"),
                trigger("f", "3"),
                trigger("f", "LATEST"),
                trigger("f", None),
            ],
            "fc_aliases": [{"function_name": "f", "alias_name": "prod"}, {"function_name": "g", "alias_name": "gone"}],
            "fc_function_versions": [{"function_name": "f", "version_id": "3"}],
        },
        ["f-gone"],
        ["f-prod", "f-3", "f-LATEST", "f-None"],
    ),
    "triggers_of_missing_versions_2": Case(
        {
            "fc2_triggers": [trigger("f", "gone", **SVC), trigger("f", "prod", **SVC), trigger("f", "3", **SVC)],
            "fc2_aliases": [{"service_name": "svc", "alias_name": "prod"}],
            "fc2_service_versions": [{"service_name": "svc", "version_id": "3"}],
        },
        ["f-gone"],
        ["f-prod", "f-3"],
    ),
    "functions_not_active": Case(
        {
            "fc_functions": [
                fc("failed", state="Failed", state_reason="out of memory"),
                fc("idle", state="Inactive"),
                fc("stale", state="Active", last_update_status="Failed"),
                fc("fine", state="Active", last_update_status="Successful"),
                fc("unsaid"),
            ]
        },
        ["failed", "out of memory", "idle", "stale"],
        ["fine", "unsaid"],
    ),
    "provisioned_instances": Case(
        {
            "fc_provision_configs": [
                {"function_arn": "acs:fc:cn-hangzhou:1:functions/warm/prod", "target": 2},
                {"function_arn": "acs:fc:cn-hangzhou:1:functions/cold/prod", "target": 0},
            ],
            "fc2_provision_configs": [
                {"resource": "1#svc#prod#warm2", "target": 1},
                {"resource": "1#svc#prod#cold2", "target": 0},
            ],
        },
        ["warm", "svc/warm2", "prod"],
        ["cold", "svc/cold2"],
    ),
    "provisioning_errors": Case(
        {
            "fc_provision_configs": [
                {"function_arn": "acs:fc:cn-hangzhou:1:functions/stuck/prod", "current_error": "image not found"},
                {"function_arn": "acs:fc:cn-hangzhou:1:functions/fine/prod", "current_error": ""},
            ],
            "fc2_provision_configs": [{"resource": "services/s.prod/functions/f", "current_error": "quota"}],
        },
        ["stuck", "prod", "image not found", "services/s.prod/functions/f"],
        ["fine"],
    ),
    "disabled_timers": Case(
        {
            "fc_triggers": [
                fc("off", trigger_type="timer", trigger_config={"enable": False, "cron_expression": "@every 1h"}),
                fc("on", trigger_type="timer", trigger_config={"enable": True}),
                fc("log", trigger_type="log", trigger_config={"enable": False}),
            ],
            "fc2_triggers": [
                fc2("off2", trigger_type="timer", trigger_config={"enable": False}),
                fc2("unsaid2", trigger_type="timer"),
            ],
        },
        ["off", "@every 1h", "svc/off2"],
        ["on", "log", "svc/unsaid2"],
    ),
    "recent_changes": Case(
        {
            "fc_functions": [
                fc("new", created_time=START - 3 * DAY, last_modified_time=START - 3 * DAY),
                fc("changed", created_time=START - 300 * DAY, last_modified_time=START - 29 * DAY),
                fc("old", created_time=START - 300 * DAY, last_modified_time=START - 31 * DAY),
            ],
            "fc2_functions": [fc2("new2", created_time=START - DAY)],
        },
        ["new", "created", "changed", "svc/new2", "2026-11-18T02:00:00Z"],
        ["old"],
    ),
    "nas_without_encryption": Case(
        {
            "fc_functions": [
                fc("clear", nas_config={"mount_points": [{"server_addr": "n:/a", "enable_tls": False}]}),
                fc("safe", nas_config={"mount_points": [{"server_addr": "n:/b", "enable_tls": True}]}),
            ],
            "fc2_services": [
                {
                    "service_name": "clear2",
                    "nas_config": {"mount_points": [{"server_addr": "n:/c", "enable_tls": False}]},
                }
            ],
        },
        ["clear", "n:/a", "clear2/"],
        ["safe", "n:/b"],
    ),
    "opensearch_locked": Case(
        {
            "opensearch_app_groups": [
                {"name": "expired", "locked_by_expiration": 1},
                {"name": "held", "lock_mode": "ManualLock", "locked_by_expiration": 0},
                {"name": "free", "lock_mode": "Unlock", "locked_by_expiration": 0},
            ]
        },
        ["expired", "held"],
        ["free"],
    ),
    "opensearch_expiring": Case(
        {
            "opensearch_app_groups": [
                {"name": "soon", "expire_on": "2027-01-01T00:00:00Z"},
                {"name": "later", "expire_on": "2027-11-21T00:00:00Z"},
                {"name": "never", "expire_on": '""'},
                {"name": "unsaid"},
            ]
        },
        ["soon", "2027-01-01T00:00:00Z"],
        ["later", "never", "unsaid"],
    ),
    "opensearch_without_quota": Case(
        {
            "opensearch_app_groups": [
                {"name": "bare"},
                {"name": "zero", "quota": {"doc_size": 0, "compute_resource": 0}},
                {"name": "sized", "quota": {"doc_size": 10, "compute_resource": 20}},
            ]
        },
        ["bare", "zero"],
        ["sized"],
    ),
    "searchengine_public": Case(
        {
            "searchengine_instances": [
                {
                    "instance_id": "open",
                    "network": {"public_endpoint": "ha-1.example", "allow": "203.0.113.7,0.0.0.0/0"},
                },
                {"instance_id": "listed", "network": {"public_endpoint": "ha-2.example", "allow": "203.0.113.0/24"}},
                {"instance_id": "inside", "network": {"public_endpoint": "", "allow": "0.0.0.0/0"}},
            ]
        },
        ["open", "ha-1.example"],
        ["listed", "inside"],
    ),
    "searchengine_locked": Case(
        {
            "searchengine_instances": [
                {"instance_id": "overdue", "in_debt": True, "lock_mode": "Unlock"},
                {"instance_id": "held", "in_debt": False, "lock_mode": "ManualLock"},
                {"instance_id": "free", "in_debt": False, "lock_mode": "Unlock"},
                {"instance_id": "unsaid"},
            ]
        },
        ["overdue", "held"],
        ["free", "unsaid"],
    ),
    "searchengine_expiring": Case(
        {
            "searchengine_instances": [
                {"instance_id": "soon", "expired_time": START + 59 * DAY},
                {"instance_id": "over", "expired_time": START - DAY},
                {"instance_id": "later", "expired_time": START + 61 * DAY},
                {"instance_id": "never"},
                {"instance_id": "hourly", "charge_type": "POSTPAY", "expired_time": START + DAY},
            ]
        },
        ["soon", "over", "2026-11-20T02:00:00Z"],
        ["later", "never", "hourly"],
    ),
}
