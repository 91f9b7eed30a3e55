"""The location of an output on an object store, from its URI and the environment, without any request.

`s3://` uses the variables and the profile of the AWS CLI, `oss://` those of ossutil and the region of the aliyun CLI.
The location has all that a request needs in addition to keys: the endpoint, the region, and the bucket's addressing.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from crawler.errors import ConfigError
from crawler.local_files import expand_home
from crawler.snapshot.s3.connection import Route
from crawler.text import LOOPBACK_HOST, bucket_uri_problem, decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_OSS_REGION = re.compile(r"oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com")
_OSS_REGION_VARIABLES = ("OSS_REGION", "ALIBABA_CLOUD_REGION_ID", "ALIBABA_CLOUD_REGION")
# A host with or without a port. A user, a password, white space and control characters aren't of it.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_REGION = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VISIBLE = re.compile(r"[!-~]*")
_NO_REGION = "the region of the oss:// bucket isn't known; set OSS_REGION, such as cn-hangzhou, or OSS_ENDPOINT"


@dataclass(frozen=True, slots=True, repr=False)
class AccessKeys:
    """The access key that signs requests, with no `repr`. `expires_at`: when it must be replaced; None for never."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RoleSettings:
    """The variables of the environment that name the machine's role. There is no `repr`: a value may be a token."""

    variables: Mapping[str, str]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> RoleSettings:
        """Return the variables that may name a role."""
        return cls({name: value for name, value in environ.items() if name.startswith("AWS_") and value})

    def get(self, name: str) -> str:
        """Return a variable, empty without it."""
        return self.variables.get(name, "")


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """One bucket and a prefix in it.

    `endpoint` is empty for AWS's own endpoint of the region. With `is_virtual_host` its host has the bucket's name.
    `keys` are those of the environment or a profile, None if the machine's role or the crawl's credentials sign.
    """

    uri: str
    kind: Literal["s3", "oss"]
    bucket: str
    prefix: str
    region: str
    endpoint: str
    is_virtual_host: bool
    keys: AccessKeys | None = None
    # Where the keys come from if neither the location nor a crawl has them.
    role: RoleSettings = field(default=RoleSettings({}), repr=False)
    # A proxy's URL, which may contain a password; empty for none.
    proxy: str = field(default="", repr=False)
    # Authorities that are trusted in addition to the system's.
    ca_file: Path | None = None

    @property
    def route(self) -> Route:
        """The way of the requests."""
        return Route(self.proxy, self.ca_file)


def bucket_place(uri: str, environ: Mapping[str, str], home: Path) -> BucketLocation:
    """Return the location of an `s3://` or `oss://` URI. Raises ConfigError."""
    if problem := bucket_uri_problem(uri):
        raise ConfigError(f"the output {uri[:200]!a} {problem}")
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme == "oss":
        return _oss(uri, bucket, prefix.strip("/"), environ)
    return _s3(uri, bucket, prefix.strip("/"), environ, home)


def _oss(uri: str, bucket: str, prefix: str, environ: Mapping[str, str]) -> BucketLocation:
    named = environ.get("OSS_ENDPOINT", "")
    variable = next((name for name in _OSS_REGION_VARIABLES if environ.get(name)), "")
    region = _region(environ[variable], variable) if variable else ""
    if named:
        scheme, host = _split(named, "OSS_ENDPOINT", environ)
        in_host = _OSS_REGION.search(host)
        region = in_host[1] if in_host else region
    else:
        scheme, host = "https", f"oss-{region}.aliyuncs.com"
    if not region:
        raise ConfigError(_NO_REGION)
    keys = _keys_of(environ, "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
    return BucketLocation(uri, "oss", bucket, prefix, region, oss_origin(scheme, bucket, host), True, keys)


def oss_origin(scheme: str, bucket: str, host: str) -> str:
    """Return the address of a bucket on OSS, at the endpoint of the S3 protocol; users set the native one."""
    host = f"s3.{host}" if host.startswith("oss-") and host.endswith(".aliyuncs.com") else host
    return f"{scheme}://{bucket}.{host}"


def _s3(uri: str, bucket: str, prefix: str, environ: Mapping[str, str], home: Path) -> BucketLocation:
    profile = _profile(environ, home)
    keys = _keys_of(environ, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    if keys is None:
        keys = _keys_of(profile, "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        _raise_if_keyless(uri, environ, has_keys=keys is not None)
    given = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or profile.get("region") or "us-east-1"
    region = _region(given, "AWS_REGION, or the region of the AWS profile,")
    named = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or profile.get("endpoint_url") or ""
    if not named:
        return BucketLocation(uri, "s3", bucket, prefix, region, "", "." not in bucket, keys, RoleSettings.of(environ))
    scheme, host = _split(named, "AWS_ENDPOINT_URL", environ)
    # As the AWS CLI does: AWS itself by the bucket's host name, other servers by path by default.
    is_virtual = environ.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() == "true"
    endpoint = f"{scheme}://{bucket}.{host}" if is_virtual else f"{scheme}://{host}"
    return BucketLocation(uri, "s3", bucket, prefix, region, endpoint, is_virtual, keys, RoleSettings.of(environ))


def _split(url: str, variable: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the scheme, and the host with port, of an endpoint. Messages don't show it: it may contain a password."""
    problem = f"{variable} must be a host or https://host, without a path, user or password"
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        is_host = bool(parts.hostname) and parts.port != 0 and _AUTHORITY.fullmatch(parts.netloc) is not None
    except ValueError:  # of brackets and ports; it quotes the address
        raise ConfigError(problem) from None
    if parts.scheme not in ("http", "https") or not is_host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(problem)
    assert parts.hostname
    is_local = LOOPBACK_HOST.fullmatch(parts.hostname) or parts.hostname.endswith(".localhost")
    if parts.scheme == "http" and not is_local and environ.get("AWS_ALLOW_HTTP", "").lower() != "true":
        raise ConfigError(f"{variable} must be https; plain http is for this machine only (AWS_ALLOW_HTTP=true)")
    return parts.scheme, parts.netloc


def _region(text: str, variable: str) -> str:
    """Return the region without white space around it. It becomes a part of a host name."""
    if not _REGION.fullmatch(text.strip()):
        raise ConfigError(f"{variable} isn't a region's ID such as cn-hangzhou or eu-central-1; correct it")
    return text.strip()


def _keys_of(values: Mapping[str, str], key_id: str, secret: str, token: str) -> AccessKeys | None:
    found_id, found_secret, found_token = (values.get(name, "").strip() for name in (key_id, secret, token))
    for name, text in ((key_id, found_id), (secret, found_secret), (token, found_token)):
        if not _VISIBLE.fullmatch(text):
            raise ConfigError(f"{name} has white space or another stray character in it; copy it again")
    return AccessKeys(found_id, found_secret, found_token) if found_id and found_secret else None


def _raise_if_keyless(uri: str, environ: Mapping[str, str], *, has_keys: bool) -> None:
    """Raise ConfigError for a named profile without keys, and without keys where the machine's role is disabled."""
    name = environ.get("AWS_PROFILE", "")
    if name and not has_keys:
        raise ConfigError(
            f"AWS_PROFILE names {name[:80]!a}, which has no access key in ~/.aws (other sign-in methods aren't "
            "supported); export the keys as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
        )
    if not has_keys and environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise ConfigError(f"{uri} needs an access key; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")


def _profile(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the AWS profile's values of both files; empty if there is none."""
    config = _ini(_named("AWS_CONFIG_FILE", environ, home) or home / ".aws" / "config")
    credentials = _ini(_named("AWS_SHARED_CREDENTIALS_FILE", environ, home) or home / ".aws" / "credentials")
    section = environ.get("AWS_PROFILE") or "default"
    named = section if section == "default" else f"profile {section}"
    return {**config.get(named, {}), **credentials.get(section, {})}


def _named(variable: str, environ: Mapping[str, str], home: Path) -> Path | None:
    """Return the path in a variable, with a leading `~` as the AWS CLI reads it; None if it isn't set."""
    given = environ.get(variable, "")
    return Path(expand_home(given, {"HOME": str(home)})) if given else None


def _ini(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(decode_text(path.read_bytes()))
    except (OSError, ValueError, configparser.Error):
        return {}
    return {section: dict(parser.items(section)) for section in parser.sections()}
