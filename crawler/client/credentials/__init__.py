"""Who the crawler is: providers of access keys, one for each type of the official credentials library.

Read `values` (what is handed around), `spec` (what a user may write), `build` (spec → provider), then `temporary` (one
refresh in flight, early and late), and last the sources: `static`, `role`, `metadata`, `profile`, `ini`, `chain`.
Nothing here opens a connection: STS is asked through `Call`, the metadata service through `Fetch`, both handed in.
"""

from __future__ import annotations

from crawler.client.credentials.base import Call, Credentials, Fetch, Outside, Provider, RoleDeniedError, mask
from crawler.client.credentials.chain import build_provider
from crawler.client.credentials.spec import CredentialSpec, describe, validate
from crawler.client.credentials.sts import assumed_role

__all__ = [
    "Call",
    "CredentialSpec",
    "Credentials",
    "Fetch",
    "Outside",
    "Provider",
    "RoleDeniedError",
    "assumed_role",
    "build_provider",
    "describe",
    "mask",
    "validate",
]
