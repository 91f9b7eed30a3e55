"""The proxy of a request, and the variables of the environment where the configuration asks for them (T17)."""

from __future__ import annotations

import pytest

from crawler.client.proxies import ProxyRule, environment_proxy, proxy_variable
from crawler.errors import ConfigError

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"HTTPS_PROXY": " ", "all_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": "proxy.example:3128\n"}, PROXY),
        ({"HTTP_PROXY": PROXY}, ""),
        ({}, ""),
    ],
)
def test_the_environments_proxy_is_that_of_https(environ, url):
    """T42: as curl looks for it, and never that of plain http."""
    assert environment_proxy(environ).url == url
    assert bool(proxy_variable(environ)) == bool(url)


@pytest.mark.parametrize("text", ["socks5://canary:1080", "http://canary/path", "canary canary"])
def test_a_proxy_that_cannot_be_one_is_named_by_its_variable(text):
    """T42."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY of the environment can't be used: it must be") as caught:
        environment_proxy({"HTTPS_PROXY": text})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("", "https://fc.example", False),
        ("*", "https://fc.example", True),
        ("fc.example", "https://fc.example", True),
        (".example", "https://fc.example", True),
        ("example", "https://fc.example:8443", True),
        ("fc.example:8443", "https://fc.example:8443", True),
        ("fc.example:8443", "https://fc.example", False),
        ("ample", "https://fc.example", False),
        ("a, 10.0.0.0/8 ,b", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("2001:db8::/32", "https://[2001:db8::1]:8443", True),
        ("FC.EXAMPLE", "https://fc.example", True),
        ("*.example", "https://fc.example", True),
        ("fc.example:443", "https://fc.example", True),
        ("x, * ", "https://fc.example", True),
        ("a fc.example", "https://fc.example", True),
        ("fc.example.", "https://fc.example", True),
        ("fc.example", "https://fc.example.", True),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443", True),
        ("[2001:db8::1]:1", "https://[2001:db8::1]:8443", False),
        ("10.1.2.3:8443", "https://10.1.2.3:8443", True),
        ("2.3", "https://10.1.2.3", False),
        ("*. ,., [] , https://fc.example", "https://fc.example", False),
    ],
)
def test_hosts_of_no_proxy_are_reached_directly(no_proxy, url, is_direct):
    """T42."""
    assert ProxyRule(PROXY, no_proxy).url_for(url) == ("" if is_direct else PROXY)


def test_plain_http_goes_by_no_proxy_and_the_rule_shows_no_password():
    """T17."""
    rule = ProxyRule("http://me:canary@proxy.example:3128")
    assert rule.url_for("http://127.0.0.1:1") == ""
    assert "canary" not in repr(rule)
