"""The proxy of a request: the configured one, or that of the environment where the configuration asks for it."""

from __future__ import annotations

import ipaddress
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
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # imports ssl: it takes long

        parts = urlsplit(url)
        host = parts.hostname or ""
        authority = f"{host}:{parts.port}" if parts.port else host
        is_direct = proxy_bypass_environment(authority, {"no": self.no_proxy}) or self._has_address(host)
        return "" if is_direct else self.url

    def _has_address(self, host: str) -> bool:
        """Whether `no_proxy` names the address of a host, or a network that it is in."""
        try:
            address = ipaddress.ip_address(host)
            entries = [entry.strip() for entry in self.no_proxy.split(",")]
            return any(address in ipaddress.ip_network(entry, strict=False) for entry in entries if _is_network(entry))
        except ValueError:
            return False


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


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
