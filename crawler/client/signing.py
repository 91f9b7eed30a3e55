"""ACS3-HMAC-SHA256, the signature of Alibaba Cloud's OpenAPI gateway: pure functions from a request to its headers.

Each stage is a public function, so that test vectors and the emulator can check it: `canonical_request` →
`string_to_sign` → `signature` → the Authorization header, which `sign` returns with all others.

Source: the V3 request signature page of Alibaba Cloud's SDK documentation, and `Utils.get_authorization` of
alibabacloud-tea-openapi 0.4.6, which the tests compare with. Checked 2026-11-22.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote

from crawler.errors import CredentialsError

ALGORITHM = "ACS3-HMAC-SHA256"

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")
_SENDABLE = re.compile(r"[!-~]+")
_NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()


class SigningKey(Protocol):
    """The part of `credentials.Credentials` that signing uses. `security_token` is "" for a long-lived key."""

    @property
    def access_key_id(self) -> str:
        """The public ID, which is sent."""
        ...

    @property
    def access_key_secret(self) -> str:
        """The secret, which only signs."""
        ...

    @property
    def security_token(self) -> str:
        """The token of the session, which is sent and signed; "" without one."""
        ...


def percent_encode(text: str) -> str:
    """Encode all but RFC 3986's unreserved characters (`~` is one, `/` isn't), as UTF-8 with upper-case hex.

    A lone surrogate has no UTF-8: UnicodeEncodeError (a ValueError).
    """
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def canonical_query(query: Mapping[str, str]) -> str:
    """Return encoded `name=value` pairs, sorted by name, without the `?`. The same string is signed and sent."""
    return "&".join([f"{percent_encode(name)}={percent_encode(value)}" for name, value in sorted(query.items())])


def signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the signed headers (host, content-type, x-acs-*): lower-case names, sorted, values stripped."""
    return dict(_covered((name.lower(), value.strip()) for name, value in headers.items()))


def _covered(lowered: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted([pair for pair in lowered if pair[0].startswith("x-acs-") or pair[0] in {"host", "content-type"}])


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], body_sha256: str) -> str:
    """Return the canonical form of a request.

    `path` and `query` are percent-encoded exactly as they are sent; an empty path counts as `/`. Only the headers of
    `signed_headers` are used. `body_sha256` is the hash of the body in hex, as in x-acs-content-sha256.
    """
    return _joined(method, path, query, list(signed_headers(headers).items()), body_sha256)[0]


def _joined(method: str, path: str, query: str, signed: Sequence[tuple[str, str]], body_sha256: str) -> tuple[str, str]:
    """Return the canonical request and the names of the signed headers."""
    lines = "".join([f"{name}:{value}\n" for name, value in signed])
    names = ";".join([name for name, _ in signed])
    return f"{method}\n{path or '/'}\n{query}\n{lines}\n{names}\n{body_sha256}", names


def string_to_sign(request: str) -> str:
    """Return two lines: the algorithm, and the SHA-256 of the canonical request in hex."""
    return f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"


def signature(access_key_secret: str, text: str) -> str:
    """Return the HMAC-SHA256 of a string to sign, in hex."""
    return hmac.digest(access_key_secret.encode(), text.encode(), "sha256").hex()


def sign(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: SigningKey | None,
    *,
    action: str,
    version: str,
    now: datetime,
    nonce: str,
) -> dict[str, str]:
    """Return all headers of one attempt: `headers`, host, x-acs-* (these in lower case), and Authorization.

    `path` and `query` are percent-encoded exactly as they are sent; `canonical_query` makes the latter. `now` is aware;
    the service accepts ±15 minutes. A `nonce` is used once. Without `credentials` the request isn't signed and has no
    Authorization (as STS AssumeRoleWithOIDC requires).

    Raises CredentialsError for a key or token that no header can hold, ValueError if `now` is naive.
    """
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    sent["host"], sent["x-acs-action"], sent["x-acs-version"] = host, action, version
    sent["x-acs-date"], sent["x-acs-signature-nonce"] = _stamp(now), nonce
    body_sha256 = hashlib.sha256(body).hexdigest() if body else _NOTHING_SHA256
    sent["x-acs-content-sha256"] = body_sha256
    if credentials is None:
        return sent
    key_id = _sendable("access key ID", credentials.access_key_id)
    if credentials.security_token:
        sent["x-acs-accesskey-id"] = key_id
        sent["x-acs-security-token"] = _sendable("security token", credentials.security_token)
    request, names = _joined(method, path, query, _covered(sent.items()), body_sha256)
    digest = signature(credentials.access_key_secret, string_to_sign(request))
    sent["Authorization"] = f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={digest}"
    return sent


def new_nonce() -> str:
    """Return 32 hex digits of the system's generator. No state is shared with a fork that could repeat one."""
    return os.urandom(16).hex()


def _stamp(now: datetime) -> str:
    if now.tzinfo is None:
        raise ValueError("a signature's date needs a time with a zone, not a naive one")
    return f"{now.astimezone(UTC).isoformat()[:19]}Z"


def _sendable(what: str, value: str) -> str:
    """Return `value` if a header can hold it: a line break would end the header and begin another."""
    if not _SENDABLE.fullmatch(value):
        raise CredentialsError(
            f"the {what} is empty or holds a space, a line break or a character that isn't ASCII: copy it again"
        )
    return value
