"""Credentials, which never show their secrets, and the protocols that a provider implements and uses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import anyio

from crawler.errors import CredentialsError
from crawler.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crawler.clock import Clock

_SHORTEST_TO_MASK = 12


def mask(access_key_id: str) -> str:
    """Return the first and last four characters of an access key ID; none of an ID under twelve characters."""
    if len(access_key_id) < _SHORTEST_TO_MASK:
        return "…"
    shown = f"{access_key_id[:4]}…{access_key_id[-4:]}"
    return "".join(character if character.isprintable() else "?" for character in shown)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """The keys of one identity. Text forms show only a masked ID; pickling and copying raise TypeError."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        temporary = ", temporary=True" if self.security_token else ""
        return f"Credentials('{mask(self.access_key_id)}'{temporary})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials can't be pickled or copied: build a provider where they are needed")


class Provider(Protocol):
    """A source of credentials. Safe to share between any number of tasks of one event loop."""

    @property
    def name(self) -> str:
        """The name for messages, without any key."""
        ...

    async def get(self) -> Credentials:
        """Return credentials that are valid now. Raises CredentialsError if there are none."""
        ...

    def ready(self) -> Credentials | None:
        """Return the credentials that `get` returns without waiting; None if it would wait or fail."""
        ...

    async def refresh(self, stale: Credentials) -> Credentials:
        """Replace `stale`, which the cloud rejected as expired: fetch once, however many callers hold them.

        Raises CredentialsError if the fetch fails, and always if the credentials are fixed.
        """
        ...


class StsClient(Protocol):
    """Makes one RPC-style request to STS, rate limited and retried. Raises ApiError."""

    async def __call__(
        self, product: str, action: str, parameters: Mapping[str, str], credentials: Credentials | None
    ) -> Mapping[str, object]:
        """Return the JSON object of the response. The request is signed with `credentials`, unsigned if None."""
        ...


class HttpFetch(Protocol):
    """Makes one unsigned exchange with a credentials service: short timeout, no redirect, no proxy. Raises ApiError."""

    async def __call__(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return HTTP status and body, for any status."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class ProviderContext:
    """Everything outside of itself that a provider may use."""

    call: StsClient
    fetch: HttpFetch
    clock: Clock
    environ: Mapping[str, str]
    home: Path

    def has_set(self, variable: str) -> bool:
        """Whether an environment variable is `true`, in any case."""
        return self.environ.get(variable, "").lower() == "true"


class RoleDeniedError(CredentialsError):
    """A role doesn't exist or may not be assumed. `code` is that of STS."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class UnsupportedProfileError(CredentialsError):
    """A profile uses a sign-in that only the official tools support: the chain must not continue after it."""


def checked_keys(access_key_id: str, access_key_secret: str, security_token: str, source: str) -> Credentials:
    """Return the stripped keys. Raises CredentialsError for no ID or secret, or a value that no header can hold."""
    key_id, secret, token = access_key_id.strip(), access_key_secret.strip(), security_token.strip()
    for part, text in {"access key ID": key_id, "access key secret": secret, "security token": token}.items():
        if not text and part != "security token":
            raise CredentialsError(f"{source} has no {part}: set it, or choose other credentials")
        if not text.isascii() or any(character.isspace() or not character.isprintable() for character in text):
            raise CredentialsError(f"{source} has white space or another stray character in its {part}: copy it again")
    return Credentials(key_id, secret, token)


def issued_credentials(answer: object, source: str) -> Credentials:
    """Return temporary credentials from a JSON object of STS or a metadata service.

    `AccessKeyId`, `AccessKeySecret`, `SecurityToken`, and `Expiration` as ISO 8601 with Z (alibabacloud-credentials
    1.0.12, checked 2026-11-22). Raises CredentialsError if one is missing or malformed, without quoting the object.
    """
    fields = answer if isinstance(answer, dict) else {}
    texts = [fields.get(name) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
    expires_at = _parse_instant(fields.get("Expiration"))
    key_id, secret, token = (text if isinstance(text, str) else "" for text in texts)
    if not (key_id and secret and token and expires_at):
        raise CredentialsError(
            f"{source} answered without complete credentials: try again, then check what answers there"
        )
    found = checked_keys(key_id, secret, token, source)
    return Credentials(found.access_key_id, found.access_key_secret, found.security_token, expires_at)


def _parse_instant(text: object) -> datetime | None:
    """Return an instant with a zone, in UTC; None for any other text and for one beyond the calendar in UTC."""
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
        return instant.astimezone(UTC) if instant and instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


class StaticProvider:
    """A provider of fixed keys."""

    def __init__(self, name: str, credentials: Credentials) -> None:
        self.name = name
        self._credentials = credentials

    async def get(self) -> Credentials:
        """See `Provider.get`. Never fails."""
        return self._credentials

    def ready(self) -> Credentials | None:
        """See `Provider.ready`. Never None."""
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Provider.refresh`. Always raises CredentialsError: the keys have no source."""
        if stale.security_token:
            raise CredentialsError(
                f"{self.name}: the security token has expired and can't be renewed from here; "
                "set fresh ones, or use a role (ram_role_arn), which is renewed by itself"
            )
        raise CredentialsError(f"{self.name}: the access key was refused as expired; set another one")


class FailedProvider:
    """Replaces a provider that couldn't be built: its error is raised when the account's keys are needed."""

    def __init__(self, name: str, error: CredentialsError) -> None:
        self.name = name
        self._kind = type(error)
        self._message = str(error)

    async def get(self) -> Credentials:
        """See `Provider.get`. Always raises CredentialsError."""
        raise self._kind(self._message)

    def ready(self) -> Credentials | None:
        """See `Provider.ready`. Always None."""
        return None

    async def refresh(self, stale: Credentials) -> Credentials:  # noqa: ARG002  the protocol's parameter
        """See `Provider.refresh`. Always raises CredentialsError."""
        raise self._kind(self._message)


async def read_text(path: Path, what: str) -> str:
    """Return the text of a file, see `decode_text`. Raises CredentialsError with the file and the reason."""
    try:
        return decode_text(await anyio.Path(path).read_bytes())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
    except ValueError:
        reason = "not UTF-8 or UTF-16 text"
    # Raised here, so that the decoder's error, which holds the bytes of the file, isn't its context.
    raise CredentialsError(f"{what} {path} can't be read: {reason}")


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in `text`, None without one: the decoder's own error would hold the whole text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
