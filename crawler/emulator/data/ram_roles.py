"""Seeded roles of Resource Access Management, with the policies that they have.

Their names are those that the emulated functions, services and triggers use. The trust documents follow
https://www.alibabacloud.com/help/en/ram/policy-elements and the pages on creating roles (checked 2026-12-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.emulator.data import seeded
from crawler.emulator.data.ram_policies import document
from crawler.emulator.data.seeded import LocalSeededRandom, changed, iso_z
from crawler.emulator.records import Record
from crawler.emulator.spec import CloudOrganization, CloudSpec

FC = ("fc.aliyuncs.com",)


@dataclass(frozen=True, slots=True)
class RolePlan:
    """A role: who may assume it (services, else the account), and the names of its policies."""

    policies: tuple[str, ...] = ()
    services: tuple[str, ...] = FC
    principal: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


# Roles of functions of 3.0 (`fc-SUBJECT`), of services of 2.0, of networks, of triggers, of the volumes of sandboxes;
# then some that nothing uses.
PLANS: Mapping[str, RolePlan] = {
    **{f"fc-{subject}": RolePlan(("orders-table",)) for subject in seeded.SUBJECTS},
    "fc-audit": RolePlan(("AliyunOSSReadOnlyAccess",)),
    "fc-image": RolePlan(("media-buckets",)),
    "fc-invoice": RolePlan(("orders-table", "pass-roles")),
    "fc-report": RolePlan(("AdministratorAccess",), description="for the month's report"),
    "fc-search": RolePlan(("all-objects",)),
    "fc-video": RolePlan(("media-buckets",)),
    "fc-default": RolePlan(("legacy-everything",)),
    "fc-vpc": RolePlan(("AliyunECSNetworkInterfaceManagementAccess",)),
    "fc-trigger": RolePlan(
        ("AliyunOSSFullAccess", "trigger-invoke"),
        ("oss.aliyuncs.com", "log.aliyuncs.com", "mns.aliyuncs.com", "cdn.aliyuncs.com", "eventbridge.aliyuncs.com"),
    ),
    "sandbox-mount": RolePlan(("media-buckets",)),
    "fc-old-migration": RolePlan(("AliyunFCFullAccess",), description="the move of 2023"),
    "fc-legacy-export": RolePlan(("AliyunOSSFullAccess", "AliyunLogFullAccess")),
    "workbench": RolePlan(("PowerUserAccess",), ()),
    "ecs-app": RolePlan(("AliyunOSSReadOnlyAccess",), ("ecs.aliyuncs.com",)),
    "sso-admins": RolePlan(("AdministratorAccess",), (), {"Federated": "acs:ram::{account}:saml-provider/corp"}),
    "partner-audit": RolePlan(("ReadOnlyAccess",), (), {"RAM": ["acs:ram::1999999999999999:root"]}),
}
# A role that the vendor made for a service, with its deletion under way.
SERVICE_LINKED = "AliyunServiceRoleForFC"
READER = RolePlan(("AliyunFCReadOnlyAccess", "AliyunOpenSearchReadOnlyAccess", "AliyunRAMReadOnlyAccess"), ())


def plans(spec: CloudSpec, account_id: str) -> dict[str, RolePlan]:
    """Return the roles of an account. Those of STS are among them, unless the account lacks them."""
    organization = spec.organization or CloudOrganization()
    own = {} if account_id in organization.without_role else dict.fromkeys(spec.roles, READER)
    return {**PLANS, SERVICE_LINKED: RolePlan(("AliyunFCFullAccess",)), **own}


def role(rng: LocalSeededRandom, spec: CloudSpec, name: str, plan: RolePlan, number: int) -> Record:
    """Return a role as GetRole does, with its tags, which only ListRoles returns."""
    created = rng.moment()
    record: Record = {
        "RoleId": f"3{rng.digits(17)}",
        "RoleName": name,
        "RolePrincipalName": f"{name}@role.{rng.account_id}.onaliyunservice.com",
        "Arn": f"acs:ram::{rng.account_id}:role/{name}",
        "Description": plan.description or seeded.description(rng),
        "MaxSessionDuration": rng.choice((3600, 3600, 7200, 43_200)),
        "AllowConsoleLogin": not plan.services,
        "IsServiceLinkedRole": name == SERVICE_LINKED,
        "AssumeRolePolicyDocument": _trust(rng, spec, name, plan, number),
        "CreateDate": iso_z(created),
        "UpdateDate": iso_z(changed(rng, created, 400_000)),
    }
    if number % 3 == 0:
        record["Tags"] = {"Tag": [{"TagKey": "team", "TagValue": rng.text(4)}, {"TagKey": "env", "TagValue": ""}]}
    if name == SERVICE_LINKED:
        task = f"{name}/{rng.uuid()}"
        record["LatestDeletionTask"] = {"DeletionTaskId": task, "CreateDate": iso_z(changed(rng, created, 400_000))}
    return record


def _trust(rng: LocalSeededRandom, spec: CloudSpec, name: str, plan: RolePlan, number: int) -> str:
    """Return the document with the trusted services or accounts, of one in five roles with line breaks."""
    root = f"acs:ram::{rng.account_id}:root"
    statement: dict[str, Any] = {"Action": "sts:AssumeRole", "Principal": {"RAM": root}}
    if plan.services:
        statement["Principal"] = {"Service": list(plan.services)}
    if plan.principal:
        filled = plan.principal.items()
        statement["Principal"] = {
            kind: value.format(account=rng.account_id) if isinstance(value, str) else value for kind, value in filled
        }
    if name == "partner-audit":
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": rng.secret()}}
    elif name == "sso-admins":
        statement["Condition"] = {"StringEquals": {"saml:recipient": "https://signin.example.com/saml-role/sso"}}
    elif name in spec.roles and spec.external_id:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": spec.external_id}}
    return document(statement, indent=number % 5 == 0)
