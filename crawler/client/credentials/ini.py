"""Profiles of the SDKs: `~/.alibabacloud/credentials.ini`.

Types, and the names of their options: alibabacloud-credentials 1.0.12, `provider/profile.py`, checked 2026-11-22.
"""

from __future__ import annotations

from configparser import ConfigParser, Error
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.client.credentials.base import UnsupportedProfileError, checked
from crawler.client.credentials.files import read_text
from crawler.client.credentials.metadata import ecs_role
from crawler.client.credentials.refresh import Found
from crawler.client.credentials.static import Static
from crawler.client.credentials.sts import assumed_role, oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.client.credentials.base import Outside, Provider

_TYPES = ("access_key", "ram_role_arn", "oidc_role_arn", "ecs_ram_role")


def ini_profile(outside: Outside) -> Provider:
    """The section `$ALIBABA_CLOUD_PROFILE` (else `default`) of `$ALIBABA_CLOUD_CREDENTIALS_FILE` (else the home's).

    The file is read at the first `get`, once; fails there with CredentialsError.
    """
    given = outside.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE", "")
    path = Path(given) if given else outside.home / ".alibabacloud" / "credentials.ini"
    section = outside.environ.get("ALIBABA_CLOUD_PROFILE", "default")

    async def find() -> Provider:
        sections = _sections(await read_text(path, "the credentials file"))
        if sections is None:
            raise CredentialsError(f"{path} isn't an INI file: repair it, or remove it")
        if section not in sections:
            raise CredentialsError(f"{path} has no section [{section}]: add it, or set ALIBABA_CLOUD_PROFILE")
        return _provider(outside, sections[section], f"[{section}] in {path}")

    return Found(f"section [{section}] of {path}", find, outside.clock)


def _sections(text: str) -> dict[str, dict[str, str]] | None:
    """Sections and their options, cut at a #; None where the file is malformed: the parser's error quotes its lines."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except Error:
        return None
    return {
        name: {option: value.partition("#")[0].strip() for option, value in parser.items(name)}
        for name in parser.sections()
    }


def _provider(outside: Outside, options: Mapping[str, str], where: str) -> Provider:
    match options.get("type"):
        case "access_key":
            return _static(options, where)
        case "ram_role_arn":
            return _role(outside, options, where)
        case "oidc_role_arn":
            return oidc_role(
                outside,
                role_arn=options.get("role_arn", ""),
                provider_arn=options.get("oidc_provider_arn", ""),
                token_file=options.get("oidc_token_file_path", ""),
                session_name=options.get("role_session_name", ""),
                policy=options.get("policy", ""),
            )
        case "ecs_ram_role":
            return ecs_role(outside, options.get("role_name"))
        case "rsa_key_pair":
            raise UnsupportedProfileError(
                f"{where} has type rsa_key_pair, which isn't supported: use a RAM user's access_key, or a role"
            )
        case _:
            raise CredentialsError(f"{where} has a type that isn't supported: use one of {', '.join(_TYPES)}")


def _static(options: Mapping[str, str], where: str) -> Provider:
    keys = checked(options.get("access_key_id", ""), options.get("access_key_secret", ""), "", where)
    return Static("access_key", keys)


def _role(outside: Outside, options: Mapping[str, str], where: str) -> Provider:
    role_arn = options.get("role_arn") or outside.environ.get("ALIBABA_CLOUD_ROLE_ARN", "")
    if not role_arn:
        raise CredentialsError(f"{where} has no role_arn: add it, or set ALIBABA_CLOUD_ROLE_ARN")
    return assumed_role(
        outside,
        _static(options, where),
        role_arn,
        session_name=options.get("role_session_name", ""),
        policy=options.get("policy", ""),
    )
