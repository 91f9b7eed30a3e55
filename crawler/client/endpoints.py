"""Resolves product, region and account to one host, which must be an allowed one.

A signed request can be replayed by its receiver. So the rule is checked on the final text, with a grammar that is
narrower than any URL parser's: a scheme, a host, maybe a port, and nothing else. Allowed are

- https to a host under `aliyuncs.com`, or to one that a pattern of `[endpoints] allow` matches;
- http or https to a loopback address (127.0.0.0/8, [::1], localhost), for emulators and tests.

Numeric addresses are allowed for loopback only, internationalized names never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from crawler.errors import ConfigError
from crawler.text import ACCOUNT_ID, LOOPBACK_HOST, REGION_ID

CLOUD_DOMAIN = "aliyuncs.com"

_SAMPLE_REGION = "cn-hangzhou"
_SAMPLE_ACCOUNT = "1000000000000001"
_DEFAULT_PORTS = {"http": 80, "https": 443}

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LAST_LABEL = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"  # 100.100.100.200 and 0x7f.1 end in a number
_URL = re.compile(r"(https?)://(\[::1\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?/?")
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LAST_LABEL}")
_HOOK = re.compile(r"(https?://[^/?#@]+)((?:/[!-~]*?)?)((?:\?[!-~]*)?)", re.IGNORECASE)
_PROXY = re.compile(
    r"https?://(?:[!-.0-9;-?A-~]+(?::[!-.0-~]*)?@)?(?:\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::([1-9][0-9]{0,4}))?/?",
    re.IGNORECASE,
)
_PATTERN = re.compile(rf"(?:[a-z0-9*?-]+\.)+{_LABEL}\.{_LAST_LABEL}|(?:{_LABEL}\.)*{_LAST_LABEL}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# A host as a service may name it: `na-south-1.fc.aliyuncs.com`, `HTTPS://host:443/`, `http://host/path`.
_NAMED_HOST = re.compile(r"(?:(https?)://)?([a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?(?:/.*)?", re.DOTALL)
# Hosts of the vendor's internal networks: cn-hangzhou-internal.fc, opensearch-vpc, intranet.opensearch-cn-hangzhou.
_INTERNAL = re.compile(r"(?:^|[.-])(?:internal|intranet|vpc)(?=[.-])")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that requests are sent to.

    `host` is lower case, an IPv6 address without brackets. `authority` is the value of the Host header: with brackets,
    and with the port unless it is the scheme's default. `url` has no path.
    """

    scheme: str
    host: str
    port: int
    authority: str
    url: str


@dataclass(frozen=True, slots=True)
class ProductHosts:
    """A product's host template and those of single regions: names for https (`fcv3.{region}.aliyuncs.com`) or URLs."""

    template: str
    hosts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of all products: defaults of the catalog, overrides of the configuration, additional hosts.

    An override is one template for all regions, or a table of URLs by region; regions that the table doesn't have keep
    their default. `described` has the hosts that services named for regions that neither has: product → region →
    template. It is filled before the first request to such a region.
    """

    defaults: Mapping[str, ProductHosts]
    overrides: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    described: dict[str, dict[str, str]] = field(default_factory=dict)

    def resolve(self, product: str, region_id: str, account_id: str) -> Endpoint:
        """Return the endpoint of a product in a region for an account.

        `region_id` and `account_id` may be empty if the template has no placeholder for them (`sts.aliyuncs.com`).
        Raises ConfigError for a product without an endpoint and for a host that isn't allowed.
        """
        try:
            return parse_endpoint(fill(self._template(product, region_id), region_id, account_id), self.allow)
        except ConfigError as error:
            where = f"{product} in {region_id}" if REGION_ID.fullmatch(region_id) else product
            raise ConfigError(f"no endpoint for {where}: {error}") from None

    def describe(self, product: str, region_id: str, host: str, account_id: str) -> None:
        """Use the host that a service named for a region, unless the catalog or the configuration has one.

        `account_id` is the account that the service answered. Raises ConfigError with the reason for a host that isn't
        used, without the host.
        """
        self.described.setdefault(product, {})[region_id] = _described_template(host, account_id, self.allow)

    def adopt(self, described: Mapping[str, Mapping[str, str]]) -> None:
        """Use the `described` hosts of another process, product → region → template; those that may be used."""
        for product, by_region in described.items():
            for region_id, template in by_region.items():
                host = template.removeprefix("https://").replace("{account_id}", _SAMPLE_ACCOUNT)
                with suppress(ConfigError):
                    self.describe(product, region_id, host, _SAMPLE_ACCOUNT)

    def pattern(self, product: str, region_id: str) -> str:
        """Return the URL of a product in a region for messages, with `{account_id}` for the account."""
        template = self._template(product, region_id)
        return template.replace("{region}", region_id)

    def _template(self, product: str, region_id: str) -> str:
        override = self.overrides.get(product)
        if isinstance(override, str):
            return override
        if override is not None and region_id in override:
            return override[region_id]
        known = self.defaults.get(product)
        if known is None:
            raise ConfigError("neither the catalog nor [endpoints] has one")
        text = known.hosts.get(region_id) or self.described.get(product, {}).get(region_id) or known.template
        return text if "://" in text else f"https://{text}"


def fill(template: str, region_id: str, account_id: str) -> str:
    """Fill in the placeholders of a template: exactly `{region}` and `{account_id}`, not nested.

    Raises ConfigError for another brace, a malformed region ID, a malformed account ID.
    """
    values = {"region": region_id, "account_id": account_id}
    for name in _PLACEHOLDER.findall(template):
        if name not in values:
            raise ConfigError("it has a placeholder other than {region} and {account_id}")
        if not (REGION_ID if name == "region" else ACCOUNT_ID).fullmatch(values[name]):
            wanted = "a region ID" if name == "region" else "an account ID"
            raise ConfigError(f"its {{{name}}} needs {wanted}, and this isn't one")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _described_template(host: str, account_id: str, allow: Sequence[str]) -> str:
    """Return the template of a host that a service named, for https. Raises ConfigError.

    The rule is that of all endpoints, without loopback: the answer of a service leads to no other network. A leading
    label of digits is an account: the answered account's becomes `{account_id}`, another one's is refused.
    """
    match = _NAMED_HOST.fullmatch(host.strip().lower()) if host.isascii() else None
    if match is None:
        raise ConfigError("it isn't a host name")
    scheme, name, port = match.groups()
    if _INTERNAL.search(name):
        raise ConfigError("it is a host of an internal network")
    if LOOPBACK_HOST.fullmatch(name):
        raise ConfigError("it is a loopback address")
    has_port = port is not None and scheme != "http" and port != "443"
    parse_endpoint(f"https://{name}:{port}" if has_port else f"https://{name}", allow)
    first, _, rest = name.partition(".")
    if ACCOUNT_ID.fullmatch(first):
        if first != account_id:
            raise ConfigError("it is a host of another account")
        name = f"{{account_id}}.{rest}"
    return f"https://{name}:{port}" if has_port else f"https://{name}"


def check_template(template: str, allow: Sequence[str] = ()) -> None:
    """Validate an override with a sample region and account. Raises ConfigError."""
    parse_endpoint(fill(template, _SAMPLE_REGION, _SAMPLE_ACCOUNT), allow)


def check_allow(pattern: str) -> None:
    """Validate one pattern of `[endpoints] allow`. Raises ConfigError.

    `*` and `?` are allowed only in the labels before the last two: `*` or `*.com` would allow any host.
    """
    if not _PATTERN.fullmatch(pattern.lower()) or _is_international(pattern.lower()):
        raise ConfigError("it must be a host name, or a pattern that ends in two whole labels such as *.corp.example")


def parse_endpoint(text: str, allow: Sequence[str] = ()) -> Endpoint:
    """Parse a URL without placeholders. Raises ConfigError, whose message never quotes the text."""
    match = _URL.fullmatch(text.lower()) if text.isascii() else None
    port = int(match[3] or 0) if match else 0
    if match is None or port > 65535:
        raise ConfigError(_why_malformed(text))
    scheme, host = match[1], match[2]
    _check_host(scheme, host, allow)
    own_port = _DEFAULT_PORTS[scheme]
    authority = host if port in {0, own_port} else f"{host}:{port}"
    return Endpoint(scheme, host.strip("[]"), port or own_port, authority, f"{scheme}://{authority}")


def split_hook(text: str) -> tuple[str, str, str]:
    """Split the URL of a notification into scheme and host, path, and query with its question mark.

    https to any host by its name, http to loopback. Raises ConfigError, whose message never quotes the text.
    """
    match = _HOOK.fullmatch(text)
    if match is None or "#" in text:
        raise ConfigError("it must be an https URL, without a user name, a fragment or white space")
    host = match[1].split("://", 1)[1].rsplit(":", 1)[0]
    parse_endpoint(match[1], (host,))
    return match[1], match[2], match[3]


def check_proxy(text: str) -> None:
    """Validate the URL of a proxy: http or https, any host, maybe a user name and password. Raises ConfigError."""
    match = _PROXY.fullmatch(text)
    if match is None or int(match[1] or 0) > 65535:
        raise ConfigError("it must be a proxy's URL such as http://proxy.corp.example:3128, without a path")


def _check_host(scheme: str, host: str, allow: Sequence[str]) -> None:
    if LOOPBACK_HOST.fullmatch(host.strip("[]")):
        return
    if not _NAME.fullmatch(host) or len(host) > 253 or _is_international(host):
        raise ConfigError("its host must be a plain DNS name, without a trailing dot, or a loopback address")
    is_cloud = host.endswith(f".{CLOUD_DOMAIN}")
    if not is_cloud and not any(fnmatchcase(host, pattern.lower()) for pattern in allow):
        raise ConfigError(f"its host isn't under {CLOUD_DOMAIN}, and no pattern of [endpoints] allow matches it")
    if scheme != "https":
        raise ConfigError("it must be https: plain http is taken for loopback addresses only")


def _is_international(host: str) -> bool:
    """Whether a label is in the ASCII form of IDNA, which other software may show or resolve as another name."""
    return any(label.startswith("xn--") for label in host.split("."))


def _why_malformed(text: str) -> str:
    """Return the first reason why a text isn't `scheme://host:port`."""
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return "it has a character that no endpoint has (white space, a control character, a backslash, not ASCII)"
    if not text.lower().startswith(("https://", "http://")):
        return "it must begin with https://"
    rest = text.split("://", 1)[1]
    for mark, what in (("@", "a user name"), ("?", "a query"), ("#", "a fragment")):
        if mark in rest:
            return f"it has {what}, and must be a scheme, a host and maybe a port only"
    if "/" in rest.rstrip("/") or rest.endswith("//"):
        return "it has a path, and must be a scheme, a host and maybe a port only"
    if "{" in rest or "}" in rest:
        return "it has a brace that is not part of {region} or {account_id}"
    if ":" in rest.removeprefix("[::1]"):
        return "its port must be a number from 1 to 65535, and its host a plain DNS name or a loopback address"
    return "its host must be a plain DNS name, without a trailing dot, or a loopback address"
