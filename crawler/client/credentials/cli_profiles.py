"""Providers from the profiles of the aliyun CLI (`~/.aliyun/config.json`).

Modes, keys and the guess of a missing mode: aliyun-cli, `config/profile.go`, checked 2026-11-30. Go's decoder finds a
key in any case, and the CLI a mode in any case. Durations: alibabacloud-credentials 1.0.12, checked 2026-11-22.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.client.credentials.base import (
    StaticProvider,
    UnsupportedProfileError,
    checked_keys,
    json_object,
    read_text,
)
from crawler.client.credentials.metadata import ecs_role, uri_credentials
from crawler.client.credentials.refresh import DiscoveredProvider
from crawler.client.credentials.sts import DEFAULT_SESSION_S, assumed_role, oidc_role
from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crawler.client.credentials.base import Provider, ProviderContext

MODES = (
    "AK",
    "StsToken",
    "RamRoleArn",
    "EcsRamRole",
    "RamRoleArnWithRoleName",
    "ChainableRamRoleArn",
    "OIDC",
    "CredentialsURI",
)
_BY_HAND = (
    "get temporary keys with the CLI and set ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and "
    "ALIBABA_CLOUD_SECURITY_TOKEN, or use a profile of another mode"
)
_NO_KEYS = f"use a profile of one of the modes {', '.join(MODES)}"
_UNSUPPORTED = {
    "CloudSSO": f"signs in through a browser, which a crawl can't: {_BY_HAND}",
    "OAuth": f"signs in through a browser, which a crawl can't: {_BY_HAND}",
    "External": f"runs a program of its own, which a crawl won't: {_BY_HAND}",
    "BearerToken": f"has no access key to sign requests with: {_NO_KEYS}",
    "Anonymous": f"has no access key to sign requests with: {_NO_KEYS}",
    "RsaKeyPair": f"signs with an RSA key pair, which the cloud has deprecated: {_NO_KEYS}",
}
_KNOWN_MODES = {mode.lower(): mode for mode in (*MODES, *_UNSUPPORTED)}
# The mode of a profile without one, by the keys that it has: the first line of which all are there.
_GUESSES = (
    ("StsToken", ("access_key_id", "access_key_secret", "sts_token")),
    ("RamRoleArn", ("access_key_id", "access_key_secret", "ram_role_arn")),
    ("AK", ("access_key_id", "access_key_secret")),
    ("RsaKeyPair", ("private_key", "key_pair_name")),
    ("EcsRamRole", ("ram_role_name",)),
    ("External", ("process_command",)),
    ("OIDC", ("oidc_provider_arn", "oidc_token_file", "ram_role_arn")),
    ("CloudSSO", ("cloud_sso_sign_in_url",)),
    ("BearerToken", ("bearer_token",)),
)
# A mode that is shown. A key that was pasted in its place has digits, or more letters.
_MODE = re.compile(r"[A-Za-z]{2,24}")
_DEFAULT_PROFILE = "default"
_SHORTEST_SESSION_S = 900


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


@dataclass(frozen=True, slots=True, repr=False)
class _Profile:
    """One profile of the file. `where` names it in messages."""

    where: str
    values: dict[str, Any]

    def text(self, key: str) -> str:
        """Return the text at a key, empty without one; a number counts as its digits. Raises CredentialsError."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            raise CredentialsError(f"{self.where}: {key} must be text in quotes")
        return value or ""

    def session_s(self) -> int:
        """Return `expired_seconds`, which counts from 900 on; the CLI ignores 0 and less. Raises CredentialsError."""
        # No upper bound: the maximum of a role may be twelve hours, and STS rejects more.
        seconds = _number(self.values.get("expired_seconds"))
        if seconds is not None and seconds <= 0:
            return DEFAULT_SESSION_S
        if seconds is None or not seconds.is_integer() or seconds < _SHORTEST_SESSION_S:
            raise CredentialsError(
                f"{self.where}: expired_seconds must be a whole number, {_SHORTEST_SESSION_S} or more; "
                f"0 or no value means {DEFAULT_SESSION_S}"
            )
        return int(seconds)

    def mode(self) -> str:
        """Return the mode as the CLI writes it; a missing one is guessed from the keys. Raises CredentialsError."""
        given = self.text("mode")
        if given:
            return _KNOWN_MODES.get(given.lower(), given)
        for mode, keys in _GUESSES:
            if all(self.text(key) for key in keys):
                return mode
        raise CredentialsError(f"{self.where} has neither a mode nor keys that show one: run `aliyun configure`")

    def static(self, mode: str) -> Provider:
        """Return a provider of the profile's own keys; with `sts_token` they are temporary."""
        keys = checked_keys(
            self.text("access_key_id"), self.text("access_key_secret"), self.text("sts_token"), self.where
        )
        return StaticProvider(f"{mode} of {self.where.partition(' in ')[0]}", keys)


class _Profiles:
    """The content of the file; makes a provider of a profile of each mode."""

    def __init__(self, context: ProviderContext, path: Path, content: dict[str, Any]) -> None:
        self._context = context
        self._path = path
        content = _lower_keys(content)
        profiles = content.get("profiles") or []
        if not isinstance(profiles, list) or not all(isinstance(profile, dict) for profile in profiles):
            raise _malformed(path)
        self._profiles = [_lower_keys(profile) for profile in profiles]
        # As the CLI, which has a profile `default` before it reads the file.
        self.current = _Profile(str(path), {"current": _DEFAULT_PROFILE, **_without_nulls(content)}).text("current")

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
        values = next((found for found in self._profiles if found.get("name") == name), None)
        if values is None:
            raise CredentialsError(
                f"profile {name!r} isn't in {self._path}: run `aliyun configure list` for those that are"
            )
        return self._of_mode(_Profile(f"profile {name!r} in {self._path}", values), (*above, name))

    def _of_mode(self, profile: _Profile, path: Sequence[str]) -> Provider:
        match mode := profile.mode():
            case "AK":
                return _Profile(profile.where, {**profile.values, "sts_token": None}).static(mode)
            case "StsToken":
                if not profile.text("sts_token"):
                    raise CredentialsError(f"{profile.where} has no sts_token: run `aliyun configure`")
                return profile.static(mode)
            case "RamRoleArn":
                return self._role(profile, profile.static("StsToken" if profile.text("sts_token") else "AK"))
            case "RamRoleArnWithRoleName":
                return self._role(profile, self._ecs(profile))
            case "ChainableRamRoleArn":
                source = profile.text("source_profile")
                if not source:
                    raise CredentialsError(f"{profile.where} has no source_profile: run `aliyun configure`")
                return self._role(profile, self.provider(source, path))
            case "EcsRamRole":
                return self._ecs(profile)
            case "OIDC":
                return self._oidc(profile)
            case "CredentialsURI":
                return uri_credentials(
                    self._context, profile.text("credentials_uri"), f"credentials_uri of {profile.where}"
                )
        if mode in _UNSUPPORTED:
            raise UnsupportedProfileError(f"{profile.where} has mode {mode}, which {_UNSUPPORTED[mode]}")
        shown = f"mode {mode}, which" if _MODE.fullmatch(mode) else "a mode that"
        raise CredentialsError(f"{profile.where} has {shown} isn't supported: use one of {', '.join(MODES)}")

    def _ecs(self, profile: _Profile) -> Provider:
        is_given = profile.values.get("ram_role_name") is not None
        return ecs_role(self._context, profile.text("ram_role_name") if is_given else None)

    def _role(self, profile: _Profile, source: Provider) -> Provider:
        role_arn = profile.text("ram_role_arn") or self._context.environ.get("ALIBABA_CLOUD_ROLE_ARN", "")
        if not role_arn:
            raise CredentialsError(f"{profile.where} has no ram_role_arn: run `aliyun configure`")
        return assumed_role(
            self._context,
            source,
            role_arn,
            session_name=profile.text("ram_session_name"),
            session_s=profile.session_s(),
            external_id=profile.text("external_id"),
            policy=profile.text("policy"),
        )

    def _oidc(self, profile: _Profile) -> Provider:
        return oidc_role(
            self._context,
            role_arn=profile.text("ram_role_arn"),
            provider_arn=profile.text("oidc_provider_arn"),
            token_file=profile.text("oidc_token_file"),
            session_name=profile.text("role_session_name") or profile.text("ram_session_name"),
            session_s=profile.session_s(),
            policy=profile.text("policy"),
        )


def _lower_keys(values: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in values.items()}


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _number(value: object) -> float | None:
    """Return a JSON number, or one in quotes; 0 for a value that is missing or empty, None for any other value."""
    if value is None or value == "":
        return 0.0
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None


def _malformed(path: Path) -> CredentialsError:
    return CredentialsError(f"{path} isn't the CLI's configuration in JSON: repair it, or run `aliyun configure` again")
