"""Rows of Resource Access Management for hand-made snapshots: roles with their trust, policies with their documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.written_snapshots import ACCOUNT

Rows = dict[str, list[dict[str, Any]]]
FC = ("fc.aliyuncs.com",)


def arn(role: str, account: str = ACCOUNT) -> str:
    return f"acs:ram::{account}:role/{role}"


def allow(action: Any = None, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = None, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def ram_rows(
    roles: Mapping[str, Sequence[str]],
    policies: Mapping[str, Sequence[Mapping[str, Any]] | None],
    *,
    account: str = ACCOUNT,
    trust: Mapping[str, Any] | None = None,
) -> Rows:
    """Return rows of an account with these roles and their policies, and with these policies and their statements.

    A policy of None has a document that isn't a policy's. `trust` has the services of roles other than FC's.
    """
    place = {"account_id": account}
    trusted = {role: (trust or {}).get(role, FC) for role in roles}
    return {
        "ram_roles": [
            {"role_name": role, **place, "assume_role_policy_document": _trust(services)}
            for role, services in trusted.items()
        ],
        "ram_policies_for_role": [
            {"role_name": role, "policy_type": "Custom", "policy_name": policy, **place}
            for role, names in roles.items()
            for policy in names
        ],
        "ram_policy_versions": [
            {
                "policy_type": "Custom",
                "policy_name": policy,
                "version_id": f"v{number}",
                "is_default_version": number == 2,
                "policy_document": document,
                **place,
            }
            for policy, statements in policies.items()
            # The version that isn't the default allows everything, and says nothing of the role.
            for number, document in enumerate([_document([allow("*")]), _document(statements)], 1)
        ],
    }


def _document(statements: Sequence[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    if statements is None:
        return None
    names = {"Action": "action", "NotAction": "not_action", "Resource": "resource", "NotResource": "not_resource"}
    texts = {**names, "Condition": "condition"}
    return {
        "version": "1",
        "statement": [
            {"effect": found["Effect"]}
            | {name: json.dumps(found[wire]) for wire, name in texts.items() if found.get(wire) is not None}
            for found in statements
        ],
    }


def _trust(services: Any) -> dict[str, Any] | None:
    if services is None:
        return None
    return {"version": "1", "statement": [{"effect": "Allow", "principal": {"service": json.dumps(services)}}]}
