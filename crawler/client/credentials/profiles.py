"""Providers from files: profiles of the command-line tool (`~/.aliyun/config.json`) and the credentials file (INI).

Modes and names of fields: alibabacloud-credentials 1.0.12, `provider/cli_profile.py`, checked 2026-11-22.
"""

from __future__ import annotations

from configparser import ConfigParser, Error
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.client.credentials.base import (
    StaticProvider,
    UnsupportedProfileError,
    checked_keys,
    json_object,
    read_text,
)
from crawler.client.credentials.metadata import ecs_role
from crawler.client.credentials.refresh import DiscoveredProvider
from crawler.client.credentials.sts import DEFAULT_SESSION_S, assumed_role, oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crawler.client.credentials.base import Provider, ProviderContext

MODES = ("AK", "StsToken", "RamRoleArn", "EcsRamRole", "OIDC", "ChainableRamRoleArn")


_BY_HAND = (
    "get temporary keys with the CLI and set ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and "
    "ALIBABA_CLOUD_SECURITY_TOKEN, or use a profile of another mode"
)


_UNSUPPORTED = {
    "CloudSSO": f"signs in through a browser, which a crawl can't: {_BY_HAND}",
    "OAuth": f"signs in through a browser, which a crawl can't: {_BY_HAND}",
    "External": f"runs a program of its own, which a crawl won't: {_BY_HAND}",
}
_SHORTEST_SESSION_S = 900
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


def cli_profile(context: ProviderContext, profile: str = "") -> Provider:
    """Return a provider for a profile of the CLI: the named one, else `$ALIBABA_CLOUD_PROFILE`, else `current`.

    The file is read once, by the first `get`. It raises CredentialsError if the file is missing, malformed or disabled
    (`$ALIBABA_CLOUD_CLI_PROFILE_DISABLED`), or if the profile can't be used.
    """
    wanted = profile or context.environ.get("ALIBABA_CLOUD_PROFILE", "")

    async def find() -> Provider:
        if context.has_set("ALIBABA_CLOUD_CLI_PROFILE_DISABLED"):
            raise CredentialsError("CLI profiles are switched off by ALIBABA_CLOUD_CLI_PROFILE_DISABLED: unset it")
        profiles = await _Profiles.read(context)
        return profiles.provider(wanted or profiles.current, ())

    return DiscoveredProvider(f"CLI profile {wanted!r}" if wanted else "the CLI's current profile", find, context.clock)


class _Profiles:
    """The content of the file; makes a provider of a profile of each mode."""

    def __init__(self, context: ProviderContext, path: Path, content: dict[str, Any]) -> None:
        self._context = context
        self._path = path
        self._profiles = content.get("profiles") or []
        self.current = _text(content, "current")
        if not isinstance(self._profiles, list) or not all(isinstance(profile, dict) for profile in self._profiles):
            raise _malformed(path)

    @classmethod
    async def read(cls, context: ProviderContext) -> _Profiles:
        path = context.home / ".aliyun" / "config.json"
        content = json_object(await read_text(path, "the CLI's configuration"))
        if content is None:
            raise _malformed(path)
        return cls(context, path, content)

    def provider(self, name: str, above: Sequence[str]) -> Provider:
        """Return the provider of one profile. `above` are the profiles that it is a source of, against a cycle."""
        if not name:
            raise CredentialsError(f"{self._path} names no profile: run `aliyun configure`, or name one")
        if name in above:
            raise CredentialsError(f"profile {name!r} in {self._path} is its own source: correct its source_profile")
        profile = next((found for found in self._profiles if found.get("name") == name), None)
        if profile is None:
            raise CredentialsError(
                f"profile {name!r} isn't in {self._path}: run `aliyun configure list` for those that are"
            )
        return self._of_mode(profile, name, above)

    def _of_mode(self, profile: dict[str, Any], name: str, above: Sequence[str]) -> Provider:
        match profile.get("mode"):
            case "AK":
                return self._static(profile, name, "AK")
            case "StsToken":
                if not _text(profile, "sts_token"):
                    raise CredentialsError(f"profile {name!r} in {self._path} has no sts_token: run `aliyun configure`")
                return self._static(profile, name, "StsToken", _text(profile, "sts_token"))
            case "RamRoleArn":
                return self._role(profile, name, self._static(profile, name, "AK"))
            case "ChainableRamRoleArn":
                return self._role(profile, name, self.provider(_text(profile, "source_profile"), (*above, name)))
            case "EcsRamRole":
                named = "ram_role_name" in profile and profile["ram_role_name"] is not None
                return ecs_role(self._context, _text(profile, "ram_role_name") if named else None)
            case "OIDC":
                return self._oidc(profile, name)
            case mode:
                raise self._unsupported(mode, name)

    def _static(self, profile: dict[str, Any], name: str, mode: str, token: str = "") -> Provider:
        where = f"profile {name!r} in {self._path}"
        keys = checked_keys(_text(profile, "access_key_id"), _text(profile, "access_key_secret"), token, where)
        return StaticProvider(f"{mode} of profile {name!r}", keys)

    def _role(self, profile: dict[str, Any], name: str, source: Provider) -> Provider:
        role_arn = _text(profile, "ram_role_arn") or self._context.environ.get("ALIBABA_CLOUD_ROLE_ARN", "")
        if not role_arn:
            raise CredentialsError(f"profile {name!r} in {self._path} has no ram_role_arn: run `aliyun configure`")
        return assumed_role(
            self._context,
            source,
            role_arn,
            session_name=_text(profile, "ram_session_name"),
            session_s=self._session_s(profile, name),
            external_id=_text(profile, "external_id"),
            policy=_text(profile, "policy"),
        )

    def _oidc(self, profile: dict[str, Any], name: str) -> Provider:
        return oidc_role(
            self._context,
            role_arn=_text(profile, "ram_role_arn"),
            provider_arn=_text(profile, "oidc_provider_arn"),
            token_file=_text(profile, "oidc_token_file"),
            session_name=_text(profile, "role_session_name") or _text(profile, "ram_session_name"),
            session_s=self._session_s(profile, name),
            policy=_text(profile, "policy"),
        )

    def _session_s(self, profile: dict[str, Any], name: str) -> int:
        # No upper bound: the maximum of a role may be twelve hours, and STS rejects more.
        seconds = profile.get("expired_seconds")
        if seconds is None:
            return DEFAULT_SESSION_S
        if not isinstance(seconds, int) or seconds < _SHORTEST_SESSION_S:
            raise CredentialsError(
                f"profile {name!r} in {self._path}: expired_seconds must be {_SHORTEST_SESSION_S} or more"
            )
        return seconds

    def _unsupported(self, mode: object, name: str) -> CredentialsError:
        where = f"profile {name!r} in {self._path}"
        if isinstance(mode, str) and mode in _UNSUPPORTED:
            return UnsupportedProfileError(f"{where} has mode {mode}, which {_UNSUPPORTED[mode]}")
        return CredentialsError(f"{where} has a mode that isn't supported: use one of {', '.join(MODES)}")


def _malformed(path: Path) -> CredentialsError:
    return CredentialsError(f"{path} isn't the CLI's configuration in JSON: repair it, or run `aliyun configure` again")


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
