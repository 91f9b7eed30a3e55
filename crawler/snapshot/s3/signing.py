"""Signature version 4 of AWS, which OSS takes at its endpoint for the S3 protocol, too.

Steps: "Signature Version 4 signing process" in the reference of the S3 API, checked 2026-11-30.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from crawler.snapshot.location import AccessKeys

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


def encoded_path(path: str) -> str:
    """Return the path of a URL, percent-encoded once as it is signed and sent."""
    return quote(path, safe="/-_.~")


def encoded_query(query: Mapping[str, str]) -> str:
    """Return the query of a URL, sorted and percent-encoded as it is signed and sent."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    keys: AccessKeys,
    *,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers with the date, the token and the signature, which covers all of them.

    `path` and `query` are encoded. `headers` have lower-case names, among them `host` and `x-amz-content-sha256`.
    """
    moment = f"{now:%Y%m%dT%H%M%SZ}"
    covered = {**headers, "x-amz-date": moment}
    if keys.security_token:
        covered["x-amz-security-token"] = keys.security_token
    names = ";".join(sorted(covered))
    lines = "".join(f"{name}:{' '.join(covered[name].split())}\n" for name in sorted(covered))
    request = "\n".join((method, path, query, lines, names, covered["x-amz-content-sha256"]))
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{keys.access_key_secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={keys.access_key_id}/{scope}"
    return {**covered, "authorization": f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={key.hex()}"}
