"""Verifies ACS3-HMAC-SHA256 signatures. Written from the documented procedure, independent of the crawler's signer.

Source: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature and the official
`get_authorization` of alibabacloud-tea-openapi 0.4.6 (checked 2026-11-22).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crawler.clock import Clock
from crawler.emulator.keyring import Key, Keyring
from crawler.emulator.responses import RefusedError, gateway_refusal
from crawler.emulator.server.request import ReceivedRequest, decode, encode

ALGORITHM = "ACS3-HMAC-SHA256"
FORMAT = re.compile(rf"{ALGORITHM} Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{{64}})")
TOLERANCE = timedelta(minutes=15)
MUST_SIGN = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")
TOKEN_HEADER = "x-acs-security-token"  # noqa: S105 - the name of a header


@dataclass(frozen=True, slots=True)
class AuthorizationHeader:
    """The parts of an Authorization header."""

    key_id: str
    signed: tuple[str, ...]
    signature: str


def parse_authorization(received: ReceivedRequest) -> AuthorizationHeader | None:
    """Return the parsed Authorization header, None if it is missing or malformed."""
    match = FORMAT.fullmatch(received.header("authorization"))
    return AuthorizationHeader(match[1], tuple(match[2].split(";")), match[3]) if match else None


class Verifier:
    """Verifies requests. Remembers nonces for as long as their dates are accepted."""

    def __init__(self, keys: Keyring, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._nonces: dict[tuple[str, str], datetime] = {}

    def verify(self, received: ReceivedRequest) -> Key:
        """Return the key that signed the request. Raises `RefusedError` with the documented code if a check fails."""
        authorization = parse_authorization(received)
        if authorization is None:
            raise _mismatch("The Authorization header is missing or malformed.")
        key = self._keys.find(authorization.key_id)
        if key is None:
            raise gateway_refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        self._check_token(received, key)
        self._check_date(received)
        self._check_signature(received, authorization, key)
        self._check_nonce(received, key)
        return key

    def _check_token(self, received: ReceivedRequest, key: Key) -> None:
        token = received.header(TOKEN_HEADER)
        if key.token and not token:
            raise gateway_refusal(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
        if not hmac.compare_digest(token.encode(), key.token.encode()):
            message = "Specified SecurityToken mismatch with the AccessKey."
            raise gateway_refusal(400, "InvalidSecurityToken.MismatchWithAccessKey", message)
        if received.header("x-acs-accesskey-id") not in {"", key.key_id}:
            raise _mismatch("x-acs-accesskey-id is another key than the credential's.")
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise gateway_refusal(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")

    def _check_date(self, received: ReceivedRequest) -> None:
        text = received.header("x-acs-date")
        try:
            date = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            message = "Specified time stamp or date value is not well formatted."
            raise gateway_refusal(400, "InvalidTimeStamp.Format", message) from None
        if abs(self._clock.now() - date) > TOLERANCE:
            message = "Specified time stamp or date value is expired or not started yet."
            raise gateway_refusal(400, "InvalidTimeStamp.Expired", message)

    def _check_signature(self, received: ReceivedRequest, authorization: AuthorizationHeader, key: Key) -> None:
        token_header = (TOKEN_HEADER,) if received.header(TOKEN_HEADER) else ()
        unsigned = sorted({*MUST_SIGN, *token_header} - set(authorization.signed))
        if unsigned:
            raise _mismatch(f"{unsigned[0]} must be one of the SignedHeaders.")
        if list(authorization.signed) != sorted({name.lower() for name in authorization.signed}):
            raise _mismatch("SignedHeaders must be in lower case, sorted, each once.")
        for name in authorization.signed:
            if len(received.values(name)) != 1:
                raise _mismatch(f"{name} is one of the SignedHeaders and must be sent once.")
        if received.header("x-acs-content-sha256") != hashlib.sha256(received.body).hexdigest():
            raise _mismatch("x-acs-content-sha256 is not the hash of the body.")
        expected = expected_signature(received, authorization, key.secret)
        if not hmac.compare_digest(expected, authorization.signature):
            raise _mismatch("Specified signature does not match our calculation.")

    def _check_nonce(self, received: ReceivedRequest, key: Key) -> None:
        now = self._clock.now()
        nonce = (key.account_id, received.header("x-acs-signature-nonce"))
        if not nonce[1]:
            raise gateway_refusal(400, "MissingSignatureNonce", "SignatureNonce is mandatory for this action.")
        if nonce in self._nonces and self._nonces[nonce] > now:
            raise gateway_refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[nonce] = now + 2 * TOLERANCE
        if len(self._nonces) % 4096 == 0:
            self._nonces = {kept: until for kept, until in self._nonces.items() if until > now}


def expected_signature(received: ReceivedRequest, authorization: AuthorizationHeader, secret: str) -> str:
    """Return the signature of the request's canonical form. Path and query are decoded and encoded again."""
    path = "/".join(encode(decode(segment)) for segment in received.path.split("/"))
    query = "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(received.query_pairs()))
    headers = "".join(f"{name}:{received.header(name)}\n" for name in authorization.signed)
    content_hash = received.header("x-acs-content-sha256")
    canonical = "\n".join((received.method, path, query, headers, ";".join(authorization.signed), content_hash))
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return hmac.digest(secret.encode(), f"{ALGORITHM}\n{digest}".encode(), "sha256").hex()


def _mismatch(message: str) -> RefusedError:
    return gateway_refusal(400, "SignatureDoesNotMatch", message)
