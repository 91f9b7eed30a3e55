"""Providers that fetch credentials over plain http: ECS metadata, and the service at the credentials URI.

Paths, headers and responses: alibabacloud-credentials 1.0.12 (`provider/ecs_ram_role.py`, `provider/uri.py`), checked
2026-11-22. Unlike the library, this never falls back to metadata version 1, which a forged request could read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler.client.credentials.base import issued_credentials, json_object
from crawler.client.credentials.refresh import RefreshingProvider
from crawler.errors import ApiError, CredentialsError
from crawler.text import ROLE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.client.credentials.base import Credentials, Provider, ProviderContext

METADATA = "http://100.100.100.200"
_TOKEN_URL = f"{METADATA}/latest/api/token"
_ROLES_URL = f"{METADATA}/latest/meta-data/ram/security-credentials/"
# Long enough for the two requests that follow. Each refresh gets a new token.
_TOKEN_TTL_S = 60
_OK = 200
_URI_VARIABLE = "ALIBABA_CLOUD_CREDENTIALS_URI"
_METADATA_TOKEN = re.compile(r"[!-~]{1,4096}")
_ELSEWHERE = "is this an ECS instance with a RAM role and metadata in token mode?"


def ecs_role(context: ProviderContext, role_name: str | None = None) -> Provider:
    """Return a provider for the RAM role of this ECS instance.

    `role_name` None: `$ALIBABA_CLOUD_ECS_METADATA`; if that is empty, too, the metadata service names the role.
    Raises CredentialsError if `$ALIBABA_CLOUD_ECS_METADATA_DISABLED` is true.
    """
    if context.has_set("ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
        raise CredentialsError(
            "ECS metadata is switched off by ALIBABA_CLOUD_ECS_METADATA_DISABLED: unset it to use it"
        )
    given = context.environ.get("ALIBABA_CLOUD_ECS_METADATA", "") if role_name is None else role_name

    async def fetch() -> Credentials:
        token = await _ecs(context, "PUT", _TOKEN_URL, {"X-aliyun-ecs-metadata-token-ttl-seconds": str(_TOKEN_TTL_S)})
        header = {"X-aliyun-ecs-metadata-token": _word(_METADATA_TOKEN, token, "token")}
        name = given or (await _ecs(context, "GET", _ROLES_URL, header)).decode("ascii", "replace")
        answer = await _ecs(context, "GET", _ROLES_URL + _word(ROLE_NAME, name, "role name"), header)
        return _successful(answer, f"the ECS metadata service (role {name.strip()})")

    return RefreshingProvider(f"ECS RAM role {given}".rstrip(), fetch, context.clock)


def uri_credentials(context: ProviderContext, uri: str = "", key: str = _URI_VARIABLE) -> Provider:
    """Return a provider for a credentials URI, by default `$ALIBABA_CLOUD_CREDENTIALS_URI`. `key` names it in messages.

    Raises CredentialsError if it isn't a URL. Messages have its host alone, since its query may be a secret.
    """
    uri = uri or context.environ.get(_URI_VARIABLE, "")
    url = f"http:{uri}" if uri.startswith("//") else uri
    host = _host(url)
    if not host:
        raise CredentialsError(f"{key} isn't an http or https URL: correct it, or remove it")
    source = f"{key} ({host})"

    async def fetch() -> Credentials:
        return _successful(await _body(context, "GET", url, {}, source, "check what listens there"), source)

    return RefreshingProvider(f"credentials URI at {host}", fetch, context.clock)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


async def _ecs(context: ProviderContext, method: str, url: str, headers: Mapping[str, str]) -> bytes:
    return await _body(context, method, url, headers, "the ECS metadata service", _ELSEWHERE)


async def _body(
    context: ProviderContext, method: str, url: str, headers: Mapping[str, str], source: str, advice: str
) -> bytes:
    try:
        status, body = await context.fetch(method, url, headers)
    except ApiError:
        status, body = 0, b""
    if status == _OK:
        return body
    what = f"answered HTTP {status}" if status else "doesn't answer"
    raise CredentialsError(f"{source} {what}: {advice}")


def _word(pattern: re.Pattern[str], found: str | bytes, what: str) -> str:
    text = (found.decode("ascii", "replace") if isinstance(found, bytes) else found).strip()
    if not pattern.fullmatch(text):
        raise CredentialsError(f"the ECS metadata service gave no usable {what}: {_ELSEWHERE}")
    return text


def _successful(body: bytes, source: str) -> Credentials:
    answer = json_object(body)
    if answer is None or answer.get("Code") != "Success":
        raise CredentialsError(f"{source} answered without success: check the role's name, or what listens there")
    return issued_credentials(answer, source)
