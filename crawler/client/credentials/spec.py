"""What a user may write under `[accounts.credentials]`, checked before anything is asked of anyone."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from difflib import get_close_matches

from crawler.client.credentials.base import mask
from crawler.errors import ConfigError

SHORTEST_SESSION_S = 900
LONGEST_SESSION_S = 3600

_ROLE_ARN = re.compile(r"acs:ram::\d+:role/[^\s/]+")
_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_ROLE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

# What each type needs, and what else it takes.
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "default": ((), ()),
    "access_key": (("access_key_id", "access_key_secret"), ()),
    "sts": (("access_key_id", "access_key_secret", "security_token"), ()),
    "ram_role_arn": (
        ("role_arn",),
        ("source", "role_session_name", "role_session_expiration", "external_id", "policy"),
    ),
    "ecs_ram_role": ((), ("role_name",)),
    "oidc_role_arn": (
        (),
        ("role_arn", "oidc_provider_arn", "oidc_token_file", "role_session_name", "role_session_expiration", "policy"),
    ),
    "profile": ((), ("profile",)),
}
_SOURCES = ("access_key", "sts", "default", "ecs_ram_role", "profile")


@dataclass(frozen=True, slots=True, repr=False)
class CredentialSpec:
    """One `[accounts.credentials]` table. Empty text is "not given"; which keys belong together, `validate` says."""

    type: str = "default"
    access_key_id: str = ""
    access_key_secret: str = ""
    security_token: str = ""
    role_arn: str = ""
    role_session_name: str = ""
    role_session_expiration: int = LONGEST_SESSION_S
    external_id: str = ""
    source: str = ""
    profile: str = ""
    role_name: str = ""
    oidc_provider_arn: str = ""
    oidc_token_file: str = ""
    policy: str = ""

    def __repr__(self) -> str:
        return f"CredentialSpec({describe(self)})"


def validate(spec: CredentialSpec, where: str = "[accounts.credentials]") -> None:
    """Raises ConfigError: one sentence that begins with `where` and names the key, without any secret's value."""
    if spec.type not in _KEYS:
        near = get_close_matches(spec.type, _KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(_KEYS)}"
        raise ConfigError(f"{where} type: {spec.type!r} is unknown; {hint}")
    _check_keys(spec, where)
    _check_values(spec, where)


def source_of(spec: CredentialSpec) -> CredentialSpec:
    """The credentials that a `ram_role_arn` is assumed with, as a spec of their own."""
    kind = spec.source or ("sts" if spec.security_token else "access_key")
    needed, optional = _KEYS.get(kind, ((), ()))
    return CredentialSpec(type=kind, **{key: getattr(spec, key) for key in (*needed, *optional)})


def describe(spec: CredentialSpec) -> str:
    """One line for people: the type, and whose it is; keys are masked."""
    match spec.type:
        case "access_key" | "sts":
            return f"{spec.type} {mask(spec.access_key_id)}"
        case "ram_role_arn":
            source = describe(source_of(spec)) if spec.source in ("", *_SOURCES) else repr(spec.source)
            return f"role {spec.role_arn} from {source}"
        case "oidc_role_arn":
            token_file = spec.oidc_token_file or "$ALIBABA_CLOUD_OIDC_TOKEN_FILE"
            return f"role {spec.role_arn or '$ALIBABA_CLOUD_ROLE_ARN'} from the OIDC token in {token_file}"
        case "ecs_ram_role":
            return f"ECS RAM role {spec.role_name}" if spec.role_name else "the instance's ECS RAM role"
        case "profile":
            return f"CLI profile {spec.profile!r}" if spec.profile else "the CLI's current profile"
        case "default":
            return "the default chain"
        case unknown:
            return f"unknown type {unknown!r}"


def _check_keys(spec: CredentialSpec, where: str) -> None:
    needed, optional = _KEYS[spec.type]
    taken = {"type", *needed, *optional}
    if spec.type == "ram_role_arn":
        taken |= _source_keys(spec, where)
    for key in needed:
        if not getattr(spec, key):
            raise ConfigError(f'{where} {key}: type = "{spec.type}" needs it')
    for field in fields(spec):
        if getattr(spec, field.name) != field.default and field.name not in taken:
            hint = ': type = "sts" is for temporary keys' if field.name == "security_token" else ""
            raise ConfigError(
                f'{where} {field.name}: type = "{spec.type}" has no use for it{hint}; remove one of the two'
            )


def _source_keys(spec: CredentialSpec, where: str) -> set[str]:
    if spec.source not in ("", *_SOURCES):
        raise ConfigError(f"{where} source: {spec.source!r} is unknown; it is one of {', '.join(_SOURCES)}")
    if not spec.source and not spec.access_key_id:
        raise ConfigError(
            f'{where} access_key_id: type = "ram_role_arn" needs keys to assume the role with; '
            'give them, or source = "default"'
        )
    source = source_of(spec)
    _check_keys(source, where)
    needed, optional = _KEYS[source.type]
    return {*needed, *optional}


def _check_values(spec: CredentialSpec, where: str) -> None:
    if spec.role_arn and not _ROLE_ARN.fullmatch(spec.role_arn):
        raise ConfigError(f"{where} role_arn: {spec.role_arn!r} isn't like acs:ram::1000000000000001:role/name")
    if spec.role_session_name and not _SESSION_NAME.fullmatch(spec.role_session_name):
        raise ConfigError(
            f"{where} role_session_name: {spec.role_session_name!r} isn't 2 to 64 letters, digits and . @ - _"
        )
    if not SHORTEST_SESSION_S <= spec.role_session_expiration <= LONGEST_SESSION_S:
        raise ConfigError(
            f"{where} role_session_expiration: {spec.role_session_expiration} isn't "
            f"{SHORTEST_SESSION_S} to {LONGEST_SESSION_S} seconds"
        )
    if spec.role_name and not _ROLE_NAME.fullmatch(spec.role_name):
        raise ConfigError(f"{where} role_name: {spec.role_name!r} isn't the name of a RAM role")
