"""Providers of role credentials: AssumeRole with other credentials, AssumeRoleWithOIDC with a token from a file.

Parameters and responses: STS 2015-04-01 as used by alibabacloud-credentials 1.0.12, checked 2026-11-22.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.client.credentials.base import RoleDeniedError, issued_credentials, read_text
from crawler.client.credentials.refresh import RefreshingProvider
from crawler.errors import (
    UNANSWERED_CODES,
    ApiError,
    CredentialsError,
    DeniedError,
    ReauthError,
    ThrottledError,
    TransientError,
    UnreachableError,
    may_answer_later,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.client.credentials.base import Credentials, Provider, ProviderContext, StsClient

DEFAULT_SESSION_NAME = "acs-inventory"
DEFAULT_SESSION_S = 3600
_SHOWN_WORD = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def assumed_role(
    context: ProviderContext,
    source: Provider,
    role_arn: str,
    *,
    session_name: str = "",
    session_s: int = DEFAULT_SESSION_S,
    external_id: str = "",
    policy: str = "",
) -> Provider:
    """Return a provider that assumes a role with the credentials of `source`, which many roles may share.

    The default `session_name` is `$ALIBABA_CLOUD_ROLE_SESSION_NAME`, else "acs-inventory". If STS rejects the token of
    the source as expired, the source is refreshed once.
    """
    parameters = _parameters(context, role_arn, session_name, session_s, policy)
    if external_id:
        parameters["ExternalId"] = external_id

    async def fetch() -> Credentials:
        credentials = await source.get()
        answer = await _request(context.call, "AssumeRole", parameters, credentials)
        if isinstance(answer, ReauthError):
            answer = await _request(context.call, "AssumeRole", parameters, await source.refresh(credentials))
        return _credentials(answer, f"assuming {role_arn} from {source.name}")

    return RefreshingProvider(f"role {role_arn}", fetch, context.clock)


def oidc_role(
    context: ProviderContext,
    *,
    role_arn: str = "",
    provider_arn: str = "",
    token_file: str = "",
    session_name: str = "",
    session_s: int = DEFAULT_SESSION_S,
    policy: str = "",
) -> Provider:
    """Return a provider that assumes a role with an OIDC token.

    Empty parameters are read from the environment, as in an ACK pod with RRSA. The token file is read again for each
    request, because its owner rotates it. Raises CredentialsError for a value that is in neither.
    """
    role_arn = role_arn or _required(context, "role_arn", "ALIBABA_CLOUD_ROLE_ARN")
    provider_arn = provider_arn or _required(context, "oidc_provider_arn", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")
    token_file = token_file or _required(context, "oidc_token_file", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")
    parameters = _parameters(context, role_arn, session_name, session_s, policy)

    async def fetch() -> Credentials:
        token = (await read_text(Path(token_file), "the OIDC token file")).strip()
        if not token:
            raise CredentialsError(f"the OIDC token file {token_file} is empty: check what writes it")
        asked = parameters | {"OIDCProviderArn": provider_arn, "OIDCToken": token}
        answer = await _request(context.call, "AssumeRoleWithOIDC", asked, None)
        return _credentials(answer, f"assuming {role_arn} with the OIDC token in {token_file}")

    return RefreshingProvider(f"OIDC role {role_arn}", fetch, context.clock)


def _required(context: ProviderContext, key: str, variable: str) -> str:
    value = context.environ.get(variable, "")
    if not value:
        raise CredentialsError(f"an OIDC role needs {key}: give it, or set {variable}")
    return value


def _parameters(
    context: ProviderContext, role_arn: str, session_name: str, session_s: int, policy: str
) -> dict[str, str]:
    name = session_name or context.environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME", "") or DEFAULT_SESSION_NAME
    parameters = {"RoleArn": role_arn, "RoleSessionName": name, "DurationSeconds": str(session_s)}
    return parameters | ({"Policy": policy} if policy else {})


async def _request(
    call: StsClient, action: str, parameters: Mapping[str, str], credentials: Credentials | None
) -> Mapping[str, object] | ApiError:
    """Return the response or the error as a value, so that the error raised for it has no context with a request."""
    try:
        return await call("sts", action, parameters, credentials)
    except ApiError as error:
        return error


def _credentials(answer: Mapping[str, object] | ApiError, doing: str) -> Credentials:
    if isinstance(answer, ApiError):
        if isinstance(answer, DeniedError) or _is_absent(answer):
            raise RoleDeniedError(f"{doing}: {refusal(answer)}", answer.code)
        if may_answer_later(answer):
            raise UnreachableError(f"{doing}: {refusal(answer)}")
        raise CredentialsError(f"{doing}: {refusal(answer)}")
    return issued_credentials(answer.get("Credentials"), f"{doing}: STS")


def _is_absent(error: ApiError) -> bool:
    """Whether the role doesn't exist (STS API reference, error codes of AssumeRole, checked 2026-11-22)."""
    return error.code.startswith("EntityNotExist.")


def refusal(error: ApiError) -> str:
    """Return code, request ID and advice. Never the service's message: SignatureDoesNotMatch quotes signed headers."""
    if error.code in UNANSWERED_CODES and not error.http_status:
        return f"STS has not answered ({error.code}{f' at {error.host}' if error.host else ''}); {_advice(error)}"
    code = error.code if _SHOWN_WORD.fullmatch(error.code) else "an unreadable error"
    request = f" (request {error.request_id})" if _SHOWN_WORD.fullmatch(error.request_id) else ""
    return f"STS answered {code}{request}; {_advice(error)}"


def _advice(error: ApiError) -> str:
    match error:
        case DeniedError():
            return (
                "grant sts:AssumeRole to who assumes the role, which must be a RAM user or role and not the account "
                "itself, and name them in the role's trust policy"
            )
        case _ if _is_absent(error):
            return "check the role's ARN, or make the role there, with a trust policy that names who assumes it"
        case ReauthError():
            return "the token has expired: renew what the role is assumed with"
        case TransientError(code="RedirectRefused"):
            return "something between this machine and STS redirects: check [endpoints] sts and the network"
        case ThrottledError() | TransientError():
            return "try again later"
        case _:
            return "check the role's ARN, its trust policy and external ID, and what it is assumed with"
