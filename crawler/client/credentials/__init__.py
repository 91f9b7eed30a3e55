"""Providers of credentials, one for each type of the official credentials library.

Read `base` (credentials and protocols), `spec` (the configuration), `chain` (configuration → provider, and the default
chain), then `refresh` (a single refresh in flight), and last the sources: `sts`, `metadata` and `profiles`.
Nothing here opens a connection: requests to STS go through `StsClient`, those to the metadata service through
`HttpFetch`. The caller passes both.
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
