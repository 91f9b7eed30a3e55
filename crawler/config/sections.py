"""The sections of a configuration: every key, its type, its default, and the words for what is accepted.

A `Meta(description=…)` completes the sentence "must be …". Attributes carry units where the file's keys don't.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta, field

from crawler.client.credentials import CredentialSpec
from crawler.config.document import Secret

BUCKET_URI = re.compile(r"(?:s3|oss)://[a-z0-9][a-z0-9.-]+(?:/.*)?")
FILE_URI = re.compile(r"file://(?:localhost)?(/.+)")
ANY_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/.*", re.DOTALL)

Flag = Annotated[bool, Meta(description="true or false")]
Text = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]{1,256}\Z", description="text of 1 to 256 characters")]
Glob = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_*?\[\]!-]+\Z")]
RegionId = Annotated[str, Meta(pattern=r"\A[a-z0-9]+(?:-[a-z0-9]+)+\Z", max_length=64)]
AccountId = Annotated[
    str,
    Meta(pattern=r"\A[0-9]{1,32}\Z", description='the account ID: its digits in quotes, such as "1000000000000001"'),
]
Regions = Annotated[
    Literal["all"] | Annotated[tuple[RegionId, ...], Meta(min_length=1)],
    Meta(description='"all" or a list of region IDs such as ["cn-hangzhou"], without "all" in it'),
]
Timeout = Annotated[float, Meta(gt=0, le=3600, description="seconds, above 0 and at most 3600")]
Key = Annotated[Secret, Meta(description="text of visible ASCII characters, best as ${NAME} from the environment")]
RoleArn = Annotated[
    str,
    Meta(
        pattern=r"\Aacs:ram::[0-9]+:role/[A-Za-z0-9._-]+\Z",
        description="a RAM role's ARN such as acs:ram::1000000000000002:role/inventory-reader",
    ),
]
ProviderArn = Annotated[
    str,
    Meta(
        pattern=r"\Aacs:ram::[0-9]+:oidc-provider/[^\s/]+\Z",
        description="an OIDC provider's ARN such as acs:ram::1000000000000002:oidc-provider/ack",
    ),
]
SessionName = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9.@_-]{2,64}\Z", description="2 to 64 letters, digits, dots, @, _ or -")
]
RoleName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z", description="a RAM role's name, not its ARN")]
CredentialType = Annotated[
    Literal["default", "access_key", "sts", "ram_role_arn", "ecs_ram_role", "oidc_role_arn", "profile"],
    Meta(description="default, access_key, sts, ram_role_arn, ecs_ram_role, oidc_role_arn or profile, in quotes"),
]
CredentialSource = Annotated[
    Literal["access_key", "sts", "default", "ecs_ram_role", "profile"],
    Meta(description="access_key, sts, default, ecs_ram_role or profile, in quotes"),
]
EndpointSetting = Annotated[
    str | tuple[str, ...] | dict[str, str],
    Meta(description="an https URL, a table of one URL per region, or (allow) a list of host patterns"),
]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file."""


class Crawl(Section, frozen=True, kw_only=True):
    """`[crawl]`: what is asked for, and how hard."""

    tables: Annotated[
        tuple[Glob, ...], Meta(min_length=1, description='a list of table names or globs such as ["fc_*"], not empty')
    ] = ("*",)
    exclude: Annotated[tuple[Glob, ...], Meta(description='a list of table names or globs such as ["fc2_*"]')] = ()
    regions: Regions = "all"
    concurrency: Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")] = 64
    request_timeout_s: Timeout = field(default=30.0, name="request_timeout")
    deadline_s: Annotated[
        float, Meta(ge=0, le=2_678_400, description="seconds, 0 for none, at most 2678400 (31 days)")
    ] = field(default=0.0, name="deadline")
    require_complete: Flag = False
    details: Annotated[tuple[Glob, ...], Meta(description='a list of table names such as ["fc_functions"]')] = ()


class Iceberg(Section, frozen=True, kw_only=True):
    """`[output.iceberg]`."""

    catalog_uri: Annotated[Secret | None, Meta(description="the catalog's URI")] = None
    warehouse: Text | None = None
    namespace: Text | None = None


class Output(Section, frozen=True, kw_only=True):
    """`[output]`: where snapshots go, and what they keep."""

    uri: Annotated[
        str, Meta(min_length=1, pattern=r"\A[^\x00-\x1f\x7f]+\Z", description="a path, file://, s3:// or oss:// URI")
    ] = "./snapshots"
    format: Annotated[
        Literal["parquet", "iceberg", "delta"], Meta(description='one of "parquet", "iceberg", "delta"')
    ] = "parquet"
    secrets: Annotated[
        Literal["fingerprint", "mask", "keep"], Meta(description='one of "fingerprint", "mask", "keep"')
    ] = "fingerprint"
    unknown: Annotated[Literal["fingerprint", "keep"], Meta(description='"fingerprint" or "keep"')] = "fingerprint"
    fingerprint_key: Key | None = None
    umask: Annotated[
        str,
        Meta(
            pattern=r"\A0{0,2}[0-7]{2}\Z", description='octal digits in quotes that leave the owner all, such as "077"'
        ),
    ] = "077"
    iceberg: Iceberg | None = None

    @property
    def umask_bits(self) -> int:
        """The umask as a number."""
        return int(self.umask, 8)

    @property
    def is_bucket(self) -> bool:
        """Whether the output is in an object store."""
        return BUCKET_URI.fullmatch(self.uri) is not None

    @property
    def path(self) -> Path:
        """The folder of a local output. Raises ValueError for one that isn't on this machine."""
        if match := FILE_URI.fullmatch(self.uri):
            return Path(unquote(match[1]))
        if ANY_URI.fullmatch(self.uri):
            raise ValueError("the output isn't a local folder")
        return Path(self.uri)


class Credentials(Section, frozen=True, kw_only=True):
    """`[accounts.credentials]`, in the terms of the official credentials library."""

    type: CredentialType
    access_key_id: Key | None = None
    access_key_secret: Key | None = None
    security_token: Key | None = None
    role_arn: RoleArn | None = None
    role_session_name: SessionName | None = None
    role_session_expiration: (
        Annotated[int, Meta(ge=900, le=3600, description="whole seconds from 900 to 3600")] | None
    ) = None
    external_id: Text | None = None
    source: CredentialSource | None = None
    profile: Text | None = None
    role_name: RoleName | None = None
    oidc_provider_arn: ProviderArn | None = None
    oidc_token_file: Annotated[Path | None, Meta(description="a path")] = None
    policy: Annotated[str, Meta(min_length=2, max_length=4096, description="a RAM policy as JSON text")] | None = None


class Account(Section, frozen=True, kw_only=True):
    """One of `[[accounts]]`."""

    id: AccountId
    name: Text | None = None
    regions: Regions = "all"
    credentials: Credentials = Credentials(type="default")

    def credential_spec(self) -> CredentialSpec:
        """The credentials as `credentials` takes them, secrets in clear. What isn't given keeps its default there."""
        given = {name: getattr(self.credentials, name) for name in self.credentials.__struct_fields__}
        return CredentialSpec(**{name: _plain(value) for name, value in given.items() if value is not None})


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    return str(value) if isinstance(value, Path) else value


class Organization(Section, frozen=True, kw_only=True):
    """`[organization]`: every active member account of the resource directory."""

    role_name: RoleName
    account: AccountId | None = None
    exclude: Annotated[tuple[AccountId, ...], Meta(description="a list of account IDs: digits in quotes")] = ()


class RateLimit(Section, frozen=True, kw_only=True):
    """One of `[rate_limits]`, per account and region."""

    rate: Annotated[float, Meta(gt=0, le=10_000, description="requests per second, above 0 and at most 10000")]
    burst: Annotated[int, Meta(ge=1, le=10_000, description="a whole number from 1 to 10000")] = 1


class Retry(Section, frozen=True, kw_only=True):
    """`[retry]`."""

    max_attempts: Annotated[int, Meta(ge=1, le=20, description="a whole number from 1 to 20")] = 8
    max_delay_s: Timeout = field(default=60.0, name="max_delay")


class Tls(Section, frozen=True, kw_only=True):
    """`[tls]`."""

    ca_file: Annotated[Path | None, Meta(description="a path")] = None


class Network(Section, frozen=True, kw_only=True):
    """`[network]`."""

    proxy: Annotated[Secret | None, Meta(description="a proxy's URL")] = None

    @property
    def proxy_url(self) -> str:
        """The proxy's URL in clear, for the moment of use; empty without one."""
        return self.proxy.reveal() if self.proxy is not None else ""


class Metrics(Section, frozen=True, kw_only=True):
    """`[metrics]`."""

    textfile: Annotated[Path | None, Meta(description="a path")] = None


class Ping(Section, frozen=True, kw_only=True):
    """`[ping]`."""

    url: Annotated[Secret | None, Meta(description="an https URL")] = None


class CatalogFiles(Section, frozen=True, kw_only=True):
    """`[catalog]`."""

    extra: Annotated[tuple[Path, ...], Meta(description="a list of folders")] = ()


class OpenSearch(Section, frozen=True, kw_only=True):
    """`[opensearch]`."""

    functions: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,128}\Z")], ...],
        Meta(description='a list of function names such as ["ctr"]'),
    ] = ()


class Transport(Section, frozen=True, kw_only=True):
    """`[transport]`."""

    max_page_bytes: Annotated[
        int, Meta(ge=1024, le=1_073_741_824, description="whole bytes from 1024 to 1073741824 (1 GiB)")
    ] = 16 * 1024 * 1024


class Settings(Section, frozen=True, kw_only=True):
    """The whole file."""

    crawl: Crawl = Crawl()
    output: Output = Output()
    accounts: tuple[Account, ...] = ()
    organization: Organization | None = None
    endpoints: dict[str, EndpointSetting] = {}
    rate_limits: dict[str, RateLimit] = {}
    retry: Retry = Retry()
    tls: Tls = Tls()
    network: Network = Network()
    metrics: Metrics = Metrics()
    ping: Ping = Ping()
    catalog: CatalogFiles = CatalogFiles()
    opensearch: OpenSearch = OpenSearch()
    transport: Transport = Transport()

    @property
    def allow(self) -> tuple[str, ...]:
        """`[endpoints] allow`: patterns of hosts outside the cloud's own domain."""
        patterns = self.endpoints.get("allow", ())
        return patterns if isinstance(patterns, tuple) else ()
