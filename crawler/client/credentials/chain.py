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
from crawler.client.credentials.spec import (
    AccessKeySpec,
    CredentialSpec,
    DefaultSpec,
    EcsRoleSpec,
    OidcSpec,
    ProfileSpec,
    RoleSpec,
    StsSpec,
    describe,
)
from crawler.client.credentials.sts import DEFAULT_SESSION_S, assumed_role, oidc_role
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
    call: StsClient,
    fetch: HttpFetch,
    clock: Clock,
    environ: Mapping[str, str],
    home: Path,
) -> Provider:
    """The provider of one account. Sends nothing and reads no file: that waits for the first `get`.

    Settings that the environment must give (an OIDC role's names, ECS metadata) are missed at the first `get`, as a
    CredentialsError of this account alone.
    """
    try:
        return _provider(spec, ProviderContext(call, fetch, clock, environ, home))
    except CredentialsError as error:
        return FailedProvider(describe(spec), error)


def _provider(spec: CredentialSpec, outside: ProviderContext) -> Provider:
    match spec:
        case AccessKeySpec() | StsSpec():
            token = spec.security_token.reveal() if isinstance(spec, StsSpec) else ""
            key_id, secret = spec.access_key_id.reveal(), spec.access_key_secret.reveal()
            return StaticProvider(spec.type, checked(key_id, secret, token, "[accounts.credentials]"))
        case RoleSpec():
            return assumed_role(
                outside,
                _provider(spec.source_spec(), outside),
                spec.role_arn,
                session_name=spec.role_session_name or "",
                session_s=spec.role_session_expiration or DEFAULT_SESSION_S,
                external_id=spec.external_id or "",
                policy=spec.policy or "",
            )
        case OidcSpec():
            return oidc_role(
                outside,
                role_arn=spec.role_arn or "",
                provider_arn=spec.oidc_provider_arn or "",
                token_file=str(spec.oidc_token_file or ""),
                session_name=spec.role_session_name or "",
                session_s=spec.role_session_expiration or DEFAULT_SESSION_S,
                policy=spec.policy or "",
            )
        case EcsRoleSpec():
            return ecs_role(outside, spec.role_name)
        case ProfileSpec():
            return cli_profile(outside, spec.profile or "")
        case DefaultSpec():
            return default_chain(outside)
