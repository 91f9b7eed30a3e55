"""Seeded policies of Resource Access Management: some that the vendor keeps, and those of an account.

Documents follow https://www.alibabacloud.com/help/en/ram/policy-elements (checked 2026-12-01): an element may be a text
or a list, and a condition may be empty. Those of the vendor's policies are shortened; the real cloud has a thousand
and more of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from crawler.emulator.data.seeded import LocalSeededRandom, iso_z
from crawler.emulator.records import Record

Statement = Mapping[str, Any]
SYSTEM, CUSTOM = "System", "Custom"

SYSTEM_POLICIES: Mapping[str, tuple[str, Statement]] = {
    "AdministratorAccess": ("Manages all resources of the account.", {"Action": "*", "Resource": "*"}),
    "ReadOnlyAccess": (
        "Reads all resources of the account.",
        {"Action": ["*:Describe*", "*:List*", "*:Get*", "*:BatchGet*", "*:Query*"], "Resource": "*"},
    ),
    "PowerUserAccess": (
        "Manages all resources but users and permissions.",
        {"NotAction": ["ram:*", "ims:*", "resourcemanager:*"], "Resource": "*", "Condition": {}},
    ),
    "AliyunECSNetworkInterfaceManagementAccess": (
        "Manages network interfaces.",
        {"Action": ["ecs:CreateNetworkInterface", "ecs:DeleteNetworkInterface", "ecs:Describe*"], "Resource": "*"},
    ),
    "AliyunFCFullAccess": ("Manages Function Compute.", {"Action": "fc:*", "Resource": "*"}),
    "AliyunFCInvocationAccess": ("Invokes all functions.", {"Action": ["fc:InvokeFunction"], "Resource": ["*"]}),
    "AliyunFCReadOnlyAccess": ("Reads Function Compute.", {"Action": ["fc:Get*", "fc:List*"], "Resource": "*"}),
    "AliyunLogFullAccess": ("Manages Simple Log Service.", {"Action": "log:*", "Resource": "*"}),
    "AliyunOSSFullAccess": ("管理对象存储服务(OSS)权限", {"Action": "oss:*", "Resource": "*"}),
    "AliyunOSSReadOnlyAccess": (
        "只读访问对象存储服务(OSS)的权限",
        {"Action": ["oss:Get*", "oss:List*"], "Resource": "*"},
    ),
    "AliyunOpenSearchReadOnlyAccess": (
        "Reads OpenSearch.",
        {"Action": ["opensearch:Describe*", "opensearch:List*"], "Resource": "*", "Condition": {}},
    ),
    "AliyunRAMReadOnlyAccess": (
        "Reads users, roles and policies.",
        {"Action": ["ram:Get*", "ram:List*"], "Resource": "*"},
    ),
}


def document(*statements: Statement, indent: bool = False) -> str:
    """Return a policy's document as JSON text; the effect is Allow unless a statement has another."""
    made = {"Version": "1", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    return orjson.dumps(made, option=orjson.OPT_INDENT_2 if indent else 0).decode()


def custom_policies(rng: LocalSeededRandom) -> dict[str, tuple[str, list[str]]]:
    """Return the account's own policies: name → description, and the documents of its versions, oldest first."""
    table = f"acs:ots:*:{rng.account_id}:instance/orders/table/"
    return {
        "all-objects": ("Reads objects.", [document({"Action": "oss:GetObject", "Resource": "*"})]),
        "legacy-everything": (
            "From before there were rules.",
            [
                document({"Action": ["fc:*"], "Resource": ["*"]}),
                document({"Action": ["fc:*", "oss:*", "log:*"], "Resource": ["*"]}),
                document({"Action": ["*"], "Resource": ["*"]}),
            ],
        ),
        "media-buckets": (
            "Reads and writes pictures.",
            [
                document({"Action": "oss:*", "Resource": "acs:oss:*:*:media-*"}),
                document({"Action": ["oss:GetObject", "oss:PutObject"], "Resource": ["acs:oss:*:*:media-*/*"]}),
            ],
        ),
        "office-only": (
            "",
            [
                document(
                    {
                        "Effect": "Deny",
                        "NotAction": ["ram:ChangePassword", "ram:GetUser"],
                        "Resource": "*",
                        "Condition": {
                            "NotIpAddress": {"acs:SourceIp": ["203.0.113.0/24", "198.51.100.7"]},
                            "StringNotEquals": {"acs:RequestTag/handover": rng.secret()},
                            "Bool": {"acs:MFAPresent": "false"},
                        },
                    },
                    indent=True,
                )
            ],
        ),
        "orders-table": (
            "Writes orders.",
            [
                document(
                    {"Action": ["ots:PutRow", "ots:GetRow"], "Resource": f"{table}orders"},
                    {"Action": "ots:GetRange", "Resource": [f"{table}orders", f"{table}customers"]},
                )
            ],
        ),
        "pass-roles": (
            "Lets a deployment give roles to its functions.",
            [
                document(
                    {"Action": ["ram:PassRole", "ram:GetRole"], "Resource": "*"},
                    {"Action": ["fc:CreateFunction", "fc:UpdateFunction"], "Resource": "*"},
                )
            ],
        ),
        "trigger-invoke": (
            "Invokes functions of the shop.",
            [document({"Action": "fc:InvokeFunction", "Resource": f"acs:fc:*:{rng.account_id}:functions/shop-*"})],
        ),
    }


def versions(rng: LocalSeededRandom, documents: Sequence[str]) -> list[Record]:
    """Return the versions of a policy, as ListPolicyVersions does; the newest one is the default."""
    return [
        {
            "VersionId": f"v{number}",
            "IsDefaultVersion": number == len(documents),
            "CreateDate": iso_z(rng.moment()),
            "PolicyDocument": text,
        }
        for number, text in enumerate(documents, 1)
    ]


def policy(rng: LocalSeededRandom, name: str, kind: str, description: str) -> Record:
    """Return a policy as ListPolicies does; its attachments and its default version are derived later."""
    created = rng.moment()
    return {
        "PolicyName": name,
        "PolicyType": kind,
        "Description": description,
        "DefaultVersion": "v1",
        "CreateDate": iso_z(created),
        "UpdateDate": iso_z(created),
        "AttachmentCount": 0,
    }


def widened(text: str, day: int) -> str:
    """Return the document with another statement, as the next version of a policy has it."""
    found = orjson.loads(text)
    more = {"Effect": "Allow", "Action": "log:PostLogStoreLogs", "Resource": f"acs:log:*:*:project/day-{day}/*"}
    return orjson.dumps({**found, "Statement": [*found["Statement"], more]}).decode()
