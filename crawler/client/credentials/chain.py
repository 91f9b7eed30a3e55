"""The default chain: the official library's places to look, in its order, the first that has credentials for good.

Order and conditions: alibabacloud-credentials 1.0.12, `provider/default.py` and `utils/auth_util.py`, checked
2026-11-22. One difference: a profile that the library could use and this can't (a browser's sign-in, a program, an RSA
key pair) ends the search, since going on would mean another identity than the one that every other tool takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.client.credentials.base import UnsupportedProfileError, checked
from crawler.client.credentials.ini import ini_profile
from crawler.client.credentials.metadata import ecs_role, uri_credentials
from crawler.client.credentials.profiles import cli_profile
from crawler.client.credentials.refresh import Found
from crawler.client.credentials.static import Static
from crawler.client.credentials.sts import oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crawler.client.credentials.base import Outside, Provider

_OIDC = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")


def default_chain(outside: Outside) -> Provider:
    """The first place that has credentials, found at the first `get`.

    Fails there with CredentialsError, which lists every place and why it had none.
    """

    async def find() -> Provider:
        reasons = []
        for place, build in _places(outside):
            try:
                provider = build(outside)
                await provider.get()
            except UnsupportedProfileError:
                raise
            except CredentialsError as error:
                reasons.append(f"{place}: {error}")
            else:
                return provider
        tried = "; ".join(reasons)
        raise CredentialsError(
            "no credentials found: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or give "
            f"[accounts.credentials] another type than default (tried: {tried})"
        )

    return Found("default chain", find, outside.clock)


def environment_keys(outside: Outside) -> Provider:
    """The keys in the environment, with a security token where there is one. Raises CredentialsError without keys."""
    key_id = outside.environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID", "")
    secret = outside.environ.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "")
    token = outside.environ.get("ALIBABA_CLOUD_SECURITY_TOKEN", "")
    return Static("environment", checked(key_id, secret, token, "the environment"))


def _places(outside: Outside) -> Iterator[tuple[str, Callable[[Outside], Provider]]]:
    yield "environment", environment_keys
    if all(outside.environ.get(variable) for variable in _OIDC):
        yield "OIDC", oidc_role
    yield "CLI", cli_profile
    yield "credentials file", ini_profile
    if not outside.has_set("ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
        yield "ECS", ecs_role
    if outside.environ.get("ALIBABA_CLOUD_CREDENTIALS_URI"):
        yield "URI", uri_credentials
