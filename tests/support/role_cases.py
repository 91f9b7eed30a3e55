"""Rows that the findings on roles must find, and rows that they must ignore."""

from __future__ import annotations

from tests.support.finding_case import Case
from tests.support.ram_rows import allow, arn, ram_rows

FUNCTIONS = [{"function_name": f"f-{role}", "role": arn(role)} for role in ("strong", "weak")]
SERVICES = [{"service_name": f"s-{role}", "role": arn(role)} for role in ("strong", "weak")]


def permissions(action: str, resource: str = "*") -> Case:
    """Return the case of a finding on what roles may do: `action`, or only to read one log store."""
    policies = {"wide": [allow(action, resource)], "narrow": [allow("log:Get*", "acs:log:*:*:project/p/*")]}
    rows = ram_rows({"Strong": ["wide"], "weak": ["narrow"]}, policies)
    return Case(
        {**rows, "fc_functions": FUNCTIONS, "fc2_services": SERVICES},
        ["f-strong", "s-strong/", "wide"],
        ["f-weak", "s-weak/", "narrow"],
    )


def trigger(role: str, **more: str) -> dict[str, str]:
    name = {"function_name": "f", "trigger_name": f"t-{role}", "trigger_type": "oss"}
    return {**name, "invocation_role": arn(role), **more}


SECOND = {"service_name": "svc", "trigger_type": "mns_topic"}


INVOCATION = ram_rows(
    {"strong": ["wide"], "weak": ["narrow"]},
    {"wide": [allow("oss:*"), allow("fc:InvokeFunction")], "narrow": [allow("fc:InvokeFunction")]},
)

ROLE_CASES: dict[str, Case] = {
    "administrator_roles": permissions("*"),
    "roles_that_pass_roles": permissions("ram:Pass*"),
    "roles_that_read_all_buckets": permissions("oss:Get*", "acs:oss:*:*:*"),
    "missing_roles": Case(
        {"ram_roles": ram_rows({"weak": []}, {})["ram_roles"], "fc_functions": FUNCTIONS, "fc2_services": SERVICES},
        ["f-strong", "s-strong/"],
        ["f-weak", "s-weak/"],
    ),
    "unused_roles": Case(
        {
            "ram_roles": ram_rows(
                dict.fromkeys(["idle", "weak", "strong", "other"], ()), {}, trust={"other": "ecs.aliyuncs.com"}
            )["ram_roles"],
            "fc_functions": FUNCTIONS,
            "fc2_services": SERVICES,
            "fc_triggers": [],
            "fc2_triggers": [],
            "fcsandbox_templates": [],
            "fcsandbox_volumes": [],
        },
        ["idle", "fc.aliyuncs.com"],
        ["weak", "strong", "other"],
    ),
    "wide_invocation_roles": Case(
        {
            **INVOCATION,
            "fc_triggers": [trigger("strong"), trigger("weak")],
            "fc2_triggers": [trigger("strong", **SECOND), trigger("weak", **SECOND)],
        },
        ["f/t-strong", "svc/f/t-strong", "oss:*"],
        ["f/t-weak", "svc/f/t-weak"],
    ),
}
