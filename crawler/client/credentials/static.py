"""Credentials that don't change, and those that aren't there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from crawler.client.credentials.base import Credentials


class Static:
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


class Unusable:
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
