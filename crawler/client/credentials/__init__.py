"""Who the crawler is: providers of access keys, one for each type of the official credentials library.

Read `values` (what is handed around), `spec` (what a user may write), `build` (spec → provider), then `temporary` (one
refresh in flight, early and late), and last the sources: `static`, `role`, `metadata`, `profile`, `ini`, `chain`.
Nothing here opens a connection: STS is asked through `StsClient`, the metadata service through `HttpFetch`.
The caller passes both.
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
