"""The sections of a configuration: every key, its type, its default, and the words for the accepted values.

A `Meta(description=…)` completes the sentence "must be …". Attributes have a unit in their name, keys don't.
msgspec judges a file by these Structs, see `crawler.validation`.
"""

from __future__ import annotations

import datetime as dt
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta, field

from crawler.client.credentials import CredentialSpec, DefaultSpec
from crawler.client.credentials.spec import Key, RoleName, Text
from crawler.text import ACCOUNT_ID, LOOPBACK_HOST, REGION_ID
from crawler.validation import Secret

BUCKET_URI = re.compile(r"(?:s3|oss)://.*")
FILE_URI = re.compile(r"file://(?:localhost)?(/.+)")
ENGINE_ADDRESS = re.compile(r"(tls|tcp)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
ANY_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/.*", re.DOTALL)

Flag = Annotated[bool, Meta(description="true or false")]
Glob = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_*?\[\]!-]+\Z")]
RegionId = Annotated[str, Meta(pattern=rf"\A{REGION_ID.pattern}\Z")]
AccountId = Annotated[
    str,
    Meta(
        pattern=rf"\A{ACCOUNT_ID.pattern}\Z",
        description='the account ID: its digits in quotes, such as "1000000000000001"',
    ),
]
Regions = Annotated[
    Literal["all"] | Annotated[tuple[RegionId, ...], Meta(min_length=1)],
    Meta(description='"all" or a list of region IDs such as ["cn-hangzhou"], without "all" in it'),
]
Timeout = Annotated[float, Meta(gt=0, le=3600, description="seconds, above 0 and at most 3600")]
Workers = Annotated[
    Literal["auto"] | Annotated[int, Meta(ge=1, le=256)], Meta(description='a whole number from 1 to 256, or "auto"')
]
KeepCount = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
EndpointSetting = Annotated[
    str | tuple[str, ...] | dict[str, str],
    Meta(description="an https URL, a table of one URL per region, or (allow) a list of host patterns"),
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the file."""


class CrawlSection(Section, frozen=True, kw_only=True):
    """`[crawl]`: the tables and regions to crawl, and the load on the service."""

    tables: Annotated[
        tuple[Glob, ...], Meta(min_length=1, description='a list of table names or globs such as ["fc_*"], not empty')
    ] = ("*",)
    exclude: Annotated[tuple[Glob, ...], Meta(description='a list of table names or globs such as ["fc2_*"]')] = ()
    regions: Regions = "all"
    concurrency: Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")] = 64
    workers: Workers = 1
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


class LakeSection(Section, frozen=True, kw_only=True):
    """`[output.lake]`."""

    mode: Annotated[Literal["replace", "append"], Meta(description='"replace" or "append"')] = "replace"


class OutputSection(Section, frozen=True, kw_only=True):
    """`[output]`: the place of the snapshots, and their treatment of secrets."""

    uri: Annotated[
        str, Meta(min_length=1, pattern=r"\A[^\x00-\x1f\x7f]+\Z", description="a path, file://, s3:// or oss:// URI")
    ] = "./snapshots"
    format: Annotated[
        Literal["parquet", "iceberg", "delta"], Meta(description='one of "parquet", "iceberg", "delta"')
    ] = "parquet"
    part_size: Annotated[
        str,
        Meta(
            pattern=r"\A(?:(?:[1-9][0-9]{0,2}|10[01][0-9]|102[0-4])MiB|1GiB)\Z",
            description='a size from "1MiB" to "1GiB"',
        ),
    ] = "128MiB"
    secrets: Annotated[
        Literal["fingerprint", "mask", "keep"], Meta(description='one of "fingerprint", "mask", "keep"')
    ] = "fingerprint"
    unknown: Annotated[Literal["fingerprint", "keep"], Meta(description='"fingerprint" or "keep"')] = "fingerprint"
    fingerprint_scope: Annotated[Literal["account", "all"], Meta(description='"account" or "all"')] = "account"
    fingerprint_key: Key | None = None
    umask: Annotated[
        str,
        Meta(
            pattern=r"\A0{0,2}[0-7]{2}\Z", description='octal digits in quotes that leave the owner all, such as "077"'
        ),
    ] = "077"
    iceberg: Iceberg | None = None
    lake: LakeSection = LakeSection()

    @property
    def umask_bits(self) -> int:
        """The umask as a number."""
        return int(self.umask, 8)

    @property
    def part_bytes(self) -> int:
        """The size of a part in bytes, about."""
        return int(self.part_size[:-3]) << (30 if self.part_size.endswith("GiB") else 20)

    @property
    def is_bucket(self) -> bool:
        """Whether the output is in an object store."""
        return BUCKET_URI.fullmatch(self.uri) is not None

    @property
    def path(self) -> Path:
        """The folder of a local output. Raises ValueError if the output isn't local."""
        if match := FILE_URI.fullmatch(self.uri):
            return Path(unquote(match[1]))
        if ANY_URI.fullmatch(self.uri):
            raise ValueError("the output isn't a local folder")
        return Path(self.uri)


class Account(Section, frozen=True, kw_only=True):
    """One of `[[accounts]]`."""

    id: AccountId
    name: Text | None = None
    regions: Regions = "all"
    credentials: CredentialSpec = DefaultSpec()


class OrganizationSection(Section, frozen=True, kw_only=True):
    """`[organization]`: crawl every active member account of the resource directory."""

    role_name: RoleName
    account: AccountId | None = None
    exclude: Annotated[tuple[AccountId, ...], Meta(description="a list of account IDs: digits in quotes")] = ()


class AcceptedSection(Section, frozen=True, kw_only=True):
    """One of `[[accepted]]`: scopes that may be incomplete until a date."""

    account: Annotated[
        str,
        Meta(
            pattern=r"\A[0-9*?\[\]!-]{1,64}\Z",
            description='an account ID or a glob over account IDs, such as "1000000000000003" or "*"',
        ),
    ]
    region: Annotated[
        str, Meta(pattern=r"\A[a-z0-9*?\[\]!-]{1,64}\Z", description='a region ID or a glob, such as "cn-*"')
    ] = "*"
    table: Annotated[Glob, Meta(description='a table name or a glob, such as "opensearch_*"')]
    reason: Annotated[Text, Meta(description="text of 1 to 256 characters, for everyone who reads a report")]
    until: Annotated[date, Meta(description="a date such as 2027-03-31")]


class EngineSection(Section, frozen=True, kw_only=True):
    """`[engine]`: the machines that run the shards of a crawl."""

    kind: Annotated[Literal["dask"], Meta(description='"dask"')]
    address: (
        Annotated[
            str,
            Meta(
                pattern=rf"\A{ENGINE_ADDRESS.pattern}\Z",
                description="tls://host:port, or tcp://host:port with a loopback address",
            ),
        ]
        | None
    ) = None
    ca_file: Annotated[Path | None, Meta(description="a path")] = None
    cert_file: Annotated[Path | None, Meta(description="a path")] = None
    key_file: Annotated[Path | None, Meta(description="a path")] = None

    @property
    def is_remote(self) -> bool:
        """Whether the address is that of another machine."""
        found = ENGINE_ADDRESS.fullmatch(self.address or "")
        return found is not None and not LOOPBACK_HOST.fullmatch(found[2] or found[3])


class RateLimit(Section, frozen=True, kw_only=True):
    """One of `[rate_limits]`, per account and region."""

    rate: Annotated[float, Meta(gt=0, le=10_000, description="requests per second, above 0 and at most 10000")]
    burst: Annotated[int, Meta(ge=1, le=10_000, description="a whole number from 1 to 10000")] = 1


class RetrySection(Section, frozen=True, kw_only=True):
    """`[retry]`."""

    max_attempts: Annotated[int, Meta(ge=1, le=20, description="a whole number from 1 to 20")] = 8
    max_delay_s: Timeout = field(default=60.0, name="max_delay")


class TlsSection(Section, frozen=True, kw_only=True):
    """`[tls]`."""

    ca_file: Annotated[Path | None, Meta(description="a path")] = None


class NetworkSection(Section, frozen=True, kw_only=True):
    """`[network]`."""

    proxy: Annotated[Secret | None, Meta(description='a proxy\'s URL, or "environment"')] = None


class MetricsSection(Section, frozen=True, kw_only=True):
    """`[metrics]`."""

    textfile: Annotated[Path | None, Meta(description="a path")] = None
    push: Annotated[Secret | None, Meta(description="an https URL")] = None


class RetentionSection(Section, frozen=True, kw_only=True):
    """`[retention]`: the snapshots that a crawl keeps, by the rules of `snapshots prune`. Empty: it removes none."""

    keep_last: KeepCount | None = None
    keep_hourly: KeepCount | None = None
    keep_daily: KeepCount | None = None
    keep_weekly: KeepCount | None = None
    keep_monthly: KeepCount | None = None
    keep_yearly: KeepCount | None = None
    keep_within: (
        Annotated[
            str,
            Meta(
                pattern=r"\A(?=.*[1-9])(?:[0-9]{1,4}y)?(?:[0-9]{1,5}m)?(?:[0-9]{1,6}d)?(?:[0-9]{1,7}h)?\Z",
                description="a duration in years, months, days and hours such as 2y5m7d3h",
            ),
        ]
        | None
    ) = None


class PingSection(Section, frozen=True, kw_only=True):
    """`[ping]`."""

    url: Annotated[Secret | None, Meta(description="an https URL")] = None


class CatalogSection(Section, frozen=True, kw_only=True):
    """`[catalog]`."""

    extra: Annotated[tuple[Path, ...], Meta(description="a list of folders")] = ()


class OpenSearchSection(Section, frozen=True, kw_only=True):
    """`[opensearch]`."""

    functions: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,128}\Z")], ...],
        Meta(description='a list of function names such as ["ctr"]'),
    ] = ()


class ReportSection(Section, frozen=True, kw_only=True):
    """`[report]`: how findings are shown."""

    owner_tags: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A\S(?:.*\S)?\Z", max_length=128)], ...],
        Meta(description='a list of tag keys such as ["owner", "team"]'),
    ] = ("owner", "team")


class AcceptedFinding(Section, frozen=True, kw_only=True):
    """One of `[[accepted_findings]]`: rows of findings that are known, and not counted until a day."""

    finding: Annotated[str, Meta(pattern=r"\A[a-z0-9_*?\[\]!-]+\Z", description="the name of a finding, or a glob")]
    resource: Annotated[str, Meta(min_length=1, description='a glob over the resource, "*" for all of the finding')]
    account: Annotated[str, Meta(pattern=r"\A[0-9*?\[\]!-]+\Z", description="an account ID in quotes, or a glob")] = "*"
    reason: Text
    until: Annotated[dt.date, Meta(description="a date without quotes, such as 2027-03-31")]


class TransportSection(Section, frozen=True, kw_only=True):
    """`[transport]`."""

    max_page_bytes: Annotated[
        int, Meta(ge=1024, le=1_073_741_824, description="whole bytes from 1024 to 1073741824 (1 GiB)")
    ] = 16 * 1024 * 1024


class Settings(Section, frozen=True, kw_only=True):
    """The whole file."""

    crawl: CrawlSection = CrawlSection()
    output: OutputSection = OutputSection()
    accounts: tuple[Account, ...] = ()
    organization: OrganizationSection | None = None
    accepted: tuple[AcceptedSection, ...] = ()
    engine: EngineSection | None = None
    endpoints: dict[str, EndpointSetting] = {}
    rate_limits: dict[str, RateLimit] = {}
    retry: RetrySection = RetrySection()
    tls: TlsSection = TlsSection()
    network: NetworkSection = NetworkSection()
    metrics: MetricsSection = MetricsSection()
    retention: RetentionSection = RetentionSection()
    ping: PingSection = PingSection()
    catalog: CatalogSection = CatalogSection()
    opensearch: OpenSearchSection = OpenSearchSection()
    report: ReportSection = ReportSection()
    accepted_findings: tuple[AcceptedFinding, ...] = ()
    transport: TransportSection = TransportSection()

    @property
    def allow(self) -> tuple[str, ...]:
        """`[endpoints] allow`: patterns of hosts outside the cloud's domain."""
        patterns = self.endpoints.get("allow", ())
        return patterns if isinstance(patterns, tuple) else ()
