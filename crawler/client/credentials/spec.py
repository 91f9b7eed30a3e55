"""The settings under `[accounts.credentials]`: one Struct per `type`, in the terms of the official credentials library.

msgspec judges them when the configuration is loaded, before any request is sent. Secrets show as `***`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from crawler.client.credentials.base import mask
from crawler.text import ACCOUNT_ID, ROLE_ARN, ROLE_NAME
from crawler.validation import Secret, SecretName

_VISIBLE = Meta(description="text of visible ASCII characters, best as ${NAME} from the environment")
Key = Annotated[Secret, _VISIBLE]
KeyId = Annotated[SecretName, _VISIBLE]
Text = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]{1,256}\Z", description="text of 1 to 256 characters")]
RoleArn = Annotated[
    str,
    Meta(
        pattern=rf"\A{ROLE_ARN.pattern}\Z",
        description="a RAM role's ARN such as acs:ram::1000000000000002:role/inventory-reader",
    ),
]
ProviderArn = Annotated[
    str,
    Meta(
        pattern=rf"\Aacs:ram::{ACCOUNT_ID.pattern}:oidc-provider/[^\s/]+\Z",
        description="an OIDC provider's ARN such as acs:ram::1000000000000002:oidc-provider/ack",
    ),
]
RoleName = Annotated[str, Meta(pattern=rf"\A{ROLE_NAME.pattern}\Z", description="a RAM role's name, not its ARN")]
SessionName = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9.@_-]{2,64}\Z", description="2 to 64 letters, digits, dots, @, _ or -")
]
SessionSeconds = Annotated[int, Meta(ge=900, le=3600, description="whole seconds from 900 to 3600")]
Policy = Annotated[str, Meta(min_length=2, max_length=4096, description="a RAM policy as JSON text")]
Source = Annotated[
    Literal["access_key", "sts", "default", "ecs_ram_role", "profile"],
    Meta(description="access_key, sts, default, ecs_ram_role or profile, in quotes"),
]


class _Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    @property
    def type(self) -> str:
        """The `type` in the file."""
        return str(self.__struct_config__.tag)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({describe(self)})"


class DefaultSpec(_Spec, frozen=True, kw_only=True, tag="default"):
    """The official default chain."""


class AccessKeySpec(_Spec, frozen=True, kw_only=True, tag="access_key"):
    """An AccessKey pair."""

    access_key_id: KeyId
    access_key_secret: Key


class StsSpec(_Spec, frozen=True, kw_only=True, tag="sts"):
    """Temporary keys."""

    access_key_id: KeyId
    access_key_secret: Key
    security_token: Key


class RoleSpec(_Spec, frozen=True, kw_only=True, tag="ram_role_arn"):
    """A role, assumed with the credentials that `source` names or with the keys that stand next to it.

    Raises ValueError if the source lacks a key or doesn't use a given one. The message begins with the key.
    """

    role_arn: RoleArn
    role_session_name: SessionName | None = None
    role_session_expiration: SessionSeconds | None = None
    external_id: Text | None = None
    source: Source | None = None
    access_key_id: KeyId | None = None
    access_key_secret: Key | None = None
    security_token: Key | None = None
    profile: Text | None = None
    role_name: RoleName | None = None
    policy: Policy | None = None

    def __post_init__(self) -> None:
        named = f'source = "{self.source}"' if self.source else 'type = "ram_role_arn" without a source'
        fields = {field.name: field for field in msgspec.structs.fields(self._source_type)}
        for key in ("access_key_id", "access_key_secret", "security_token", "profile", "role_name"):
            is_given = getattr(self, key) is not None
            if is_given and key not in fields:
                raise ValueError(f"{key} isn't used with {named}: remove it or change the source")
            if not is_given and key in fields and fields[key].required:
                remedy = "" if self.source else ' to assume the role with: give it, or source = "default"'
                raise ValueError(f"{key} is missing: {named} needs it{remedy}")

    @property
    def _source_type(self) -> type[Any]:
        return _SOURCES[self.source or ("access_key" if self.security_token is None else "sts")]

    def source_spec(self) -> CredentialSpec:
        """Return the credentials that the role is assumed with."""
        fields = msgspec.structs.fields(self._source_type)
        spec: CredentialSpec = self._source_type(**{field.name: getattr(self, field.name) for field in fields})
        return spec


class EcsRoleSpec(_Spec, frozen=True, kw_only=True, tag="ecs_ram_role"):
    """The RAM role of the ECS instance that the crawler runs on."""

    role_name: RoleName | None = None


class OidcSpec(_Spec, frozen=True, kw_only=True, tag="oidc_role_arn"):
    """A role, assumed with an OIDC token. The environment gives the names that aren't set, as in an ACK pod."""

    role_arn: RoleArn | None = None
    oidc_provider_arn: ProviderArn | None = None
    oidc_token_file: Annotated[Path | None, Meta(description="a path")] = None
    role_session_name: SessionName | None = None
    role_session_expiration: SessionSeconds | None = None
    policy: Policy | None = None


class ProfileSpec(_Spec, frozen=True, kw_only=True, tag="profile"):
    """A profile of the aliyun CLI, by default its current one."""

    profile: Text | None = None


CredentialSpec = DefaultSpec | AccessKeySpec | StsSpec | RoleSpec | EcsRoleSpec | OidcSpec | ProfileSpec
_SOURCES: dict[str, type[Any]] = {
    str(kind.__struct_config__.tag): kind for kind in (DefaultSpec, AccessKeySpec, StsSpec, EcsRoleSpec, ProfileSpec)
}


def describe(spec: _Spec) -> str:
    """Return one line for people: the type and its names. Access key IDs are masked."""
    match spec:
        case AccessKeySpec() | StsSpec():
            return f"{spec.type} {mask(spec.access_key_id.reveal())}"
        case RoleSpec():
            return f"role {spec.role_arn} from {describe(spec.source_spec())}"
        case OidcSpec():
            token_file = spec.oidc_token_file or "$ALIBABA_CLOUD_OIDC_TOKEN_FILE"
            return f"role {spec.role_arn or '$ALIBABA_CLOUD_ROLE_ARN'} from the OIDC token in {token_file}"
        case EcsRoleSpec():
            return f"ECS RAM role {spec.role_name}" if spec.role_name else "the instance's ECS RAM role"
        case ProfileSpec():
            return f"CLI profile {spec.profile!r}" if spec.profile else "the CLI's current profile"
        case _:
            return "the default chain"
