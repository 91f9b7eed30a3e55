"""From what a user wrote to a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.client.credentials.base import Call, Fetch, Outside, Provider, checked
from crawler.client.credentials.chain import default_chain
from crawler.client.credentials.metadata import ecs_role
from crawler.client.credentials.profiles import cli_profile
from crawler.client.credentials.spec import CredentialSpec, describe, source_of, validate
from crawler.client.credentials.static import Static, Unusable
from crawler.client.credentials.sts import assumed_role, oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crawler.clock import Clock


def build_provider(
    spec: CredentialSpec,
    *,
    account_id: str,
    call: Call,
    fetch: Fetch,
    clock: Clock,
    environ: Mapping[str, str],
    home: Path,
) -> Provider:
    """The provider of one account. Sends nothing and reads no file: that waits for the first `get`.

    Raises ConfigError where the spec doesn't hold together. What it leaves to the environment (an OIDC role's names,
    ECS metadata) is missed at the first `get`, as a CredentialsError of this account alone.
    """
    validate(spec, f"account {account_id}: [accounts.credentials]")
    try:
        return _provider(spec, Outside(call, fetch, clock, environ, home))
    except CredentialsError as error:
        return Unusable(describe(spec), error)


def _provider(spec: CredentialSpec, outside: Outside) -> Provider:
    match spec.type:
        case "access_key" | "sts":
            keys = checked(spec.access_key_id, spec.access_key_secret, spec.security_token, "[accounts.credentials]")
            return Static(spec.type, keys)
        case "ram_role_arn":
            return _role(spec, outside)
        case "oidc_role_arn":
            return _oidc(spec, outside)
        case "ecs_ram_role":
            return ecs_role(outside, spec.role_name or None)
        case "profile":
            return cli_profile(outside, spec.profile)
        case _:
            return default_chain(outside)


def _role(spec: CredentialSpec, outside: Outside) -> Provider:
    return assumed_role(
        outside,
        _provider(source_of(spec), outside),
        spec.role_arn,
        session_name=spec.role_session_name,
        session_s=spec.role_session_expiration,
        external_id=spec.external_id,
        policy=spec.policy,
    )


def _oidc(spec: CredentialSpec, outside: Outside) -> Provider:
    return oidc_role(
        outside,
        role_arn=spec.role_arn,
        provider_arn=spec.oidc_provider_arn,
        token_file=spec.oidc_token_file,
        session_name=spec.role_session_name,
        session_s=spec.role_session_expiration,
        policy=spec.policy,
    )
