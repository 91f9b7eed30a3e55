"""Makes the provider of an account. The default chain tries the sources of the official library in its order.

Order and conditions: alibabacloud-credentials 1.0.12, `provider/default.py` and `utils/auth_util.py`, checked
2026-11-22. One difference: a profile that only the vendor's tools support (a sign-in by browser, a program, an RSA key
pair) ends the search, because the next source would mean another identity than the one that all other tools use.
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
    checked_keys,
)
from crawler.client.credentials.cli_profiles import cli_profile
from crawler.client.credentials.ini_profiles import ini_profile
from crawler.client.credentials.metadata import ecs_role, uri_credentials
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
from crawler.errors import CredentialsError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from crawler.client.credentials.base import Provider, ProviderContext
    from crawler.clock import Clock

_OIDC = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")


def default_chain(context: ProviderContext) -> Provider:
    """Return a provider for the first source with credentials, which the first `get` finds.

    It raises CredentialsError, with each source and the reason why it had none; UnreachableError if one of them has not
    answered.
    """

    async def find() -> Provider:
        reasons = []
        kind = CredentialsError
        for name, build in _sources(context):
            try:
                provider = build(context)
                await provider.get()
            except UnsupportedProfileError:
                raise
            except CredentialsError as error:
                reasons.append(f"{name}: {error}")
                kind = UnreachableError if isinstance(error, UnreachableError) else kind
            else:
                return provider
        tried = "; ".join(reasons)
        raise kind(
            "no credentials found: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or give "
            f"[accounts.credentials] another type than default (tried: {tried})"
        )

    return DiscoveredProvider("default chain", find, context.clock)


def environment_keys(context: ProviderContext) -> Provider:
    """Return a provider for the keys in the environment, and the token if set. Raises CredentialsError without keys."""
    key_id = context.environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID", "")
    secret = context.environ.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "")
    token = context.environ.get("ALIBABA_CLOUD_SECURITY_TOKEN", "")
    return StaticProvider("environment", checked_keys(key_id, secret, token, "the environment"))


def _sources(context: ProviderContext) -> Iterator[tuple[str, Callable[[ProviderContext], Provider]]]:
    yield "environment", environment_keys
    if all(context.environ.get(variable) for variable in _OIDC):
        yield "OIDC", oidc_role
    yield "CLI", cli_profile
    yield "credentials file", ini_profile
    if not context.has_set("ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
        yield "ECS", ecs_role
    if context.environ.get("ALIBABA_CLOUD_CREDENTIALS_URI"):
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
    """Return the provider of one account. Requests and file reads wait for the first `get`.

    Values that are missing in the environment (the names of an OIDC role, ECS metadata) raise a CredentialsError at the
    first `get`, for this account alone.
    """
    try:
        return _provider(spec, ProviderContext(call, fetch, clock, environ, home))
    except CredentialsError as error:
        return FailedProvider(describe(spec), error)


def _provider(spec: CredentialSpec, context: ProviderContext) -> Provider:
    match spec:
        case AccessKeySpec() | StsSpec():
            token = spec.security_token.reveal() if isinstance(spec, StsSpec) else ""
            key_id, secret = spec.access_key_id.reveal(), spec.access_key_secret.reveal()
            return StaticProvider(spec.type, checked_keys(key_id, secret, token, "[accounts.credentials]"))
        case RoleSpec():
            return assumed_role(
                context,
                _provider(spec.source_spec(), context),
                spec.role_arn,
                session_name=spec.role_session_name or "",
                session_s=spec.role_session_expiration or DEFAULT_SESSION_S,
                external_id=spec.external_id or "",
                policy=spec.policy or "",
            )
        case OidcSpec():
            return oidc_role(
                context,
                role_arn=spec.role_arn or "",
                provider_arn=spec.oidc_provider_arn or "",
                token_file=str(spec.oidc_token_file or ""),
                session_name=spec.role_session_name or "",
                session_s=spec.role_session_expiration or DEFAULT_SESSION_S,
                policy=spec.policy or "",
            )
        case EcsRoleSpec():
            return ecs_role(context, spec.role_name)
        case ProfileSpec():
            return cli_profile(context, spec.profile or "")
        case DefaultSpec():
            return default_chain(context)
