"""The Security Token Service: the caller's identity, and temporary keys of roles (RPC style, version 2015-04-01).

Parameters and responses: https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole and
its siblings (checked 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crawler.emulator.data.seeded import iso_z
from crawler.emulator.keyring import Key, Keyring
from crawler.emulator.responses import RefusedError
from crawler.emulator.spec import CloudOrganization, CloudSpec

ACTIONS = ("GetCallerIdentity", "AssumeRole", "AssumeRoleWithOIDC")
UNSIGNED = ("AssumeRoleWithOIDC",)
ROLE = re.compile(r"acs:ram::([0-9]+):role/([A-Za-z0-9.@_-]{1,64})")
PROVIDER = re.compile(r"acs:ram::([0-9]+):oidc-provider/.+")
SESSION = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
TOKEN_LIFE_S = (900, 3600)


class TokenService:
    """Implements the three actions. Each response is a JSON object without its RequestId."""

    def __init__(self, spec: CloudSpec, keys: Keyring) -> None:
        self._spec = spec
        self._keys = keys

    def respond(self, action: str, parameters: Mapping[str, str], key: Key | None) -> dict[str, Any]:
        """Return the response to an action. Raises `RefusedError` for invalid parameters."""
        if action == "GetCallerIdentity" and key is not None:
            return _identity(key)
        if action == "AssumeRoleWithOIDC":
            return self._assume_with_oidc(parameters)
        return self._assume(parameters)

    def _assume(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        if self._spec.external_id and parameters.get("ExternalId") != self._spec.external_id:
            raise _unauthorized("The external ID is wrong.")
        return self._issue_credentials(parameters)

    def _assume_with_oidc(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        provider = PROVIDER.fullmatch(_required(parameters, "OIDCProviderArn"))
        if provider is None:
            raise _malformed("OIDCProviderArn")
        if _required(parameters, "OIDCToken").count(".") != 2:
            raise RefusedError(400, "AuthenticationFail.OIDCToken.Invalid", "The OIDC token is invalid.")
        response = self._issue_credentials(parameters)
        return {**response, "OIDCTokenInfo": {"Issuer": "https://issuer.example", "Subject": "cluster:default:reader"}}

    def _issue_credentials(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        role = ROLE.fullmatch(_required(parameters, "RoleArn"))
        if role is None:
            raise _malformed("RoleArn")
        session = _required(parameters, "RoleSessionName")
        if not SESSION.fullmatch(session):
            raise _malformed("RoleSessionName")
        account, name = role.groups()
        organization = self._spec.organization or CloudOrganization()
        if account in organization.distrustful:
            raise _unauthorized("You should be authorized by RAM.")
        if account not in self._spec.accounts or name not in self._spec.roles or account in organization.without_role:
            raise RefusedError(404, "EntityNotExist.Role", f"The role not exists: {role[0]}.")
        key = self._keys.issue(account, name, session, _duration_s(parameters))
        return _credentials(key)


def _unauthorized(reason: str) -> RefusedError:
    return RefusedError(403, "NoPermission", f"You are not authorized to do this action. {reason}")


def _malformed(name: str) -> RefusedError:
    return RefusedError(400, f"InvalidParameter.{name}", f"The parameter {name} is wrongly formed.")


def _required(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name, "")
    if not value:
        raise RefusedError(400, f"Missing{name}", f"{name} is mandatory for this action.")
    return value


def _duration_s(parameters: Mapping[str, str]) -> int:
    low, high = TOKEN_LIFE_S
    text = parameters.get("DurationSeconds", str(high))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        message = f"The Min/Max value of DurationSeconds is {low}/{high} seconds."
        raise RefusedError(400, "InvalidParameter.DurationSeconds", message)
    return int(text)


def _arn(key: Key) -> str:
    return f"acs:ram::{key.account_id}:assumed-role/{key.role}/{key.session}"


def _credentials(key: Key) -> dict[str, Any]:
    return {
        "AssumedRoleUser": {"Arn": _arn(key), "AssumedRoleId": f"3{key.account_id[1:]}:{key.session}"},
        "Credentials": {
            "AccessKeyId": key.key_id,
            "AccessKeySecret": key.secret,
            "SecurityToken": key.token,
            "Expiration": iso_z(key.expires_at) if key.expires_at else "",
        },
    }


def _identity(key: Key) -> dict[str, Any]:
    if key.role:
        found = {"IdentityType": "AssumedRoleUser", "Arn": _arn(key), "RoleId": f"3{key.account_id[1:]}"}
        return {**found, "AccountId": key.account_id, "PrincipalId": f"3{key.account_id[1:]}:{key.session}"}
    return {
        "IdentityType": "Account",
        "Arn": f"acs:ram::{key.account_id}:root",
        "AccountId": key.account_id,
        "PrincipalId": key.account_id,
        "UserId": key.account_id,
    }
