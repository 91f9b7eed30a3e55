"""What is handed around: credentials that never show themselves, and the protocols on either side of a provider."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import anyio

from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crawler.clock import Clock

_SHORTEST_TO_MASK = 12


def mask(access_key_id: str) -> str:
    """The first and last four characters of an access key ID; of one under twelve characters, nothing."""
    if len(access_key_id) < _SHORTEST_TO_MASK:
        return "…"
    shown = f"{access_key_id[:4]}…{access_key_id[-4:]}"
    return "".join(character if character.isprintable() else "?" for character in shown)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """One identity's keys. Text forms show a masked ID and nothing else; pickling and copying are refused."""

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
    """Where credentials come from. Safe to share between any number of tasks of one event loop."""

    @property
    def name(self) -> str:
        """For messages: never holds a key."""
        ...

    async def get(self) -> Credentials:
        """Credentials that are valid now. Raises CredentialsError where there are none."""
        ...

    def ready(self) -> Credentials | None:
        """What `get` would give without waiting; None where it would have to wait, or fail."""
        ...

    async def refresh(self, stale: Credentials) -> Credentials:
        """Others than `stale`, which the cloud refused as expired: fetched once, however many callers hold them.

        Raises CredentialsError where the fetch fails, and always where the credentials are fixed.
        """
        ...


class StsClient(Protocol):
    """One RPC-style request to STS, rate limited and retried. Raises ApiError."""

    async def __call__(
        self, product: str, action: str, parameters: Mapping[str, str], credentials: Credentials | None
    ) -> Mapping[str, object]:
        """The answer's JSON object. Signed with `credentials`, unsigned where they are None."""
        ...


class HttpFetch(Protocol):
    """One unsigned exchange with a credentials service: soon timed out, no redirects, no proxy. Raises ApiError."""

    async def __call__(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """The answer's HTTP status and body, whatever the status."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class ProviderContext:
    """Everything that a provider may touch outside of itself."""

    call: StsClient
    fetch: HttpFetch
    clock: Clock
    environ: Mapping[str, str]
    home: Path

    def has_set(self, variable: str) -> bool:
        """Whether a switch in the environment is on: the text true, in any case."""
        return self.environ.get(variable, "").lower() == "true"


class RoleDeniedError(CredentialsError):
    """A role that isn't there, or that may not be assumed; `code` is STS's."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class UnsupportedProfileError(CredentialsError):
    """A profile names a way to sign in that only the official tools have: the chain must not go on past it."""


def checked(access_key_id: str, access_key_secret: str, security_token: str, source: str) -> Credentials:
    """Credentials from text as found in `source`, white space around it cut.

    Raises CredentialsError where the ID or secret is empty, or where a value can't stand in an HTTP header.
    """
    key_id, secret, token = access_key_id.strip(), access_key_secret.strip(), security_token.strip()
    for part, text in {"access key ID": key_id, "access key secret": secret, "security token": token}.items():
        if not text and part != "security token":
            raise CredentialsError(f"{source} has no {part}: set it, or choose other credentials")
        if not text.isascii() or any(character.isspace() or not character.isprintable() for character in text):
            raise CredentialsError(f"{source} has white space or another stray character in its {part}: copy it again")
    return Credentials(key_id, secret, token)


def issued(answer: object, source: str) -> Credentials:
    """Temporary credentials from the JSON object that STS and the metadata services answer with.

    `AccessKeyId`, `AccessKeySecret`, `SecurityToken`, and `Expiration` as ISO 8601 with Z (alibabacloud-credentials
    1.0.12, checked 2026-11-22). Raises CredentialsError where one is missing or malformed; the answer isn't shown.
    """
    fields = answer if isinstance(answer, dict) else {}
    texts = [fields.get(name) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
    expires_at = _instant(fields.get("Expiration"))
    key_id, secret, token = (text if isinstance(text, str) else "" for text in texts)
    if not (key_id and secret and token and expires_at):
        raise CredentialsError(
            f"{source} answered without complete credentials: try again, then check what answers there"
        )
    found = checked(key_id, secret, token, source)
    return Credentials(found.access_key_id, found.access_key_secret, found.security_token, expires_at)


def _instant(text: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant and instant.tzinfo else None


class StaticProvider:
    """The keys that it was given, until the cloud refuses them."""

    def __init__(self, name: str, credentials: Credentials) -> None:
        self.name = name
        self._credentials = credentials

    async def get(self) -> Credentials:
        """See `Provider.get`. Never fails."""
        return self._credentials

    def ready(self) -> Credentials | None:
        """See `Provider.ready`. Always there."""
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Provider.refresh`. Always raises CredentialsError: there is nowhere to get others from."""
        if stale.security_token:
            raise CredentialsError(
                f"{self.name}: the security token has expired and can't be renewed from here; "
                "set fresh ones, or use a role (ram_role_arn), which is renewed by itself"
            )
        raise CredentialsError(f"{self.name}: the access key was refused as expired; set another one")


class FailedProvider:
    """Stands where a provider couldn't be built: one account's trouble, told when that account is asked for keys."""

    def __init__(self, name: str, error: CredentialsError) -> None:
        self.name = name
        self._kind = type(error)
        self._message = str(error)

    async def get(self) -> Credentials:
        """See `Provider.get`. Always raises CredentialsError."""
        raise self._kind(self._message)

    def ready(self) -> Credentials | None:
        """See `Provider.ready`. Never there."""
        return None

    async def refresh(self, stale: Credentials) -> Credentials:  # noqa: ARG002  the protocol's parameter
        """See `Provider.refresh`. Always raises CredentialsError."""
        raise self._kind(self._message)


async def read_text(path: Path, what: str) -> str:
    """The file's text. Raises CredentialsError, which names the file and the reason, where it can't be read."""
    try:
        return await anyio.Path(path).read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
    except ValueError:
        reason = "not UTF-8 text"
    # Raised out here, so that the decoder's error, which holds the file's bytes, isn't its context.
    raise CredentialsError(f"{what} {path} can't be read: {reason}")


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object in `text`; None where there is none, since the decoder's own error holds the whole text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
