"""The default chain: the official library's places to look, in its order, the first that has credentials for good.

Order and conditions: alibabacloud-credentials 1.0.12, `provider/default.py` and `utils/auth_util.py`, checked
2026-11-22. One difference: a profile that the library could use and this can't (a browser's sign-in, a program, an RSA
key pair) ends the search, since going on would mean another identity than the one that every other tool takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.client.credentials.base import (
    FailedProvider,
    HttpFetch,
    Provider,
    ProviderContext,
    StaticProvider,
    StsClient,
    UnsupportedProfileError,
    checked,
)
from crawler.client.credentials.metadata import ecs_role, uri_credentials
from crawler.client.credentials.profiles import cli_profile, ini_profile
from crawler.client.credentials.refresh import DiscoveredProvider
from crawler.client.credentials.spec import CredentialSpec, describe, source_of, validate
from crawler.client.credentials.sts import assumed_role, oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from crawler.client.credentials.base import Provider, ProviderContext
    from crawler.clock import Clock

_OIDC = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")


def default_chain(outside: ProviderContext) -> Provider:
    """The first place that has credentials, found at the first `get`.

    Fails there with CredentialsError, which lists every place and why it had none.
    """

    async def find() -> Provider:
        reasons = []
        for place, build in _places(outside):
            try:
                provider = build(outside)
                await provider.get()
            except UnsupportedProfileError:
                raise
            except CredentialsError as error:
                reasons.append(f"{place}: {error}")
            else:
                return provider
        tried = "; ".join(reasons)
        raise CredentialsError(
            "no credentials found: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or give "
            f"[accounts.credentials] another type than default (tried: {tried})"
        )

    return DiscoveredProvider("default chain", find, outside.clock)


def environment_keys(outside: ProviderContext) -> Provider:
    """The keys in the environment, with a security token where there is one. Raises CredentialsError without keys."""
    key_id = outside.environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID", "")
    secret = outside.environ.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "")
    token = outside.environ.get("ALIBABA_CLOUD_SECURITY_TOKEN", "")
    return StaticProvider("environment", checked(key_id, secret, token, "the environment"))


def _places(outside: ProviderContext) -> Iterator[tuple[str, Callable[[ProviderContext], Provider]]]:
    yield "environment", environment_keys
    if all(outside.environ.get(variable) for variable in _OIDC):
        yield "OIDC", oidc_role
    yield "CLI", cli_profile
    yield "credentials file", ini_profile
    if not outside.has_set("ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
        yield "ECS", ecs_role
    if outside.environ.get("ALIBABA_CLOUD_CREDENTIALS_URI"):
        yield "URI", uri_credentials


def build_provider(
    spec: CredentialSpec,
    *,
    account_id: str,
    call: StsClient,
    fetch: HttpFetch,
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
        return _provider(spec, ProviderContext(call, fetch, clock, environ, home))
    except CredentialsError as error:
        return FailedProvider(describe(spec), error)


def _provider(spec: CredentialSpec, outside: ProviderContext) -> Provider:
    match spec.type:
        case "access_key" | "sts":
            keys = checked(spec.access_key_id, spec.access_key_secret, spec.security_token, "[accounts.credentials]")
            return StaticProvider(spec.type, keys)
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


def _role(spec: CredentialSpec, outside: ProviderContext) -> Provider:
    return assumed_role(
        outside,
        _provider(source_of(spec), outside),
        spec.role_arn,
        session_name=spec.role_session_name,
        session_s=spec.role_session_expiration,
        external_id=spec.external_id,
        policy=spec.policy,
    )


def _oidc(spec: CredentialSpec, outside: ProviderContext) -> Provider:
    return oidc_role(
        outside,
        role_arn=spec.role_arn,
        provider_arn=spec.oidc_provider_arn,
        token_file=spec.oidc_token_file,
        session_name=spec.role_session_name,
        session_s=spec.role_session_expiration,
        policy=spec.policy,
    )
