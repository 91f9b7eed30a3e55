"""Providers of credentials, one for each type of the official credentials library.

Read `base` (credentials and protocols), `spec` (the configuration), `chain` (configuration → provider, and the default
chain), then `refresh` (renewal by a single flight), and last the sources: `sts`, `metadata`, `cli_profiles` and
`ini_profiles`. Nothing here opens a connection: the caller passes an `StsClient` for STS and an `HttpFetch` for
metadata services.
"""

from __future__ import annotations

from crawler.client.credentials.base import (
    Credentials,
    HttpFetch,
    Provider,
    ProviderContext,
    RoleDeniedError,
    StsClient,
    mask,
)
from crawler.client.credentials.chain import build_provider
from crawler.client.credentials.spec import CredentialSpec, DefaultSpec, OidcSpec, describe
from crawler.client.credentials.sts import assumed_role

__all__ = [
    "CredentialSpec",
    "Credentials",
    "DefaultSpec",
    "HttpFetch",
    "OidcSpec",
    "Provider",
    "ProviderContext",
    "RoleDeniedError",
    "StsClient",
    "assumed_role",
    "build_provider",
    "describe",
    "mask",
]
