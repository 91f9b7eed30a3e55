"""Providers from the credentials file of the official libraries, an INI file with one section per profile.

Names of options: alibabacloud-credentials 1.0.12, `provider/profile.py`, checked 2026-11-22.
"""

from __future__ import annotations

from configparser import ConfigParser, Error
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.client.credentials.base import (
    StaticProvider,
    UnsupportedProfileError,
    checked_keys,
    read_text,
)
from crawler.client.credentials.metadata import ecs_role
from crawler.client.credentials.refresh import DiscoveredProvider
from crawler.client.credentials.sts import assumed_role, oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.client.credentials.base import Provider, ProviderContext

_TYPES = ("access_key", "ram_role_arn", "oidc_role_arn", "ecs_ram_role")


def ini_profile(context: ProviderContext) -> Provider:
    """Return a provider for a section of an INI file.

    The section is `$ALIBABA_CLOUD_PROFILE`, else `default`; the file is `$ALIBABA_CLOUD_CREDENTIALS_FILE`, else that of
    the home. It is read once, by the first `get`, which raises CredentialsError.
    """
    given = context.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE", "")
    path = Path(given) if given else context.home / ".alibabacloud" / "credentials.ini"
    section = context.environ.get("ALIBABA_CLOUD_PROFILE", "default")

    async def find() -> Provider:
        sections = _sections(await read_text(path, "the credentials file"))
        if sections is None:
            raise CredentialsError(f"{path} isn't an INI file: repair it, or remove it")
        if section not in sections:
            raise CredentialsError(f"{path} has no section [{section}]: add it, or set ALIBABA_CLOUD_PROFILE")
        return _provider(context, sections[section], f"[{section}] in {path}")

    return DiscoveredProvider(f"section [{section}] of {path}", find, context.clock)


def _sections(text: str) -> dict[str, dict[str, str]] | None:
    """Return the options of each section, cut at a #. None for a malformed file: the parser's error quotes lines."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except Error:
        return None
    return {
        name: {option: value.partition("#")[0].strip() for option, value in parser.items(name)}
        for name in parser.sections()
    }


def _provider(context: ProviderContext, options: Mapping[str, str], where: str) -> Provider:
    match options.get("type"):
        case "access_key":
            return _static(options, where)
        case "ram_role_arn":
            return _role(context, options, where)
        case "oidc_role_arn":
            return oidc_role(
                context,
                role_arn=options.get("role_arn", ""),
                provider_arn=options.get("oidc_provider_arn", ""),
                token_file=options.get("oidc_token_file_path", ""),
                session_name=options.get("role_session_name", ""),
                policy=options.get("policy", ""),
            )
        case "ecs_ram_role":
            return ecs_role(context, options.get("role_name"))
        case "rsa_key_pair":
            raise UnsupportedProfileError(
                f"{where} has type rsa_key_pair, which isn't supported: use a RAM user's access_key, or a role"
            )
        case _:
            raise CredentialsError(f"{where} has a type that isn't supported: use one of {', '.join(_TYPES)}")


def _static(options: Mapping[str, str], where: str) -> Provider:
    keys = checked_keys(options.get("access_key_id", ""), options.get("access_key_secret", ""), "", where)
    return StaticProvider("access_key", keys)


def _role(context: ProviderContext, options: Mapping[str, str], where: str) -> Provider:
    role_arn = options.get("role_arn") or context.environ.get("ALIBABA_CLOUD_ROLE_ARN", "")
    if not role_arn:
        raise CredentialsError(f"{where} has no role_arn: add it, or set ALIBABA_CLOUD_ROLE_ARN")
    return assumed_role(
        context,
        _static(options, where),
        role_arn,
        session_name=options.get("role_session_name", ""),
        policy=options.get("policy", ""),
    )
