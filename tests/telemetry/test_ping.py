"""`[ping] url`: the requests, their content and number; the URL never leaks, and a failure never affects the crawl."""

from __future__ import annotations

import io
import ssl

import anyio
import pytest
import trustme

from crawler.config import parse_config
from crawler.errors import ConfigError
from crawler.telemetry import logs as log
from crawler.telemetry.ping import ping, ping_start, ping_url
from crawler.testing import FakeClock
from tests.support.ping_server import SECRET, watchdog

ACCOUNT = '[[accounts]]\nid = "1000000000000001"\n'


def config_of(url, more=""):
    return parse_config(f'{ACCOUNT}[ping]\nurl = "{url}"\n{more}', source="test.toml", environ={})


async def pinged(url, event, text="", more=""):
    """Whether it was taken, how long it slept, and the log."""
    clock, stream = FakeClock(), io.StringIO()
    log.configure("json", "debug", stream)
    return await ping(config_of(url, more), event, text, clock), clock.slept, stream.getvalue()


@pytest.mark.parametrize(("event", "path"), [("start", "/start"), ("success", ""), ("fail", "/fail")])
async def test_each_event_has_its_path(event, path):
    with watchdog(200) as (url, calls):
        assert await pinged(url, event, "exit_code=3") == (True, [0.0], "")
    assert calls == [(f"/{SECRET}{path}", "exit_code=3")]


async def test_a_failure_that_may_pass_is_tried_again_twice():
    with watchdog(503, 429, 200) as (url, calls):
        assert await pinged(url, "success") == (True, [0.0, 1.0, 3.0], "")
    assert len(calls) == 3
    with watchdog(500) as (url, calls):
        taken, _, said = await pinged(url, "success")
    assert (taken, len(calls)) == (False, 3)
    assert '"event": "ping_failed"' in said
    assert "HTTP status 500" in said
    assert SECRET not in said


async def test_a_refusal_is_final():
    with watchdog(404) as (url, calls):
        taken, slept, said = await pinged(url, "success")
    assert (taken, slept, len(calls)) == (False, [0.0], 1)
    assert "HTTP status 404" in said


async def test_a_redirect_is_not_followed():
    """T15"""
    with watchdog(200) as (elsewhere, others), watchdog(302, headers=[("Location", elsewhere)]) as (url, calls):
        taken, _, said = await pinged(url, "success")
    assert (taken, len(calls), others) == (False, 1, [])
    assert "HTTP status 302" in said


async def test_nobody_there_is_a_line_in_the_log():
    with watchdog(200) as (url, _):
        pass
    taken, slept, said = await pinged(url, "success")
    assert (taken, len(slept)) == (False, 3)
    assert "ConnectionFailed" in said
    assert SECRET not in said


async def test_tls_by_the_configured_authority_and_by_no_other(tmp_path):
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for trusted, wanted in ((authority, True), (other, False)):
        trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
        with watchdog(200, context=context) as (url, _):
            taken, _, _ = await pinged(url, "success", more=f'[tls]\nca_file = "{tmp_path}/ca.pem"\n')
        assert taken is wanted


async def test_without_a_url_nobody_is_called():
    assert await ping(parse_config(ACCOUNT, source="test.toml", environ={}), "success") is False


async def test_the_start_is_told_beside_the_crawl_which_does_not_wait():
    with watchdog(200) as (url, calls):
        async with ping_start(config_of(url)):
            with anyio.fail_after(10):
                while not calls:
                    await anyio.sleep(0.01)
        async with ping_start(config_of(url)):
            pass  # over before it was sent
    assert calls[0] == (f"/{SECRET}/start", "")


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://hc-ping.com/uuid", "https://hc-ping.com/uuid/fail"),
        ("https://hc-ping.com/uuid/", "https://hc-ping.com/uuid/fail"),
        ("https://hc.corp.example:8443/ping/uuid?create=1", "https://hc.corp.example:8443/ping/uuid/fail?create=1"),
        ("https://hc-ping.com", "https://hc-ping.com/fail"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x/fail"),
    ],
)
def test_the_path_goes_before_the_query(url, called):
    assert ping_url(url, "fail") == called
    assert ping_url(url, "success") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://hc-ping.com/canary",
        "ftp://hc-ping.com/canary",
        "https://user:canary@hc-ping.com/x",
        "https://hc-ping.com/canary#x",
        "https://hc-ping.com/canary x",
        "https://100.100.100.200/canary",
        "https://0x7f.1/canary",
        "https://hc-ping.com./canary",
        "https://xn--hc-png-x.com/canary",
        "https://h\u0441-ping.com/canary",
        "//hc-ping.com/canary",
        "https:///canary",
        "https://hc-ping.com:99999/canary",
    ],
)
def test_another_url_is_refused_and_not_shown(url):
    """T16, T15"""
    with pytest.raises(ConfigError, match=r"^test\.toml: ping\.url ") as caught:
        config_of(url)
    assert "canary" not in str(caught.value)


def test_the_url_is_a_secret():
    config = config_of(f"https://hc-ping.com/{SECRET}")
    assert SECRET not in repr(config)
    assert SECRET not in str(config.public())
