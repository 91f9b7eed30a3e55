"""The proxy of a request: the configured one, or that of the environment where the configuration asks for it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crawler.client.endpoints import check_proxy
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The text of `[network] proxy` that stands for the variables of the environment.
FROM_ENVIRONMENT = "environment"
# In the order in which curl looks for them, per https request.
_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_BYPASSES = ("no_proxy", "NO_PROXY")
_HTTPS_PORT = 443
# `[address]:port`, an address or a network of IPv6, or anything else with or without a port.
_ENTRY = re.compile(
    r"(?:\[(?P<address>[^\]]+)\]|(?P<name>[0-9a-f:]*:[0-9a-f:.]*:[^\]]*|[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True, repr=False)
class ProxyRule:
    """The proxy of https requests, and the hosts that are reached without it. There is no `repr`: see its password.

    Plain http never goes through it: it is for loopback and the metadata service, which no proxy can reach.
    """

    url: str = ""
    no_proxy: str = ""

    def url_for(self, url: str) -> str:
        """Return the proxy for a request, empty for none."""
        if not self.url or not url.startswith("https:"):
            return ""
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _HTTPS_PORT
        entries = re.split(r"[,\s]+", self.no_proxy.lower())
        return "" if any(_names(entry, host, port) for entry in entries) else self.url


def environment_proxy(environ: Mapping[str, str]) -> ProxyRule:
    """Return the proxy of `HTTPS_PROXY`, else `ALL_PROXY`, with the hosts of `NO_PROXY`; capitals or not.

    A value without a scheme is an http proxy, as for curl. Raises ConfigError, without the value.
    """
    name = proxy_variable(environ)
    if not name:
        return ProxyRule()
    text = environ[name].strip()
    url = text if "://" in text else f"http://{text}"
    try:
        check_proxy(url)
    except ConfigError as error:
        raise ConfigError(f"{name} of the environment can't be used: {error}") from None
    return ProxyRule(url, next((environ[bypass].strip() for bypass in _BYPASSES if environ.get(bypass)), ""))


def proxy_variable(environ: Mapping[str, str]) -> str:
    """Return the name of the variable that has the environment's proxy for https; empty without one."""
    return next((name for name in _VARIABLES if environ.get(name, "").strip()), "")


def _names(entry: str, host: str, port: int) -> bool:
    """Whether an entry of `NO_PROXY` means a host: a name with its subdomains, an address, a network, or `*` for all.

    Each may have a port. `.name` and `*.name` mean the same as the name.
    """
    if entry == "*":
        return True
    match = _ENTRY.fullmatch(entry)
    if match is None or (match["port"] and int(match["port"]) != port):
        return False
    named = match["address"] or match["name"]
    address = _network(host)
    if address is not None:
        network = _network(named)
        return network is not None and address.network_address in network
    name = named.removeprefix("*").strip(".")
    return bool(name) and f".{host}".endswith(f".{name}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
