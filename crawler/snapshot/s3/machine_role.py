"""Keys of the machine's role for s3://: a web identity, a container's role, or the instance's.

Variables, addresses and answers: "Standardized credential providers" in the reference of the AWS SDKs, checked
2026-11-30. The order is that of the SDKs. The instance is asked in token mode only (IMDSv2).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import anyio

from crawler.errors import ApiError, OutputError
from crawler.snapshot.s3.connection import Route, StoreAnswer, StoreRequest, exchange
from crawler.text import LOOPBACK_HOST, decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.snapshot.location import AccessKeys, BucketLocation

_INSTANCE = "http://169.254.169.254"
_CONTAINER = "http://169.254.170.2"
# The hosts of the container services of ECS and EKS, which are asked by plain http.
_CONTAINER_HOSTS = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
_ROLES = "/latest/meta-data/iam/security-credentials/"
_MOST_BYTES = 64 * 1024
_TIMEOUT_S = 5.0
_EARLY = timedelta(minutes=5)
_ADVICE = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"


class MachineKeys:
    """The keys of the machine's role, fetched for the first request and again five minutes before they expire."""

    def __init__(self, place: BucketLocation) -> None:
        self._place = place
        self._settings = place.role
        self._held: AccessKeys | None = None

    async def get(self) -> AccessKeys:
        """Return keys that are valid now. Raises OutputError."""
        held = self._held
        if held is None or (held.expires_at is not None and held.expires_at - datetime.now(UTC) < _EARLY):
            self._held = held = await self._fetch()
        return held

    async def _fetch(self) -> AccessKeys:
        settings = self._settings
        if settings.get("AWS_WEB_IDENTITY_TOKEN_FILE") and settings.get("AWS_ROLE_ARN"):
            return await self._of_web_identity()
        if settings.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or settings.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return await self._of_container()
        return await self._of_instance()

    async def _of_web_identity(self) -> AccessKeys:
        settings = self._settings
        token = await _read(settings.get("AWS_WEB_IDENTITY_TOKEN_FILE"), "AWS_WEB_IDENTITY_TOKEN_FILE")
        region = self._place.region
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        endpoint = settings.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.{domain}"
        _raise_unless_private(endpoint, "AWS_ENDPOINT_URL_STS", set())
        query = urlencode(
            {
                "Action": "AssumeRoleWithWebIdentity",
                "Version": "2011-06-15",
                "RoleArn": settings.get("AWS_ROLE_ARN"),
                "RoleSessionName": settings.get("AWS_ROLE_SESSION_NAME") or "acs-inventory",
                "WebIdentityToken": token,
            }
        )
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self._ask("POST", f"{endpoint.rstrip('/')}/", headers, "AWS STS", query.encode())
        return _keys(_xml_fields(answer.body), "AWS STS")

    async def _of_container(self) -> AccessKeys:
        settings, headers = self._settings, {}
        relative = settings.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = f"{_CONTAINER}{relative}" if relative else settings.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        _raise_unless_private(url, "AWS_CONTAINER_CREDENTIALS_FULL_URI", _CONTAINER_HOSTS)
        token = settings.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if file := settings.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = await _read(file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        if not token.isascii() or not token.isprintable():
            raise OutputError("the container's authorization token has a stray character in it; correct or unset it")
        if token:
            headers["authorization"] = token
        answer = await self._ask("GET", url, headers, "the container's credentials service")
        return _keys(_json_fields(answer.body), "the container's credentials service")

    async def _of_instance(self) -> AccessKeys:
        if self._settings.get("AWS_EC2_METADATA_DISABLED").lower() == "true":
            raise OutputError(f"there is no access key; {_ADVICE}")
        base = (
            self._settings.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            or self._settings.get("AWS_METADATA_ENDPOINT")
            or _INSTANCE
        ).rstrip("/")
        what = "the instance's metadata service"
        ttl = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = await self._ask("PUT", f"{base}/latest/api/token", ttl, what)
        headers = {"x-aws-ec2-metadata-token": _line(token.body, what)}
        role = _line((await self._ask("GET", base + _ROLES, headers, what)).body, what)
        answer = await self._ask("GET", f"{base}{_ROLES}{role}", headers, what)
        return _keys(_json_fields(answer.body), what)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], what: str, body: bytes = b""
    ) -> StoreAnswer:
        try:
            parts = urlsplit(url)
        except ValueError:
            raise OutputError(f"there is no access key, and the address of {what} isn't a URL; {_ADVICE}") from None
        sent = {"host": parts.netloc, "content-length": str(len(body)), **headers}
        route = self._place.route if parts.scheme == "https" else Route()
        try:
            answer = await exchange(route, StoreRequest(method, url, sent, body, _TIMEOUT_S, _MOST_BYTES))
        except ApiError:
            raise OutputError(f"there is no access key, and {what} doesn't answer; {_ADVICE}") from None
        if answer.status != HTTPStatus.OK:
            raise OutputError(f"there is no access key, and {what} answered HTTP {answer.status}; {_ADVICE}")
        return answer


async def _read(path: str, variable: str) -> str:
    try:
        return decode_text(await anyio.Path(path).read_bytes()).strip()
    except (OSError, ValueError):
        raise OutputError(f"the file that {variable} names can't be read; correct or unset it") from None


def _raise_unless_private(url: str, variable: str, hosts: set[str]) -> None:
    """Raise OutputError for plain http to another machine than this one or the service's own."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise OutputError(f"{variable} isn't a URL; correct or unset it") from None
    if parts.scheme == "https" or (
        parts.scheme == "http" and (host in hosts or LOOPBACK_HOST.fullmatch(host) is not None)
    ):
        return
    raise OutputError(f"{variable} must be https, or the address of the service on this machine; correct or unset it")


def _line(body: bytes, what: str) -> str:
    text = body.decode("ascii", "replace").strip().partition("\n")[0].strip()
    if not text or not text.isprintable() or not text.isascii() or set(text) & set(" /?#"):
        raise OutputError(f"there is no access key, and {what} names no role; {_ADVICE}")
    return text


def _json_fields(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _xml_fields(body: bytes) -> dict[str, object]:
    """Return the credentials in the answer of STS, under the names that the other services use."""
    if b"<!" in body:
        return {}
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a declaration, and bounded
    except ET.ParseError:
        return {}
    texts = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    return {**texts, "Token": texts.get("SessionToken")}


def _keys(fields: Mapping[str, object], what: str) -> AccessKeys:
    from crawler.snapshot.location import AccessKeys

    values = [fields.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")]
    key_id, secret, token, expires = (value if isinstance(value, str) else "" for value in values)
    try:
        expires_at = datetime.fromisoformat(expires) if expires else None
    except ValueError:
        expires_at = None
    text = f"{key_id}{secret}{token}"
    if not key_id or not secret or not token or not text.isascii() or not text.isprintable() or " " in text:
        raise OutputError(f"there is no access key, and {what} answered without complete credentials; {_ADVICE}")
    return AccessKeys(key_id, secret, token, expires_at.astimezone(UTC) if expires_at else None)
